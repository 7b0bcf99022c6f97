"""The part of the audit that takes entries into the index."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Engine

from audit.errors import IndexAheadError
from audit.office.gained import instant
from audit.office.index import Index, Position
from audit.office.metrics import Metrics
from audit.office.part import Part, read_ends

SETTLE: Final = timedelta(seconds=30)
"""Longer than any decision takes from its instant to its commit, and than clocks differ."""


class Indexing(Part):
    """Takes entries into the index."""

    name = "index"

    def __init__(
        self, log: Engine, metrics: Metrics, *, index: Index, clock: Callable[[], datetime]
    ) -> None:
        """As `Part`; `clock` tells what is complete until when."""
        super().__init__(log, metrics)
        self._index = index
        self._clock = clock
        self.complete_until: datetime | None = None
        self.taken: Mapping[str, int] = {}

    def look(self) -> bool:
        """Takes in some."""
        now = self._clock()
        with self._engine.connect() as conn:
            ends = read_ends(conn)
            taken = self._index.step(conn)
        for origin, one in taken.positions.items():
            if one.next > ends.get(origin, 0):
                raise IndexAheadError(origin, one.next)
        self.taken = {origin: one.next for origin, one in taken.positions.items()}
        self.complete_until = _complete_until(taken.positions, ends, now - SETTLE)
        self._metrics.taken.inc(taken.entries)
        self.reach(ends, self.taken)
        return bool(taken.entries) and self.progress.behind > 0


def _complete_until(
    positions: Mapping[str, Position], ends: Mapping[str, int], settled: datetime
) -> datetime | None:
    """The instant up to which all is in the index; a log that is silent is complete until a while ago."""
    found = []
    for origin, end in ends.items():
        one = positions.get(origin)
        at = instant(one.at) if one is not None and one.next else None
        if one is None or one.next < end:
            if at is None:
                return None
            found.append(at)
        else:
            found.append(max(at, settled) if at is not None else settled)
    return min(found, default=None)
