"""Where a list of entries goes on: behind the last one shown, in the very list that showed it. Pure.

A cursor opens nothing: what the next page shows is decided anew. It holds the digest of what was asked, so
that one of another question is noticed rather than silently beginning somewhere in the middle.
"""

import hashlib
import struct
from base64 import b64decode, urlsafe_b64encode
from typing import Final, NamedTuple

from serving.errors import RequestError

_VERSION: Final = b"\x01"
_DIGEST_BYTES: Final = 12
_PLACE: Final = struct.Struct(">qiq")
AGAIN: Final = "leave it out to begin again"
"""What to do about a cursor that can't be used."""


class Position(NamedTuple):
    """The place of an entry in the order of all: microseconds since 1970, number of the log, index there."""

    at: int
    log: int
    place: int


class Cursor(NamedTuple):
    """What a cursor holds: the digest of what was asked, and the place behind which it goes on."""

    digest: bytes
    place: bytes

    def check(self, *, of: bytes) -> None:
        """Raises RequestError if it is one of another question."""
        if self.digest != _digest(of):
            raise RequestError([("cursor", "belongs to another question", AGAIN)])


def seal(place: bytes, *, of: bytes) -> str:
    """The cursor of what comes behind a place, for whoever asks this question again."""
    return urlsafe_b64encode(_VERSION + _digest(of) + place).decode()


def unseal(cursor: str, *, size: int) -> Cursor | None:
    """What a cursor holds, with a place of so many bytes; None for an empty one.

    Raises:
        RequestError: it is no cursor.
    """
    if not cursor:
        return None
    try:
        content = b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True)
    except ValueError:
        content = b""
    head, rest = content[: len(_VERSION)], content[len(_VERSION) :]
    if head != _VERSION or len(rest) != _DIGEST_BYTES + size:
        raise RequestError([("cursor", "not one that a page gave", AGAIN)])
    return Cursor(rest[:_DIGEST_BYTES], rest[_DIGEST_BYTES:])


def write(position: Position, *, of: bytes) -> str:
    """The cursor of what comes behind an entry, for whoever asks this question again."""
    return seal(_PLACE.pack(*position), of=of)


def read(cursor: str, *, of: bytes) -> Position | None:
    """Where the list goes on; None at its beginning, for an empty cursor.

    Raises:
        RequestError: it is no cursor, or one of another question.
    """
    held = unseal(cursor, size=_PLACE.size)
    if held is None:
        return None
    held.check(of=of)
    return Position(*_PLACE.unpack(held.place))


def _digest(of: bytes) -> bytes:
    return hashlib.sha256(of).digest()[:_DIGEST_BYTES]
