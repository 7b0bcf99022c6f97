"""Something that follows the logs, in a thread of its own: how far it is, and what troubles it.

What goes wrong is told in the service log, in metrics and in health, and tried again. Where the log is not
what it was, the part that saw it stops.
"""

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

import structlog
from sqlalchemy import Connection, Engine, select

from audit import reader
from audit.errors import Error, IndexAheadError, LogDamagedError
from audit.office.metrics import Metrics
from audit.tables import log_batches
from serving.clock import boottime
from serving.servicelog import cause_of

POLL_S: Final = 0.25
"""How often to look for new entries, in seconds: more seldom is less work for each."""

PAUSE_S: Final = 1.0
"""After a failure."""

HEALTHY_S: Final = 10.0
"""A part that is further behind is not well."""

NICE: Final = 5
"""The priority of those that follow; a decision has 0, and the least is 19."""

_STOP_S: Final = 15.0
_c = log_batches.c
_log = structlog.get_logger("audit.following")


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a part has come.

    Attributes:
        behind: entries that it lacks.
        since: all that was stored then (`boottime`) it has; None before it ever had.
        trouble: why it does not go on; "" if it does.
        stopped: whether that stays so until somebody sees to it.
    """

    behind: int = 0
    since: float | None = None
    trouble: str = ""
    stopped: bool = False

    @property
    def lag_s(self) -> float | None:
        """How long ago it had everything."""
        return None if self.since is None else max(boottime() - self.since, 0.0)

    @property
    def well(self) -> bool:
        """Whether it goes on, and is not far behind."""
        lag_s = self.lag_s
        return not self.stopped and lag_s is not None and lag_s < HEALTHY_S


class Goal:
    """What was stored at a moment, until a part has all of it."""

    def __init__(self) -> None:
        self._wanted: Mapping[str, int] | None = None
        self._set_at = 0.0

    def since(self, ends: Mapping[str, int], reached: Mapping[str, int]) -> float | None:
        """The last moment of which all is reached, if that is news; then there is a new goal.

        Args:
            ends: the end of each log now.
            reached: how far the part is in each.
        """
        now = boottime()
        if _behind(ends, reached) == 0:
            self._wanted = None
            return now
        found = None
        if self._wanted is not None and _behind(self._wanted, reached) == 0:
            found, self._wanted = self._set_at, None
        if self._wanted is None:
            self._wanted, self._set_at = dict(ends), now
        return found


class Part(ABC):
    """Something that follows, in a thread of its own."""

    name: str
    poll_s = POLL_S

    def __init__(self, log: Engine, metrics: Metrics) -> None:
        """Does nothing yet.

        Args:
            log: the database of the log, from `audit.database.reader`.
            metrics: told of failures.
        """
        self._engine = log
        self._metrics = metrics
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._begin, name=self.name, daemon=True)
        self._goal = Goal()
        self.progress = Progress()
        self.stored: Mapping[str, int] = {}

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def _begin(self) -> None:
        """Lets decisions go first where they share a processor (Linux has a priority for each thread)."""
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        self._run()

    def stop(self) -> None:
        """Ends after the step that is under way."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_S)

    @abstractmethod
    def look(self) -> bool:
        """One step; whether there is more to do at once."""

    def _run(self) -> None:
        while not self._stop.is_set() and not self.progress.stopped:
            self._stop.wait(self._pause_s())

    def _pause_s(self) -> float:
        """One step, and for how long to wait behind it."""
        try:
            more = self.look()
        except (IndexAheadError, LogDamagedError) as exc:
            self.fail(str(exc), stopped=True)
        except Exception as exc:  # noqa: BLE001 - told, and tried again
            self.fail(cause_of(exc), error=None if isinstance(exc, Error) else exc)
            return PAUSE_S
        else:
            return 0 if more else self.poll_s
        return 0

    def reach(
        self,
        ends: Mapping[str, int],
        reached: Mapping[str, int],
        *,
        trouble: str = "",
        stopped: bool = False,
    ) -> None:
        """Tells how far it is, and what troubles a part of it."""
        since = self._goal.since(ends, reached) or self.progress.since
        before, self.stored = self.progress, ends
        self.progress = Progress(
            behind=_behind(ends, reached), since=since, trouble=trouble, stopped=stopped
        )
        if before.trouble and not trouble:
            _log.info("following", part=self.name, cause="")

    def fail(self, trouble: str, *, stopped: bool = False, error: Exception | None = None) -> None:
        """Tells what went wrong; in the service log when it is another thing than before."""
        self._metrics.failures.labels(self.name).inc()
        before = self.progress
        self.progress = replace(before, trouble=trouble, stopped=stopped)
        if before.trouble != trouble:
            _log.error("following", part=self.name, cause=trouble, stopped=stopped, exc_info=error)


def read_ends(conn: Connection) -> dict[str, int]:
    """The index behind the last entry of each log; no entry is read for it."""
    found = {}
    for origin in reader.origins(conn):
        end = conn.scalar(
            select(_c.first_index + _c.count)
            .where(_c.origin == origin)
            .order_by(_c.first_index.desc())
            .limit(1)
        )
        found[origin] = int(end or 0)
    return found


def _behind(ends: Mapping[str, int], reached: Mapping[str, int]) -> int:
    return sum(max(end - reached.get(origin, 0), 0) for origin, end in ends.items())
