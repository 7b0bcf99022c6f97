"""Accesses that deserve a look: simple signs, each with a limit that anyone can check. Nothing is a verdict.

* `no_relation`: consulted without a relation in care that policy knows of (`audit.office.signs`).
* `many_patients`: the records of more than 30 patients within one clock hour (UTC), by one professional.
* `same_name`: the professional and the patient have the same family name. A patient's name is known to the
  log only if the patient acted in it under that name; of all others this sign says nothing.
* `night`: between 22:00 and 06:00 in France, by a professional of whose accesses (20 at least) in 31 days at
  most 1 in 10 is at night.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, exists, func, literal_column, select

from audit.office.casefile import allowed
from audit.office.gained import instant
from audit.office.places import Place, log_names
from audit.office.policies import Said
from audit.office.steps import CONSULTING
from audit.office.tables import entries, family_names, strangers
from serving.days import FRANCE

MANY_PATIENTS: Final = 30
"""Of one professional within a clock hour; a surgery sees fewer than ten."""
NIGHT: Final = (22, 6)
"""Hours in France: from, until."""
NIGHT_SHARE: Final = 10
"""By day works of whose accesses at most one in so many is at night."""
NIGHT_KNOWN: Final = 20
"""Of fewer accesses nothing is said."""
BASE: Final = timedelta(days=31)
"""Over so long it is looked how somebody works; no period may be longer."""

MOST: Final = 1000
"""Findings of one sign in a period: the latest ones."""
MOST_IDS: Final = 20

_HOUR: Final = 3_600_000_000
_HOURS: Final[ColumnElement[int]] = literal_column(str(_HOUR))
_e, _x = entries.c, strangers.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that deserves a look.

    Attributes:
        sign: which one.
        professional: handle of whose accesses.
        patient: handle of whose record; 0 for several.
        begin: the first access, microseconds since 1970.
        end: the last one.
        accesses: how many.
        said: what was seen, and which limit it passes.
    """

    sign: str
    professional: int
    patient: int
    begin: int
    end: int
    accesses: int
    said: Said

    @property
    def key(self) -> tuple[int, int, int]:
        """Its place among all: the latest first."""
        return self.end, list(SIGNS).index(self.sign), self.professional ^ (self.patient >> 1)


def find(conn: Connection, signs: Sequence[str], *, begin: int, end: int) -> list[Finding]:
    """What was found from `begin` to before `end` (microseconds since 1970), the latest first."""
    found = [one for sign in signs for one in SIGNS[sign](conn, begin, end)]
    return sorted(found, key=lambda one: one.key, reverse=True)


def places(conn: Connection, of: Finding) -> list[Place]:
    """Where its accesses stand, the first twenty."""
    logs = log_names(conn)
    table = strangers if of.sign == "no_relation" else entries
    c = table.c
    who = _x.professional if table is strangers else _e.subject
    condition = [who == of.professional, c.at >= of.begin, c.at <= of.end]
    if of.patient:
        condition.append(c.patient == of.patient)
    if table is entries:
        condition.append(_consulting(conn))
    shown = select(c.log, c.place, c.at).where(*condition).order_by(c.at, c.log, c.place)
    rows = conn.execute(shown.limit(MOST_IDS))
    return [Place(origin=logs[row.log], index=row.place, at=row.at) for row in rows]


def is_night(at: int) -> bool:
    """Whether an instant is at night in France."""
    first, last = NIGHT
    hour = instant(at).astimezone(FRANCE).hour
    return hour >= first or hour < last


def _no_relation(conn: Connection, begin: int, end: int) -> Iterator[Finding]:
    rows = _grouped(conn, (_x.professional, _x.patient), _x.at, and_(_x.at >= begin, _x.at < end))
    for row in rows:
        yield _finding(
            "no_relation",
            row,
            f"{row.n} accès sans autorisation valide à cet instant, sans être auteur ni médecin"
            " traitant. Limite : aucun.",
            f"{row.n} accesses without a valid authorisation at that time, being neither author nor"
            " treating doctor. Limit: none.",
        )


def _same_name(conn: Connection, begin: int, end: int) -> Iterator[Finding]:
    own, other = family_names.alias("own"), family_names.alias("other")
    same = exists().where(
        own.c.person == _e.subject, other.c.person == _e.patient, own.c.name == other.c.name
    )
    condition = and_(_e.at >= begin, _e.at < end, _e.subject != _e.patient, _consulting(conn), same)
    for row in _grouped(conn, (_e.subject, _e.patient), _e.at, condition):
        yield _finding(
            "same_name",
            row,
            f"{row.n} accès à un patient de même nom de famille que le professionnel. Limite : aucun."
            " Le journal ne connaît que le nom des patients qui ont agi eux-mêmes.",
            f"{row.n} accesses to a patient with the same family name as the professional. Limit: none."
            " The log knows the names only of patients who acted themselves.",
        )


def _many_patients(conn: Connection, begin: int, end: int) -> Iterator[Finding]:
    hour = (_e.at - _e.at % _HOURS).label("hour")
    patients = func.count(_e.patient.distinct())
    grouped = (
        select(
            _e.subject.label("professional"),
            literal_column("0").label("patient"),
            hour,
            func.count().label("n"),
            func.min(_e.at).label("first"),
            func.max(_e.at).label("last"),
            patients.label("patients"),
        )
        .where(_e.at >= begin, _e.at < end, _e.subject != _e.patient, _consulting(conn))
        .group_by(_e.subject, hour)
        .having(patients > MANY_PATIENTS)
        .order_by(func.max(_e.at).desc(), _e.subject)
        .limit(MOST)
    )
    for row in conn.execute(grouped):
        yield _finding(
            "many_patients",
            row,
            f"Dossiers de {row.patients} patients consultés en une heure. Limite : {MANY_PATIENTS}.",
            f"Records of {row.patients} patients consulted within an hour. Limit: {MANY_PATIENTS}.",
        )


def _night(conn: Connection, begin: int, end: int) -> Iterator[Finding]:
    base = end - BASE // timedelta(microseconds=1)
    hour = (_e.at - _e.at % _HOURS).label("hour")
    grouped = (
        select(
            _e.subject.label("professional"),
            hour,
            func.count().label("n"),
            func.min(_e.at).label("first"),
            func.max(_e.at).label("last"),
        )
        .where(_e.at >= base, _e.at < end, _e.subject != _e.patient, _consulting(conn))
        .group_by(_e.subject, hour)
        .order_by(_e.subject, hour)
    )
    found: list[Finding] = []
    for professional, rows in groupby(conn.execute(grouped), key=lambda row: row.professional):
        found += _nights(professional, list(rows), begin)
    yield from sorted(found, key=lambda one: one.key, reverse=True)[:MOST]


def _nights(professional: int, hours: Sequence[Any], begin: int) -> Iterator[Finding]:
    """The nights of somebody who works by day; `hours` are clock hours with accesses, in their order."""
    total = sum(row.n for row in hours)
    nightly = [row for row in hours if is_night(row.hour)]
    by_night = sum(row.n for row in nightly)
    if total < NIGHT_KNOWN or by_night * NIGHT_SHARE > total:
        return
    for _, rows in groupby(nightly, key=lambda row: _evening(row.hour)):
        night = list(rows)
        n, last = sum(row.n for row in night), max(row.last for row in night)
        if last < begin:
            continue
        said = Said(
            f"{n} accès entre 22 h et 6 h ; {by_night} de ses {total} accès en 31 jours sont de nuit."
            f" Limite : au plus 1 sur {NIGHT_SHARE} de nuit, donc un professionnel de jour.",
            f"{n} accesses between 22:00 and 06:00; {by_night} of these {total} accesses in 31 days are"
            f" at night. Limit: at most 1 in {NIGHT_SHARE} at night, so somebody who works by day.",
        )
        yield Finding(
            sign="night",
            professional=professional,
            patient=0,
            begin=min(row.first for row in night),
            end=last,
            accesses=n,
            said=said,
        )


def _evening(at: int) -> str:
    """The day in France on which a night began."""
    return (instant(at).astimezone(FRANCE) - timedelta(hours=NIGHT[1])).date().isoformat()


def _grouped(
    conn: Connection,
    by: tuple[ColumnElement[int], ColumnElement[int]],
    at: ColumnElement[int],
    condition: ColumnElement[bool],
) -> Any:  # noqa: ANN401 - rows
    professional, patient = by
    return conn.execute(
        select(
            professional.label("professional"),
            patient.label("patient"),
            func.count().label("n"),
            func.min(at).label("first"),
            func.max(at).label("last"),
        )
        .where(condition)
        .group_by(professional, patient)
        .order_by(func.max(at).desc(), professional, patient)
        .limit(MOST)
    )


def _finding(sign: str, row: Any, fr: str, en: str) -> Finding:  # noqa: ANN401 - a row
    return Finding(
        sign=sign,
        professional=row.professional,
        patient=row.patient,
        begin=row.first,
        end=row.last,
        accesses=row.n,
        said=Said(fr, en),
    )


def _consulting(conn: Connection) -> ColumnElement[bool]:
    """Consultations that were allowed."""
    return and_(allowed(conn, CONSULTING), _e.patient != 0)


SIGNS: Final[Mapping[str, Callable[[Connection, int, int], Iterator[Finding]]]] = {
    "no_relation": _no_relation,
    "many_patients": _many_patients,
    "same_name": _same_name,
    "night": _night,
}
