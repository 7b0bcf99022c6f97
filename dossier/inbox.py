"""The notices that stand in the portal: a holder's own, and a treating doctor's about all of his patients."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Select, false, select

from dossier import cursor, tables, trace
from dossier.cursor import Position
from dossier.dialects import among, earlier
from dossier.model import PERSONS
from dossier.notices import HOLDER, TREATING_DOCTOR, Kind
from dossier.permit import Permit
from dossier.trace import Actor

_n, _a = tables.notices.c, tables.acts.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something that somebody was told.

    Attributes:
        at: when it happened; UTC.
        kind: what.
        patient: INS of whose dossier.
        actor: who did it.
        decision: of the act that it tells of; of several, the first.
        sent_at: when it was sent; None when it only stands here.
        channel: by which it was sent: email or sms; "" when it only stands here.
    """

    at: datetime
    kind: Kind
    patient: str
    actor: Actor
    decision: str
    sent_at: datetime | None
    channel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticePage:
    """Some of the notices, the latest first; `next` is the cursor of the page behind, or ""."""

    notices: tuple[Notice, ...]
    next: str


_NOTICES: Final = (
    *(_n.id, _n.at, _n.kind, _n.patient, _n.decision, _n.sent_at, _n.channel),
    *(_a.actor_kind, _a.actor, _a.actor_name, _a.profession, _a.structure, _a.structure_name),
)


def of_patient(conn: Connection, permit: Permit, *, size: int, after: str) -> NoticePage:
    """What concerns the permit's patient: to a professional, what the treating doctors were told.

    Raises:
        RequestError: the cursor is not one of this question.
    """
    recipient = HOLDER if permit.subject.kind in PERSONS else TREATING_DOCTOR
    found = _all().where(_n.patient == permit.patient, _n.recipient == recipient)
    if trace.withholds(permit):
        found = found.where(_a.secret == false())
    of = (permit.patient, permit.subject.id, recipient, trace.withholds(permit))
    return _look(conn, found, of, size=size, after=after)


def of_patients(
    conn: Connection, permit: Permit, patients: Sequence[str], *, size: int, after: str
) -> NoticePage:
    """What the treating doctors of these patients were told.

    Raises:
        RequestError: the cursor is not one of this question.
    """
    ids = among(conn, patients)
    found = _all().join(ids, ids.c.value == _n.patient).where(_n.recipient == TREATING_DOCTOR)
    return _look(conn, found, (permit.subject.id, TREATING_DOCTOR), size=size, after=after)


def _all() -> Select[Any]:
    joined = tables.notices.join(tables.acts, _a.decision == _n.decision)
    return select(*_NOTICES).select_from(joined)


def _look(
    conn: Connection, found: Select[Any], of: Sequence[object], *, size: int, after: str
) -> NoticePage:
    place = cursor.read(after, of=of)
    if place is not None:
        found = found.where(earlier(_n.at, _n.id, place))
    rows = conn.execute(found.order_by(_n.at.desc(), _n.id.desc()).limit(size + 1)).all()
    last = rows[size - 1] if len(rows) > size else None
    return NoticePage(
        notices=tuple(map(_notice, rows[:size])),
        next=cursor.write(Position(at=last.at, id=last.id), of=of) if last else "",
    )


def _notice(row: Any) -> Notice:  # noqa: ANN401 - a row
    return Notice(
        at=row.at,
        kind=Kind(row.kind),
        patient=row.patient,
        actor=trace.actor(row),
        decision=row.decision,
        sent_at=row.sent_at,
        channel=row.channel if row.sent_at else "",
    )
