"""Who and what `dmp demo` speaks of, and how they ask.

Everyone is invented, in the manner of test cards, and the numbers are test numbers. Anasta PASQUIER of the
slides of 2011 carries the INS-C of the standard test patient, because the number printed there is none.
"""

from dataclasses import dataclass
from typing import Final

from google.protobuf.message import Message

from authz import ins
from authz.v1 import authz_pb2 as pb
from clients.cli.show import Said


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Someone of the story: how they are called, and what they say of themselves when they ask."""

    called: Said
    subject: pb.Subject


PRINTED: Final = "3418935386100576927851"
"""The INS that the slides print."""

TRAITS: Final = ("DOMINIQUE", "790328", "2790351215189")
"""First name, birth date, NIR of the standard test patient."""

INS: Final = ins.compute(*TRAITS)


def _person(
    called: Said,
    *,
    kind: str = "professional",
    authentication: str = "individual_card",
    capacity: str = "care",
    **more: str,
) -> Person:
    subject = pb.Subject(kind=kind, authentication=authentication, capacity=capacity)
    for name, value in more.items():
        setattr(subject, name, value)
    return Person(called=called, subject=subject)


def same(text: str) -> Said:
    """What is the same in both languages."""
    return Said(text, text)


DOCTOR: Final = _person(
    same("Dr MEDECIN3857"),
    id="00B1038575",
    name="Dr Paul MEDECIN3857",
    profession="10",
    structure="10B0193488",
)
STRANGER: Final = _person(
    Said("Dr MEDECIN7021, un inconnu,", "Dr MEDECIN7021, a stranger,"),
    id="899700300702",
    name="Dr Hugo MEDECIN7021",
    profession="10",
    structure="10B0252419",
)
TREATING: Final = _person(
    Said("Dr MEDECIN4410, médecin traitant,", "Dr MEDECIN4410, the treating doctor,"),
    id="899700300447",
    name="Dr Claire MEDECIN4410",
    profession="10",
    structure="10B0252419",
)
PHARMACIST: Final = _person(
    Said("La pharmacienne", "The pharmacist"),
    id="899700300215",
    name="Rose PHARMACIEN2104",
    profession="21",
    structure="10B0245672",
)
REGULATOR: Final = _person(
    Said("La régulatrice du SAMU", "The SAMU's regulator"),
    id="899700300157",
    name="Dr Anne MEDECIN1515",
    profession="10",
    structure="10B0755015",
    structure_kind="SAMU_SMUR",
)
REGULATOR.subject.regulator = True
OCCUPATIONAL: Final = _person(
    Said("Le médecin du travail", "The occupational doctor"),
    id="899700300900",
    name="Dr Yann MEDECIN9004",
    profession="10",
    structure="10B0904004",
    capacity="occupational_medicine",
)
PSYCHIATRIST: Final = _person(
    Said("La psychiatre", "The psychiatrist"),
    id="899700300686",
    name="Dr Ève MEDECIN6860",
    profession="10",
    structure="10B0037750",
)
LABORATORY: Final = _person(
    Said("Le laboratoire", "The laboratory"),
    kind="structure",
    id="10B0411208",
    name="Laboratoire TEST0411",
    structure="10B0411208",
    authentication="structure_certificate",
)
ANASTA: Final = _person(
    same("Anasta PASQUIER"),
    kind="patient",
    id=INS,
    name="Anasta PASQUIER",
    authentication="patient_code",
    capacity="self",
)

OFFICER: Final = _person(
    Said("La conformité", "The compliance officer"),
    kind="compliance_officer",
    id="CONF-0001",
    name="Conformité TEST0001",
    capacity="",
)

AUDITOR: Final = _person(
    Said("L'auditrice", "The auditor"),
    kind="auditor",
    id="AUD-0001",
    name="Auditrice TEST0001",
    capacity="",
)

NOTE: Final = pb.Document(
    id="consultation",
    type="11488-4",
    authors=[DOCTOR.subject.id],
    author_structure=DOCTOR.subject.structure,
    visibility=["N"],
    status="approved",
)
MASKED: Final = pb.Document(
    id="consultation",
    type="11488-4",
    authors=[DOCTOR.subject.id],
    author_structure=DOCTOR.subject.structure,
    visibility=["N", "MASQUE_PS"],
    status="approved",
)

NORMAL: Final = pb.Context(mode="normal")
AGREED: Final = pb.Context(mode="normal", agreement=True)
CLOSING: Final = pb.Context(mode="normal", agreement=True, closure="patient_request")
CENTRE_15: Final = pb.Context(mode="centre_15")
EMERGENCY: Final = pb.Context(mode="bris_de_glace")
REASONED: Final = pb.Context(
    mode="bris_de_glace",
    reason=pb.Reason(code="risque_vital", text="Patiente inconsciente aux urgences"),
)


def check(
    who: Person, action: str, document: pb.Document | None = None, context: pb.Context = NORMAL
) -> pb.CheckRequest:
    """May they do this in Anasta's dossier?"""
    return pb.CheckRequest(
        subject=who.subject,
        action=action,
        resource=pb.Resource(patient=INS, document=document),
        context=context,
    )


def read(who: Person, document: pb.Document, context: pb.Context = NORMAL) -> pb.CheckRequest:
    """May they read this document of hers?"""
    return check(who, "document.read", document, context)


def grantee(who: Person) -> pb.Grantee:
    """A professional, as whom a change aims at."""
    return pb.Grantee(id=who.subject.id, kind="professional", profession=who.subject.profession)


def change(who: Person, context: pb.Context = NORMAL, **wanted: Message) -> pb.ChangeRequest:
    """What they want changed in Anasta's dossier, by the name of the change."""
    request = pb.ChangeRequest(subject=who.subject, patient=INS, context=context)
    for name, message in wanted.items():
        getattr(request, name).CopyFrom(message)
    return request
