"""Reads what a log has gained behind what is sealed of it, and sees that what is sealed is still there."""

from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection

from audit.comparison import Published, first_difference
from audit.entry import GENESIS, batch_hash
from audit.errors import Damage, LogDamagedError
from audit.evidence import Evidence
from audit.reader import batches
from audit.verify import check

MOST: Final = 1 << 16
"""Entries read at once, and a batch more: bounds memory, and the time of a step."""


class Followed:
    """The log of one origin, as the database has it at one moment."""

    def __init__(self, conn: Connection, evidence: Evidence) -> None:
        """Reads nothing yet.

        Args:
            conn: in a transaction that sees one state of the database.
            evidence: of the log.
        """
        self._conn = conn
        self._evidence = evidence
        self._origin: Final = evidence.origin

    def gained(self, size: int, link: bytes) -> tuple[list[bytes], bytes]:
        """The commitments of the batches behind those that are sealed.

        Args:
            size: how many entries are sealed.
            link: the hash of the last batch that is.

        Returns:
            The commitments, and the hash of the last batch read.

        Raises:
            LogDamagedError: the database no longer holds what is sealed, or what is new is damaged.
        """
        leaves: list[bytes] = []
        there = not size
        for batch in batches(self._conn, self._origin, start=size):
            there = True
            if batch.first_index < size:
                # The last sealed batch, as long as nothing came behind it.
                if batch.end != size or batch.hash != link:
                    raise self.difference(size)
                continue
            try:
                found = check(batch, first_index=size + len(leaves), previous=link)
            except LogDamagedError as exc:
                raise self._first_difference(size) or exc from exc
            leaves += [digest for _, digest in found]
            link = batch.hash
            if len(leaves) >= MOST:
                break
        if not there:
            raise self.difference(size)
        return leaves, link

    def link(self, size: int) -> bytes:
        """The hash of the last sealed batch, whose entries are those that were sealed.

        Raises:
            LogDamagedError: the database does not hold it.
        """
        if not size:
            return GENESIS
        published = Published(self._evidence, size)
        batch = next(batches(self._conn, self._origin, start=size - 1), None)
        if batch is not None and batch.end == size:
            found = batch.digests()
            same = b"".join(found) == published.commitments(batch.first_index, size)
            if same and batch_hash(batch.previous, batch.first_index, found) == batch.hash:
                return batch.hash
        raise self.difference(size)

    def commitments(self, size: int) -> Iterator[tuple[list[bytes], int]]:
        """The commitments of the first `size` entries, some at a time, each with where they end."""
        found: list[bytes] = []
        for batch in batches(self._conn, self._origin):
            found += batch.digests()
            if batch.end >= size or len(found) >= MOST:
                yield found, batch.end
                found = []
            if batch.end >= size:
                return

    def difference(self, size: int) -> LogDamagedError:
        """Why the last sealed batch is not there: the first entry that differs."""
        what = "the batches are others than those that were sealed, though no entry is"
        found = self._first_difference(size)
        return found or LogDamagedError(self._origin, size, Damage.ALTERED, what)

    def _first_difference(self, size: int) -> LogDamagedError | None:
        return first_difference(self._conn, Published(self._evidence, size))
