"""The place of an entry in the order of all, as a cursor of the audit holds it. Pure."""

import struct
from typing import Final, NamedTuple

from serving import cursor

_PLACE: Final = struct.Struct(">qiq")


class Position(NamedTuple):
    """The place of an entry in the order of all: microseconds since 1970, number of the log, index there."""

    at: int
    log: int
    place: int


def write(position: Position, *, of: bytes) -> str:
    """The cursor of what comes behind an entry, for whoever asks this question again."""
    return cursor.seal(_PLACE.pack(*position), of=of)


def read(text: str, *, of: bytes) -> Position | None:
    """Where the list goes on; None at its beginning, for an empty cursor.

    Raises:
        RequestError: it is no cursor, or one of another question.
    """
    held = cursor.unseal(text, size=_PLACE.size)
    if held is None:
        return None
    held.check(of=of)
    return Position(*_PLACE.unpack(held.place))
