"""The documents of `dmp demo`: real CDA R2, about Anasta, by the people of the story. All invented."""

from datetime import UTC, datetime
from typing import Final

from clients.cli.cast import DOCTOR, INS, PSYCHIATRIST, REGULATOR, STRANGER, Person
from dossier.cda.about import INS_C
from dossier.cda.header import Author, Identifier, Traits
from dossier.samples.documents import File, author, document, pdf
from dossier.types import LOINC

FAMILY_NAME: Final = "PAT-TROIS"
USAGE_NAME: Final = "PASQUIER"
GIVEN_NAMES: Final = ("DOMINIQUE", "ANASTA")
BORN: Final = "1979-03-28"

CARD: Final = f"""\
# A virtual carte Vitale: Anasta with the number of the standard test patient, and a newborn without one.
persons:
  - family_name: {FAMILY_NAME}
    usage_name: {USAGE_NAME}
    given_names: [{", ".join(GIVEN_NAMES)}]
    birth_date: "{BORN}"
    sex: F
    nir: "2790351215189"
  - family_name: {USAGE_NAME}
    given_names: [NOA]
    birth_date: "2026-01-06"
    sex: M
"""
"""What is on the card, as a file."""

_ROOT: Final = "1.2.250.1.213.1.1.9.2011"
_PATIENT: Final = Identifier(root=INS_C, extension=INS)
_TRAITS: Final = Traits(
    family_name=FAMILY_NAME,
    usage_name=USAGE_NAME,
    given_names=GIVEN_NAMES,
    used_name=GIVEN_NAMES[-1],
    birth_date=BORN,
    sex="F",
)
_BIOLOGIST: Final = author(
    "899700300868",
    family_name="BIOLOGISTE0868",
    given_name="Léo",
    role="G15_10/SM03",
    structure="10B0411208",
    organisation="Laboratoire TEST0411",
)


def unique_id(name: str) -> str:
    """The id that the producer of a paper gives it."""
    return f"{_ROOT}^{name}"


def _by(who: Person) -> Author:
    given, _, family = who.subject.name.removeprefix("Dr ").partition(" ")
    return author(
        who.subject.id,
        family_name=family,
        given_name=given,
        structure=who.subject.structure,
        organisation=who.subject.structure_name or "Cabinet",
    )


def _paper(
    name: str,
    by: Author,
    kind: str,
    title: str,
    at: datetime,
    *,
    body: str | File,
    replaces: str = "",
) -> tuple[str, bytes]:
    made = document(
        unique_id=unique_id(name),
        type_code=kind,
        type_system=LOINC,
        title=title,
        patient=_PATIENT,
        traits=_TRAITS,
        authors=(by,),
        made_at=at,
        set_id=unique_id(f"{replaces or name}-set"),
        version=2 if replaces else 1,
        replaces=unique_id(replaces) if replaces else "",
        body=body,
    )
    return name, made


_PRESCRIPTION: Final = File(
    media_type="application/pdf",
    content=pdf("Dr Paul MEDECIN3857\n\nParacetamol 1 g, trois fois par jour, cinq jours"),
)

PAPERS: Final = dict(
    (
        _paper(
            "note",
            _by(DOCTOR),
            "11488-4",
            "Compte rendu de consultation",
            datetime(2026, 10, 2, 9, 30, tzinfo=UTC),
            body="Motif : toux depuis trois jours, sans fièvre.\n"
            "Examen : auscultation normale.\n"
            "Conduite : repos ; bilan biologique demandé.",
        ),
        _paper(
            "prescription",
            _by(DOCTOR),
            "57833-6",
            "Ordonnance",
            datetime(2026, 10, 2, 9, 40, tzinfo=UTC),
            body=_PRESCRIPTION,
        ),
        _paper(
            "report",
            _BIOLOGIST,
            "11502-2",
            "Bilan biologique",
            datetime(2026, 10, 4, 7, 15, tzinfo=UTC),
            body="Hémoglobine : 13,1 g/dL (12,0 à 16,0)\nCRP : 4 mg/L (< 5)",
        ),
        _paper(
            "summary",
            _by(PSYCHIATRIST),
            "68599-0",
            "Synthèse psychiatrique",
            datetime(2026, 9, 14, 14, 0, tzinfo=UTC),
            body="Suivi en cours. Synthèse destinée aux seuls médecins.",
        ),
        _paper(
            "pathology",
            _by(DOCTOR),
            "60568-3",
            "Anatomie pathologique",
            datetime(2026, 10, 20, 8, 0, tzinfo=UTC),
            body="Résultat à annoncer en consultation.",
        ),
        _paper(
            "corrected",
            _by(DOCTOR),
            "11488-4",
            "Compte rendu de consultation (corrigé)",
            datetime(2026, 10, 5, 8, 0, tzinfo=UTC),
            body="Motif : toux depuis trois semaines, sans fièvre.\n"
            "Examen : auscultation normale.\n"
            "Conduite : radiographie du thorax demandée.",
            replaces="note",
        ),
        _paper(
            "call",
            _by(REGULATOR),
            "11488-4",
            "Régulation d'un appel",
            datetime(2026, 10, 6, 20, 0, tzinfo=UTC),
            body="Appel du 15.",
        ),
        _paper(
            "forged",
            _by(STRANGER),
            "11488-4",
            "Compte rendu de consultation",
            datetime(2026, 10, 7, 8, 0, tzinfo=UTC),
            body="Rien de tout cela.",
            replaces="note",
        ),
    )
)
"""Each of them by name."""
