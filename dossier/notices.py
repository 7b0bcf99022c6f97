"""Notices: what the holder of a dossier, and the treating doctors, are told of what was done in it.

They are written in the transaction that records the deed, so none is forgotten and none is told in vain;
`dossier.courier` sends them. `docs/notices.md` says who is told what, and when.

Of deeds that belong together one notice is enough; its id follows from what makes them one, so that however
many write it at once, it is there once.
"""

import hashlib
from datetime import UTC
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, bindparam, false, or_, select

from dossier import deed, tables
from dossier.deed import Deed
from dossier.dialects import insert_once
from dossier.errors import PermitError
from dossier.model import Contact
from dossier.wishes import INBOX, Wishes, reach, unpack

HOLDER: Final = "holder"
TREATING_DOCTOR: Final = "treating_doctor"
"""To whom notices are addressed; the latter is whoever is a treating doctor when they look."""

NOTIFY_HOLDER: Final = "notify_holder"
NOTIFY_TREATING_DOCTOR: Final = "notify_treating_doctor"

LISTING: Final = "document.list"
CONSULTING: Final = (LISTING, "document.read", "dossier.read")
FEEDING: Final = ("document.deposit", "document.replace")


class Kind(StrEnum):
    """What a notice tells of."""

    CREATED = "created"
    FIRST_ACCESS = "first_access"
    NEW_DOCUMENT = "new_document"
    EMERGENCY_ACCESS = "emergency_access"
    ACCESS = "access"
    CHANGED = "changed"
    REFUSED = "refused"


_acts, _settings, _dossiers = tables.acts.c, tables.settings.c, tables.dossiers.c
_EARLIER: Final = (
    select(_acts.decision)
    .where(
        _acts.actor == bindparam("by"),
        _acts.patient == bindparam("whose"),
        _acts.decision != bindparam("this"),
        _acts.action.in_(CONSULTING),
        or_(_acts.action != LISTING, _acts.shown > 0),
        _acts.effect == deed.ALLOW,
        _acts.mode == "normal",
        _acts.secret == false(),
    )
    .limit(1)
)
_HOLDER: Final = (
    select(
        _dossiers.contact,
        _settings.first_access,
        _settings.new_document,
        _settings.by_email,
        _settings.by_sms,
    )
    .select_from(tables.dossiers.outerjoin(tables.settings))
    .where(_dossiers.patient == bindparam("whose"))
)


def tell(conn: Connection, of: Deed) -> None:
    """Writes the notices that a deed asks for.

    Args:
        conn: the transaction that records it, which has written its row of `acts` already.
        of: what was done; a deposit with its label.

    Raises:
        PermitError: a deposit came without its label; it is not known who may be told.
    """
    if (kind := _kind(of)) and not (kind is Kind.FIRST_ACCESS and _met_before(conn, of)):
        row = conn.execute(_HOLDER, {"whose": of.patient}).one_or_none()
        for channel in _channels(kind, of, *_of_holder(row)):
            notice = _write(conn, of, kind, HOLDER, channel)
            _owe(conn, of, NOTIFY_HOLDER, notice)
    if NOTIFY_TREATING_DOCTOR in of.obligations or _is_emergency_access(of):
        notice = _write(conn, of, kind or Kind.CHANGED, TREATING_DOCTOR, INBOX)
        _owe(conn, of, NOTIFY_TREATING_DOCTOR, notice)


def _kind(of: Deed) -> Kind | None:
    """What the holder is to be told; None for nothing."""
    asked = NOTIFY_HOLDER in of.obligations
    if _is_emergency_access(of) or (asked and of.emergency and of.effect == deed.ALLOW):
        return Kind.EMERGENCY_ACCESS
    if of.action == "dossier.create" and of.effect == deed.ALLOW:
        return Kind.CREATED
    if asked:
        return _kind_asked_for(of)
    consulted = of.action in CONSULTING and of.effect == deed.ALLOW
    if of.action == LISTING and not of.shown:
        consulted = False  # nothing was there to be seen
    return Kind.FIRST_ACCESS if consulted and of.subject.kind == "professional" else None


def _kind_asked_for(of: Deed) -> Kind | None:
    """What an obligation to tell the holder means outside emergencies."""
    if of.effect == deed.DENY:
        return Kind.REFUSED
    if of.action in CONSULTING:
        return Kind.ACCESS
    if of.action in FEEDING:
        if of.label is None:
            raise PermitError(f"`{of.action}` without its label: it is recorded with it")
        return None if of.label.visibility.hidden_from_patient else Kind.NEW_DOCUMENT
    return Kind.NEW_DOCUMENT if of.action == "document.show_to_patient" else Kind.CHANGED


def _is_emergency_access(of: Deed) -> bool:
    """What the law wants told, whatever a policy may say of it (CSP R.1111-48)."""
    return of.effect == deed.ALLOW and of.emergency and of.action in (*CONSULTING, *FEEDING)


def _met_before(conn: Connection, of: Deed) -> bool:
    """Whether the professional has consulted this dossier before."""
    who = {"by": of.actor, "whose": of.patient, "this": of.decision}
    return conn.execute(_EARLIER, who).first() is not None


def _of_holder(row: Any) -> tuple[Contact, Wishes]:  # noqa: ANN401 - a row of _HOLDER
    if row is None:
        return Contact(), Wishes()
    contact = unpack(row.contact)
    if row.first_access is None:  # nothing was ever chosen
        return contact, Wishes()
    return contact, Wishes(
        first_access=row.first_access,
        new_document=row.new_document,
        by_email=row.by_email,
        by_sms=row.by_sms,
    )


def _channels(kind: Kind, of: Deed, contact: Contact, wishes: Wishes) -> tuple[str, ...]:
    """By which channels the holder is told; none if they don't want to be."""
    if kind is Kind.FIRST_ACCESS and (of.secret or not wishes.first_access):
        return ()
    if kind is Kind.NEW_DOCUMENT and not wishes.new_document:
        return ()
    if of.secret:
        return (INBOX,)  # a minor's mailbox may be the parents'
    ways = reach(contact)
    chosen = tuple(way for way in ways if way in wishes.channels)
    # Who has since lost the one channel they chose is told by another.
    return chosen or ways or (INBOX,)


def _write(conn: Connection, of: Deed, kind: Kind, recipient: str, channel: str) -> str:
    """Writes a notice, unless it is there; its id."""
    named = (of.patient, kind.value, recipient, channel, *_bundle(kind, of))
    id_ = hashlib.sha256("\x1f".join(named).encode()).hexdigest()[:32]
    row = {
        "id": id_,
        "at": of.at,
        "kind": kind.value,
        "patient": of.patient,
        "recipient": recipient,
        "decision": of.decision,
        "channel": channel,
        "attempts": 0,
        "due_at": None if channel == INBOX else of.at,
        "sent_at": None,
    }
    insert_once(conn, tables.notices, row)
    return id_


def _owe(conn: Connection, of: Deed, obligation: str, notice: str) -> None:
    """Of an emergency access, remembers to report that a notice has carried out what was decided."""
    if obligation not in of.obligations or not of.emergency or of.effect != deed.ALLOW:
        return
    row = {
        "decision": of.decision,
        "obligation": obligation,
        "notice": notice,
        "patient": of.patient,
        "attempts": 0,
        "due_at": of.at,
    }
    insert_once(conn, tables.reports, row)


def _bundle(kind: Kind, of: Deed) -> tuple[str, ...]:
    """What deeds have in common that are told of once: for most kinds, that they are the same."""
    match kind:
        case Kind.FIRST_ACCESS:
            return (of.actor,)
        case Kind.EMERGENCY_ACCESS | Kind.ACCESS:
            secret = "secret" if of.secret else ""
            return (of.actor, of.context.mode, secret, f"{of.at.astimezone(UTC):%Y-%m-%dT%H}")
        case Kind.NEW_DOCUMENT:  # all documents that were deposited together
            return (of.actor, of.at.astimezone(UTC).isoformat())
        case _:
            return (of.decision,)
