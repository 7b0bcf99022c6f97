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
_LENGTH: Final = len(_VERSION) + _DIGEST_BYTES + _PLACE.size
_AGAIN: Final = "leave it out to begin again"


class Position(NamedTuple):
    """The place of an entry in the order of all: microseconds since 1970, number of the log, index there."""

    at: int
    log: int
    place: int


def write(position: Position, *, of: bytes) -> str:
    """The cursor of what comes behind an entry, for whoever asks this question again."""
    return urlsafe_b64encode(_VERSION + _digest(of) + _PLACE.pack(*position)).decode()


def read(cursor: str, *, of: bytes) -> Position | None:
    """Where the list goes on; None at its beginning, for an empty cursor.

    Raises:
        RequestError: it is no cursor, or one of another question.
    """
    if not cursor:
        return None
    try:
        content = b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True)
    except ValueError:
        content = b""
    if len(content) != _LENGTH or content[: len(_VERSION)] != _VERSION:
        raise RequestError([("cursor", "not one that a page gave", _AGAIN)])
    if content[len(_VERSION) :][:_DIGEST_BYTES] != _digest(of):
        raise RequestError([("cursor", "belongs to another question", _AGAIN)])
    return Position(*_PLACE.unpack(content[-_PLACE.size :]))


def _digest(of: bytes) -> bytes:
    return hashlib.sha256(of).digest()[:_DIGEST_BYTES]
