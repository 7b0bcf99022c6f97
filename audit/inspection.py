"""Inspects a log: derives everything again from its stored bytes, and holds it against what was signed.

Chain of batches, entries, patients' numbers, head, table of patients: as `audit.verify`. Beyond that each
entry is compared with its published commitment, every tile is made again and compared, and the roots with
those that were signed. So it is seen, and told by its first entry, if the log was altered with all its
hashes made anew, cut, or taken back to an older copy.
"""

import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from typing import Final

from sqlalchemy import Connection, select

from audit.checkpoint import Checkpoint
from audit.comparison import Published, first_difference
from audit.database import reader, snapshot
from audit.entry import GENESIS
from audit.erased import Bygone, Purges
from audit.errors import Damage, EvidenceError, FormatError, LogDamagedError
from audit.evidence import Evidence
from audit.merkle import HASH_BYTES
from audit.reader import batches, newest_batches
from audit.stretch import SPAN, Stretch, derive, derive_at
from audit.tables import log_head
from audit.tiles import ENTRIES, WIDTH, Edge, Tile
from audit.trusted import Trust
from audit.verify import (
    Last,
    check_end,
    check_patients,
    check_retention,
    follow_bygone,
    misfit,
)

Progress = Callable[[int, int], None]
"""Told how many entries are done, of how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """A log that is intact.

    Attributes:
        origin: the log.
        count: how many entries it has.
        erased: how many of them, the first ones, are erased.
        hash: the last link of the chain of batches.
        checkpoint: the newest that was signed; the entries behind its size are not sealed yet.
        witnesses: by their keys' names, who cosigned the published checkpoint.
    """

    origin: str
    count: int
    erased: int
    hash: bytes
    checkpoint: Checkpoint
    witnesses: tuple[str, ...]


def inspect(
    url: str,
    evidence: Evidence,
    *,
    trust: Trust | None = None,
    earlier: Sequence[bytes] = (),
    progress: Progress = lambda _, __: None,
    jobs: int | None = None,
) -> Inspected:
    """Derives a whole log again.

    Args:
        url: of the database.
        evidence: of the log.
        trust: whom to believe; the key beside the evidence if left out.
        earlier: checkpoints of this log that were kept elsewhere.
        progress: told how far it has come.
        jobs: how many processes; one for each processor if left out.

    Raises:
        LogDamagedError: the first thing that does not hold.
        EvidenceError: nothing was published of the log.
        FormatError: a key or a checkpoint is none.
        ProofError: a checkpoint can't be believed.
        AddressError: the database has no usable address.
        UnreachableError: it can't be read.
    """
    believed = trust or Trust(logs=(evidence.verifier(),))
    notes = evidence.checkpoint(), evidence.signed()
    if notes[0] is None:
        what = f"nothing is published in `{evidence.public}`: is it sealed?"
        raise EvidenceError(f"log `{evidence.origin}`: {what}")
    published = believed.opened(notes[0])
    own = Trust(logs=believed.logs)
    known = [own.opened(note).checkpoint for note in (*notes, *earlier) if note is not None]
    for one in known:
        if one.origin != published.checkpoint.origin:
            raise EvidenceError(f"checkpoint: of log `{one.origin}`, not of `{evidence.origin}`")
    with snapshot(reader(url)) as conn:
        newest = max(known[: 2 if notes[1] else 1], key=lambda one: one.size)
        inspection = _Inspection(conn, evidence, newest, known)
        end = next((one.end for one in newest_batches(conn, evidence.origin)), 0)
        for stretch in _stretches(conn, url, evidence.origin, end, jobs):
            inspection.take(stretch)
            progress(min(inspection.end, end), end)
        inspection.finish()
    return Inspected(
        origin=evidence.origin,
        count=inspection.end,
        erased=inspection.erased,
        hash=inspection.link,
        checkpoint=newest,
        witnesses=tuple(one.name for one in published.witnesses),
    )


class _Inspection:
    """What was derived so far, from the first entry on."""

    def __init__(
        self, conn: Connection, evidence: Evidence, newest: Checkpoint, known: Iterable[Checkpoint]
    ) -> None:
        self.end = 0
        self.link = GENESIS
        self._conn = conn
        self._evidence = evidence
        self._origin: Final = evidence.origin
        self._published = Published(evidence, newest.size)
        self._edge = Edge()
        self._proved = 0  # entries under a root that was signed
        self._compared = 0  # entries whose tiles are those that were published
        self._due = sorted(known, key=lambda one: one.size)
        self._patients: dict[str, tuple[int, bytes, int]] = {}
        self._purges = Purges(conn)
        self._bygone = Bygone(conn, evidence.origin)

    @property
    def erased(self) -> int:
        """How many entries are erased."""
        return self._bygone.end

    def take(self, stretch: Stretch) -> None:
        """Adds a stretch, which must fit behind the others.

        Raises:
            LogDamagedError: the first thing that does not hold.
        """
        if stretch.first is None:
            return
        try:
            self._fit(stretch, stretch.first)
            self._grow(stretch.commitments)
        except LogDamagedError as exc:
            raise self._precisely(exc) from exc
        if stretch.damage is not None:
            raise self._precisely(LogDamagedError(self._origin, *stretch.damage))
        self.end, self.link = stretch.end, stretch.link

    def finish(self) -> None:
        """Sees that nothing is missing from the end, and that the writer would go on from there.

        Raises:
            LogDamagedError: the first thing that does not hold.
        """
        if self.end < self._published.size:
            what = "entries are gone from the end"
            gone = LogDamagedError(self._origin, self.end, Damage.CUT, what)
            raise self._difference() or gone
        head = select(log_head).where(log_head.c.origin == self._origin)
        row = self._conn.execute(head).one_or_none()
        if row is None:
            what = f"there is no head, but {self.end} entries"
            if self.end:
                raise LogDamagedError(self._origin, self.end, Damage.HEAD, what)
        else:
            head_says = row.next_index, row.hash
            check_end(self._origin, (self.end, self.link), head_says)
            patients = {patient: Last(*last) for patient, last in self._patients.items()}
            check_patients(self._conn, self._origin, row.handle_key, patients, self._bygone)
        self._bygone.settle()
        self._grow(b"")
        if self._due:
            what = f"a checkpoint of {self._due[0].size} entries was signed: it is an older copy"
            raise LogDamagedError(self._origin, self.end, Damage.ROLLED_BACK, what)

    def _fit(self, stretch: Stretch, first: int) -> None:
        """Sees that a stretch begins where the last one ended, for each patient as well."""
        if first > self.end:
            what = f"entries {self.end} to {first - 1} are gone"
            raise LogDamagedError(self._origin, self.end, Damage.MISSING, what)
        if first < self.end:
            what = f"a batch begins here, but entries stand before it up to {self.end - 1}"
            raise LogDamagedError(self._origin, first, Damage.DUPLICATED, what)
        if stretch.previous != self.link:
            what = "its batch does not chain to the one before, or that one was rewritten"
            raise LogDamagedError(self._origin, first, Damage.ALTERED, what)
        self._forget(stretch.erased)
        wrong = []
        for patient, (index, seq, previous, last, last_seq, digest) in stretch.patients.items():
            before = self._patients.get(patient)
            due = (before[0] + 1, before[1].hex()) if before else (1, "")
            if (seq, previous) != due:
                error = misfit(self._origin, index, (seq, previous), due)
                try:
                    if before is not None:
                        raise error
                    follow_bygone(self._bygone, (seq, previous), error)
                except LogDamagedError as exc:
                    wrong.append(exc)
            self._patients[patient] = (last_seq, digest, last)
        if wrong:
            raise min(wrong, key=lambda one: one.index)

    def _forget(self, erased: Iterable[tuple[int, int, int]]) -> None:
        """Sees that what is erased is the beginning of the log, and that a purge says so."""
        for first, end, purge in erased:
            if not self._bygone.end:
                check_retention(self._conn, self._origin, first)
            self._purges.justify(self._origin, first, end, purge)
            self._bygone.add(first, end)

    def _grow(self, commitments: bytes) -> None:
        """Lets the tree grow, up to each size of which a checkpoint was signed."""
        while True:
            room = self._due[0].size - self._edge.size if self._due else 0
            part, commitments = (
                commitments[: room * HASH_BYTES],
                commitments[room * HASH_BYTES :],
            )
            leaves = [part[place : place + HASH_BYTES] for place in range(0, len(part), HASH_BYTES)]
            self._edge, full = self._edge.grown(leaves)
            for tile, data in full.items():
                self._compare(tile, data)
            self._compared = self._edge.size - self._edge.size % WIDTH
            if not self._due or self._edge.size < self._due[0].size:
                return
            due = self._due.pop(0)
            if due.size == self._published.size:
                for tile, data in self._edge.partial().items():
                    self._compare(tile, data)
            if self._edge.root != due.root:
                what = f"the checkpoint of {due.size} entries that was signed has another root: here or "
                what += "behind, entries and tiles were written again"
                raise LogDamagedError(self._origin, self._proved, Damage.ALTERED, what)
            self._proved = due.size

    def _compare(self, tile: Tile, data: bytes) -> None:
        """Compares a tile that was made again with the published one."""
        if tile.start + (tile.width << 8 * max(tile.level, 0)) > self._published.size:
            return
        if self._evidence.holds(tile, data):
            return
        if differs := self._difference():
            raise differs
        try:
            found = self._evidence.tile(tile)
        except FormatError as exc:
            what = f"what was published of it is damaged: {exc}"
            raise LogDamagedError(self._origin, tile.start, Damage.TILE, what) from exc
        step = HASH_BYTES + 2 if tile.level == ENTRIES else HASH_BYTES
        pieces = (
            (found[begin : begin + step], data[begin : begin + step])
            for begin in range(0, len(data), step)
        )
        place = next((number for number, (one, due) in enumerate(pieces) if one != due), 0)
        span = 1 << 8 * max(tile.level, 0)
        what = f"`{tile.path}` is not that of the {span} entries from here on"
        raise LogDamagedError(self._origin, tile.start + place * span, Damage.TILE, what)

    def _precisely(self, damage: LogDamagedError) -> LogDamagedError:
        """The same damage by its very entry, where what was published tells it."""
        batch = next(batches(self._conn, self._origin, start=damage.index), None)
        until = max(damage.index + 1, batch.end if batch else 0)
        found = self._difference()
        return found if found is not None and found.index < until else damage

    def _difference(self) -> LogDamagedError | None:
        """The first entry that is not what was published, behind those whose tiles were compared."""
        return first_difference(self._conn, self._published, self._compared)


def _stretches(
    conn: Connection, url: str, origin: str, end: int, jobs: int | None
) -> Iterator[Stretch]:
    """The stretches of a log in order, each derived while the ones before are taken."""
    begins = range(0, end, SPAN)
    workers = min(jobs or len(os.sched_getaffinity(0)), len(begins))
    if workers <= 1:
        for begin in begins:
            yield derive(conn, origin, begin, min(begin + SPAN, end))
        return
    # Made anew, not forked: whoever asks may have threads.
    context = get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, signal.signal, (signal.SIGINT, signal.SIG_IGN))
    try:
        rest = iter(begins)

        def begun() -> Iterator[Future[Stretch]]:
            for begin in rest:
                yield pool.submit(derive_at, url, origin, begin, min(begin + SPAN, end))

        start = begun()
        waiting = [*islice(start, workers + 1)]
        while waiting:
            yield waiting.pop(0).result()
            waiting += islice(start, 1)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
