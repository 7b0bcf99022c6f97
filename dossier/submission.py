"""Depositing: documents come in together, or not at all; a new version takes the place of the old one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, select

from dossier import records, rows, tables
from dossier.errors import DuplicateError, ReplacedError
from dossier.keys.sealing import Key, Purpose, Random
from dossier.model import Draft, Label, Status
from dossier.permit import Permit

_unique_id: Final = tables.documents.c.unique_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A draft that is ready to be written; its texts are sealed before the transaction begins.

    Attributes:
        place: of the deposit, from 0.
        permit: to deposit it, or to replace what it replaces.
        label: as it will be, but for its version.
        particulars: sealed.
        content: sealed.
    """

    place: int
    permit: Permit
    label: Label
    particulars: bytes
    content: bytes


def refuse_twice(labels: Sequence[Label]) -> None:
    """Looks for what can't be deposited together.

    Raises:
        DuplicateError: two have the same unique id.
        ReplacedError: two replace the same document.
    """
    ids: set[str] = set()
    replaced: set[str] = set()
    for place, label in enumerate(labels):
        if label.unique_id in ids:
            raise DuplicateError(place)
        if label.replaces and label.replaces in replaced:
            why, remedy = "the same as another deposit's", "replace each document once"
            raise ReplacedError(place, why, remedy)
        ids.add(label.unique_id)
        replaced.add(label.replaces)


def refuse_known(conn: Connection, unique_ids: Sequence[str]) -> None:
    """Looks for what is in the record already, whosever dossier it is in.

    Raises:
        DuplicateError: one is.
    """
    found = set(conn.scalars(select(_unique_id).where(_unique_id.in_(unique_ids))))
    for place, unique_id in enumerate(unique_ids):
        if unique_id in found:
            raise DuplicateError(place)


def seal(place: int, permit: Permit, draft: Draft, key: Key, *, random: Random) -> Sealed:
    """Makes a draft ready to be written."""
    label = replace(draft.label, version=1, replaced_by="")
    body, told = rows.place(Purpose.BODY, label), rows.place(Purpose.PARTICULARS, label)
    return Sealed(
        place=place,
        permit=permit,
        label=label,
        particulars=key.seal(rows.pack(draft.particulars), told, random=random),
        content=key.seal(draft.content, body, random=random),
    )


def write(conn: Connection, draft: Sealed, at: datetime, *, entry: str) -> Label:
    """Writes a draft and records it; its label as it is now.

    Args:
        conn: the transaction of the whole submission.
        draft: what is deposited.
        at: the instant.
        entry: the new entry of the document that it replaces, if it does.

    Raises:
        ReplacedError: that one was replaced or deleted already.
        StaleError: it changed since it was judged.
    """
    label = draft.label
    if label.replaces:
        label = replace(label, version=_supersede(conn, draft, entry) + 1)
    rows.add(conn, label, particulars=draft.particulars, content=draft.content)
    records.record(conn, draft.permit, at=at, label=label)
    return label


def _supersede(conn: Connection, draft: Sealed, entry: str) -> int:
    """Lets a draft take the place of the document that it replaces; the version of that one."""
    old, _ = rows.judged(conn, draft.permit)
    if old.status is Status.DEPRECATED:
        why, remedy = "a document that was replaced already", "replace its newest version"
        raise ReplacedError(draft.place, why, remedy)
    if old.status is Status.DELETED:
        why, remedy = "a document that was deleted", "deposit this one as a new document"
        raise ReplacedError(draft.place, why, remedy)
    by = draft.label.id
    rows.alter(conn, old, replace(old, entry=entry, status=Status.DEPRECATED, replaced_by=by))
    return old.version
