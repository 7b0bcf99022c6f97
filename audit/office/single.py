"""One entry: found by its id or its place, and told with facts, rules and proof."""

from typing import Final
from uuid import UUID

from sqlalchemy import Connection, select

from audit import reader
from audit.entry import uuid7_ms
from audit.errors import EntryError, EvidenceError, FormatError, ProofError
from audit.evidence import Evidence
from audit.office.errors import UnknownError
from audit.office.filters import hint
from audit.office.office import Office
from audit.office.places import Place, fetch
from audit.office.shown import Shown
from audit.office.tables import entries, positions
from audit.office.telling import facts, rules
from audit.reader import Stored
from audit.receipts import receipt_of
from audit.v1 import audit_pb2 as pb
from serving.errors import RequestError

_MAX_DIGITS: Final = 18
_MAX_ORIGIN: Final = 256


def read(wanted: str, *, field: str = "id") -> str | tuple[str, int]:
    """The id of an entry, or its log and its index there.

    Args:
        wanted: as it was given.
        field: where.

    Raises:
        RequestError: it is neither.
    """
    origin, mark, index = wanted.rpartition("#")
    if mark:
        digits = index.isascii() and index.isdigit() and len(index) <= _MAX_DIGITS
        if not (digits and 0 < len(origin) <= _MAX_ORIGIN and origin.isprintable()):
            raise RequestError([(field, f"no place: `{hint(wanted)}`", "give it as `LOG#INDEX`")])
        return origin, int(index)
    try:
        uuid7_ms(wanted)
    except EntryError:
        cure = "give all of it, as in the log, or a place as `LOG#INDEX`"
        raise RequestError([(field, f"no UUID of version 7: `{hint(wanted)}`", cure)]) from None
    return str(UUID(wanted))


def find(office: Office, wanted: str) -> Stored | None:
    """The entry with this id or at this place; None if there is none.

    What is not in the index yet is looked for in the log, around the instant that the id tells.

    Raises:
        LogDamagedError: a batch can't be taken apart.
    """
    meant = read(wanted)
    with office.log.connect() as log:
        if isinstance(meant, tuple):
            origin, index = meant
            at = reader.read(log, origin=origin, start=index, limit=1)
            return next((one for one in at if one.index == index), None)
        with office.index.connect() as conn:
            place = _indexed(conn, meant)
        if place is not None:
            stored = fetch(log, [place]).get(place)
            if stored is not None and not stored.erased and stored.entry.get("id") == meant:
                return stored
        return reader.find(log, meant)


def found(office: Office, wanted: str) -> Stored:
    """As `find`; raises UnknownError if there is none."""
    stored = find(office, wanted)
    if stored is None:
        raise UnknownError(f"no entry `{hint(wanted)}` in the log, or it was erased")
    return stored


def concerned(stored: Stored | None) -> str:
    """The patient whom an entry is about; "" if it is about none, or is not there any more."""
    if stored is None or stored.erased is not None:
        return ""
    entry = stored.entry
    subject = entry.get("subject", {})
    patient = entry.get("patient", "")
    return patient or (subject.get("id", "") if subject.get("kind") == "patient" else "")


def told(office: Office, seen: Shown, stored: Stored) -> pb.ShowResponse:
    """The entry with its facts and rules in words and, where nothing of it is withheld, its proof.

    Args:
        office: where policies and evidence are.
        seen: what may be seen of it.
        stored: it as it stands in the log.
    """
    answer = pb.ShowResponse(entry=seen.message())
    if stored.erased is not None:
        return answer
    with office.log.connect() as log:
        policies = office.shelf.get(log, seen.entry.get("bundle", ""))
    if policies is not None:
        answer.facts.extend(facts(policies, seen.entry))
        answer.rules.extend(rules(policies, seen.entry))
    if seen.exact:
        answer.receipt = _receipt(office, stored)
    return answer


def _indexed(conn: Connection, decision_id: str) -> Place | None:
    c = entries.c
    row = conn.execute(
        select(c.at, c.place, positions.c.origin)
        .join(positions, positions.c.log == c.log)
        .where(c.id == UUID(decision_id).bytes)
        .limit(1)
    ).first()
    return row and Place(origin=row.origin, index=row.place, at=row.at)


def _receipt(office: Office, stored: Stored) -> bytes:
    """Its receipt; none before it is sealed, or where what is published can't be believed."""
    try:
        return bytes(receipt_of(stored, Evidence(office.evidence, stored.origin)))
    except (EvidenceError, FormatError, ProofError, OSError):
        return b""
