"""Who reads: the matrix, strangers, and those who never do."""

from typing import Final

from authz.v1 import authz_pb2 as authz
from clients.cli.cast import (
    ANASTA,
    NOTE,
    OCCUPATIONAL,
    PHARMACIST,
    PSYCHIATRIST,
    STRANGER,
    grantee,
    read,
)
from clients.cli.deeds import changes, deposits, lists, reads
from clients.cli.scenes.lines import READS_THE_NOTE, READS_THE_REPORT, Scene, allowed, denied
from clients.cli.show import Said

MATRIX: Final = Scene(
    title=Said("La pharmacienne et la matrice", "The pharmacist and the matrix"),
    lead=Said(
        "Anasta l'autorise ; la matrice dit quels types de documents sa profession peut lire.",
        "Anasta authorises her; the matrix says which types of documents her profession may read.",
    ),
    lines=(
        allowed(
            PSYCHIATRIST,
            Said("dépose une synthèse psychiatrique", "deposits a psychiatric summary"),
            deposits(PSYCHIATRIST, "summary"),
            "FEEDING",
        ),
        allowed(
            ANASTA,
            Said("autorise la pharmacienne", "authorises the pharmacist"),
            changes(
                ANASTA,
                "grant_authorisation",
                authz.GrantAuthorisation(grantee=grantee(PHARMACIST)),
            ),
            "HOLDER",
        ),
        allowed(
            PHARMACIST,
            Said("liste les documents : trois sur quatre", "lists the documents: three of four"),
            lists(PHARMACIST),
            "AUTHORISED",
        ),
        allowed(PHARMACIST, READS_THE_REPORT, reads(PHARMACIST, "report"), "AUTHORISED"),
        denied(
            PHARMACIST,
            Said("demande la synthèse par son numéro", "asks for the summary by its id"),
            reads(PHARMACIST, "summary"),
            "HABILITATION_DENIED",
        ),
    ),
)

UNKNOWN: Final = Scene(
    title=Said("Un inconnu", "A stranger"),
    lead=Said(
        "Ce qu'on ne peut pas voir ressemble à ce qui n'existe pas ; le journal, lui, sait pourquoi non.",
        "What may not be seen looks like what is not there; the log knows why not, and what would help.",
    ),
    lines=(
        denied(
            STRANGER,
            READS_THE_NOTE,
            reads(STRANGER, "note"),
            "NOT_AUTHORISED",
            explained=read(STRANGER, NOTE),
        ),
    ),
)

NEVER: Final = Scene(
    title=Said("Ceux qui ne lisent jamais", "Those who never read"),
    lead=Said(
        "La loi passe avant l'accord de la patiente.",
        "The law comes before the patient's agreement.",
    ),
    lines=(
        allowed(
            ANASTA,
            Said("autorise le médecin du travail", "authorises the occupational doctor"),
            changes(
                ANASTA,
                "grant_authorisation",
                authz.GrantAuthorisation(grantee=grantee(OCCUPATIONAL)),
            ),
            "HOLDER",
        ),
        denied(OCCUPATIONAL, READS_THE_REPORT, reads(OCCUPATIONAL, "report"), "CATEGORY_EXCLUDED"),
    ),
)
