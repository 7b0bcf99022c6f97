"""Who stands in a header: the patient, the authors, the organisation that keeps the original."""

import re
from typing import Final

from dossier.cda.header import Author, Custodian, Identifier, Traits
from dossier.cda.markup import Element
from dossier.cda.moment import moment, partial_date
from dossier.cda.notes import Notes
from serving.idnat import as_issued

PERSONS: Final = "1.2.250.1.71.4.2.1"
"""The root of the national numbers of professionals and employees (idNat_PS)."""

STRUCTURES: Final = "1.2.250.1.71.4.2.2"
"""The root of the national numbers of structures (idNat_Struct)."""

ID_LENGTH: Final = 128
"""XDS takes no longer identifier of a document."""

NOBODY: Final = Identifier(root="")
"""Stands for an identifier that can't be read; what was noted about it keeps it from getting out."""

_OID: Final = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")
_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_NAME_PARTS: Final = ("family", "given")


def identifier(element: Element, notes: Notes) -> Identifier:
    """An identifier; `NOBODY` after noting that it has no usable form."""
    root, extension = element.get("root"), element.get("extension")
    before = len(notes)
    if not _OID.fullmatch(root) and not _UUID.fullmatch(root):
        notes.at(element, "the root is neither an OID nor a UUID", "write who gave it", "@root")
    if extension != extension.strip() or not extension.isprintable():
        notes.at(element, "blanks or unseen characters", "leave them out", "@extension")
    if len(root) + 1 + len(extension) > ID_LENGTH:
        notes.at(element, f"longer than {ID_LENGTH} characters", "give a shorter one")
    return Identifier(root=root, extension=extension) if len(notes) == before else NOBODY


def patient(root: Element, notes: Notes) -> tuple[tuple[Identifier, ...], Traits]:
    """The patient's identifiers and traits."""
    target = notes.one(root, "recordTarget", why="a document is about one patient")
    if target is None:
        return (), Traits()
    role = notes.one(target, "patientRole", why="a document is about one patient")
    if role is None:
        return (), Traits()
    ids = _known_ids(role, notes)
    if not ids:
        notes.at(role, "the patient has no id", "write the INS under the root of its kind")
    person = notes.one(role, "patient", why="it tells the patient's name")
    if person is None:
        return ids, Traits()
    if not any(part.text.strip() for part in person.all("name", "family")):
        notes.at(person, "has no family name", "write it, as the INS gives it")
    return ids, _traits(person)


def authors(root: Element, notes: Notes) -> tuple[Author, ...]:
    """All authors; notes one without time or without an identified author."""
    found = []
    for element in root.all("author"):
        if element.first("time") is None:
            notes.at(element, "has no time", "write when the author contributed")
        assigned = notes.one(element, "assignedAuthor", why="it tells who the author is")
        if assigned is not None:
            found.append(_author(element, assigned, notes))
    if root.first("author") is None:
        notes.at(root, "has no author", "say who or what made the document")
    return tuple(found)


def custodian(root: Element, notes: Notes) -> Custodian:
    """The custodian; one without identifier after noting what is wrong with it."""
    why = "it tells the organisation that keeps the original"
    element: Element | None = root
    for name in ("custodian", "assignedCustodian", "representedCustodianOrganization"):
        if element is not None:
            element = notes.one(element, name, why=why)
    if element is None:
        return Custodian(id=NOBODY)
    named = element.first("id")
    if named is None:
        notes.at(element, "has no id", "write the organisation's number")
        return Custodian(id=NOBODY)
    return Custodian(id=identifier(named, notes), name=_text(element, "name"))


def _known_ids(element: Element, notes: Notes) -> tuple[Identifier, ...]:
    """The identifiers of an element, but for those that are said to be unknown."""
    told = (child for child in element.all("id") if not child.get("nullFlavor"))
    return tuple(identifier(child, notes) for child in told)


def _author(element: Element, assigned: Element, notes: Notes) -> Author:
    if assigned.first("id") is None:
        notes.at(assigned, "has no id", "write the author's number under the root of its kind")
    ids = _known_ids(assigned, notes)
    organisation = assigned.first("representedOrganization")
    organisations = () if organisation is None else _known_ids(organisation, notes)
    code, time = assigned.first("code"), element.first("time")
    read = None if time is None else moment(time.get("value"))
    return Author(
        ids=ids,
        id_nat=as_issued(_under(PERSONS, ids)),
        family_name=_text(assigned, "assignedPerson", "name", "family"),
        given_name=_text(assigned, "assignedPerson", "name", "given"),
        role="" if code is None else code.get("code"),
        role_system="" if code is None else code.get("codeSystem"),
        device=_device(assigned),
        structure=as_issued(_under(STRUCTURES, organisations)),
        organisation_ids=organisations,
        organisation="" if organisation is None else _text(organisation, "name"),
        time=None if read is None else read.start,
    )


def _device(assigned: Element) -> str:
    """What the device is called; a dot, which some write for nothing, if it has no name."""
    device = assigned.first("assignedAuthoringDevice")
    if device is None:
        return ""
    return _text(device, "softwareName") or _text(device, "manufacturerModelName") or "."


def _under(root: str, ids: tuple[Identifier, ...]) -> str:
    return next((one.extension for one in ids if one.root == root), "")


def _text(element: Element, *way: str) -> str:
    found = element.first(*way)
    return "" if found is None else " ".join(found.text.split())


def _traits(person: Element) -> Traits:
    """The traits; a part without qualifier is of birth, as documents before the INS of today write it."""
    parts: dict[tuple[str, str], list[str]] = {}
    for name in person.all("name"):
        for part in name.children:
            words = " ".join(part.text.split())
            if part.name in _NAME_PARTS and words:
                parts.setdefault((part.name, part.get("qualifier")), []).append(words)

    def first(*keys: tuple[str, str]) -> str:
        return next((parts[key][0] for key in keys if key in parts), "")

    given = parts.get(("given", "BR"), []) + parts.get(("given", ""), [])
    sex, born = person.first("administrativeGenderCode"), person.first("birthTime")
    return Traits(
        family_name=first(("family", "BR"), ("family", "")),
        usage_name=first(("family", "CL"), ("family", "SP")),
        given_names=tuple(dict.fromkeys(given)),
        used_name=first(("given", "CL")),
        birth_date="" if born is None else partial_date(born.get("value")),
        sex="" if sex is None else sex.get("code"),
    )
