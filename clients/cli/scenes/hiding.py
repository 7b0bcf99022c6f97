"""What is kept from whom: masked documents, documents that await their announcement, older versions."""

from typing import Final

from authz.v1 import authz_pb2 as authz
from clients.cli.cast import (
    ANASTA,
    CENTRE_15,
    DOCTOR,
    PHARMACIST,
    REASONED,
    REGULATOR,
    STRANGER,
    TREATING,
    grantee,
)
from clients.cli.deeds import acts, changes, deposits, lists, reads
from clients.cli.scenes.lines import Scene, allowed, denied
from clients.cli.show import Said
from dossier.v1 import dossier_pb2 as pb

MASKING: Final = Scene(
    title=Said("Un document masqué", "A masked document"),
    lead=Said(
        "Anasta se donne un médecin traitant, puis masque le compte rendu.",
        "Anasta names a treating doctor, then masks the note.",
    ),
    lines=(
        allowed(
            ANASTA,
            Said("désigne Dr MEDECIN4410 médecin traitant", "names Dr MEDECIN4410 treating doctor"),
            changes(
                ANASTA,
                "grant_authorisation",
                authz.GrantAuthorisation(grantee=grantee(TREATING), treating_doctor=True),
            ),
            "HOLDER",
        ),
        allowed(
            ANASTA,
            Said("masque le compte rendu", "masks the note"),
            acts(ANASTA, pb.ACT_MASK, "note"),
            "HOLDER",
        ),
    ),
)

MASKED: Final = Scene(
    title=Said("Qui lit le document masqué ?", "Who reads the masked document?"),
    lead=Said(
        "Six personnes le demandent ; l'urgence ne lève pas le masque.",
        "Six people ask for it; an emergency does not lift the mask.",
    ),
    together=True,
    lines=(
        allowed(ANASTA, Said("la patiente", "the patient"), reads(ANASTA, "note"), "HOLDER"),
        allowed(
            TREATING,
            Said("le médecin traitant", "the treating doctor"),
            reads(TREATING, "note"),
            "TREATING_DOCTOR",
        ),
        allowed(DOCTOR, Said("l'auteur", "the author"), reads(DOCTOR, "note"), "AUTHOR"),
        denied(
            PHARMACIST,
            Said("la pharmacienne autorisée", "the authorised pharmacist"),
            reads(PHARMACIST, "note"),
            "DOCUMENT_MASKED",
        ),
        denied(
            REGULATOR,
            Said("le SAMU", "the SAMU"),
            reads(REGULATOR, "note", CENTRE_15),
            "DOCUMENT_MASKED",
        ),
        denied(
            STRANGER,
            Said("un inconnu, en bris de glace", "a stranger, breaking the glass"),
            reads(STRANGER, "note", REASONED),
            "DOCUMENT_MASKED",
        ),
    ),
)

ANNOUNCEMENT: Final = Scene(
    title=Said("En attendant l'annonce", "Until it is announced"),
    lead=Said(
        "Une nouvelle grave se dit de vive voix ; le document attend, et la patiente ne le devine pas.",
        "Grave news is told in person; the document waits, and the patient can't guess it.",
    ),
    lines=(
        allowed(
            DOCTOR,
            Said("dépose un résultat, caché à la patiente", "deposits a result, hidden from her"),
            deposits(DOCTOR, "pathology", hidden=True),
            "FEEDING",
        ),
        allowed(
            ANASTA,
            Said("liste ses documents", "lists her documents"),
            lists(ANASTA),
            "HOLDER",
        ),
        denied(
            ANASTA,
            Said("demande le résultat par son numéro", "asks for the result by its id"),
            reads(ANASTA, "pathology"),
            "HIDDEN_FROM_PATIENT",
        ),
        allowed(
            TREATING,
            Said("le lit, averti", "reads it, with a warning"),
            reads(TREATING, "pathology"),
            "TREATING_DOCTOR",
        ),
        allowed(
            DOCTOR,
            Said("l'a annoncé : il le montre", "has announced it: he shows it"),
            acts(DOCTOR, pb.ACT_SHOW_TO_PATIENT, "pathology"),
            "AUTHOR",
        ),
        allowed(
            ANASTA,
            Said("lit son résultat", "reads her result"),
            reads(ANASTA, "pathology", shown=True),
            "HOLDER",
        ),
    ),
)

REPLACEMENT: Final = Scene(
    title=Said("Une version corrigée", "A corrected version"),
    lead=Said(
        "L'auteur seul remplace son document ; l'ancien reste, marqué comme tel.",
        "Only the author replaces a document; the old one stays, marked as such.",
    ),
    lines=(
        denied(
            STRANGER,
            Said("remplace le compte rendu d'un autre", "replaces the note of another"),
            deposits(STRANGER, "forged", replaces="note"),
            "NOT_THE_AUTHOR",
        ),
        allowed(
            DOCTOR,
            Said("corrige son compte rendu, masqué", "corrects his note, masked"),
            deposits(DOCTOR, "corrected", masked=True, replaces="note"),
            "AUTHOR",
        ),
        allowed(
            TREATING,
            Said("lit l'ancienne version", "reads the old version"),
            reads(TREATING, "note"),
            "TREATING_DOCTOR",
        ),
    ),
)
