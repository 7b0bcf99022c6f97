"""Entries as one reader may see them: in clear, or with patients by pseudonym."""

from dataclasses import dataclass
from datetime import datetime

from audit.entry import Entry, canonical
from audit.office import wire
from audit.office.gained import moment
from audit.office.handles import Handles
from audit.office.policies import Policies
from audit.office.veil import veiled
from audit.reader import Stored
from audit.v1 import audit_pb2 as pb


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """An entry for a reader.

    Attributes:
        stored: as it stands in the log.
        entry: what may be seen of its fields; none where it was erased.
        exact: whether that is all of it.
        pseudonym: of the patient, also where it may be seen in clear; "" for none.
        policies: that it was decided under, where they are known and wanted.
    """

    stored: Stored
    entry: Entry
    exact: bool
    pseudonym: str = ""
    policies: Policies | None = None

    @property
    def at(self) -> datetime:
        """When it was decided, or the batch of an erased one written."""
        erased = self.stored.erased
        return moment(self.entry["at"] if erased is None else erased.at)

    @property
    def bytes(self) -> bytes:
        """What may be seen of it, in the form of the log; none where it was erased."""
        # What was parsed from JSON is lists and strings, so this never fails.
        return self.stored.bytes if self.exact else canonical(self.entry)

    def message(self) -> pb.Entry:
        """It on the wire, with its bytes where they are exact."""
        return wire.entry(self.stored, self.entry, exact=self.exact)


def shown(
    stored: Stored, handles: Handles, *, hidden: bool, policies: Policies | None = None
) -> Shown:
    """An entry for a reader.

    Args:
        stored: as it stands in the log.
        handles: for the pseudonyms.
        hidden: whether patients are to be shown by pseudonym alone.
        policies: that it was decided under.

    Raises:
        LogDamagedError: it is no entry.
    """
    if stored.erased is not None:
        return Shown(stored=stored, entry={}, exact=True)
    entry = stored.entry
    seen = veiled(entry, handles) if hidden else entry
    return Shown(
        stored=stored,
        entry=seen,
        exact=seen is entry,
        pseudonym=handles.pseudonym(entry.get("patient", "")),
        policies=policies,
    )
