"""Where a list goes on: behind the last document shown, in the very list that showed it. Pure.

A cursor opens nothing: what the next page shows is decided anew. It holds the digest of what was asked, so
that one of another list is noticed rather than silently beginning somewhere in the middle.
"""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from clients.sdk.values import Subject
from dossier.model import Search
from serving.errors import RequestError

_VERSION: Final = b"\x01"
_DIGEST_BYTES: Final = 12
_MAX_LENGTH: Final = 500
_AGAIN: Final = "leave it out to begin again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """The place of a document in a list: its date of act, and its id where several have the same."""

    act_from: datetime
    id: str


def write(position: Position, *, patient: str, search: Search, subject: Subject) -> str:
    """The cursor of what comes behind a document."""
    at = position.act_from.astimezone(UTC).isoformat()
    text = f"{at}\0{position.id}".encode()
    return urlsafe_b64encode(_VERSION + _digest(patient, search, subject) + text).decode()


def read(cursor: str, *, patient: str, search: Search, subject: Subject) -> Position | None:
    """Where the list goes on; None at its beginning, for an empty cursor.

    Raises:
        RequestError: it is no cursor, or one of another list.
    """
    if not cursor:
        return None
    if len(cursor) > _MAX_LENGTH:
        raise RequestError([("cursor", f"`{len(cursor)}` characters long", _AGAIN)])
    try:
        content = urlsafe_b64decode(cursor.encode("ascii"))
        head, text = content[: len(_VERSION)], content[len(_VERSION) + _DIGEST_BYTES :]
        at, _, document = text.decode().partition("\0")
        position = Position(act_from=datetime.fromisoformat(at), id=document)
    except ValueError as exc:
        raise RequestError([("cursor", "not one that a list gave", _AGAIN)]) from exc
    if head != _VERSION or not document or position.act_from.tzinfo is None or "\0" in document:
        raise RequestError([("cursor", "not one that a list gave", _AGAIN)])
    if content[len(_VERSION) :][:_DIGEST_BYTES] != _digest(patient, search, subject):
        raise RequestError([("cursor", "belongs to another list", _AGAIN)])
    return position


def _digest(patient: str, search: Search, subject: Subject) -> bytes:
    asked = repr((patient, search, subject.kind, subject.id, subject.structure))
    return hashlib.sha256(asked.encode("utf-8", "backslashreplace")).digest()[:_DIGEST_BYTES]
