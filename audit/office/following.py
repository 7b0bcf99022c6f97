"""Two threads that follow the logs of one database: one takes entries into the index, the other seals them.

Neither waits for the other. What goes wrong is told in the service log, in metrics and in health, and tried
again. Where the log is not what it was, the part that saw it stops, and the rest goes on.
"""

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy import Connection, Engine, select

from audit import reader
from audit.errors import (
    Error,
    EvidenceError,
    IndexAheadError,
    LogDamagedError,
    RefusedError,
    SealingError,
)
from audit.evidence import Evidence, logs
from audit.office.gained import instant
from audit.office.index import Index, Position
from audit.office.metrics import Metrics
from audit.office.office import Standing
from audit.sealing import Sealer
from audit.sealing import Standing as Sealed
from audit.tables import log_batches
from audit.trusted import NONE, Trust
from audit.witnesses import Cosigner, Witnesses
from serving.clock import boottime
from serving.servicelog import cause_of

POLL_S: Final = 0.25
"""How often to look for new entries, in seconds: more seldom is less work for each."""

SEAL_S: Final = 0.4
"""How often to seal: each time costs some files that are synced."""

PAUSE_S: Final = 1.0
"""After a failure."""

HEALTHY_S: Final = 10.0
"""A part that is further behind is not well."""

SETTLE: Final = timedelta(seconds=30)
"""Longer than any decision takes from its instant to its commit, and than clocks differ."""

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


class Sealing(Part):
    """Seals the logs."""

    name = "tree"
    poll_s = SEAL_S

    def __init__(
        self,
        log: Engine,
        metrics: Metrics,
        *,
        evidence: Path,
        trust: Trust,
        prefix: str,
        clock: Callable[[], datetime],
    ) -> None:
        """As `Part`.

        Args:
            log: as `Part`.
            metrics: as `Part`.
            evidence: folder of keys, tiles and checkpoints.
            trust: the witnesses that are asked, and how many of them it takes.
            prefix: what the name of a new key begins with, before that of the log.
            clock: tells when something was signed.
        """
        super().__init__(log, metrics)
        self._folder = evidence
        self._trust = trust
        self._prefix = prefix
        self._clock = clock
        self._sealers: dict[str, Sealer] = {}
        self._not_before: dict[str, float] = {}
        self.standings: Mapping[str, Sealed] = {}

    def look(self) -> bool:
        """Seals some of each log."""
        with self._engine.connect() as conn:
            ends = read_ends(conn)
        kept = [one.origin for one in logs(self._folder)] if not self._sealers else []
        found = {origin: self._seal(origin) for origin in {**ends, **dict.fromkeys(kept)}}
        self.standings = {origin: one for origin, (one, _) in found.items()}
        sizes = {origin: one.size or 0 for origin, (one, _) in found.items()}
        troubles = [one for one, _ in found.values() if one.trouble]
        refused = any(one.refused for one in troubles)
        trouble = troubles[0].trouble if troubles else ""
        self.reach(ends, sizes, trouble=trouble, stopped=refused)
        return any(more for _, more in found.values()) and self.progress.behind > 0

    def close(self) -> None:
        """Lets go of the folders."""
        for sealer in self._sealers.values():
            sealer.close()

    @property
    def witnessed(self) -> bool:
        """Whether enough witnesses cosign each log; without a quorum, whether all do."""
        return all(self._holds(dict(one.witnesses)) for one in self.standings.values())

    def _run(self) -> None:
        # A log that is refused does not keep the others from being sealed.
        try:
            while not self._stop.is_set():
                self._stop.wait(self._pause_s())
        finally:
            self.close()

    def _seal(self, origin: str) -> tuple[Sealed, bool]:
        """One step of one log: how it stands, and whether there may be more."""
        before = self.standings.get(origin, Sealed(origin=origin))
        if before.refused or boottime() < self._not_before.get(origin, 0):
            return before, False
        try:
            sealer = self._sealers.get(origin) or self._open(origin)
            made = sealer.step()
        except RefusedError:
            self._metrics.failures.labels(self.name).inc()
            return self._sealers[origin].standing, False
        except (Error, OSError) as exc:
            self._metrics.failures.labels(self.name).inc()
            self._not_before[origin] = boottime() + PAUSE_S
            if before.trouble != str(exc) and not isinstance(
                exc, SealingError
            ):  # which it has told
                _log.error("following", part=self.name, log=origin, cause=str(exc))
            return replace(before, trouble=str(exc)), False
        if made is not None:
            self._signed(sealer.standing)
        return sealer.standing, made is not None

    def _open(self, origin: str) -> Sealer:
        """The sealer of a log; a log that was never sealed gets its key."""
        evidence = Evidence(self._folder, origin)
        if not evidence.has_key():
            if evidence.signed() is not None or evidence.public.exists():
                what = f"there is evidence in `{evidence.folder}`, and no key: put it back"
                raise EvidenceError(f"log `{origin}`: {what}")
            key = evidence.make_key(f"{self._prefix}{origin}", os.urandom)
            _log.warning("key_made", log=origin, key=str(key))
        with suppress(OSError):
            self._metrics.last_checkpoint.set((evidence.public / "checkpoint").stat().st_mtime)
        witnesses = Witnesses([Cosigner(one) for one in self._trust.witnesses if one.url])
        self._sealers[origin] = Sealer(self._engine, evidence, witnesses=witnesses)
        return self._sealers[origin]

    def _signed(self, standing: Sealed) -> None:
        now = self._clock().timestamp()
        self._metrics.last_checkpoint.set(now)
        if standing.witnesses and self._holds(dict(standing.witnesses)):
            self._metrics.last_witness.set(now)

    def _holds(self, troubles: Mapping[str, str]) -> bool:
        if self._trust.quorum == NONE:
            return not any(troubles.values())
        good = [one.key for one in self._trust.witnesses if troubles.get(one.name) == ""]
        return self._trust.holds(good)


class Following:
    """Both of them."""

    def __init__(self, indexing: Indexing, sealing: Sealing, metrics: Metrics) -> None:
        self.indexing = indexing
        self.sealing = sealing
        self._metrics = metrics
        self.alarms = 0
        """Decisions that come out otherwise when they are made again, as was seen last."""

    def start(self) -> None:
        """Begins."""
        self.indexing.start()
        self.sealing.start()

    def stop(self) -> None:
        """Ends both, after the steps that are under way."""
        self.indexing.stop()
        self.sealing.stop()

    def standing(self) -> Standing:
        """How far what is shown follows the log."""
        return Standing(
            behind=self.indexing.progress.behind,
            complete_until=self.indexing.complete_until,
            sealed=sum(one.size or 0 for one in self.sealing.standings.values()),
        )

    def health(self) -> Mapping[str, bool]:
        """How index, decisions, tree and witnesses are, by their names in the health service."""
        return {
            "dmp.index": self.indexing.progress.well,
            "dmp.replay": self.alarms == 0,
            "dmp.tree": self.sealing.progress.well,
            "dmp.witness": self.sealing.witnessed,
        }

    def measure(self) -> None:
        """Brings the metrics up to date."""
        index, tree = self.indexing.progress, self.sealing.progress
        self._metrics.index_behind.set(index.behind)
        self._metrics.index_lag.set(_shown(index.lag_s))
        self._metrics.alarms.set(self.alarms)
        self._metrics.tree_behind.set(tree.behind)
        self._metrics.tree_lag.set(_shown(tree.lag_s))


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


def _shown(lag_s: float | None) -> float:
    return float("inf") if lag_s is None else lag_s
