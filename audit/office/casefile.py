"""Reads cases from the index: pages of them, one with its steps, and how many there are of whom."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    bindparam,
    case,
    func,
    literal,
    select,
    true,
    tuple_,
)

from audit.office.casebook import ACCESS, REPORT, REVIEW
from audit.office.cursor import Position
from audit.office.gained import micros
from audit.office.places import Place, log_names
from audit.office.steps import ACTIONS, OBLIGATIONS, State
from audit.office.tables import case_steps, cases, entries, words

OPEN: Final = "open"
OVERDUE: Final = "overdue"
STATES: Final = (OPEN, OVERDUE, *(state.name.lower() for state in State if state))
"""What can be asked for; overdue ones are open ones, too."""

MOST_STEPS: Final = 500
"""Of a case, the first so many steps are shown."""
MOST_COUNTED: Final = 100
"""Structures or professionals: those with most cases."""

_c, _s, _e = cases.c, case_steps.c, entries.c
_a, _r = case_steps.alias("accesses"), case_steps.alias("reports")
_CLOSED: Final = (int(State.JUSTIFIED), int(State.MISUSE))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which cases; what is empty or 0 does not narrow.

    Attributes:
        state: one of `STATES`.
        professional: handle, as all three.
        structure: of the access that opened it.
        patient: whose dossier.
        since: opened from this instant on.
        until: opened before this one.
    """

    state: str = OPEN
    professional: int = 0
    structure: int = 0
    patient: int = 0
    since: datetime | None = None
    until: datetime | None = None

    def condition(self, now: int) -> ColumnElement[bool]:
        """The same for the index; `now` in microseconds since 1970."""
        return and_(_in_state(self.state, now), self.narrowed())

    def narrowed(self) -> ColumnElement[bool]:
        """The same, in whatever state."""
        named = (
            (_c.professional, self.professional),
            (_c.structure, self.structure),
            (_c.patient, self.patient),
        )
        return and_(
            true(),
            *(column == handle for column, handle in named if handle),
            *self.period(_c.at),
        )

    def period(self, at: ColumnElement[int]) -> Iterator[ColumnElement[bool]]:
        """That an instant of the index lies within the period."""
        if self.since is not None:
            yield at >= micros(self.since)
        if self.until is not None:
            yield at < micros(self.until)


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """An obligation of a case.

    Attributes:
        name: one of `OBLIGATIONS`.
        done: whether it was carried out for each access that has it.
        last: the report that came last; None where there is none.
    """

    name: str
    done: bool
    last: Place | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Filed:
    """A case with where its entries stand.

    Attributes:
        row: of `cases`.
        opening: where the access stands that opened it.
        review: where the review stands that closed it; None while it is open.
        duties: its obligations.
    """

    row: Row[Any]
    opening: Place
    review: Place | None
    duties: tuple[Duty, ...]


def page(
    conn: Connection, wanted: Wanted, *, now: int, size: int, after: Position | None
) -> tuple[list[Filed], Position | None]:
    """Cases, and behind which one the next page begins.

    Those that wait come in the order of their deadlines, the first one first; the others with the latest
    opening first.

    Args:
        conn: the index.
        wanted: which.
        now: microseconds since 1970.
        size: how many at most.
        after: the last one of the page before.
    """
    waiting = wanted.state in (OPEN, OVERDUE)
    key = (_c.due if waiting else _c.at, _c.log, _c.place)
    found = select(cases).where(wanted.condition(now))
    if after is not None:
        place = tuple_(*map(literal, after))
        found = found.where(tuple_(*key) > place if waiting else tuple_(*key) < place)
    order = key if waiting else [column.desc() for column in key]
    rows = conn.execute(found.order_by(*order).limit(size + 1)).all()
    last = rows[size - 1] if len(rows) > size else None
    if last is None:
        return filed(conn, rows), None
    behind = Position(last.due if waiting else last.at, last.log, last.place)
    return filed(conn, rows[:size]), behind


def find(conn: Connection, id_: bytes) -> Filed | None:
    """The case of this id."""
    row = conn.execute(select(cases).where(_c.id == id_)).first()
    return filed(conn, [row])[0] if row else None


def totals(conn: Connection, *, now: int) -> tuple[int, int]:
    """How many cases are open, and how many of them are overdue."""
    counted = select(func.count(), func.coalesce(func.sum(_one(_c.due < now)), 0))
    row = conn.execute(counted.where(_in_state(OPEN, now))).one()
    return int(row[0]), int(row[1])


def filed(conn: Connection, rows: Sequence[Row[Any]]) -> list[Filed]:
    """These cases with where their entries stand."""
    named = log_names(conn)
    duties = _duties(conn, [row.id for row in rows], named)
    wanted = [row.review for row in rows if row.review is not None]
    found = select(case_steps).where(_s.id.in_(wanted), _s.kind == REVIEW)
    reviews = {row.id: _place(row, named) for row in (conn.execute(found) if wanted else ())}
    return [
        Filed(
            row=row,
            opening=_place(row, named),
            review=reviews.get(row.review),
            duties=tuple(duties.get(row.id, ())),
        )
        for row in rows
    ]


def steps(conn: Connection, id_: bytes) -> list[tuple[Row[Any], Place]]:
    """The steps of a case in the order of their instants, each with where it stands."""
    named = log_names(conn)
    own = select(case_steps).where(_s.about == id_, _s.kind.in_((ACCESS, REVIEW)))
    reports = (
        select(_r)
        .join(_a, and_(_a.c.id == _r.c.about, _a.c.patient == _r.c.patient))
        .where(_a.c.about == id_, _a.c.kind == ACCESS, _r.c.kind == REPORT)
    )
    both = own.union_all(reports).subquery()
    ordered = select(both).order_by(both.c.at, both.c.log, both.c.place).limit(MOST_STEPS)
    return [(row, _place(row, named)) for row in conn.execute(ordered)]


def is_known(conn: Connection, id_: bytes) -> bool:
    """Whether the step of this decision is in the index."""
    return conn.execute(select(_s.id).where(_s.id == id_).limit(1)).first() is not None


def cases_of(conn: Connection, accesses: Iterable[bytes]) -> dict[bytes, bytes]:
    """The cases that accesses belong to, both by their ids; what is no access of a case is left out."""
    found = select(_s.id, _s.about).where(_s.id.in_([*accesses]), _s.kind == ACCESS)
    return {bytes(row.id): bytes(row.about) for row in conn.execute(found)}


def count(
    conn: Connection, by: str, wanted: Wanted, *, now: int
) -> list[tuple[Row[Any], int, Place]]:
    """Cases of each structure or professional, those with most cases first.

    Args:
        conn: the index.
        by: structure or professional.
        wanted: in which period.
        now: microseconds since 1970.

    Returns:
        The numbers; of all accesses in the period, those in an emergency mode, in thousandths; and where an
        entry stands that has the name.
    """
    column = _c[by]
    numbers = (
        column.label("handle"),
        func.count().label("cases"),
        func.sum(_c.accesses).label("accesses"),
        func.count(_c.patient.distinct()).label("patients"),
        func.sum(_one(_c.state == int(State.OPEN))).label("open"),
        func.sum(_one(and_(_c.state == int(State.OPEN), _c.due < now))).label("overdue"),
        func.sum(_one(_c.state == int(State.JUSTIFIED))).label("justified"),
        func.sum(_one(_c.state == int(State.MISUSE))).label("misuse"),
    )
    counted = select(*numbers).where(wanted.narrowed()).group_by(column)
    rows = conn.execute(counted.order_by(func.count().desc(), column).limit(MOST_COUNTED)).all()
    named, shares = log_names(conn), _shares(conn, by, [row.handle for row in rows], wanted)
    return [(row, shares.get(row.handle, 0), _example(conn, by, row.handle, named)) for row in rows]


def allowed(conn: Connection, actions: Iterable[str]) -> ColumnElement[bool]:
    """Of all entries those of these actions that were allowed."""
    named = sorted(actions)
    texts: Mapping[str, int] = {
        row.text: row.number
        for row in conn.execute(select(words).where(words.c.text.in_((*named, "allow"))))
    }
    numbers = [texts[action] for action in named if action in texts]
    return and_(_e.effect == texts.get("allow", -1), _e.action.in_(numbers))


def _shares(conn: Connection, by: str, handles: Sequence[int], wanted: Wanted) -> dict[int, int]:
    column = {"professional": _e.subject, "structure": _e.structure}[by]
    counted = (
        select(column.label("handle"), func.count().label("n"), func.sum(_e.emergency).label("m"))
        .where(column.in_(bindparam("handles", expanding=True)), column != 0, *wanted.period(_e.at))
        .where(allowed(conn, ACTIONS))
        .group_by(column)
    )
    rows = conn.execute(counted, {"handles": [one for one in handles if one]})
    return {row.handle: int(row.m) * 1000 // row.n for row in rows if row.n}


def _example(conn: Connection, by: str, handle: int, logs: Mapping[int, str]) -> Place:
    newest = select(cases).where(_c[by] == handle).order_by(_c.at.desc()).limit(1)
    return _place(conn.execute(newest).one(), logs)


def _duties(
    conn: Connection, ids: Sequence[bytes], logs: Mapping[int, str]
) -> dict[bytes, list[Duty]]:
    """The obligations of cases: due until each access that has one was reported."""
    if not ids:
        return {}
    found: dict[bytes, list[Duty]] = {}
    for name, bit in OBLIGATIONS.items():
        owed = _counts(
            conn,
            select(_a.c.about.label("case"), func.count().label("n")).where(
                _a.c.about.in_(ids), *_owing(bit)
            ),
        )
        reported = (
            select(_a.c.about.label("case"), _a.c.id.label("access"), _r)
            .join(_r, and_(_r.c.about == _a.c.id, _r.c.patient == _a.c.patient))
            .where(_a.c.about.in_(ids), *_owing(bit), _r.c.kind == REPORT, _r.c.what == bit)
            .subquery()
        )
        done = _counts(
            conn,
            select(reported.c.case, func.count(reported.c.access.distinct()).label("n")),
        )
        last = _last(conn, reported, logs)
        for id_, n in owed.items():
            duty = Duty(name=name, done=done.get(id_, 0) == n, last=last.get(id_))
            found.setdefault(id_, []).append(duty)
    return found


def _owing(bit: int) -> tuple[ColumnElement[bool], ...]:
    return _a.c.kind == ACCESS, _a.c.owes.op("&")(bit) != 0


def _counts(conn: Connection, counted: Select[Any]) -> dict[bytes, int]:
    grouped = counted.group_by(counted.selected_columns[0])
    return {bytes(row.case): row.n for row in conn.execute(grouped)}


def _last(conn: Connection, reported: Any, logs: Mapping[int, str]) -> dict[bytes, Place]:  # noqa: ANN401 - a subquery
    order = (reported.c.at.desc(), reported.c.log.desc(), reported.c.place.desc())
    number = func.row_number().over(partition_by=reported.c.case, order_by=order).label("number")
    each = select(reported, number).subquery()
    rows = conn.execute(select(each).where(each.c.number == 1))
    return {bytes(row.case): _place(row, logs) for row in rows}


def _in_state(state: str, now: int) -> ColumnElement[bool]:
    if state == OVERDUE:
        return and_(_c.state == int(State.OPEN), _c.due < now)
    return _c.state == int(State[state.upper()])


def _one(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return case((condition, 1), else_=0)


def _place(row: Row[Any], logs: Mapping[int, str]) -> Place:
    return Place(origin=logs[row.log], index=row.place, at=row.at)
