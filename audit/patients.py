"""The last entry of each patient in a log, so that the next one can name it (completeness).

The table is the truth, memory holds the patients seen last. No patient number stands in the table:
a handle does, which is keyed (`audit.entry.handle`).
"""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final, NamedTuple

from sqlalchemy import Connection, select

from audit.entry import handle
from audit.tables import log_patients
from storage.statements import run

_CHUNK: Final = 500  # handles in one query, below any driver's limit of parameters

_SAVE: Final = (
    "INSERT INTO log_patients (origin, handle, seq, commitment)"
    " VALUES (:origin, :handle, :seq, :commitment)"
    " ON CONFLICT (origin, handle) DO UPDATE"
    " SET seq = excluded.seq, commitment = excluded.commitment"
)


class Last(NamedTuple):
    """The last entry of a patient; number 0 stands for none yet."""

    handle: bytes
    seq: int
    commitment: bytes


class Patients:
    """The last entries of one log, as far as they are committed.

    * What a batch adds is kept by the caller, saved with `save` and told to `adopt` after the commit.
    * At most `limit` patients are kept in memory, the last used ones.
    """

    def __init__(self, origin: str, key: bytes, limit: int) -> None:
        """Starts with an empty memory; `key` makes the handles."""
        self._origin = origin
        self._key = key
        self._limit = limit
        self._known: OrderedDict[str, Last] = OrderedDict()

    def __len__(self) -> int:
        """How many patients are in memory."""
        return len(self._known)

    def find(self, conn: Connection, wanted: Iterable[str]) -> dict[str, Last]:
        """The last entry of each patient wanted, from memory or from the table."""
        found: dict[str, Last] = {}
        missing: dict[bytes, str] = {}
        for patient in wanted:
            last = self._known.get(patient)
            if last is None:
                last = Last(handle(self._key, patient), 0, b"")
                missing[last.handle] = patient
            found[patient] = last
        handles, c = list(missing), log_patients.c
        for start in range(0, len(handles), _CHUNK):
            some = c.handle.in_(handles[start : start + _CHUNK])
            query = select(c.handle, c.seq, c.commitment).where(c.origin == self._origin, some)
            for row in conn.execute(query):
                found[missing[row.handle]] = Last(*row)
        return found

    def save(self, conn: Connection, batch: dict[str, Last]) -> None:
        """Writes what a batch has made the last entries of its patients."""
        if batch:
            rows = [
                {
                    "origin": self._origin,
                    "handle": last.handle,
                    "seq": last.seq,
                    "commitment": last.commitment,
                }
                for last in batch.values()
            ]
            run(conn, _SAVE, rows)

    def adopt(self, batch: dict[str, Last]) -> None:
        """Remembers what was saved: it is committed."""
        for patient, last in batch.items():
            self._known[patient] = last
            self._known.move_to_end(patient)
        while len(self._known) > self._limit:
            self._known.popitem(last=False)

    def forget(self, batch: dict[str, Last]) -> None:
        """Reads these patients from the table next time: nobody knows what is in it."""
        for patient in batch:
            self._known.pop(patient, None)
