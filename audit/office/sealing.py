"""The part of the audit that seals the logs (`audit.sealing`), and has witnesses cosign what it seals."""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy import Engine

from audit.errors import Error, EvidenceError, RefusedError, SealingError
from audit.evidence import Evidence, logs
from audit.office.metrics import Metrics
from audit.office.part import PAUSE_S, Part, read_ends
from audit.sealing import Sealer, Standing
from audit.trusted import NONE, Trust
from audit.witnesses import Cosigner, Witnesses
from serving.clock import boottime

SEAL_S: Final = 0.4
"""How often to seal, in seconds: each time costs some files that are synced."""

_log = structlog.get_logger("audit.following")


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
        self.standings: Mapping[str, Standing] = {}

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

    def _seal(self, origin: str) -> tuple[Standing, bool]:
        """One step of one log: how it stands, and whether there may be more."""
        before = self.standings.get(origin, Standing(origin=origin))
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

    def _signed(self, standing: Standing) -> None:
        now = self._clock().timestamp()
        self._metrics.last_checkpoint.set(now)
        if standing.witnesses and self._holds(dict(standing.witnesses)):
            self._metrics.last_witness.set(now)

    def _holds(self, troubles: Mapping[str, str]) -> bool:
        if self._trust.quorum == NONE:
            return not any(troubles.values())
        good = [one.key for one in self._trust.witnesses if troubles.get(one.name) == ""]
        return self._trust.holds(good)
