"""The cases in the index, as `audit.office.cases` says that they follow from the log.

Whatever the order in which logs are read, or steps end, the rows are those that reading all of it at once
makes.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, delete, select, update

from audit.office.cases import Case, closing, opened
from audit.office.gained import Gained
from audit.office.handles import Handles
from audit.office.steps import Access, Report, Review, State, Step, read
from audit.office.tables import case_steps, cases
from storage.statements import first, run

ACCESS: Final = 1
REVIEW: Final = 2
REPORT: Final = 3
TOLD: Final = 4
"""Kinds of steps."""

_s, _c = case_steps.c, cases.c
_COLUMNS: Final = tuple(column.name for column in case_steps.columns)
_ADD: Final = f"INSERT INTO case_steps ({', '.join(_COLUMNS)}) VALUES (:{', :'.join(_COLUMNS)})"  # noqa: S608
_PUT: Final = "UPDATE case_steps SET about = :about WHERE log = :log AND place = :place"
_OF_ACCESS: Final = (
    *("at", "log", "place", "id", "professional", "structure", "patient"),
    *("what", "until", "due", "owes"),
)
_LAST: Final = (
    f"SELECT cases.last_at, cases.accesses, cases.review, {', '.join(f's.{c}' for c in _OF_ACCESS)}"  # noqa: S608
    " FROM cases JOIN case_steps AS s ON s.log = cases.log AND s.place = cases.place"
    # With a plus, or SQLite walks through all cases of the log by its primary key.
    " WHERE cases.professional = :professional AND cases.patient = :patient AND +cases.log = :log"
    " ORDER BY cases.place DESC LIMIT 1"
)
_REVIEWED: Final = "SELECT 1 FROM case_steps WHERE about = :about AND kind = 2 LIMIT 1"
_CASE: Final = tuple(column.name for column in cases.columns)
_DROP: Final = "DELETE FROM cases WHERE log = :log AND place = :place"
_OPEN: Final = f"INSERT INTO cases ({', '.join(_CASE)}) VALUES (:{', :'.join(_CASE)})"  # noqa: S608
_BLANK: Final[Mapping[str, int]] = dict.fromkeys(
    ("professional", "structure", "patient", "who", "what", "until", "due", "owes"), 0
)

Group = tuple[int, int, int]
"""Professional, patient, log."""


class Casebook:
    """Writes the cases: a `Derivation`."""

    def __init__(self, handles: Handles) -> None:
        self._handles = handles

    def take(self, conn: Connection, entries: Sequence[Gained]) -> None:
        """Adds the steps among entries, and what they do to cases."""
        steps = [step for one in entries if (step := read(one, self._handles)) is not None]
        if not steps:
            return
        run(conn, _ADD, [_row(step) for step in steps])
        accesses = sorted(
            (step for step in steps if isinstance(step, Access)),
            key=lambda one: (one.log, one.place),
        )
        _join(conn, accesses)
        for about in {step.about for step in steps if isinstance(step, Review)}:
            _review(conn, about)

    def drop(self, conn: Connection, log: int, begin: int, end: int) -> None:
        """Removes the steps of erased entries, and puts together anew what they belonged to."""
        gone = and_(_s.log == log, _s.place >= begin, _s.place < end)
        columns = (_s.professional, _s.patient, _s.log)
        groups = {
            tuple(row)
            for row in conn.execute(select(*columns).where(gone, _s.kind == ACCESS).distinct())
        }
        reviewed = select(_s.about).where(gone, _s.kind == REVIEW)
        group = select(_c.professional, _c.patient, _c.log).where(_c.id.in_(reviewed))
        groups |= {tuple(row) for row in conn.execute(group.distinct())}
        conn.execute(delete(case_steps).where(gone))
        for one in sorted(groups):
            _regroup(conn, one, 0)


def _join(conn: Connection, accesses: Sequence[Access]) -> None:
    """Lets accesses, in the order of their logs, belong to the last case of their group, or open the next."""
    last: dict[Group, Case | None] = {}
    written: dict[tuple[int, int], Case] = {}
    put: list[dict[str, Any]] = []
    for access in accesses:
        case = last[access.group] if access.group in last else _last(conn, access.group)
        if case is not None and case.admits(access):
            case = case.with_access(access)
            put.append({"about": case.opening.id, "log": access.log, "place": access.place})
        else:
            reviewed = first(conn, _REVIEWED, {"about": access.id})
            case = opened(access, _reviews(conn, access.id) if reviewed else ())
        last[access.group] = case
        written[case.opening.log, case.opening.place] = case
    if put:
        run(conn, _PUT, put)
    if written:
        run(conn, _DROP, [{"log": log, "place": place} for log, place in written])
        run(conn, _OPEN, [_case_row(case) for case in written.values()])


def _review(conn: Connection, about: bytes) -> None:
    """Closes the case that reviews are about, if there is one by now and one of them can."""
    found = conn.execute(select(_c.log, _c.place, _c.review).where(_c.id == about)).all()
    for row in found:
        opening = _accesses(conn, and_(_s.log == row.log, _s.place == row.place))[0]
        by = closing(opening, _reviews(conn, about))
        if by is None or by.id == row.review:
            continue
        conn.execute(
            update(cases).where(_c.log == row.log, _c.place == row.place).values(_closed(by))
        )
        case = Case(opening=opening, last_at=opening.at, review=by)
        own = _accesses(conn, and_(_s.about == about, _s.log == row.log))
        behind = [access.place for access in own[1:] if case.precedes(access)]
        if behind:
            _regroup(conn, opening.group, behind[0])


def _regroup(conn: Connection, group: Group, place: int) -> None:
    """Puts together anew the cases of a group from a place of the log on."""
    mine = _of_group(group)
    professional, patient, log = group
    conn.execute(
        delete(cases).where(
            _c.professional == professional,
            _c.patient == patient,
            _c.log == log,
            _c.place >= place,
        )
    )
    accesses = _accesses(conn, and_(mine, _s.place >= place))
    conn.execute(
        update(case_steps)
        .where(mine, _s.place >= place, _s.about != _s.id)
        .values(about=case_steps.c.id)
    )
    before = _last(conn, group)
    if before is not None:
        own = _accesses(conn, and_(mine, _s.about == before.opening.id, _s.place < place))
        conn.execute(
            update(cases)
            .where(_c.log == before.opening.log, _c.place == before.opening.place)
            .values(accesses=len(own), last_at=max(one.at for one in own))
        )
    _join(conn, accesses)


def _last(conn: Connection, group: Group) -> Case | None:
    """The case of a group that was opened last, by the order of its log."""
    professional, patient, log = group
    row = first(conn, _LAST, {"professional": professional, "patient": patient, "log": log})
    if row is None:
        return None
    last_at, accesses, review, *rest = row
    opening = _access(dict(zip(_OF_ACCESS, rest, strict=True)))
    by = None
    if review is not None:
        by = next((one for one in _reviews(conn, opening.id) if one.id == review), None)
    return Case(opening=opening, last_at=last_at, accesses=accesses, review=by)


def _of_group(group: Group) -> ColumnElement[bool]:
    professional, patient, log = group
    return and_(
        _s.kind == ACCESS, _s.professional == professional, _s.patient == patient, _s.log == log
    )


def _accesses(conn: Connection, condition: ColumnElement[bool]) -> list[Access]:
    """Accesses in the order of their log."""
    rows = conn.execute(select(case_steps).where(_s.kind == ACCESS, condition).order_by(_s.place))
    return [_access(row._mapping) for row in rows]  # noqa: SLF001 - its public name


def _access(row: Mapping[Any, Any]) -> Access:
    return Access(
        at=row["at"],
        log=row["log"],
        place=row["place"],
        id=bytes(row["id"]),
        professional=row["professional"],
        structure=row["structure"],
        patient=row["patient"],
        mode=row["what"],
        until=row["until"],
        due=row["due"],
        owes=row["owes"],
    )


def _reviews(conn: Connection, about: bytes) -> list[Review]:
    rows = conn.execute(select(case_steps).where(_s.about == about, _s.kind == REVIEW))
    return [
        Review(
            at=row.at,
            log=row.log,
            place=row.place,
            id=row.id,
            about=row.about,
            professional=row.professional,
            patient=row.patient,
            who=row.who,
            verdict=State(row.what),
            until=row.until,
        )
        for row in rows
    ]


def _row(step: Step) -> dict[str, Any]:
    more: dict[str, Any]
    place = {"log": step.log, "place": step.place, "at": step.at, "id": step.id}
    match step:
        case Access():
            more = {
                "kind": ACCESS,
                "about": step.id,
                "professional": step.professional,
                "structure": step.structure,
                "patient": step.patient,
                "who": step.professional,
                "what": step.mode,
                "until": step.until,
                "due": step.due,
                "owes": step.owes,
            }
        case Review():
            more = {
                "kind": REVIEW,
                "about": step.about,
                "professional": step.professional,
                "patient": step.patient,
                "who": step.who,
                "what": int(step.verdict),
                "until": step.until,
            }
        case Report():
            more = {
                "kind": REPORT,
                "about": step.about,
                "patient": step.patient,
                "what": step.done,
            }
        case _:
            more = {
                "kind": TOLD,
                "about": step.id,
                "professional": step.professional,
                "what": int(step.standing),
            }
    return {**_BLANK, **place, **more}


def _case_row(case: Case) -> dict[str, Any]:
    opening = case.opening
    return {
        "log": opening.log,
        "place": opening.place,
        "id": opening.id,
        "at": opening.at,
        "last_at": case.last_at,
        "due": opening.due,
        "professional": opening.professional,
        "structure": opening.structure,
        "patient": opening.patient,
        "mode": opening.mode,
        "accesses": case.accesses,
        **_closed(case.review),
    }


def _closed(by: Review | None) -> dict[str, Any]:
    if by is None:
        return {"state": int(State.OPEN), "review": None, "closed_at": None, "until": None}
    return {
        "state": int(by.verdict),
        "review": by.id,
        "closed_at": by.at,
        "until": by.until,
    }
