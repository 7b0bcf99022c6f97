"""Writes the decision log: one row a commit, each batch chained to the one before it.

The caller owns the connection and its transaction, and calls in this order for each batch:

    recorded = log.append(conn, drafts, at=..., random=os.urandom)
    conn.commit()              # on any exception: conn.rollback() and log.rolled_back()
    log.committed()            # only now may anyone be answered

Memory never runs ahead of the disk: what `append` made is adopted by `committed` and dropped by
`rolled_back`, after which the next `append` reads the head again, because a commit that failed may
still have been durable.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, insert, select, update

from audit.entry import FORMAT, GENESIS, batch_hash, canonical, commitment
from audit.errors import Damage, EntryError, FencedError, LogDamagedError, StateError
from audit.patients import Last, Patients
from audit.reader import newest_batches
from audit.tables import log_head
from audit.verify import check, check_end
from storage.statements import run

Random = Callable[[int], bytes]
"""Gives as many random bytes as asked for, fit for secrets: `os.urandom`."""

_KEY_BYTES: Final = 32
_SALT_BYTES: Final = 32

_MOVE_HEAD: Final = (
    "UPDATE log_head SET next_index = :end, hash = :hash"
    " WHERE origin = :origin AND epoch = :epoch AND next_index = :start"
)
_TOUCH: Final = "UPDATE log_head SET epoch = epoch WHERE origin = :origin AND epoch = :epoch"
_ADD_BATCH: Final = (
    'INSERT INTO log_batches (origin, first_index, "count", at, previous, hash, entries)'
    " VALUES (:origin, :start, :count, :at, :previous, :hash, :entries)"
)


@dataclass(frozen=True, slots=True)
class Recorded:
    """Where a draft went; true once the transaction is committed."""

    index: int
    id: str
    commitment: bytes


class _Head(NamedTuple):
    """Where the log ends."""

    next_index: int
    hash: bytes


_EMPTY: Final = _Head(0, GENESIS)


class Log:
    """The one writer of one log.

    * A second writer that opens the same log fences this one off: its next append raises.
    * An append is settled by `committed` or `rolled_back` before the next one.
    * Not safe under threads: it belongs to the loop that batches.
    """

    def __init__(self, origin: str, *, patients_cached: int = 100_000) -> None:
        """Names the log; nothing is read before `open`.

        Args:
            origin: the log's unique name, the same over restarts.
            patients_cached: of how many patients the last entry is kept in memory.
        """
        self.origin: Final = origin
        self._limit = patients_cached
        self._patients = Patients(origin, b"", patients_cached)
        self._epoch: int | None = None
        self._head: _Head | None = None  # None: to be read before the next append
        self._known = _EMPTY  # the last head that was certainly durable
        self._pending: tuple[_Head, dict[str, Last]] | None = None

    @property
    def epoch(self) -> int:
        """How often this log has been opened, this time included."""
        if self._epoch is None:
            raise StateError(f"log `{self.origin}` is not open: call `open` first")
        return self._epoch

    @property
    def next_index(self) -> int | None:
        """The index of the next entry; None while it has to be read again."""
        return self._head and self._head.next_index

    def open(self, conn: Connection, *, random: Random) -> None:
        """Takes over the log, making it when it is new; the caller commits.

        Earlier writers are fenced off from that commit on. If it fails, open again.

        Args:
            conn: a connection at the beginning of a transaction.
            random: where the key of the patients' handles comes from.

        Raises:
            LogDamagedError: the end of the stored log is not what its head says, or it lost what
                this writer had committed.
        """
        if conn.dialect.name == "postgresql":
            # Waits for a writer that is at work, and then sees what that one has committed.
            conn.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
        row = self._load(conn)
        if row is None:
            epoch, key, head = 1, random(_KEY_BYTES), _EMPTY
            new = {"origin": self.origin, "next_index": 0, "hash": GENESIS}
            conn.execute(insert(log_head).values(**new, epoch=epoch, handle_key=key))
        else:
            epoch, key, head = row.epoch + 1, row.handle_key, _Head(row.next_index, row.hash)
            own = update(log_head).where(log_head.c.origin == self.origin)
            conn.execute(own.values(epoch=epoch))
        self._epoch, self._head, self._pending = epoch, head, None
        self._patients = Patients(self.origin, key, self._limit)

    def reload(self, conn: Connection) -> tuple[int, bytes]:
        """Reads the head again and verifies the tail, keeping the epoch.

        `append` does so by itself after `rolled_back`.

        Returns:
            The index of the next entry, and the hash of the last batch.

        Raises:
            LogDamagedError: the stored log does not fit its head, or lost what had been committed.
            FencedError: another writer has opened the log since.
        """
        epoch, row = self.epoch, self._load(conn)
        if row is None or row.epoch != epoch:
            raise self._fenced()
        self._head = _Head(row.next_index, row.hash)
        return self._head

    def append(
        self, conn: Connection, drafts: Sequence[Mapping[str, object]], *, at: str, random: Random
    ) -> tuple[Recorded, ...]:
        """Writes all drafts as one batch; durable when the caller has committed.

        Fills in `v`, `index`, `at`, `salt` and, where `patient` is not empty, `patient_seq` and
        `patient_prev`. An empty batch writes nothing.

        Args:
            conn: a connection in the transaction of the batch.
            drafts: entries but for what is filled in; each has its `id`.
            at: the instant of the batch, from `rfc3339`.
            random: where the salts come from.

        Raises:
            EntryError: a draft has no canonical form; nothing was written.
            FencedError: another writer has opened the log; nothing was written.
            LogDamagedError: the head had to be read again, and does not fit the log.
            StateError: the log is not open, or the batch before is not settled.
        """
        if self._pending is not None:
            raise StateError("a batch is pending: call `committed` or `rolled_back` first")
        start, previous = self._head or self.reload(conn)
        if not drafts:
            return ()
        last = self._patients.find(conn, _patients(drafts))
        recorded, entries = _write(drafts, start, at, random, last)
        end = _Head(
            start + len(drafts), batch_hash(previous, start, [one.commitment for one in recorded])
        )
        batch = {
            "origin": self.origin,
            "epoch": self.epoch,
            "start": start,
            "end": end.next_index,
            "count": len(drafts),
            "at": at,
            "previous": previous,
            "hash": end.hash,
            "entries": entries,
        }
        # INVARIANT: pending before the first statement, so that `rolled_back` finds what to drop.
        self._pending = end, last
        # The head first: a writer that was fenced off meanwhile writes nothing at all.
        if run(conn, _MOVE_HEAD, batch) != 1:
            raise self._fenced()
        run(conn, _ADD_BATCH, batch)
        self._patients.save(conn, last)
        return recorded

    def touch(self, conn: Connection) -> None:
        """Writes the head as it is, so that a commit has something to make durable.

        Raises:
            FencedError: another writer has opened the log since.
        """
        if run(conn, _TOUCH, {"origin": self.origin, "epoch": self.epoch}) != 1:
            raise self._fenced()

    def committed(self) -> None:
        """Adopts the batch: its commit has succeeded."""
        if self._pending is None:
            return
        self._head, last = self._pending
        self._known, self._pending = self._head, None
        self._patients.adopt(last)

    def rolled_back(self) -> None:
        """Forgets the batch: its transaction was rolled back, or nobody knows."""
        if self._pending is not None:
            self._patients.forget(self._pending[1])
        self._head = self._pending = None

    def _load(self, conn: Connection) -> Row[Any] | None:
        """The row of the head, after comparing it with the last batches and with memory."""
        # Locked, so that no other writer moves on meanwhile; SQLite has one writer at a time.
        query = select(log_head).where(log_head.c.origin == self.origin).with_for_update()
        row = conn.execute(query).one_or_none()
        head = _Head(row.next_index, row.hash) if row else _EMPTY
        newest = list(islice(newest_batches(conn, self.origin), 2))
        end = 0, GENESIS
        if newest:
            batch, *before = newest
            start = (before[0].end, before[0].hash) if before else end
            check(batch, first_index=start[0], previous=start[1])
            end = batch.end, batch.hash
        check_end(self.origin, end, (head.next_index, head.hash))
        known = self._known
        if head.next_index <= known.next_index and head != known:
            what = f"{known.next_index} entries had been committed, {head.next_index} are there"
            raise LogDamagedError(self.origin, head.next_index, Damage.CUT, what)
        return row

    def _fenced(self) -> FencedError:
        what = f"another writer has taken over from epoch {self.epoch}: stop this one"
        return FencedError(f"log `{self.origin}`: {what}")


def _patients(drafts: Sequence[Mapping[str, object]]) -> set[str]:
    found = set()
    for place, draft in enumerate(drafts):
        patient = draft.get("patient", "")
        if not isinstance(patient, str):
            raise EntryError(f"draft {place}: `patient`: text expected, empty for none")
        if patient:
            found.add(patient)
    return found


def _write(
    drafts: Sequence[Mapping[str, object]],
    index: int,
    at: str,
    random: Random,
    last: dict[str, Last],
) -> tuple[tuple[Recorded, ...], bytes]:
    """Makes entries of drafts, in their framing; moves `last` on to them."""
    salts = random(_SALT_BYTES * len(drafts)).hex()
    width = 2 * _SALT_BYTES
    recorded, lines = [], []
    for place, draft in enumerate(drafts):
        decision_id = draft.get("id")
        if not isinstance(decision_id, str):
            raise EntryError(f"draft {place}: `id`: a UUID expected as text")
        salt = salts[place * width : (place + 1) * width]
        entry = {**draft, "v": FORMAT, "index": index + place, "at": at, "salt": salt}
        patient = str(draft.get("patient", ""))
        before = last.get(patient)
        if before is not None:
            entry["patient_seq"] = before.seq + 1
            entry["patient_prev"] = before.commitment.hex()
        try:
            line = canonical(entry)
        except EntryError as exc:
            raise EntryError(f"draft {place}: {exc}") from exc
        digest = commitment(line)
        if before is not None:
            last[patient] = Last(before.handle, before.seq + 1, digest)
        recorded.append(Recorded(index + place, decision_id, digest))
        lines.append(line)
    lines.append(b"")
    return tuple(recorded), b"\n".join(lines)
