"""Decisions that come out otherwise when made again: entry, policies or program are not what they were.

Each decision is made again when its entry is taken into the index, and whenever the index is made anew.
"""

from collections.abc import Sequence
from typing import Final

import structlog
from sqlalchemy import Connection, delete, func, select

from audit.office.gained import Gained
from audit.office.replaying import Replayer
from audit.office.tables import alarms
from authz.replay import Outcome
from storage.statements import run

_ADD: Final = "INSERT INTO alarms (log, place) VALUES (:log, :place)"
_log = structlog.get_logger("audit.alarms")


class Alarms:
    """Notes them: a `Derivation`."""

    def __init__(self, replayer: Replayer) -> None:
        self._replayer = replayer

    def take(self, conn: Connection, entries: Sequence[Gained]) -> None:
        """Decides entries again."""
        found = [
            {"log": one.log, "place": one.index}
            for one in entries
            if self._replayer.again(one.entry).outcome is Outcome.DIFFERENT
        ]
        if found:
            run(conn, _ADD, found)
            first = {"log": found[0]["log"], "index": found[0]["place"]}
            _log.error("decided_otherwise", entries=len(found), **first)

    def drop(self, conn: Connection, log: int, begin: int, end: int) -> None:
        """Removes those of erased entries."""
        c = alarms.c
        conn.execute(delete(alarms).where(c.log == log, c.place >= begin, c.place < end))


def count(conn: Connection) -> int:
    """How many there are."""
    found: int = conn.execute(select(func.count()).select_from(alarms)).scalar_one()
    return found
