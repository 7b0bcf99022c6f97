"""What the log has gained: entries as the index takes them in. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol
from uuid import UUID

from sqlalchemy import Connection

from audit.entry import Entry
from audit.office.policies import SECRET, Policies

NORMAL: Final = "normal"
EMERGENCIES: Final = ("bris_de_glace", "centre_15")
"""Access modes (TRE_R248) that open a case."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Gained:
    """An entry on its way into the index.

    Attributes:
        origin: the log.
        log: the number of the log in the index.
        index: its place there.
        at: its instant, microseconds since 1970.
        entry: its fields.
        policies: that it was decided under; None where they are not known.
    """

    origin: str
    log: int
    index: int
    at: int
    entry: Entry
    policies: Policies | None

    @property
    def id(self) -> bytes:
        """Its id, 16 bytes."""
        return UUID(self.entry["id"]).bytes

    @property
    def secret(self) -> bool:
        """Whether it was done in a secret connection (CSP L.1111-5: care of a minor)."""
        name, value = SECRET
        return self.policies is not None and self.policies.fact(self.entry, name) == value

    @property
    def emergency(self) -> bool:
        """Whether it was asked for in a mode of emergency."""
        return self.entry.get("mode", NORMAL) in EMERGENCIES


class Derivation(Protocol):
    """Something that follows from the entries, in tables of its own."""

    def take(self, conn: Connection, entries: Sequence[Gained]) -> None:
        """Writes what follows from entries: all logs' in the order of their instants, each one once.

        Args:
            conn: the index, in the transaction that takes the entries in.
            entries: all that are taken in at once; those of one log in its order.
        """

    def drop(self, conn: Connection, log: int, begin: int, end: int) -> None:
        """Removes what followed from the entries `begin` to `end` - 1 of a log: they are erased."""


def moment(at: str) -> datetime:
    """An instant of an entry (RFC 3339), in UTC."""
    return datetime.fromisoformat(at).astimezone(UTC)


def micros(at: datetime) -> int:
    """An instant in microseconds since 1970."""
    since = at - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def instant(at: int) -> datetime:
    """The same again as an instant in UTC."""
    return _EPOCH + timedelta(microseconds=at)
