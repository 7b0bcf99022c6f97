"""From a decision's condition and a search to the query that lists documents. Pure: expressions alone.

* What the condition says is said in SQL, of the same fields; nothing is left for later.
* All values are bound parameters. What the record does not know is an error, never a query without it.
* Only columns of the index `documents_of_patient` choose the rows of a page, and the authors of the patient's
  documents are looked up once: what is not shown costs no more than to be passed over.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    true,
    union_all,
)

from clients.sdk.condition import Clause, Condition, LabelField, Test
from dossier import tables
from dossier.cursor import Position
from dossier.dialects import earlier
from dossier.errors import ConditionError
from dossier.model import (
    HIDDEN_FROM_PATIENT,
    HIDDEN_FROM_REPRESENTATIVES,
    MASKED,
    Search,
    Status,
)
from dossier.rewriting import merge, part
from serving.days import midnight
from storage.columns import Instant

CONFIDENTIALITIES: Final = ("N", "R", "V")

_c: Final = tables.documents.c
_FLAGS: Final = {
    MASKED: _c.masked,
    HIDDEN_FROM_PATIENT: _c.hidden_from_patient,
    HIDDEN_FROM_REPRESENTATIVES: _c.hidden_from_representatives,
}
_KNOWN: Final[Mapping[str, Iterable[str]]] = {
    LabelField.STATUS: tuple(Status),
    LabelField.VISIBILITY: (*CONFIDENTIALITIES, *_FLAGS),
}
_SHOWABLE: Final = tuple(status for status in Status if status is not Status.DELETED)


def page(
    patient: str,
    condition: Condition,
    search: Search,
    *,
    size: int,
    after: Position | None = None,
) -> Select[Any]:
    """The rows of a patient's documents that meet the condition and the search, the newest act first.

    Args:
        patient: INS.
        condition: of the decision.
        search: empty `statuses` stand for all that can be shown; deleted documents never can.
        size: how many rows at most.
        after: behind which document the page begins.

    Raises:
        ConditionError: the condition asks for something that no document of the record has.
    """
    _check(condition)
    order = _c.act_from.desc(), _c.id.desc()
    statuses = [status.value for status in _SHOWABLE if status in (search.statuses or _SHOWABLE)]
    rows = _Rows(patient, statuses)
    narrowed = [*_narrowed(rows, search), _c.status.in_(statuses)]
    if after is not None:
        narrowed.append(earlier(_c.act_from, _c.id, after))
    found = [
        select(_c.id).where(*where, *narrowed).order_by(*order).limit(size).subquery()
        for where in rows.parts(condition)
    ]
    shown = union_all(*map(select, found)).subquery("shown")
    chosen = select(tables.documents).join(shown, shown.c.id == _c.id)
    return chosen.order_by(*order).limit(size)


class _Rows:
    """The rows of one patient's documents in some statuses, and what can be asked of them.

    What is the same for all of them is settled here, and never asked of the database.
    """

    def __init__(self, patient: str, statuses: Iterable[str]) -> None:
        self._patient = patient
        self._statuses = frozenset(statuses)

    def parts(self, condition: Condition) -> Iterator[list[ColumnElement[bool]]]:
        """The rows that meet the condition, in one or more parts that have none in common."""
        parted = part(condition)
        theirs = self.by(parted.authors)
        if parted.own.is_open:
            # Not by patient: so the few of these authors are looked up, not all of the patient.
            yield [theirs, self._admitted(parted.own)]
        exception = [not_(theirs)] if parted.authors else []
        if parted.others.is_open or not parted.own.is_open:
            yield [_c.patient == self._patient, self._admitted(parted.others), *exception]

    def by(self, authors: Iterable[str]) -> ColumnElement[bool]:
        """Whether one of them is an author. A set that is looked up once, not a question for each row."""
        return _c.id.in_(
            select(tables.authors.c.document).where(
                tables.authors.c.patient == self._patient,
                tables.authors.c.author.in_(list(authors)),
            )
        )

    def _admitted(self, condition: Condition) -> ColumnElement[bool]:
        """Whether a row meets the condition: a clause of `allow` holds, and none of `deny`."""
        return and_(not_(self._one_of(condition.deny)), self._one_of(condition.allow))

    def _one_of(self, clauses: Iterable[Clause]) -> ColumnElement[bool]:
        """Whether one of the clauses holds; what costs least is looked at first."""
        each = sorted((sorted(one.tests, key=_cost) for one in merge(clauses)), key=_total)
        return or_(false(), *(and_(true(), *map(self._test, tests)) for tests in each))

    def _test(self, test: Test) -> ColumnElement[bool]:
        passes = self._has(test.field, test.values)
        return not_(passes) if test.negated else passes

    def _has(self, field: str, values: Sequence[str]) -> ColumnElement[bool]:
        """Whether the field has one of the values."""
        match field:
            case LabelField.TYPE:
                return _c.type.in_(values)
            case LabelField.AUTHOR_STRUCTURE:
                return _c.structure.in_(values)
            case LabelField.AUTHORS:
                return self.by(values)
            case LabelField.STATUS:
                return self._in_status(values)
            case LabelField.VISIBILITY:
                return _kept_from(values)
            case _:
                raise ConditionError(f"a condition on `{field}`: there is no query for it")

    def _in_status(self, values: Sequence[str]) -> ColumnElement[bool]:
        if self._statuses.isdisjoint(values):
            return false()
        return true() if self._statuses.issubset(values) else _c.status.in_(values)


def _kept_from(values: Sequence[str]) -> ColumnElement[bool]:
    """Whether a document has one of these codes of visibility."""
    levels = [value for value in CONFIDENTIALITIES if value in values]
    if len(levels) == len(CONFIDENTIALITIES):
        return true()  # every document has one, says a constraint
    flags = (_FLAGS[value].is_(true()) for value in values if value in _FLAGS)
    return or_(false(), *flags, _c.confidentiality.in_(levels) if levels else false())


def _cost(test: Test) -> tuple[bool, bool, int]:
    """What is looked at first: flags, then columns with few values, those with many, and authors last."""
    return (
        test.field == LabelField.AUTHORS,
        test.field != LabelField.VISIBILITY,
        len(test.values),
    )


def _total(tests: Sequence[Test]) -> tuple[bool, bool, int]:
    return max(map(_cost, tests), default=(False, False, 0))


def _check(condition: Condition) -> None:
    """Refuses what no document of the record has.

    Raises:
        ConditionError: it asks for such a thing, wherever.
    """
    for clause in (*condition.allow, *condition.deny):
        for test in clause.tests:
            if test.field not in iter(LabelField):
                raise ConditionError(
                    f"a condition on `{test.field}`: the record knows no such field"
                )
            unknown = set(test.values).difference(_KNOWN.get(test.field, test.values))
            if unknown:
                raise ConditionError(
                    f"a condition on `{test.field}` with `{min(unknown)}`: no document has that"
                )


def _narrowed(rows: _Rows, search: Search) -> Iterable[ColumnElement[bool]]:
    if search.spaces:
        yield _c.space.in_(_storable(search.spaces))
    if search.types:
        yield _c.type.in_(_storable(search.types))
    if search.author:
        yield rows.by(_storable([search.author]))
    since = _midnight(search.since, later=0)
    if since is not None:
        yield func.coalesce(_c.act_to, _c.act_from) >= literal(since, Instant)
    until = _midnight(search.until, later=1)
    if until is not None:
        yield _c.act_from < until


def _storable(values: Iterable[str]) -> list[str]:
    """Those that a database could hold: PostgreSQL refuses NUL, even to look for it."""
    return [value for value in values if "\0" not in value]


def _midnight(day: date | None, *, later: int) -> datetime | None:
    """When a day begins in France, or so many days later; None where time has no such instant."""
    if day is None:
        return None
    try:
        return midnight(day + timedelta(days=later)).astimezone(UTC)
    except OverflowError:
        return None
