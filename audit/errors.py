"""What can go wrong in the log: one family, so that callers catch `audit.errors.Error`."""

from enum import StrEnum


class Error(Exception):
    """Base of every error of this room."""


class EntryError(Error):
    """A value cannot stand in an entry; raised before anything is written."""


class StateError(Error):
    """A method of `Log` was called out of turn: a mistake of the program, never of its data."""


class FencedError(Error):
    """Another writer has taken over the log; this one wrote nothing and must stop."""


class Damage(StrEnum):
    """The kinds of damage that stored bytes can show."""

    ALTERED = "altered"
    MISSING = "missing"
    REORDERED = "reordered"
    DUPLICATED = "duplicated"
    CUT = "cut"
    HEAD = "head"
    PATIENT = "patient"
    ROLLED_BACK = "rolled back"
    TILE = "tile"
    ERASED = "erased"


class LogDamagedError(Error):
    """The stored log is not what was written.

    Attributes:
        origin: the log.
        index: the first entry that is wrong, or where it should have been.
        damage: what happened to it.
        what: the same in words.
    """

    def __init__(self, origin: str, index: int, damage: Damage, what: str) -> None:
        super().__init__(f"log `{origin}`, entry {index}: {damage}: {what}")
        self.origin = origin
        self.index = index
        self.damage = damage
        self.what = what


class ErasedError(Error):
    """An entry was erased when its time was over: of it there is the commitment alone.

    Attributes:
        origin: the log.
        index: of the entry.
        purge: the place of the entry in the log of retention that says so.
    """

    def __init__(self, origin: str, index: int, purge: int) -> None:
        super().__init__(
            f"log `{origin}`, entry {index}: erased, as entry {purge} of log `retention` says"
        )
        self.origin = origin
        self.index = index
        self.purge = purge


class RetentionError(Error):
    """Entries may not be erased as asked for; nothing was."""


class AddressError(Error):
    """An address names no database that could hold a log."""


class UnreachableError(Error):
    """The database is not there, cannot be read, or holds no log."""


class FormatError(Error):
    """Bytes are no key, note, checkpoint, tile, receipt or list of whom to trust."""


class ProofError(Error):
    """A signature, a proof or a receipt does not hold."""


class EvidenceError(Error):
    """The folder of a log's evidence is missing, incomplete, or in the hands of another process."""


class SealingError(Error):
    """What the log has gained could not be sealed this time; nothing was signed, and it is tried again."""


class RefusedError(Error):
    """To go on sealing would contradict what has been signed, or would seal what is damaged."""


class IndexAheadError(Error):
    """The index holds what the log no longer does: an older copy of the log was put in its place.

    Attributes:
        origin: the log.
        index: where the log should go on.
    """

    def __init__(self, origin: str, index: int) -> None:
        super().__init__(
            f"log `{origin}`: the index holds {index} entries, and the log no longer does: find out why"
            " (`dmp audit verify`), then make the index again (`dmp audit reindex`)"
        )
        self.origin = origin
        self.index = index
