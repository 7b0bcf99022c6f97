"""Decides entries again and tells how it came out: the same, otherwise, or not at all and why."""

from collections import Counter, OrderedDict
from typing import Final

from sqlalchemy import Engine

from audit.entry import Entry
from audit.office.policies import kept
from audit.reader import Stored
from audit.v1 import audit_pb2 as pb
from authz.replay import Bundle, BundleError, Outcome, Replayed, replay, restored
from serving.clock import boottime

_KEPT: Final = 16
"""Bundles that are kept ready to decide: some megabytes each."""

_AGAIN_S: Final = 10.0  # until one that was not there is looked for again: it may have come
_MISSING: Final = 1_000


class Replayer:
    """Decides again, with the policies that the log database keeps."""

    def __init__(self, log: Engine) -> None:
        self._log = log
        self._bundles: OrderedDict[str, Bundle] = OrderedDict()
        self._missing: dict[str, float] = {}

    def replayed(self, stored: Stored) -> pb.Replayed:
        """What came of deciding an entry again.

        Raises:
            LogDamagedError: it is no entry.
        """
        made = pb.Replayed(log=stored.origin, index=stored.index)
        entry = None if stored.erased is not None else stored.entry
        found = self.again(entry)
        made.id = "" if entry is None else entry.get("id", "")
        made.outcome, made.why = found.outcome.value, found.why.value if found.why else ""
        for one in found.differences:
            made.differences.add(field=one.field, recorded=one.recorded, replayed=one.replayed)
        return made

    def again(self, entry: Entry | None) -> Replayed:
        """What came of deciding it again; None is one that was erased."""
        return replay(entry, None if entry is None else self._bundle(entry.get("bundle", "")))

    def _bundle(self, digest: str) -> Bundle | None:
        """The bundle with this digest; None where it is not kept, or not that one."""
        if digest in self._bundles:
            self._bundles.move_to_end(digest)
            return self._bundles[digest]
        if boottime() < self._missing.get(digest, 0):
            return None
        with self._log.connect() as conn:
            content = kept(conn, digest)
        try:
            bundle = None if content is None else restored(content, digest)
        except BundleError:
            bundle = None
        if bundle is None:
            if len(self._missing) >= _MISSING:
                self._missing.clear()
            self._missing[digest] = boottime() + _AGAIN_S
            return None
        self._bundles[digest] = bundle
        if len(self._bundles) > _KEPT:
            self._bundles.popitem(last=False)
        return bundle


class Tally:
    """How many came out how, so far."""

    def __init__(self) -> None:
        self._same = 0
        self._why: Counter[str] = Counter()
        self._different: list[pb.Replayed] = []

    def add(self, one: pb.Replayed) -> None:
        """Counts one; differences are kept until they are told."""
        if one.outcome == Outcome.SAME:
            self._same += 1
        elif one.outcome == Outcome.DIFFERENT:
            self._different.append(one)
        else:
            self._why[one.why] += 1

    def told(self, *, done: bool = False) -> pb.ReplayResponse:
        """All of it, and the differences that were found since the last time."""
        made = pb.ReplayResponse(
            same=self._same, not_replayed=self._why, different=self._different, done=done
        )
        self._different = []
        return made
