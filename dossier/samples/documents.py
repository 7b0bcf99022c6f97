"""Sample documents: CDA R2 with a French header, about test patients, as many as are wanted.

The same arguments give the same bytes, and `dossier.cda.read` gives the same values back. Arguments are not
checked, so that a test can be wrong on purpose.
"""

import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from typing import Final

from dossier.cda.header import Author, Custodian, Identifier, Traits
from dossier.cda.people import PERSONS, STRUCTURES
from dossier.types import LOINC

DOMINIQUE: Final = Identifier(root="1.2.250.1.213.1.4.10", extension="279035121518989")
"""The number of the standard test patient, DOMINIQUE PAT-TROIS."""

TRAITS: Final = Traits(
    family_name="PAT-TROIS",
    usage_name="PAT-TROIS",
    given_names=("DOMINIQUE", "DOMINIQUE MARIE-LOUISE"),
    used_name="DOMINIQUE",
    birth_date="1979-03-28",
    sex="F",
)
CLINIC: Final = Custodian(
    id=Identifier(root=STRUCTURES, extension="10B0193488"), name="Cabinet d'essai"
)
MADE_AT: Final = datetime(2011, 5, 31, 9, 0, tzinfo=UTC)

GENERAL_PRACTITIONER: Final = "G15_10/SM26"
ROLES: Final = "1.2.250.1.213.1.1.4.5"
"""The code system of professions with their specialties (JDV_J01)."""

_TIME: Final = "%Y%m%d%H%M%S%z"


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file that a document carries instead of markup."""

    media_type: str
    content: bytes


def author(
    id_nat: str = "899700218896",
    *,
    family_name: str = "ESSAI",
    given_name: str = "Camille",
    role: str = GENERAL_PRACTITIONER,
    structure: str = "10B0193488",
    organisation: str = "Cabinet d'essai",
) -> Author:
    """A professional who works in a structure, by their national numbers."""
    return Author(
        ids=(Identifier(root=PERSONS, extension=id_nat),),
        id_nat=id_nat,
        family_name=family_name,
        given_name=given_name,
        role=role,
        role_system=ROLES,
        structure=structure,
        organisation_ids=(Identifier(root=STRUCTURES, extension=structure),),
        organisation=organisation,
    )


DOCTOR: Final = author()


def document(
    *,
    unique_id: str,
    type_code: str = "11488-4",
    type_system: str = LOINC,
    title: str = "Compte rendu de consultation",
    patient: Identifier = DOMINIQUE,
    traits: Traits = TRAITS,
    authors: Sequence[Author] = (DOCTOR,),
    custodian: Custodian = CLINIC,
    made_at: datetime = MADE_AT,
    confidentiality: str = "N",
    set_id: str = "",
    version: int = 1,
    replaces: str = "",
    appends: str = "",
    body: str | File = "Contenu inventé.",
) -> bytes:
    """A document.

    Args:
        unique_id: `root^extension` or `root`, as in XDS; so are `set_id`, `replaces` and `appends`.
        type_code: its type.
        type_system: the code system of the type.
        title: what lists show.
        patient: the patient's number with the root of who gave it.
        traits: the patient's names, birth and sex.
        authors: people and devices, each with at least one identifier.
        custodian: who keeps the original.
        made_at: the effective time, which is also that of the authors and of the care.
        confidentiality: `N`, `R` or `V`.
        set_id: shared by all versions; "" makes one from `unique_id`.
        version: from 1 on.
        replaces: the document that this one replaces, "" for none.
        appends: the document that this one completes, "" for none.
        body: text, whose lines become the paragraphs of one section; or a file.
    """
    at = made_at.strftime(_TIME)
    text = f"""<?xml version="1.0" encoding="UTF-8"?>
<ClinicalDocument xmlns="urn:hl7-org:v3">
<realmCode code="FR"/>
<typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/>
<templateId root="2.16.840.1.113883.2.8.2.1"/>
<templateId root="1.2.250.1.213.1.1.1.1"/>
{_id("id", unique_id)}
<code code="{escape(type_code)}" codeSystem="{escape(type_system)}"/>
<title>{escape(title)}</title>
<effectiveTime value="{at}"/>
<confidentialityCode code="{escape(confidentiality)}" codeSystem="2.16.840.1.113883.5.25"/>
<languageCode code="fr-FR"/>
{_id("setId", set_id or _set_of(unique_id))}
<versionNumber value="{version}"/>
{_patient(patient, traits)}
{"".join(_author(one, at) for one in authors)}\
<custodian><assignedCustodian><representedCustodianOrganization>
{_id("id", str(custodian.id))}<name>{escape(custodian.name)}</name>
</representedCustodianOrganization></assignedCustodian></custodian>
<legalAuthenticator><time value="{at}"/><signatureCode code="S"/>
<assignedEntity>{_ids(authors[0].ids) if authors else ""}</assignedEntity>
</legalAuthenticator>
<documentationOf><serviceEvent>
<effectiveTime><low value="{at}"/></effectiveTime>
</serviceEvent></documentationOf>
{_related("RPLC", replaces)}{_related("APND", appends)}\
<componentOf><encompassingEncounter>
<effectiveTime><low value="{at}"/></effectiveTime>
</encompassingEncounter></componentOf>
<component>{_body(body)}</component>
</ClinicalDocument>
"""
    return text.encode()


def pdf(text: str) -> bytes:
    """A PDF of one page with the lines of a text, for bodies; characters outside Latin-1 become `?`."""
    safe = text.translate({ord(char): f"\\{char}" for char in "\\()"})
    shown = "".join(f"({line}) ' " for line in safe.splitlines())
    stream = f"BT /F 12 Tf 16 TL 56 800 Td {shown}ET".encode("latin-1", "replace")
    objects = (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%b\nendstream" % (len(stream), stream),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
    )
    parts, places = [b"%PDF-1.4\n"], []
    for number, one in enumerate(objects, 1):
        places.append(sum(map(len, parts)))
        parts.append(b"%d 0 obj%b endobj\n" % (number, one))
    start = sum(map(len, parts))
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    parts.append(b"xref\n0 6\n0000000000 65535 f \n" + table)
    parts.append(b"trailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % start)
    return b"".join(parts)


def _set_of(unique_id: str) -> str:
    return f"{unique_id}-set" if "^" in unique_id else f"{unique_id}.0"


def _id(element: str, identifier: str) -> str:
    root, _, extension = identifier.partition("^")
    rest = f' extension="{escape(extension)}"' if extension else ""
    return f'<{element} root="{escape(root)}"{rest}/>'


def _ids(identifiers: Sequence[Identifier]) -> str:
    return "".join(_id("id", str(one)) for one in identifiers)


def _patient(patient: Identifier, traits: Traits) -> str:
    first, *others = traits.given_names or ("",)
    names = [f'<family qualifier="BR">{escape(traits.family_name)}</family>']
    names += [f"<given>{escape(name)}</given>" for name in others]
    names += [f'<given qualifier="BR">{escape(first)}</given>'] if first else []
    if traits.usage_name:
        names.append(f'<family qualifier="CL">{escape(traits.usage_name)}</family>')
    if traits.used_name:
        names.append(f'<given qualifier="CL">{escape(traits.used_name)}</given>')
    return f"""<recordTarget><patientRole>{_id("id", str(patient))}
<patient><name>{"".join(names)}</name>
<administrativeGenderCode code="{escape(traits.sex)}" codeSystem="2.16.840.1.113883.5.1"/>
<birthTime value="{traits.birth_date.replace("-", "")}"/></patient></patientRole></recordTarget>"""


def _author(one: Author, at: str) -> str:
    role, place = "", _ids(one.organisation_ids)
    if one.role:
        role = f'<code code="{escape(one.role)}" codeSystem="{escape(one.role_system)}"/>'
    if one.device:
        name = f"<softwareName>{escape(one.device)}</softwareName>"
        who = f"<assignedAuthoringDevice>{name}</assignedAuthoringDevice>"
    else:
        given = f"<given>{escape(one.given_name)}</given>"
        name = f"<family>{escape(one.family_name)}</family>{given}"
        who = f"<assignedPerson><name>{name}</name></assignedPerson>"
    if place:
        name = f"<name>{escape(one.organisation)}</name>"
        place = f"<representedOrganization>{place}{name}</representedOrganization>"
    return f"""<author><time value="{at}"/><assignedAuthor>{_ids(one.ids)}{role}
{who}{place}</assignedAuthor></author>
"""


def _related(kind: str, other: str) -> str:
    if not other:
        return ""
    parent = f"<parentDocument>{_id('id', other)}</parentDocument>"
    return f'<relatedDocument typeCode="{kind}">{parent}</relatedDocument>\n'


def _body(body: str | File) -> str:
    if isinstance(body, File):
        content = binascii.b2a_base64(body.content, newline=False).decode()
        start = f'<text mediaType="{escape(body.media_type)}" representation="B64">'
        return f"<nonXMLBody>{start}{content}</text></nonXMLBody>"
    lines = "".join(f"<paragraph>{escape(line)}</paragraph>" for line in body.splitlines())
    section = f"<section><title>Contenu</title><text>{lines}</text></section>"
    return f"<structuredBody><component>{section}</component></structuredBody>"
