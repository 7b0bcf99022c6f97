"""Where a list goes on: behind the last row shown, in the very list that showed it. Pure.

A cursor opens nothing: what the next page shows is decided anew. It holds the digest of what was asked, so
that one of another question is noticed rather than silently beginning somewhere in the middle.
"""

import hashlib
from base64 import b64decode, urlsafe_b64encode
from typing import Final, NamedTuple

from serving.errors import RequestError

AGAIN: Final = "leave it out to begin again"
"""What to do about a cursor that can't be used."""

_VERSION: Final = b"\x01"
_DIGEST_BYTES: Final = 12
_MAX_LENGTH: Final = 500


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


def unseal(cursor: str, *, size: int | None = None) -> Cursor | None:
    """What a cursor holds; None for an empty one.

    Args:
        cursor: as it was given.
        size: bytes of its place, where all places are of one size.

    Raises:
        RequestError: it is no cursor, or one with another place.
    """
    if not cursor:
        return None
    if len(cursor) > _MAX_LENGTH:
        raise RequestError([("cursor", f"`{len(cursor)}` characters long", AGAIN)])
    try:
        content = b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True)
    except ValueError:
        content = b""
    head, rest = content[: len(_VERSION)], content[len(_VERSION) :]
    found = Cursor(rest[:_DIGEST_BYTES], rest[_DIGEST_BYTES:])
    if head != _VERSION or not found.place or size not in (None, len(found.place)):
        raise none()
    return found


def none() -> RequestError:
    """The error for what is no cursor."""
    return RequestError([("cursor", "not one that a page gave", AGAIN)])


def _digest(of: bytes) -> bytes:
    return hashlib.sha256(of).digest()[:_DIGEST_BYTES]
