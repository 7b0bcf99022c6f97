"""What the patient decides: blocks, withdrawals; and what she and her doctor see of it all."""

from typing import Final

from authz.v1 import authz_pb2 as authz
from clients.cli.cast import (
    ANASTA,
    CENTRE_15,
    PHARMACIST,
    REASONED,
    REGULATOR,
    STRANGER,
    TREATING,
    grantee,
)
from clients.cli.deeds import changes, lists, notices, pathway, patients, reads, traces
from clients.cli.scenes.lines import READS_THE_REPORT, Scene, allowed, denied
from clients.cli.show import Said

BLOCK: Final = Scene(
    title=Said("La patiente bloque quelqu'un", "The patient blocks someone"),
    lead=Said(
        "Un blocage vaut aussi pour le bris de glace, quel que soit le motif.",
        "A block holds for break-glass too, whatever the reason.",
    ),
    lines=(
        allowed(
            ANASTA,
            Said("bloque Dr MEDECIN7021", "blocks Dr MEDECIN7021"),
            changes(ANASTA, "set_block", authz.SetBlock(grantee=grantee(STRANGER))),
            "HOLDER",
        ),
        denied(
            STRANGER,
            Said("ouvre le dossier en urgence, avec motif", "opens it in an emergency, saying why"),
            lists(STRANGER, REASONED),
            "BLOCKED",
        ),
    ),
)

WITHDRAWAL: Final = Scene(
    title=Said("Le consentement se retire", "Consent is withdrawn"),
    lead=Said(
        "Dès la réponse au retrait, aucune décision ne l'ignore.",
        "From the answer to the withdrawal on, no decision misses it.",
    ),
    lines=(
        allowed(
            ANASTA,
            Said("s'oppose à l'accès du SAMU", "opposes access by the SAMU"),
            changes(ANASTA, "set_consents", authz.SetConsents(samu=False)),
            "HOLDER",
        ),
        denied(
            REGULATOR,
            Said("ouvre le dossier sur un appel", "opens the dossier on a call"),
            lists(REGULATOR, CENTRE_15),
            "SAMU_OPPOSED",
        ),
        allowed(
            ANASTA,
            Said(
                "retire l'autorisation de la pharmacienne", "revokes the pharmacist's authorisation"
            ),
            changes(
                ANASTA,
                "revoke_authorisation",
                authz.RevokeAuthorisation(grantee=grantee(PHARMACIST)),
            ),
            "HOLDER",
        ),
        denied(PHARMACIST, READS_THE_REPORT, reads(PHARMACIST, "report"), "NOT_AUTHORISED"),
    ),
)

DOCTOR_S_DESK: Final = Scene(
    title=Said("Le bureau du médecin traitant", "The treating doctor's desk"),
    lead=Said(
        "Ses patients, leur parcours de soins, et ce dont il est prévenu.",
        "The patients, their care pathway, and what the doctor is told.",
    ),
    lines=(
        allowed(
            TREATING,
            Said("regarde son tableau de bord", "looks at the dashboard"),
            patients(TREATING),
            "OWN_PATIENTS",
        ),
        allowed(
            TREATING,
            Said("regarde le parcours de soins", "looks at the care pathway"),
            pathway(TREATING),
            "TREATING_DOCTOR",
        ),
        allowed(
            TREATING,
            Said("lit les avis d'accès d'urgence", "reads the notices of emergency accesses"),
            notices(TREATING, of_all=True),
            "OWN_PATIENTS",
        ),
    ),
)

TRACE: Final = Scene(
    title=Said("La trace des accès", "The trace of accesses"),
    lead=Said(
        "Anasta voit qui est venu, en urgence ou non, et qui a été refusé.",
        "Anasta sees who came, in an emergency or not, and who was refused.",
    ),
    lines=(
        allowed(
            ANASTA,
            Said("lit la trace : les derniers accès", "reads the trace: the latest accesses"),
            traces(ANASTA, lines=6),
            "HOLDER",
        ),
        allowed(
            ANASTA,
            Said("lit la trace : les refus", "reads the trace: what was refused"),
            traces(ANASTA, refused=True),
            "HOLDER",
        ),
    ),
)
