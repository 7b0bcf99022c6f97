"""How documents become rows, and rows labels. What a document tells beyond its label becomes sealed JSON."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any, Final

import orjson
from sqlalchemy import ColumnElement, Connection, Row, insert, select, update

from dossier import tables
from dossier.errors import StaleError
from dossier.keys.sealing import Place, Purpose
from dossier.model import Label, Particulars, Person, Status, Visibility
from dossier.permit import Permit

_c: Final = tables.documents.c
_AUTHORS: Final = tables.authors.c

_STALE: Final = "the document changed since it was decided upon: nothing was done; decide again"

_PLAIN: Final = (
    *("id", "entry", "patient", "unique_id", "type", "class_code", "space", "confidentiality"),
    *("structure", "system", "made_at", "act_from", "act_to", "deposited_at", "by_patient"),
    *("version", "replaces", "replaced_by", "media_type", "size", "secret"),
)
"""The fields of a label that are columns of the same name."""


def find(conn: Connection, *where: ColumnElement[bool]) -> tuple[Label, bytes] | None:
    """The label of a document and its sealed particulars; None when there is none."""
    row = conn.execute(select(tables.documents).where(*where)).one_or_none()
    if row is None:
        return None
    return label_of(row, authors_of(conn, [row.id]).get(row.id, ())), row.particulars


def earlier_versions(conn: Connection, label: Label) -> Iterator[Label]:
    """What a document has replaced, the latest first, but for what was deleted."""
    while label.replaces:
        found = find(conn, _c.id == label.replaces, _c.patient == label.patient)
        if found is None:
            return
        label, _ = found
        if label.status is not Status.DELETED:
            yield label


def has_any(conn: Connection, patient: str) -> bool:
    """Whether there is a document of this patient."""
    return conn.scalar(select(_c.id).where(_c.patient == patient).limit(1)) is not None


def label_of(row: Row[Any], authors: tuple[str, ...]) -> Label:
    """The label that a row holds."""
    plain: dict[str, Any] = {name: getattr(row, name) for name in _PLAIN}
    return Label(
        **plain,
        status=Status(row.status),
        visibility=Visibility(
            masked=row.masked,
            hidden_from_patient=row.hidden_from_patient,
            hidden_from_representatives=row.hidden_from_representatives,
        ),
        authors=authors,
    )


def authors_of(conn: Connection, documents: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    """The authors of each document, in their order."""
    some = select(_AUTHORS.document, _AUTHORS.author).where(_AUTHORS.document.in_(documents))
    found: dict[str, tuple[str, ...]] = {}
    for document, author in conn.execute(some.order_by(_AUTHORS.document, _AUTHORS.place)):
        found[document] = (*found.get(document, ()), author)
    return found


def add(conn: Connection, label: Label, *, particulars: bytes, content: bytes) -> None:
    """Writes a new document; both texts are sealed."""
    row = {**columns(label), "particulars": particulars}
    conn.execute(insert(tables.documents).values(row))
    for place, author in enumerate(dict.fromkeys(label.authors)):
        of = {"document": label.id, "author": author, "patient": label.patient, "place": place}
        conn.execute(insert(tables.authors).values(of))
    conn.execute(insert(tables.bodies).values(document=label.id, content=content))


def judged(conn: Connection, permit: Permit) -> tuple[Label, bytes]:
    """The label of a permit's document, still as it was judged, and its sealed particulars.

    Raises:
        StaleError: it is not.
    """
    found = find(conn, _c.id == permit.document, _c.patient == permit.patient)
    if found is None or not permit.entry or found[0].entry != permit.entry:
        raise StaleError(_STALE)
    return found


def columns(label: Label) -> dict[str, object]:
    """The columns of a label."""
    return {**{name: getattr(label, name) for name in _PLAIN}, **_state(label)}


def alter(conn: Connection, old: Label, new: Label) -> None:
    """Writes what can change of a label.

    Raises:
        StaleError: it is not what it was any more.
    """
    same = _c.id == old.id, _c.entry == old.entry
    values = {**_state(new), "entry": new.entry, "replaced_by": new.replaced_by}
    if conn.execute(update(tables.documents).where(*same).values(values)).rowcount != 1:
        raise StaleError(_STALE)


def place(purpose: Purpose, label: Label) -> Place:
    """Where what is sealed of a document belongs."""
    return Place(purpose=purpose, patient=label.patient, of=label.id)


def pack(particulars: Particulars) -> bytes:
    """Particulars as they are sealed."""
    return orjson.dumps(asdict(particulars))


def unpack(text: bytes) -> Particulars:
    """Particulars as they were sealed."""
    fields = orjson.loads(text)
    authors = tuple(Person(**author) for author in fields.pop("authors"))
    return Particulars(**fields, authors=authors)


def _state(label: Label) -> dict[str, object]:
    """The columns that an act can change."""
    return {
        "status": label.status.value,
        "masked": label.visibility.masked,
        "hidden_from_patient": label.visibility.hidden_from_patient,
        "hidden_from_representatives": label.visibility.hidden_from_representatives,
    }
