"""Where a list goes on: behind the last row shown, in the very list that showed it. Pure.

A cursor opens nothing: what the next page shows is decided anew. It holds the digest of what was asked, so
that one of another list is noticed rather than silently beginning somewhere in the middle.
"""

import hashlib
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from serving.errors import RequestError

_VERSION: Final = b"\x01"
_DIGEST_BYTES: Final = 12
_MAX_LENGTH: Final = 500
_AGAIN: Final = "leave it out to begin again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """The place of a row in a list: its instant, and its id where several have the same."""

    at: datetime
    id: str


def write(position: Position, *, of: Sequence[object]) -> str:
    """The cursor of what comes behind a row, for whoever asks this question again."""
    at = position.at.astimezone(UTC).isoformat()
    text = f"{at}\0{position.id}".encode()
    return urlsafe_b64encode(_VERSION + _digest(of) + text).decode()


def read(cursor: str, *, of: Sequence[object]) -> Position | None:
    """Where the list goes on; None at its beginning, for an empty cursor.

    Raises:
        RequestError: it is no cursor, or one of another list.
    """
    if not cursor:
        return None
    if len(cursor) > _MAX_LENGTH:
        raise RequestError([("cursor", f"`{len(cursor)}` characters long", _AGAIN)])
    try:
        content = b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True)
        head, text = content[: len(_VERSION)], content[len(_VERSION) + _DIGEST_BYTES :]
        at, _, row = text.decode().partition("\0")
        position = Position(at=datetime.fromisoformat(at), id=row)
    except ValueError as exc:
        raise RequestError([("cursor", "not one that a list gave", _AGAIN)]) from exc
    if head != _VERSION or not row or "\0" in row or position.at.utcoffset() != timedelta(0):
        raise RequestError([("cursor", "not one that a list gave", _AGAIN)])
    if content[len(_VERSION) :][:_DIGEST_BYTES] != _digest(of):
        raise RequestError([("cursor", "belongs to another list", _AGAIN)])
    return position


def _digest(of: Sequence[object]) -> bytes:
    asked = repr(tuple(of)).encode("utf-8", "backslashreplace")
    return hashlib.sha256(asked).digest()[:_DIGEST_BYTES]
