"""The header of a document, read and checked: all mistakes are told at once.

Sources: HL7 CDA R2 (2005), and its French profile: CI-SIS, volet structuration minimale. What is required
here is what the record relies on; the whole of the standards is the work of `dossier.cda.validation`.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from dossier.cda.body import read_body
from dossier.cda.header import Confidentiality, Header
from dossier.cda.markup import MAX_BYTES, ROOT, Element, parse
from dossier.cda.moment import Moment, Precision, moment
from dossier.cda.notes import Notes, public
from dossier.cda.people import authors, custodian, patient
from dossier.cda.versions import read_version
from dossier.errors import CdaError
from dossier.mistake import Mistake
from dossier.types import DocumentTypes

TYPE_ID: Final = ("2.16.840.1.113883.1.3", "POCD_HD000040")
TEMPLATES: Final = {"2.16.840.1.113883.2.8.2.1": "HL7 France", "1.2.250.1.213.1.1.1.1": "CI-SIS"}
"""What every French document declares to follow."""

CONFIDENTIALITY: Final = "2.16.840.1.113883.5.25"
SKEW: Final = timedelta(minutes=5)
"""So much may the clock of a sender be ahead of ours."""

_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(-[A-Z]{2})?")
_NEVER: Final = Moment(start=datetime.min.replace(tzinfo=UTC), precision=Precision.YEAR)
"""Stands for a time that can't be read; what was noted about it keeps it from getting out."""


def read(data: bytes, *, now: datetime, types: DocumentTypes, max_bytes: int = MAX_BYTES) -> Header:
    """Reads the header of a CDA R2 document, and checks it and that its body is what it says.

    Args:
        data: the document's bytes.
        now: the instant that says which dates are in the future.
        types: the types of documents that are known.
        max_bytes: larger documents are refused unread.

    Raises:
        CdaError: With everything that is wrong. What is no safe, well-formed XML has one mistake only.
    """
    root = parse(data, max_bytes=max_bytes)
    if root.path != "/cda:ClinicalDocument":
        remedy = "send a ClinicalDocument in the namespace `urn:hl7-org:v3`"
        raise CdaError(
            [Mistake(xpath=ROOT, wrong="no CDA document", remedy=remedy, line=root.line)]
        )
    notes = Notes()
    _check_frame(root, notes)
    version = read_version(root, notes)
    type_code, type_system = _type(root, types, notes)
    title = _title(root, notes)
    effective = _effective(root, now, notes)
    confidentiality = _confidentiality(root, notes)
    language = _language(root, notes)
    ids, traits = patient(root, notes)
    written_by = authors(root, notes)
    kept_by = custodian(root, notes)
    start, stop = _service(root, notes)
    body = read_body(root, notes)
    notes.raise_any()
    return Header(
        unique_id=version.unique_id,
        set_id=version.set_id,
        version_number=version.number,
        type_code=type_code,
        type_system=type_system,
        title=title,
        language=language,
        confidentiality=confidentiality,
        effective_time=effective.start,
        effective_precision=effective.precision,
        patient_ids=ids,
        patient=traits,
        authors=written_by,
        custodian=kept_by,
        service_start=start,
        service_stop=stop,
        replaces=version.replaces,
        appends=version.appends,
        template_ids=tuple(template.get("root") for template in root.all("templateId")),
        body=body,
    )


def _check_frame(root: Element, notes: Notes) -> None:
    """What says that this is a French CDA document."""
    realm = notes.one(root, "realmCode", why='French documents say `code="FR"`')
    if realm is not None and realm.get("code") != "FR":
        notes.at(realm, "not the French realm", "write `FR`", "@code")
    standard = notes.one(root, "typeId", why="it says that the document is CDA R2")
    if standard is not None and (standard.get("root"), standard.get("extension")) != TYPE_ID:
        remedy = f'write `root="{TYPE_ID[0]}"` and `extension="{TYPE_ID[1]}"`'
        notes.at(standard, "not the standard CDA R2", remedy)
    followed = {template.get("root") for template in root.all("templateId")}
    for template, name in TEMPLATES.items():
        if template not in followed:
            remedy = f'add `<templateId root="{template}"/>` and follow it'
            notes.at(root, f"does not declare to follow {name}", remedy)


def _type(root: Element, types: DocumentTypes, notes: Notes) -> tuple[str, str]:
    """The typeCode and its system, as written."""
    element = notes.one(root, "code", why="it is the type of the document (JDV_J07)")
    if element is None:
        return "", ""
    code, system = element.get("code"), element.get("codeSystem")
    if types.find(code, system) is None:
        known = types.today(code)
        if known is None:
            remedy = types.hint(code) or "take a code from JDV_J07"
            notes.at(element, f"no type of document: {public(code)}", remedy, "@code")
        else:
            remedy = f"write `{types.system(code)}`"
            notes.at(element, f"not the system of `{code}`", remedy, "@codeSystem")
    return code, system


def _title(root: Element, notes: Notes) -> str:
    element = notes.one(root, "title", why="lists show it")
    if element is None:
        return ""
    title = " ".join(element.text.split())
    if not title:
        notes.at(element, "is empty", "write a title: lists show it")
    return title


def _effective(root: Element, now: datetime, notes: Notes) -> Moment:
    """When the document was made."""
    element = notes.one(root, "effectiveTime", why="it is when the document was made")
    if element is None:
        return _NEVER
    read = moment(element.get("value"))
    if read is None:
        remedy = "write it as `20260328143000+0200`"
        notes.at(element, "no time of the calendar", remedy, "@value")
        return _NEVER
    if read.start > now + SKEW:
        notes.at(element, "lies in the future", "write when the document was made", "@value")
    return read


def _confidentiality(root: Element, notes: Notes) -> Confidentiality:
    element = notes.one(root, "confidentialityCode", why="it says how confidential the document is")
    if element is None:
        return Confidentiality.NORMAL
    code = element.get("code")
    if code not in set(Confidentiality):
        remedy = "write `N`, `R` or `V`; what hides a document is said when it is deposited"
        notes.at(element, "no confidentiality that a header may have", remedy, "@code")
        return Confidentiality.NORMAL
    if element.get("codeSystem") != CONFIDENTIALITY:
        notes.at(
            element, f"not the system of `{code}`", f"write `{CONFIDENTIALITY}`", "@codeSystem"
        )
    return Confidentiality(code)


def _language(root: Element, notes: Notes) -> str:
    element = notes.one(root, "languageCode", why="it is the language of the document")
    if element is None:
        return ""
    if not _LANGUAGE.fullmatch(element.get("code")):
        notes.at(element, "no language", "write `fr-FR`", "@code")
    return element.get("code")


def _service(root: Element, notes: Notes) -> tuple[datetime | None, datetime | None]:
    """Beginning and end of the care that is documented: of the first event that tells a time."""
    for event in root.all("documentationOf", "serviceEvent"):
        time = event.first("effectiveTime")
        if time is None or time.get("nullFlavor"):
            continue
        start = _bound(time.first("low") or time, notes)
        high = time.first("high")
        stop = None if high is None else _bound(high, notes)
        if start and stop and stop < start:
            notes.at(time, "ends before it begins", "write `low` and `high` in their order")
        return start, stop
    return None, None


def _bound(element: Element, notes: Notes) -> datetime | None:
    """An end of an interval; None when it is not told, and after noting that it can't be read."""
    value = element.get("value")
    if not value:
        return None
    read = moment(value)
    if read is None:
        notes.at(element, "no time of the calendar", "write it as `20260328143000+0200`", "@value")
        return None
    return read.start
