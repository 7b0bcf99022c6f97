"""Reads the log as it is stored. Writes nothing, ever, and verifies nothing: see `audit.verify`."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final, cast
from uuid import UUID

import orjson
from sqlalchemy import ColumnElement, Connection, and_, func, not_, select, true

from audit.entry import Entry, rfc3339, uuid7_ms
from audit.entry import commitment as commitment_of
from audit.errors import Damage, ErasedError, LogDamagedError
from audit.merkle import HASH_BYTES
from audit.tables import log_batches, log_head

_CHUNK: Final = 64  # batches fetched at once: bounds memory
_NEAR: Final = timedelta(minutes=1)  # an id is chosen this close to the instant of its batch
_LATEST_MS: Final = 253_402_214_400_000  # a day before the last that `datetime` knows

Digest = bytes
"""32 bytes."""


@dataclass(frozen=True, slots=True)
class Erased:
    """What is left of an entry that was erased.

    Attributes:
        commitment: of the entry that it was.
        at: the instant of its batch.
        purge: the place of the entry in the log of retention that says so (`audit.retention`).
    """

    commitment: bytes
    at: str
    purge: int


@dataclass(frozen=True, slots=True)
class Stored:
    """One entry as it stands in the log; `bytes` is empty where it was erased."""

    origin: str
    index: int
    bytes: bytes
    erased: Erased | None = None

    @property
    def commitment(self) -> Digest:
        """SHA-256 of the entry, whether it is still there or not."""
        return commitment_of(self.bytes) if self.erased is None else self.erased.commitment

    @property
    def entry(self) -> Entry:
        """The fields, parsed anew at each call.

        Raises:
            ErasedError: it was erased.
            LogDamagedError: the bytes are no JSON object.
        """
        if self.erased is not None:
            raise ErasedError(self.origin, self.index, self.erased.purge)
        try:
            fields = orjson.loads(self.bytes)
        except orjson.JSONDecodeError:
            fields = None
        if not isinstance(fields, dict):
            raise LogDamagedError(self.origin, self.index, Damage.ALTERED, "it is no JSON object")
        return cast("Entry", fields)


@dataclass(frozen=True, slots=True)
class Batch:
    """One row of the log: the entries of one commit.

    Where they are erased, `entries` are their commitments, and `erased` the place of the entry in the log of
    retention that says so.
    """

    origin: str
    first_index: int
    count: int
    at: str
    previous: bytes
    hash: bytes
    entries: bytes
    erased: int | None = None

    @property
    def end(self) -> int:
        """The index behind the last entry."""
        return self.first_index + self.count

    def stored(self) -> list[Stored]:
        """The entries one by one.

        Raises:
            LogDamagedError: there are more or fewer than `count`, or none.
        """
        if self.erased is not None:
            return [
                Stored(self.origin, index, b"", Erased(digest, self.at, self.erased))
                for index, digest in enumerate(self.digests(), self.first_index)
            ]
        *lines, rest = self.entries.split(b"\n")
        if rest or len(lines) != self.count or not lines:
            what = f"{self.count} entries expected in this batch, found {len(lines) + bool(rest)}"
            raise LogDamagedError(self.origin, self.first_index, Damage.ALTERED, what)
        return [
            Stored(self.origin, index, line) for index, line in enumerate(lines, self.first_index)
        ]

    def digests(self) -> list[bytes]:
        """The commitments of the entries one by one.

        Raises:
            LogDamagedError: there are more or fewer than `count`, or none.
        """
        if self.erased is None:
            return [stored.commitment for stored in self.stored()]
        rest, size = self.entries, HASH_BYTES
        if len(rest) != size * self.count or not rest:
            what = f"{self.count} commitments expected in this batch, found {len(rest)} bytes"
            raise LogDamagedError(self.origin, self.first_index, Damage.ALTERED, what)
        return [rest[place : place + size] for place in range(0, len(rest), size)]


def origins(conn: Connection) -> list[str]:
    """The logs that left a trace in the database, in alphabetical order."""
    found = set(conn.execute(select(log_head.c.origin)).scalars())
    c, behind = log_batches.c, true()
    # One look at the primary key for each log: to ask for those that are distinct reads all of it.
    while (origin := conn.scalar(select(func.min(c.origin)).where(behind))) is not None:
        found.add(origin)
        behind = c.origin > origin
    return sorted(found)


def count(conn: Connection) -> int:
    """The number of entries stored, over all logs."""
    total = conn.execute(select(func.coalesce(func.sum(log_batches.c.count), 0))).scalar_one()
    return int(total)


def ends(conn: Connection) -> dict[str, int]:
    """The index behind the last entry of each log."""
    newest = (islice(newest_batches(conn, origin), 1) for origin in origins(conn))
    return {batch.origin: batch.end for one in newest for batch in one}


def kept_from(conn: Connection, origin: str, *, start: int = 0) -> int:
    """The index of the first entry of a log that is not erased; 0 where none is.

    Args:
        conn: in a transaction that sees one state of the database.
        origin: the log.
        start: all before it is known to be erased.
    """
    c = log_batches.c
    query = select(c.first_index).where(
        c.origin == origin, c.first_index >= start, c.erased.is_(None)
    )
    return conn.execute(query.order_by(c.first_index).limit(1)).scalar() or 0


def erased_until(conn: Connection) -> str:
    """The instant of the newest entry that is erased, over all logs; "" where none is."""
    c = log_batches.c
    found = [""]
    for origin in origins(conn):
        before = select(c.at).where(c.origin == origin, c.first_index < kept_from(conn, origin))
        found += conn.execute(before.order_by(c.first_index.desc()).limit(1)).scalars()
    return max(found)


def batches(conn: Connection, origin: str, *, start: int | None = None) -> Iterator[Batch]:
    """The batches of one log in order, from the one that may hold entry `start`."""
    c = log_batches.c
    condition: ColumnElement[bool] = true()
    if start is not None:
        holder = select(c.first_index).where(c.origin == origin, c.first_index <= start)
        found = conn.execute(holder.order_by(c.first_index.desc()).limit(1)).scalar()
        condition = c.first_index >= (start if found is None else found)
    query = select(log_batches).where(c.origin == origin).order_by(c.first_index).limit(_CHUNK)
    # Asked chunk by chunk: a cursor left open would keep the writer's file from being trimmed.
    while rows := conn.execute(query.where(condition)).all():
        yield from (Batch(*row) for row in rows)
        condition = c.first_index > rows[-1].first_index


def newest_batches(conn: Connection, origin: str) -> Iterator[Batch]:
    """The batches of one log, the last one first."""
    c = log_batches.c
    condition: ColumnElement[bool] = true()
    query = select(log_batches).where(c.origin == origin).order_by(c.first_index.desc())
    while row := conn.execute(query.where(condition).limit(1)).one_or_none():
        yield Batch(*row)
        condition = c.first_index < row.first_index


def read(
    conn: Connection, *, origin: str | None = None, start: int = 0, limit: int | None = None
) -> Iterator[Stored]:
    """Entries in the order of their log, log after log.

    Args:
        conn: a connection.
        origin: one log; all of them when left out.
        start: the first index wanted of each log.
        limit: how many entries at most; all of them when left out.

    Raises:
        LogDamagedError: a batch cannot be taken apart. Nothing else is verified here.
    """
    wanted = (
        stored
        for name in ([origin] if origin is not None else origins(conn))
        for batch in batches(conn, name, start=start)
        for stored in batch.stored()
        if stored.index >= start
    )
    return islice(wanted, limit)


def tail(conn: Connection, n: int) -> list[Stored]:
    """The last `n` entries over all logs, oldest first; those of several logs are merged by time.

    Raises:
        LogDamagedError: a batch cannot be taken apart.
    """
    found: list[Stored] = []
    for origin in origins(conn):
        backwards = (s for b in newest_batches(conn, origin) for s in reversed(b.stored()))
        found += reversed(list(islice(backwards, n)))
    found.sort(key=_instant)  # stable: a log's own order stays
    return found[max(len(found) - n, 0) :]


def _instant(stored: Stored) -> str:
    return str(stored.entry.get("at")) if stored.erased is None else stored.erased.at


def find(conn: Connection, decision_id: str) -> Stored | None:
    """The entry with this id, or None: an erased one has no id any more.

    The id tells its time, so the batches of that minute are searched first, then all others.

    Raises:
        EntryError: `decision_id` is no UUID version 7.
        LogDamagedError: a batch cannot be taken apart.
    """
    instant = datetime.fromtimestamp(min(uuid7_ms(decision_id), _LATEST_MS) / 1000, UTC)
    wanted = str(UUID(decision_id))
    c = log_batches.c
    # Not `between`: SQLAlchemy writes what PostgreSQL can't read when a column has a collation.
    near = and_(c.at >= rfc3339(instant - _NEAR), c.at <= rfc3339(instant + _NEAR))
    for condition in (near, not_(near)):
        query = select(log_batches).where(condition).execution_options(yield_per=_CHUNK)
        with conn.execute(query) as rows:
            for row in rows:
                if row.erased is not None or wanted.encode() not in row.entries:
                    continue
                for stored in Batch(*row).stored():
                    if wanted.encode() in stored.bytes and stored.entry.get("id") == wanted:
                        return stored
    return None
