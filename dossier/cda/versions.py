"""Which document this is: its identifier, its version, and what it replaces or completes.

A document and all its later versions share a `setId`; each new one names by `relatedDocument` (RPLC) what it
replaces. Source: HL7 CDA R2, 4.2.1.7, 4.2.1.8 and 4.2.3.1.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from dossier.cda.markup import Element
from dossier.cda.notes import Notes
from dossier.cda.people import identifier

REPLACES: Final = "RPLC"
APPENDS: Final = "APND"
TRANSFORMS: Final = "XFRM"

_RELATIONS: Final = (REPLACES, APPENDS, TRANSFORMS)
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,8}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """The identity of one document; `set_id` may be "", `number` 0 where it is not told."""

    unique_id: str
    set_id: str
    number: int
    replaces: tuple[str, ...] = ()
    appends: tuple[str, ...] = ()


def read_version(root: Element, notes: Notes) -> Version:
    """The identity of the document; notes what contradicts itself in it."""
    named = notes.one(root, "id", why="it names this document and no other")
    unique_id = "" if named is None else str(identifier(named, notes))
    own = Version(unique_id=unique_id, set_id=_set_id(root, notes), number=_number(root, notes))
    if bool(own.set_id) != bool(own.number):
        has, lacks = ("setId", "versionNumber") if own.set_id else ("versionNumber", "setId")
        element = root.first(has) or root
        notes.at(element, f"has a {has} and no {lacks}", "write both, or neither")
    related: dict[str, list[str]] = {kind: [] for kind in _RELATIONS}
    for element in root.all("relatedDocument"):
        kind = element.get("typeCode")
        if kind not in related:
            remedy = f"write one of {', '.join(_RELATIONS)}"
            notes.at(element, "relates in no way that is known", remedy, "@typeCode")
        else:
            related[kind] += _parents(element, own, notes)
    return Version(
        unique_id=own.unique_id,
        set_id=own.set_id,
        number=own.number,
        replaces=tuple(dict.fromkeys(related[REPLACES])),
        appends=tuple(dict.fromkeys(related[APPENDS])),
    )


def _set_id(root: Element, notes: Notes) -> str:
    if root.first("setId") is None:
        return ""
    element = notes.one(root, "setId", why="it names all versions of this document")
    return "" if element is None else str(identifier(element, notes))


def _number(root: Element, notes: Notes) -> int:
    if root.first("versionNumber") is None:
        return 0
    element = notes.one(root, "versionNumber", why="it counts the versions of this document")
    if element is None:
        return 0
    value = element.get("value")
    if not _NUMBER.fullmatch(value):
        notes.at(element, "no number from 1 on", "count the versions from 1", "@value")
        return 0
    return int(value)


def _parents(related: Element, own: Version, notes: Notes) -> Iterator[str]:
    """The identifiers of the documents that one is related to."""
    parent = notes.one(related, "parentDocument", why="it names the other document")
    if parent is None:
        return
    if parent.first("id") is None:
        notes.at(parent, "has no id", "name the other document by its id")
    for element in parent.all("id"):
        other = str(identifier(element, notes))
        if other and other == own.unique_id:
            notes.at(element, "the document is related to itself", "name the other document")
        yield other
    if related.get("typeCode") == REPLACES:
        _check_replaced(parent, own, notes)


def _check_replaced(parent: Element, own: Version, notes: Notes) -> None:
    """What replaces another is a later version in the same set, as far as that is told."""
    if own.number == 1:
        notes.at(parent, "replaces another, and is version 1", "count on from the other's version")
    if parent.first("versionNumber") is not None:
        number = _number(parent, notes)
        if number and own.number and own.number <= number:
            remedy = "count on from the other's version"
            notes.at(parent, "is no later version than what it replaces", remedy)
    if parent.first("setId") is not None:
        set_id = _set_id(parent, notes)
        if set_id and own.set_id and set_id != own.set_id:
            notes.at(parent, "is of another set than what it replaces", "keep the other's setId")
