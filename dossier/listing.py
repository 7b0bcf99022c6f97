"""From a decision's condition and a search to the query that lists documents. Pure: expressions alone.

* What the condition says is said in SQL, of the same fields; nothing is left for later.
* All values are bound parameters. What the record does not know is an error, never a query without it.
* Only columns of the index `documents_of_patient` choose the rows of a page, and the authors of the patient's
  documents are looked up once: what is not shown costs no more than to be passed over.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    and_,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    true,
    tuple_,
)

from clients.sdk.condition import Clause, Condition, LabelField, Test
from dossier import tables
from dossier.cursor import Position
from dossier.errors import ConditionError
from dossier.model import (
    HIDDEN_FROM_PATIENT,
    HIDDEN_FROM_REPRESENTATIVES,
    MASKED,
    Search,
    Status,
)
from storage.columns import Instant

CONFIDENTIALITIES: Final = ("N", "R", "V")
FRANCE: Final = ZoneInfo("Europe/Paris")

_c: Final = tables.documents.c
_FLAGS: Final = {
    MASKED: _c.masked,
    HIDDEN_FROM_PATIENT: _c.hidden_from_patient,
    HIDDEN_FROM_REPRESENTATIVES: _c.hidden_from_representatives,
}
_COLUMNS: Final = {LabelField.TYPE: _c.type, LabelField.AUTHOR_STRUCTURE: _c.structure}
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
    order = _c.act_from.desc(), _c.id.desc()
    chosen = select(_c.id).where(
        _c.patient == patient, *_narrowed(patient, search), admitted(patient, condition)
    )
    if after is not None:
        last = tuple_(literal(after.act_from, Instant), literal(after.id, Text))
        chosen = chosen.where(tuple_(_c.act_from, _c.id) < last)
    shown = chosen.order_by(*order).limit(size).subquery("shown")
    return select(tables.documents).join(shown, shown.c.id == _c.id).order_by(*order)


def admitted(patient: str, condition: Condition) -> ColumnElement[bool]:
    """Whether a row meets the condition: a clause of `allow` holds, and none of `deny`.

    Raises:
        ConditionError: as above.
    """
    allowed = [_clause(patient, clause) for clause in condition.allow]
    denied = [not_(_clause(patient, clause)) for clause in condition.deny]
    return and_(true(), *denied, or_(false(), *allowed))


def _clause(patient: str, clause: Clause) -> ColumnElement[bool]:
    return and_(true(), *(_test(patient, test) for test in clause.tests))


def _test(patient: str, test: Test) -> ColumnElement[bool]:
    passes = _has(patient, test.field, test.values)
    return not_(passes) if test.negated else passes


def _has(patient: str, field: str, values: Sequence[str]) -> ColumnElement[bool]:
    """Whether the field has one of the values."""
    match field:
        case LabelField.TYPE | LabelField.AUTHOR_STRUCTURE:
            return _COLUMNS[LabelField(field)].in_(values)
        case LabelField.AUTHORS:
            return _by(patient, values)
        case LabelField.STATUS:
            _known(field, values, Status)
            return _c.status.in_(values)
        case LabelField.VISIBILITY:
            _known(field, values, (*CONFIDENTIALITIES, *_FLAGS))
            levels = _c.confidentiality.in_([v for v in values if v in CONFIDENTIALITIES])
            return or_(*(_FLAGS[v].is_(true()) for v in values if v in _FLAGS), levels)
        case _:
            raise ConditionError(f"a condition on `{field}`: the record knows no such field")


def _known(field: str, values: Iterable[str], known: Iterable[str]) -> None:
    unknown = set(values).difference(known)
    if unknown:
        raise ConditionError(
            f"a condition on `{field}` with `{min(unknown)}`: no document has that"
        )


def _by(patient: str, authors: Sequence[str]) -> ColumnElement[bool]:
    """Whether one of them is an author. A set that is looked up once, not a question for each row."""
    theirs = select(tables.authors.c.document).where(
        tables.authors.c.patient == patient, tables.authors.c.author.in_(authors)
    )
    return _c.id.in_(theirs)


def _narrowed(patient: str, search: Search) -> Iterable[ColumnElement[bool]]:
    wanted = search.statuses or _SHOWABLE
    yield _c.status.in_([status.value for status in _SHOWABLE if status in wanted])
    if search.spaces:
        yield _c.space.in_(_storable(search.spaces))
    if search.types:
        yield _c.type.in_(_storable(search.types))
    if search.author:
        yield _by(patient, _storable([search.author]))
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
        return datetime.combine(day + timedelta(days=later), time(), FRANCE).astimezone(UTC)
    except OverflowError:
        return None
