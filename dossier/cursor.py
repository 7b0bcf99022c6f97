"""The place of a row in a list of the dossier, as its cursors hold it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from serving import cursor


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """The place of a row in a list: its instant, and its id where several have the same."""

    at: datetime
    id: str


def write(position: Position, *, of: Sequence[object]) -> str:
    """The cursor of what comes behind a row, for whoever asks this question again."""
    at = position.at.astimezone(UTC).isoformat()
    return cursor.seal(f"{at}\0{position.id}".encode(), of=_asked(of))


def read(text: str, *, of: Sequence[object]) -> Position | None:
    """Where the list goes on; None at its beginning, for an empty cursor.

    Raises:
        RequestError: it is no cursor, or one of another list.
    """
    held = cursor.unseal(text)
    if held is None:
        return None
    try:
        at, _, row = held.place.decode().partition("\0")
        position = Position(at=datetime.fromisoformat(at), id=row)
    except ValueError as exc:
        raise cursor.none() from exc
    if not row or "\0" in row or position.at.utcoffset() != timedelta(0):
        raise cursor.none()
    held.check(of=_asked(of))
    return position


def _asked(of: Sequence[object]) -> bytes:
    return repr(tuple(of)).encode("utf-8", "backslashreplace")
