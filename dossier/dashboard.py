"""The dashboard: the patients on whose dossiers a professional is authorised, as the deck shows them.

Who they are says the decision point; here are their names, and when the professional was last there. All of
them go to the database as one value, so thousands cost no more than the rows they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, Protocol

from sqlalchemy import ColumnElement, Connection, Select, and_, func, literal, select

from dossier import names, tables
from dossier.deed import ALLOW
from dossier.dialects import among, binary
from serving.errors import RequestError

SIZES: Final = (10, 20, 30, 40, 50)


class Authorised(Protocol):
    """A patient whom the decision point has named."""

    @property
    def patient(self) -> str:
        """INS."""
        ...

    @property
    def treating_doctor(self) -> bool:
        """Whether the professional is a treating doctor of theirs."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a professional searches for; what is empty does not narrow.

    Attributes:
        name: the beginning of a usage or birth name.
        given_name: the beginning of the given names.
        birth_year: four digits; 0 for any.
        patient: INS, complete.
    """

    name: str = ""
    given_name: str = ""
    birth_year: int = 0
    patient: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One patient; without names where the record has no administrative data of them."""

    patient: str
    family_name: str = ""
    usage_name: str = ""
    given_names: str = ""
    birth_date: date | None = None
    treating_doctor: bool = False
    last_access: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """A page: its lines, how many fit the search, and how many there are."""

    lines: tuple[Line, ...]
    found: int
    total: int


_d, _a = tables.dossiers.c, tables.acts.c


def look(
    conn: Connection,
    actor: str,
    authorised: Sequence[Authorised],
    wanted: Wanted,
    *,
    page: int,
    size: int,
) -> Dashboard:
    """One page of those who fit, by usage name, name, given names and INS.

    Args:
        conn: to read over.
        actor: idNat_PS of the professional, whose last accesses are shown.
        authorised: everyone the professional may see.
        wanted: what is searched for.
        page: from 1.
        size: 10, 20, 30, 40 or 50.

    Raises:
        RequestError: the search or the page is none.
    """
    _check(wanted, page, size)
    marked = {one.patient: one.treating_doctor for one in authorised}
    total = len(marked)
    if wanted.patient:
        marked = {wanted.patient: marked[wanted.patient]} if wanted.patient in marked else {}
    rows = conn.execute(_page(conn, tuple(sorted(marked)), wanted, page, size)).all()
    if rows:
        found = rows[0].found
    else:
        found = 0 if page == 1 else look(conn, actor, authorised, wanted, page=1, size=size).found
    last = _last_accesses(conn, actor, tuple(row.ins for row in rows))
    lines = (_line(row, marked[row.ins], last.get(row.ins)) for row in rows)
    return Dashboard(lines=tuple(lines), found=found, total=total)


def _check(wanted: Wanted, page: int, size: int) -> None:
    wrong = []
    if size not in SIZES:
        wrong.append(("page_size", f"`{size}`", f"one of {', '.join(map(str, SIZES))}"))
    if page < 1:
        wrong.append(("page", f"`{page}`", "from 1"))
    if wanted.birth_year and not date.min.year <= wanted.birth_year < date.max.year:
        wrong.append(("birth_year", f"`{wanted.birth_year}`", "four digits, or 0 for any"))
    for field in ("name", "given_name"):
        text = getattr(wanted, field)
        if text.strip() and not names.key(text):
            wrong.append((field, "no letter in it", "give the beginning of a name"))
    if wrong:
        raise RequestError(wrong)


def _fitting(wanted: Wanted) -> list[ColumnElement[bool]]:
    """The conditions of a search. What was typed is letters by now, and is compared, never interpreted."""
    asked: list[ColumnElement[bool]] = []
    if name := names.key(wanted.name):
        asked.append(_begins(_d.usage_key, name) | _begins(_d.family_key, name))
    if given := names.key(wanted.given_name):
        asked.append(_begins(_d.given_key, given))
    if year := wanted.birth_year:
        asked.append(and_(_d.birth_date >= date(year, 1, 1), _d.birth_date < date(year + 1, 1, 1)))
    return asked


def _begins(column: ColumnElement[str], text: str) -> ColumnElement[bool]:
    return func.substr(column, 1, len(text)) == text


def _page(
    conn: Connection, patients: tuple[str, ...], wanted: Wanted, page: int, size: int
) -> Select[Any]:
    """A page of those who fit, each row with how many they are."""
    ids = among(conn, patients)
    asked = _fitting(wanted)
    # Who is not known here fits only where nothing is asked of them.
    joined = ids.join(tables.dossiers, _d.patient == ids.c.value, isouter=not asked)
    count = func.count().over() if asked else literal(len(patients))
    known_by = func.coalesce(func.nullif(_d.usage_key, ""), _d.family_key, "")
    order = (known_by, func.coalesce(_d.family_key, ""), func.coalesce(_d.given_key, ""))
    shown = (_d.family_name, _d.usage_name, _d.given_names, _d.birth_date)
    return (
        select(ids.c.value.label("ins"), count.label("found"), *shown)
        .select_from(joined)
        .where(*asked)
        .order_by(*(binary(conn, column) for column in (*order, ids.c.value)))
        .limit(size)
        .offset((page - 1) * size)
    )


def _last_accesses(conn: Connection, actor: str, patients: tuple[str, ...]) -> dict[str, datetime]:
    ids = among(conn, patients)
    last = (
        select(_a.at)
        .where(
            _a.actor == actor,
            _a.patient == ids.c.value,
            _a.effect == ALLOW,
            _a.action != "dossier.find",
        )
        .order_by(_a.at.desc())
        .limit(1)
        .scalar_subquery()
    )
    rows = conn.execute(select(ids.c.value, last.label("at")))
    return {row.value: row.at for row in rows if row.at is not None}


def _line(row: Any, treating_doctor: bool, last: datetime | None) -> Line:  # noqa: ANN401, FBT001 - a row
    if row.family_name is None:
        return Line(patient=row.ins, treating_doctor=treating_doctor, last_access=last)
    return Line(
        patient=row.ins,
        family_name=row.family_name,
        usage_name=row.usage_name,
        given_names=row.given_names,
        birth_date=row.birth_date,
        treating_doctor=treating_doctor,
        last_access=last,
    )
