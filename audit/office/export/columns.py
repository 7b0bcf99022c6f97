"""An entry as a row, for the forms that are tables."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from audit.entry import Entry
from audit.office.gained import NORMAL
from audit.office.shown import Shown

Value = str | int | bool | datetime | list[str]


def _at(*path: str) -> Callable[[Entry], str]:
    """Reads a text of the entry; "" where there is none."""

    def read(entry: Entry) -> str:
        value: Any = entry
        for name in path:
            value = value.get(name, {}) if isinstance(value, Mapping) else {}
        return value if isinstance(value, str) else ""

    return read


TEXTS: Final[Mapping[str, Callable[[Entry], str]]] = {
    "id": _at("id"),
    "kind": _at("kind"),
    "caller": _at("caller"),
    "subject_kind": _at("subject", "kind"),
    "subject": _at("subject", "id"),
    "subject_name": _at("subject", "name"),
    "profession": _at("subject", "profession"),
    "structure": _at("subject", "structure"),
    "structure_name": _at("subject", "structure_name"),
    "authentication": _at("subject", "authentication"),
    "action": _at("action"),
    "patient": _at("patient"),
    "document": _at("document", "id"),
    "document_type": _at("document", "type"),
    "document_class": _at("document", "class"),
    "document_space": _at("document", "space"),
    "origin_structure": _at("origin", "author_structure"),
    "origin_system": _at("origin", "system"),
    "target_kind": _at("target", "kind"),
    "target": _at("target", "id"),
    "mode": lambda entry: entry.get("mode", NORMAL),
    "given_reason_code": _at("reason", "code"),
    "given_reason": _at("reason", "text"),
    "effect": _at("effect"),
    "reason_code": _at("reason_code"),
    "bundle": _at("bundle"),
    "trace_id": _at("trace_id"),
    "call": _at("call"),
    "about": _at("about"),
}
"""By column: organisation, person, category of data and origin are what EHDS annex II 3.2 asks for."""

LISTS: Final = ("rules", "obligations", "remarks")
AUTHORS: Final = "origin_authors"
NAMES: Final = ("log", "index", "at", *TEXTS, AUTHORS, *LISTS, "revision", "erased")


def row(one: Shown) -> dict[str, Value]:
    """The values of an entry by the name of their column; lists are lists of texts."""
    entry = one.entry
    found: dict[str, Value] = {
        "log": one.stored.origin,
        "index": one.stored.index,
        "at": one.at,
    }
    erased = one.stored.erased is not None
    found.update({name: "" if erased else read(entry) for name, read in TEXTS.items()})
    found[AUTHORS] = [str(author) for author in entry.get("origin", {}).get("authors", ())]
    for name in LISTS:
        found[name] = [str(value) for value in _listed(entry, name)]
    found["revision"] = entry.get("revision", 0)
    found["erased"] = erased
    return found


def _listed(entry: Entry, name: str) -> list[object]:
    value: object = entry.get(name, ())
    return list(value) if isinstance(value, list | tuple) else []
