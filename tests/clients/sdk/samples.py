"""What the tests of the SDK ask."""

from clients.sdk import Context, Document, Query, Reason, Subject

INS = "1113109067725142806651"
DOCTOR = Subject(
    kind="professional",
    id="00B1038575",
    profession="10",
    structure="10B0193488",
    authentication="individual_card",
    capacity="care",
    name="Dr MEDECIN3857",
)
STRANGER = Subject(
    kind="professional",
    id="899700301015",
    profession="10",
    structure="10B0252419",
    authentication="individual_card",
    capacity="care",
    name="Dr AUTRE",
)
NOTE = Document(
    id="doc-1",
    type="11488-4",
    authors=(DOCTOR.id,),
    author_structure=DOCTOR.structure,
    visibility=("N",),
    status="approved",
)
EMERGENCY = Context(
    mode="bris_de_glace", reason=Reason(code="risque_vital", text="Patiente inconsciente")
)


def reading(document=NOTE, **changes):
    """The doctor wants to read a document."""
    fields = {"subject": DOCTOR, "action": "document.read", "patient": INS, "document": document}
    return Query(**{**fields, **changes})


def deposit(**changes):
    """The doctor wants to deposit it."""
    return reading(**{"action": "document.deposit", **changes})
