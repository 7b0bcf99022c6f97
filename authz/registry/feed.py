"""The change feed, for those who follow the registry from outside: what happened after a revision.

Every revision is one event, so who has read up to one asks for what comes after it, and can see that none
is missing: the numbers are consecutive. A revision without a patient is that of new policies, or of a
professional's standing.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, select

from authz.errors import AheadError
from authz.registry import tables
from storage.errors import DatabaseError

_HEAD: Final = select(tables.head.c.revision)
_AFTER: Final = (
    select(tables.changes)
    .where(tables.changes.c.revision > bindparam("after"))
    .order_by(tables.changes.c.revision)
    .limit(bindparam("most"))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What moved the registry to a revision, and the decision that permitted it.

    `patient` is empty when policies were activated, or a professional's standing changed: either may change
    the answer for any patient.
    """

    revision: int
    patient: str
    action: str
    decision_id: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """Events in the order of their revisions, and where the registry stood when they were read."""

    events: tuple[Event, ...]
    head: int


def read(conn: Connection, *, after: int, limit: int) -> Feed:
    """The first events after a revision.

    Args:
        conn: a connection in a transaction that has read nothing yet.
        after: the last revision that is known; 0 for all.
        limit: how many events at most.

    Raises:
        AheadError: the registry has not reached `after`.
        DatabaseError: the head or an event is missing, so this is no whole registry.
    """
    head = conn.scalar(_HEAD)
    if head is None:
        raise DatabaseError("registry head is missing: restore the database from a backup")
    if after > head:
        raise AheadError(
            f"revision `{after}` is ahead of the registry, which is at `{head}` and was restored from"
            " a backup: forget what was read from it, and begin again"
        )
    rows = conn.execute(_AFTER, {"after": after, "most": limit}).all()
    events = tuple(
        Event(
            revision=row.revision,
            patient=row.ins,
            action=row.action,
            decision_id=row.decision_id,
            at=row.at,
        )
        for row in rows
    )
    due = range(after + 1, min(after + limit, head) + 1)
    if [event.revision for event in events] != list(due):
        raise DatabaseError(
            f"change feed has a gap after revision `{after}`: restore the database from a backup"
        )
    return Feed(events=events, head=head)
