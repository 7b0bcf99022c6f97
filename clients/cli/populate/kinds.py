"""The kinds of documents in the invented town: who makes them, how often, for whom, and what they say."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from clients.cli.populate.families import Patient

HOLDER: Final = "holder"
"""The role of a patient, or of a parent, who deposits."""

Fits = Callable[[Patient], bool]


def _anyone(_: Patient) -> bool:
    return True


def _adult(one: Patient) -> bool:
    return not one.minor


def _child(one: Patient) -> bool:
    return one.minor


def _mother(one: Patient) -> bool:
    return one.sex == "F" and 20 <= one.age <= 45  # noqa: PLR2004 - ages


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of document: its type, who makes it, how often, for whom, and what it says."""

    code: str
    title: str
    role: str
    weight: int
    lines: tuple[str, ...]
    fits: Fits = _anyone
    file: bool = False


def _kind(
    code: str,
    title: str,
    role: str,
    weight: int,
    *lines: str,
    fits: Fits = _anyone,
    file: bool = False,
) -> Kind:
    return Kind(code=code, title=title, role=role, weight=weight, lines=lines, fits=fits, file=file)


KINDS: Final = (
    # 1 Synthèse
    _kind(
        "60591-5",
        "Synthèse médicale",
        "gp",
        5,
        "Antécédents : {past}.",
        "Traitement en cours : {drug}.",
    ),
    _kind(
        "34133-9", "Synthèse d'épisode de soins", "nurse", 2, "Soins à domicile, {days} passages."
    ),
    _kind("68599-0", "Synthèse psychiatrique", "psychiatrist", 1, "Suivi régulier.", fits=_adult),
    _kind(
        "89233-1",
        "Compte rendu de grossesse",
        "midwife",
        1,
        "Grossesse sans particularité.",
        fits=_mother,
    ),
    # 2 Traitements et soins
    _kind("57833-6", "Ordonnance", "gp", 14, "{drug}, {days} jours.", file=True),
    _kind("PRESC-BIO", "Prescription de biologie", "gp", 5, "NFS, CRP, glycémie à jeun."),
    _kind("PRESC-KINE", "Prescription de kinésithérapie", "gp", 2, "{days} séances."),
    _kind("60593-1", "Dispensation", "pharmacist", 9, "{drug} : {days} boîtes délivrées."),
    _kind(
        "56445-0", "Bilan partagé de médication", "pharmacist", 1, "Pas d'interaction.", fits=_adult
    ),
    _kind("18776-5", "Plan personnalisé de soins", "nurse", 1, "Objectifs revus avec la personne."),
    # 3 Comptes rendus
    _kind(
        "11488-4",
        "Compte rendu de consultation",
        "gp",
        16,
        "Motif : {why}.",
        "Examen : {exam}.",
        "Conduite : {drug}.",
    ),
    _kind(
        "11488-4",
        "Consultation de cardiologie",
        "cardiologist",
        3,
        "Motif : {why}.",
        "ECG : normal.",
        fits=_adult,
    ),
    _kind(
        "11488-4",
        "Consultation de pédiatrie",
        "paediatrician",
        4,
        "Motif : {why}.",
        "Examen : {exam}.",
        fits=_child,
    ),
    _kind(
        "34112-3",
        "Compte rendu hospitalier",
        "hospital",
        3,
        "Séjour de {days} jours pour {why}.",
        file=True,
    ),
    _kind(
        "11490-0",
        "Lettre de liaison à la sortie",
        "hospital",
        2,
        "Sortie à domicile. Traitement : {drug}.",
    ),
    _kind("15507-7", "Passage aux urgences", "hospital", 2, "Motif : {why}. Retour à domicile."),
    _kind("11506-3", "Suivi infirmier", "nurse", 4, "Pansement refait, évolution favorable."),
    _kind(
        "47420-5",
        "Bilan fonctionnel",
        "physiotherapist",
        2,
        "Gain d'amplitude après {days} séances.",
    ),
    _kind(
        "11506-3", "Suivi d'orthophonie", "speech_therapist", 1, "Progrès réguliers.", fits=_child
    ),
    _kind("28617-9", "Bilan bucco-dentaire", "dentist", 2, "Deux soins à prévoir."),
    # 4 Imagerie
    _kind(
        "18748-4",
        "Radiographie",
        "radiologist",
        6,
        "Indication : {why}.",
        "Pas de lésion visible.",
        file=True,
    ),
    # 5 Laboratoire
    _kind(
        "11502-2",
        "Bilan biologique",
        "laboratory",
        14,
        "Hémoglobine : {hb} g/dL",
        "CRP : {crp} mg/L",
        "Glycémie : {sugar} g/L",
    ),
    _kind(
        "60568-3",
        "Anatomie pathologique",
        "laboratory",
        1,
        "Prélèvement sans anomalie.",
        fits=_adult,
    ),
    # 6 Prévention
    _kind("75492-9", "Dépistage", "gp", 2, "Dépistage organisé : négatif.", fits=_adult),
    _kind("87273-9", "Vaccination", "nurse", 2, "Vaccin injecté, lot T{days:03}."),
    _kind(
        "87273-9", "Vaccination", "pharmacist", 2, "Vaccin injecté, lot P{days:03}.", fits=_adult
    ),
    _kind(
        "59283-2", "Examen de l'enfant", "paediatrician", 5, "Développement normal.", fits=_child
    ),
    # 7 Certificats
    _kind("89601-9", "Certificat médical", "gp", 2, "Apte à la pratique sportive."),
    _kind("CERT_DECL", "Certificat", "dentist", 1, "Soins en cours."),
    # 8 Espace personnel, et ce que le patient dépose ailleurs
    _kind(
        "EXPPAT_1", "Volontés et droits", HOLDER, 1, "Personne de confiance désignée.", fits=_adult
    ),
    _kind("EXPPAT_2", "Notes personnelles", HOLDER, 2, "Tension relevée chez moi : 12/7."),
    _kind(
        "EXPPAT_3", "Directives anticipées", HOLDER, 1, "Mes souhaits sont écrits ici.", fits=_adult
    ),
    _kind("DOCPAT05", "Ancien bilan", HOLDER, 1, "Copie d'un bilan de 2012."),
)
"""What each profession may deposit by the matrix, in all eight spaces."""
