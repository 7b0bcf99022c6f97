"""What the index must note of an entry, so that unusual accesses are found later (`audit.office.unusual`).

* That a professional consulted without a relation in care that policy knows of: no valid authorisation at
  that time, neither author of the document nor treating doctor. So it is in each break-glass; in normal
  access policy permits it to nobody, unless somebody changes it. Left out are the centre 15, whose regulators
  have no such relation by their office, and lists by normal access, which show authors what they wrote.
* Under which family name somebody acted. Of a patient it is known only if the patient acted under it.
"""

import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from sqlalchemy import Connection, delete

from audit.entry import Entry
from audit.office.gained import NORMAL, Gained
from audit.office.handles import Handles
from audit.office.policies import Policies
from audit.office.steps import CONSULTING
from audit.office.tables import family_names, strangers
from storage.statements import run

_ADD: Final = (
    "INSERT INTO strangers (log, place, at, professional, patient)"
    " VALUES (:log, :place, :at, :professional, :patient)"
)
_NAME: Final = (
    "INSERT INTO family_names (person, name, log, place) VALUES (:person, :name, :log, :place)"
    " ON CONFLICT (person, name, log) DO UPDATE SET place = excluded.place"
)
_REGULATION: Final = "centre_15"
_LIST: Final = "document.list"
_MIN_LETTERS: Final = 2
_KNOWN: Final = 16_384


class Signs:
    """Notes them: a `Derivation`."""

    def __init__(self, handles: Handles) -> None:
        self._handles = handles

    def take(self, conn: Connection, entries: Sequence[Gained]) -> None:
        """Notes what entries show."""
        found = [
            {
                "log": one.log,
                "place": one.index,
                "at": one.at,
                "professional": self._handles.person(one.entry["subject"]["id"]),
                "patient": self._handles.person(one.entry["patient"]),
            }
            for one in entries
            if is_stranger(one.entry, one.policies)
        ]
        if found:
            run(conn, _ADD, found)
        names: dict[tuple[int, int, int], int] = {}
        for one in entries:
            name = family_name_of(one.entry)
            if name:
                person = self._handles.person(one.entry["subject"]["id"])
                names[person, self._handles.name(name), one.log] = one.index
        if names:
            columns = ("person", "name", "log", "place")
            rows = [dict(zip(columns, (*key, names[key]), strict=True)) for key in sorted(names)]
            run(conn, _NAME, rows)

    def drop(self, conn: Connection, log: int, begin: int, end: int) -> None:
        """Removes what erased entries have shown; those of a log are erased from its beginning on."""
        for table in (strangers, family_names):
            c = table.c
            conn.execute(delete(table).where(c.log == log, c.place >= begin, c.place < end))


def is_stranger(entry: Entry, policies: Policies | None) -> bool:
    """Whether a professional consulted without a relation in care; not where that is not known."""
    mode, action = entry.get("mode", NORMAL), entry.get("action")
    if (
        policies is None
        or action not in CONSULTING
        or entry.get("effect") != "allow"
        or mode == _REGULATION
        or (mode == NORMAL and action == _LIST)
    ):
        return False
    subject = entry.get("subject", {})
    if subject.get("kind") != "professional" or not entry.get("patient"):
        return False
    authorised = policies.fact(entry, "subject.authorisation")
    treats = policies.fact(entry, "subject.treating_doctor")
    authors = entry.get("origin", {}).get("authors", ())
    return authorised not in (None, "valid") and treats != "yes" and subject["id"] not in authors


def family_name_of(entry: Entry) -> str:
    """The family name under which a professional, or the patient, acted; "" if it is not known."""
    subject = entry.get("subject", {})
    kind, id_ = subject.get("kind"), subject.get("id", "")
    known = kind == "professional" or (kind == "patient" and id_ == entry.get("patient"))
    return family_name(subject.get("name", "")) if known and id_ else ""


@lru_cache(_KNOWN)
def family_name(name: str) -> str:
    """The family name in a name, in capitals, without accents and hyphens, so that two can be compared.

    As on French cards it is what is written in capitals; else the last word.
    """
    words = name.replace("-", " ").replace("'", " ").split()
    capitals = [one for one in words if one.isupper() and len(one) >= _MIN_LETTERS]
    plain = unicodedata.normalize("NFD", " ".join(capitals or words[-1:]).upper())
    return "".join(one for one in plain if one.isalnum() or one == " ")
