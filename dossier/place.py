"""Where a page of a trace or of notices goes on: behind the last row shown, for the same question only. Pure.

What may be shown is decided anew for each page, so a cursor that somebody makes up opens nothing.
"""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from serving.errors import RequestError

_DIGEST: Final = 8
_MAX: Final = 300
_NEVER: Final = datetime(1, 1, 1, tzinfo=UTC)


def write(at: datetime, row: str, *, of: Sequence[object]) -> str:
    """The cursor behind a row, for whoever asks this question again."""
    place = f"{at.isoformat()} {row}".encode()
    return base64.urlsafe_b64encode(_digest(of) + place).decode()


def read(cursor: str, *, of: Sequence[object]) -> tuple[datetime, str]:
    """The place of a cursor: an instant and an id.

    Raises:
        RequestError: it belongs to another question, or is none.
    """
    try:
        data = base64.b64decode(cursor[:_MAX], altchars=b"-_", validate=True)
        at, _, row = data[_DIGEST:].decode().partition(" ")
        found = datetime.fromisoformat(at).astimezone(UTC)
    except (ValueError, OverflowError, binascii.Error):
        data, found, row = b"", _NEVER, ""
    if data[:_DIGEST] != _digest(of) or "\0" in row:
        cure = "give that of the page before, with the same search; or none, to begin again"
        raise RequestError([("cursor", "not of this search", cure)])
    return found, row


def _digest(of: Sequence[object]) -> bytes:
    asked = repr(tuple(of)).encode("utf-8", "backslashreplace")
    return hashlib.sha256(asked).digest()[:_DIGEST]
