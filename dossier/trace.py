"""The trace: who did what in a dossier, refused attempts included (CSP R.1111-43; EHDS, annex II 3.2).

It is read by the holder, a minor's representatives and the treating doctors. Of a document that is kept
from the reader, or was never deposited, it does not say which one and of what type: that it is there would
be told.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, false, or_, select

from clients.sdk.values import Subject
from dossier import cursor, tables
from dossier.cursor import Position
from dossier.deed import DENY, storable
from dossier.dialects import earlier
from dossier.model import PERSONS, Person
from dossier.permit import Permit
from serving.days import midnight

WITHHOLD_SECRET: Final = "withhold_secret_entries"  # noqa: S105 - the name of an obligation

_FIRST: Final = date(1900, 1, 1)
_LAST: Final = date(9990, 1, 1)
"""Beyond these a bound bounds nothing, and could not be computed with."""

_a, _d = tables.acts.c, tables.documents.c
_newer: Final = tables.documents.alias("newer")

_ACTS_ON: Final = tables.acts.outerjoin(tables.documents, _d.id == _a.document).outerjoin(
    # What was replaced may be open to somebody from whom its new version is kept.
    _newer,
    and_(_a.action == "document.replace", _newer.c.id == _d.replaced_by),
)
_HIDING: Final = (
    _d.hidden_from_patient.label("from_patient"),
    _d.hidden_from_representatives.label("from_representatives"),
    _newer.c.hidden_from_patient.label("newer_from_patient"),
    _newer.c.hidden_from_representatives.label("newer_from_representatives"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor(Person):
    """Who did something; `kind` is professional, patient, structure, and so on."""

    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One act, or one attempt.

    Attributes:
        at: when; UTC.
        action: such as `document.read`.
        effect: allow or deny.
        reason_code: why.
        actor: who.
        document: id; "" for none, for many, or for one that is kept from the reader.
        type: of the document.
        space: of the document.
        origin: of the document: the structure that deposited it, or the system it came from.
        mode: normal, bris_de_glace, centre_15.
        reason: given for break-glass, as "CODE: text".
        decision: its id in the log.
        shown: how many documents a list showed; of others' lists, persons are not told.
    """

    at: datetime
    action: str
    effect: str
    reason_code: str
    actor: Actor
    document: str
    type: str
    space: str
    origin: str
    mode: str
    reason: str
    decision: str
    shown: int


_UNTOLD: Final = "DOCUMENT_UNAVAILABLE"
"""In place of a reason that would tell of a document."""

_TELLING: Final = ("DOCUMENT_", "HIDDEN_", "HABILITATION_", "VISIBILITY_", "NOT_YET_")
"""How reasons begin that have to do with the document that was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TracePage:
    """Some of the trace, the latest first; `next` is the cursor of the page behind, or ""."""

    traces: tuple[Trace, ...]
    next: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What of a trace is asked for; what is empty does not narrow.

    Attributes:
        actor: idNat_PS, structure or INS.
        since: the first day, in France.
        until: the last day, in France.
        refused: refused attempts only.
    """

    actor: str = ""
    since: date | None = None
    until: date | None = None
    refused: bool = False


def look(
    conn: Connection, permit: Permit, question: Question, *, size: int, after: str
) -> TracePage:
    """One page of the trace of the permit's patient, as far as its subject may see it.

    Raises:
        RequestError: the cursor is not one of this question.
    """
    of = (permit.patient, permit.subject.id, withholds(permit), question)
    conditions = [_a.patient == permit.patient, *_asked(question)]
    if withholds(permit):
        conditions.append(_a.secret == false())
    place = cursor.read(after, of=of)
    if place is not None:
        conditions.append(earlier(_a.at, _a.decision, place))
    rows = conn.execute(
        select(*tables.acts.c, *_HIDING)
        .select_from(_ACTS_ON)
        .where(*conditions)
        .order_by(_a.at.desc(), _a.decision.desc())
        .limit(size + 1)
    ).all()
    last = rows[size - 1] if len(rows) > size else None
    return TracePage(
        traces=tuple(_trace(row, permit.subject) for row in rows[:size]),
        next=cursor.write(Position(at=last.at, id=last.decision), of=of) if last else "",
    )


def withholds(permit: Permit) -> bool:
    """Whether what was done in a secret connection is left out."""
    return WITHHOLD_SECRET in permit.obligations


def actor(row: Any) -> Actor:  # noqa: ANN401 - a row with the columns of `acts`
    """Who did it."""
    return Actor(
        kind=row.actor_kind,
        id=row.actor,
        name=row.actor_name,
        profession=row.profession,
        structure=row.structure,
        structure_name=row.structure_name,
    )


def _asked(question: Question) -> Sequence[ColumnElement[bool]]:
    asked: list[ColumnElement[bool]] = []
    if question.actor:
        who = storable(question.actor)
        asked.append(or_(_a.actor == who, _a.structure == who))
    if question.since and question.since > _FIRST:
        asked.append(_a.at >= midnight(question.since))
    if question.until and question.until < _LAST:
        asked.append(_a.at < midnight(question.until + timedelta(days=1)))
    if question.refused:
        asked.append(_a.effect == DENY)
    return asked


def _trace(row: Any, reader: Subject) -> Trace:  # noqa: ANN401 - a row
    as_person = reader.kind in PERSONS
    known = not as_person or _may_know(row, reader.kind)
    # How many documents others were shown tells how many there are.
    counted = not as_person or row.actor == reader.id
    return Trace(
        at=row.at,
        action=row.action,
        effect=row.effect,
        reason_code=row.reason_code if known or not _tells(row) else _UNTOLD,
        actor=actor(row),
        document=row.document if known else "",
        type=row.type if known else "",
        space=row.space if known else "",
        origin=row.origin if known else "",
        mode=row.mode,
        reason=row.reason,
        decision=row.decision,
        shown=row.shown if counted else 0,
    )


def _may_know(row: Any, reader: str) -> bool:  # noqa: ANN401 - a row
    """Whether the holder or a representative may know of the document that an act was done to."""
    if row.from_patient is None:
        return False  # there is none, or none any more
    hidden = row.from_patient or row.newer_from_patient
    if reader == "representative":
        hidden = hidden or row.from_representatives or row.newer_from_representatives
    return not hidden


def _tells(row: Any) -> bool:  # noqa: ANN401 - a row
    """Whether the reason of a denial says something of a document."""
    about: bool = row.effect == DENY and row.reason_code.startswith(_TELLING)
    return about
