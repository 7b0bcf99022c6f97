"""Holds what the database stores of a log against what was published of it, entry by entry."""

import time
from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection, select

from audit.entry import commitment
from audit.erased import Purges
from audit.errors import Damage, FormatError, LogDamagedError
from audit.evidence import Evidence
from audit.merkle import HASH_BYTES, leaf_hash
from audit.reader import Batch, batches
from audit.tables import log_head
from audit.tiles import ENTRIES, WIDTH, Tile, hashes, unbundle


class Published:
    """The published commitments of the first entries of a log.

    Each bundle is held against the level-0 tile above it when it is read.
    """

    def __init__(self, evidence: Evidence, size: int) -> None:
        """Reads nothing yet.

        Args:
            evidence: of the log.
            size: how many entries a signed checkpoint counts.
        """
        self.origin: Final = evidence.origin
        self.size: Final = size
        self._evidence = evidence
        self._number, self._held = -1, b""

    def commitments(self, start: int, end: int) -> bytes:
        """Those of entries `start` to `end - 1`, one behind the other.

        Raises:
            LogDamagedError: a bundle or tile is not there, or one is not that of the other.
        """
        parts = []
        for number in range(start // WIDTH, -(-end // WIDTH)):
            first = number * WIDTH
            begin, stop = max(start - first, 0), min(end - first, WIDTH)
            parts.append(self._bundle(number)[begin * HASH_BYTES : stop * HASH_BYTES])
        return b"".join(parts)

    def one(self, index: int) -> bytes:
        """The commitment of one entry; raises as `commitments`."""
        return self.commitments(index, index + 1)

    def find(self, wanted: bytes) -> int | None:
        """The index of the entry that has this commitment; raises as `commitments`."""
        for number in range(-(-self.size // WIDTH)):
            held = self._bundle(number)
            place = held.find(wanted)
            while place % HASH_BYTES and place >= 0:
                place = held.find(wanted, place + 1)
            if place >= 0:
                return number * WIDTH + place // HASH_BYTES
        return None

    def _bundle(self, number: int) -> bytes:
        if number != self._number:
            width = min(self.size - number * WIDTH, WIDTH)
            bundle = Tile(level=ENTRIES, number=number, width=width)
            tile = Tile(level=0, number=number, width=width)
            try:
                held = unbundle(self._evidence.tile(bundle))
                above = hashes(self._evidence.tile(tile))
            except FormatError as exc:
                what = f"what was published of it is damaged: {exc}"
                raise LogDamagedError(self.origin, bundle.start, Damage.TILE, what) from exc
            for place, (one, leaf) in enumerate(zip(held, above, strict=True)):
                if len(one) != HASH_BYTES or leaf_hash(one) != leaf:
                    what = f"`{bundle.path}` and `{tile.path}` say different things of it"
                    raise LogDamagedError(self.origin, bundle.start + place, Damage.TILE, what)
            self._number, self._held = number, b"".join(held)
        return self._held


def scrub(conn: Connection, published: Published, start: int, budget_s: float) -> int:
    """Compares sealed entries with what was published, as many as the time allows.

    Args:
        conn: on the database.
        published: what was sealed.
        start: the first entry to look at.
        budget_s: after so many seconds it stops, but not before one batch.

    Returns:
        The first entry that was not looked at; the size when all were.

    Raises:
        LogDamagedError: the first one that differs, or is erased though no purge says so.
    """
    until, reached, purges = time.monotonic() + budget_s, start, Purges(conn)
    for batch in batches(conn, published.origin, start=start):
        first, end = max(batch.first_index, start), min(batch.end, published.size)
        if first > reached or first >= published.size:
            break
        if batch.erased is not None:
            purges.justify(published.origin, batch.first_index, batch.end, batch.erased)
        stored = b"".join(_digests(batch)[first - batch.first_index : end - batch.first_index])
        if stored != published.commitments(first, end):
            break
        reached = end
        if reached == published.size or time.monotonic() > until:
            return reached
    if damage := first_difference(conn, published, start):
        raise damage
    return reached


def first_difference(
    conn: Connection, published: Published, start: int = 0
) -> LogDamagedError | None:
    """The first sealed entry that does not stand in the database as it was sealed, and what happened to it.

    Takes the bytes of the entries alone, or their commitments where they are erased; chain and counts may
    say what they like.

    Raises:
        LogDamagedError: what was published is itself damaged.
    """
    index = start
    for batch in batches(conn, published.origin, start=start):
        if index >= published.size:
            return None
        digests = _digests(batch)
        if batch.first_index < start:
            digests = digests[start - batch.first_index :]
        elif batch.first_index > index:
            what = f"entries {index} to {min(batch.first_index, published.size) - 1} are gone"
            return LogDamagedError(published.origin, index, Damage.MISSING, what)
        elif batch.first_index < index:
            what = f"a batch begins here, but entries stand before it up to {index - 1}"
            return LogDamagedError(published.origin, batch.first_index, Damage.DUPLICATED, what)
        for digest in digests[: published.size - index]:
            if digest != published.one(index):
                return _blame(conn, published, index, digest)
            index += 1
    return None if index >= published.size else _shortened(conn, published, index)


def _blame(conn: Connection, published: Published, index: int, found: bytes) -> LogDamagedError:
    """Why another entry stands at `index`."""
    origin, place = published.origin, published.find(found)
    if place is not None and place < index:
        what = f"entry {place} stands in its place"
        return LogDamagedError(origin, index, Damage.DUPLICATED, what)
    wanted, there, unchanged = published.one(index), False, False
    for later, one in _stored(conn, origin, index + 1):
        there = there or one == wanted
        unchanged = unchanged or (later < published.size and one == published.one(later))
    if place is not None:
        what = f"entry {place} stands in its place"
        if there:
            return LogDamagedError(origin, index, Damage.REORDERED, what)
        return LogDamagedError(origin, index, Damage.MISSING, f"it is gone; {what}")
    if index + 1 < published.size and not unchanged:
        what = (
            "from here on nothing is what was sealed: an older copy of the database was continued,"
        )
        what += " or the rest of the log was written again"
        return LogDamagedError(origin, index, Damage.ROLLED_BACK, what)
    what = "its bytes are not those that were sealed"
    return LogDamagedError(origin, index, Damage.ALTERED, what)


def _shortened(conn: Connection, published: Published, index: int) -> LogDamagedError:
    """Why the log ends at `index`, before what was sealed does."""
    origin, last = published.origin, published.size - 1
    head = conn.execute(select(log_head).where(log_head.c.origin == origin)).one_or_none()
    gone = f"entries {index} to {last} had been sealed"
    if (head.next_index if head else 0) == index:
        what = f"the database ends here and knows of no more: it is an older copy; {gone}"
        return LogDamagedError(origin, index, Damage.ROLLED_BACK, what)
    return LogDamagedError(origin, index, Damage.CUT, f"{gone}, and are gone from the end")


def _stored(conn: Connection, origin: str, start: int) -> Iterator[tuple[int, bytes]]:
    """The commitments in the database from an index on, with the index at which each stands."""
    for batch in batches(conn, origin, start=start):
        for index, digest in enumerate(_digests(batch), batch.first_index):
            if index >= start:
                yield index, digest


def _digests(batch: Batch) -> list[bytes]:
    """The commitments of the entries of a batch as they are, however many it says they are."""
    found = batch.entries
    if batch.erased is not None:
        return [found[place : place + HASH_BYTES] for place in range(0, len(found), HASH_BYTES)]
    *lines, rest = found.split(b"\n")
    return [commitment(line) for line in ([*lines, rest] if rest else lines)]
