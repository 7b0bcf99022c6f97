"""Which changes were asked for under an id, and what was answered: so that asking again changes nothing.

A caller that lost its connection does not know whether its change happened. It asks again under the same
id, and is told what was decided then. The row is written in the transaction of the change, behind the same
lock, so that of two who ask at once, through whatever process, one changes and the other is told.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, bindparam, delete, insert, select, tuple_

from authz.registry import tables

KEPT: Final = timedelta(days=1)
"""How long an answer is remembered at least."""

_FORGOTTEN: Final = 10
"""Old answers removed with each new one: more than one, so that the table shrinks once a rush is over."""

_c: Final = tables.requests.c
_FIND: Final = select(tables.requests).where(
    _c.caller == bindparam("asker"), _c.request_id == bindparam("asked")
)
_OLD: Final = (
    select(_c.caller, _c.request_id)
    .where(_c.at < bindparam("before"))
    .order_by(_c.at)
    .limit(_FORGOTTEN)
)
_FORGET: Final = delete(tables.requests).where(tuple_(_c.caller, _c.request_id).in_(_OLD))
_KEEP: Final = insert(tables.requests)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A request that was decided, allowed or not.

    Attributes:
        caller: the service that asked.
        request_id: the id that it chose.
        digest: of the content, to tell a repetition from another request under the same id.
        decision_id: the entry in the log.
        at: when it was decided.
        answer: what it takes to say it again, as the caller of this module wrote it.
    """

    caller: str
    request_id: str
    digest: bytes
    decision_id: str
    at: datetime
    answer: bytes


def find(conn: Connection, caller: str, request_id: str) -> Answered | None:
    """What was answered to a request, if it is remembered.

    Args:
        conn: a connection in the transaction of the batch, after `Store.catch_up(changes=True)`.
        caller: the service that asks.
        request_id: the id that it chose.
    """
    row = conn.execute(_FIND, {"asker": caller, "asked": request_id}).one_or_none()
    return None if row is None else Answered(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name


def keep(conn: Connection, answered: Answered) -> None:
    """Remembers an answer, and forgets some that are older than `KEPT`; in the transaction as `find`."""
    conn.execute(_FORGET, {"before": answered.at - KEPT})
    conn.execute(
        _KEEP,
        {
            "caller": answered.caller,
            "request_id": answered.request_id,
            "digest": answered.digest,
            "decision_id": answered.decision_id,
            "at": answered.at,
            "answer": answered.answer,
        },
    )
