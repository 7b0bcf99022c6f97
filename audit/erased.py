"""Entries that were erased: whether that was logged, and what can still be verified of them."""

from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection, select

from audit.errors import Damage, LogDamagedError
from audit.reader import Batch, read
from audit.retention import RETENTION, Purge
from audit.tables import log_batches

_CHUNK: Final = 64  # batches fetched at once: bounds memory


class Purges:
    """What the log of retention says, read when it is first asked for."""

    def __init__(self, conn: Connection) -> None:
        """Reads nothing yet; `conn` is in a transaction that sees one state of the database."""
        self._conn = conn
        self._known: dict[int, Purge] | None = None

    def known(self) -> dict[int, Purge]:
        """All purges, by their place in the log of retention.

        Raises:
            LogDamagedError: an entry there is none. Nothing else of that log is verified here.
        """
        if self._known is None:
            found = read(self._conn, origin=RETENTION)
            self._known = {one.index: Purge.told(one.index, one.entry) for one in found}
        return self._known

    def last(self, origin: str) -> Purge | None:
        """The newest purge of a log; raises as `known`."""
        return max(
            (one for one in self.known().values() if one.log == origin),
            key=lambda one: one.index,
            default=None,
        )

    def justify(self, origin: str, first: int, end: int, purge: int) -> None:
        """Sees that entries were erased because a purge said so before.

        Args:
            origin: the log.
            first: the first of the entries.
            end: the index behind the last.
            purge: the place of the purge, as their batches say.

        Raises:
            LogDamagedError: none says so of the first entry named, or what says so is damaged.
        """
        try:
            one = self.known().get(purge) if origin != RETENTION else None
        except LogDamagedError as exc:
            what = f"it is erased, and whether that was logged can't be told: {exc}"
            raise LogDamagedError(origin, first, Damage.ERASED, what) from exc
        if one is None or one.log != origin or first < one.first or one.end <= first:
            what = (
                f"it is erased, and no purge says so: there is none at {purge} of log `{RETENTION}`"
            )
            raise LogDamagedError(origin, first, Damage.ERASED, what)
        if end > one.end:
            what = f"it is erased, and no purge says so: that at {purge} ends before it"
            raise LogDamagedError(origin, one.end, Damage.ERASED, what)


class Bygone:
    """What the rest of a log says of erased entries: each commitment named must be one of theirs."""

    def __init__(self, conn: Connection, origin: str) -> None:
        """Knows of no erased entry yet."""
        self._conn = conn
        self._origin = origin
        self._named: dict[bytes, LogDamagedError] = {}
        self.end = 0

    def add(self, first: int, end: int) -> None:
        """Tells that entries are erased.

        Raises:
            LogDamagedError: they stand behind entries that are not.
        """
        if first != self.end:
            what = "it is erased, but an older one is not"
            raise LogDamagedError(self._origin, first, Damage.ERASED, what)
        self.end = end

    def name(self, commitment: bytes, otherwise: LogDamagedError) -> None:
        """Remembers that this must be an erased entry, and what is wrong if it is not.

        Raises:
            LogDamagedError: that one, when none is erased, or when two name the same entry.
        """
        if not self.end or commitment in self._named:
            raise otherwise
        self._named[commitment] = otherwise

    def settle(self) -> None:
        """Sees that all that was named is there.

        Raises:
            LogDamagedError: of the first entry of which it is not.
        """
        left = dict(self._named)
        for batch in self._batches() if left else ():
            for digest in batch.digests():
                left.pop(digest, None)
        if left:
            raise min(left.values(), key=lambda one: one.index)

    def _batches(self) -> Iterator[Batch]:
        c = log_batches.c
        query = select(log_batches).where(c.origin == self._origin, c.erased.is_not(None))
        query = query.order_by(c.first_index).limit(_CHUNK)
        after = -1
        while rows := self._conn.execute(query.where(c.first_index > after)).all():
            yield from (Batch(*row) for row in rows)
            after = rows[-1].first_index
