"""Requests and states that several tests of the decision point start from."""

from dataclasses import replace
from datetime import UTC, date, datetime

from authz import product
from authz.query import Context, Document, Query, Subject, Target
from authz.registry.state import Consents, DossierStatus, PatientState

NOW = datetime(2026, 5, 4, 10, 0, tzinfo=UTC)

PATIENT = "1113109067725142806651"
CHILD = "0941155967950413759315"
PARENT = "1541187387477485562488"
DOCTOR = "899700218896"
COLLEAGUE = "899700301015"
CLINIC = "10B0252419"
LETTER = "11488-4"

SUBJECT = Subject(
    kind="professional",
    id=DOCTOR,
    profession="10",
    structure=CLINIC,
    structure_kind="AMBULATOIRE",
    authentication="individual_card",
    capacity="care",
)
DOCUMENT = Document(
    id="1.2.3",
    type=LETTER,
    authors=(COLLEAGUE,),
    author_structure=CLINIC,
    visibility=("N",),
    status="approved",
)
TARGET = Target(id=COLLEAGUE, kind="professional", profession="60")
READ = Query(
    caller="dossier",
    rpc=product.CHECK,
    subject=SUBJECT,
    action="document.read",
    patient=PATIENT,
    document=DOCUMENT,
    context=Context(mode="normal"),
)
STATE = PatientState(
    patient=PATIENT,
    status=DossierStatus.OPEN,
    birth_date=date(1960, 5, 4),
    opened_at=NOW,
    consents=Consents(),
)


def query(base: Query = READ, **changes: object) -> Query:
    """A request that differs from another one: `subject__kind` stands for `subject.kind`."""
    for name, value in changes.items():
        part, _, attribute = name.partition("__")
        whole = replace(getattr(base, part), **{attribute: value}) if attribute else value
        base = replace(base, **{part: whole})
    return base
