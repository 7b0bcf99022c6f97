"""From the carte Vitale to a dossier with its first documents."""

from typing import Final

from authz import ins
from authz.errors import InsError
from clients.cli.cast import (
    AGREED,
    DOCTOR,
    INS,
    LABORATORY,
    NORMAL,
    PRINTED,
    TRAITS,
    same,
)
from clients.cli.deeds import creates, deposits, lists, reads, reads_card
from clients.cli.scenes.lines import READS_THE_NOTE, READS_THE_REPORT, Scene, allowed, denied
from clients.cli.show import Said
from dossier.v1 import dossier_pb2 as pb

QUESTIONS: Final[tuple[tuple[Said, bool], ...]] = (
    (Said("1  Créer le dossier ?", "1  Create the dossier?"), True),
    (Said("2  Ce médecin y accède ?", "2  This doctor may access it?"), True),
    (Said("3  Il devient médecin traitant ?", "3  Becomes treating doctor?"), False),
    (Said("4  Le SAMU, sur appel, y accède ?", "4  The SAMU may, on a call?"), True),
    (Said("5  Tous, en urgence vitale ?", "5  Anyone may, if life is at risk?"), True),
)
"""The five questions of the consent screen, in short, and Anasta's answers."""

ANSWERS: Final = pb.Answers(
    create=QUESTIONS[0][1],
    authorise=QUESTIONS[1][1],
    treating_doctor=QUESTIONS[2][1],
    samu=QUESTIONS[3][1],
    break_glass=QUESTIONS[4][1],
)


def _why_not(number: str) -> Said:
    """Which rules of an INS a number breaks."""
    french = {
        ins.Rule.RANGE: "ses 20 premiers chiffres dépassent 2^64 - 1, aucun calcul ne les donne",
        ins.Rule.KEY: "sa clé n'est pas la leur",
    }
    english = {
        ins.Rule.RANGE: "its first 20 digits are above 2^64 - 1, no computation gives them",
        ins.Rule.KEY: "its key is not theirs",
    }
    try:
        ins.verify(number)
    except InsError as exc:
        return Said(
            "refusé : " + " ; ".join(french[ins.Rule(rule)] for rule, _ in exc.failures),
            "refused: " + "; ".join(english[ins.Rule(rule)] for rule, _ in exc.failures),
        )
    return Said("valide", "valid")


NUMBER: Final = Scene(
    title=Said("La carte Vitale", "The carte Vitale"),
    lead=Said(
        "Anasta porte l'INS de la patiente de test nationale : celui des diapositives n'en est pas un.",
        "Anasta carries the INS of the standard test patient: the one on the slides is none.",
    ),
    rows=(
        (Said("traits de la carte", "traits of the card"), same(", ".join(TRAITS))),
        (Said("INS-C calculé", "INS-C computed"), same(INS)),
        (Said("imprimé en 2011", "printed in 2011"), same(PRINTED)),
        (same(""), _why_not(PRINTED)),
    ),
    lines=(
        allowed(
            DOCTOR,
            Said("lit la carte : a-t-elle un dossier ?", "reads the card: is there a dossier?"),
            reads_card(DOCTOR),
            "EXISTENCE_TEST",
        ),
    ),
)

CREATION: Final = Scene(
    title=Said("La création du dossier", "The dossier is created"),
    lead=Said(
        "Sans le consentement de la patiente, pas de dossier ; ses cinq réponses le font naître.",
        "No dossier without the patient's consent; her five answers bring it into being.",
    ),
    rows=tuple(
        (asked, Said("oui", "yes") if answer else Said("non", "no")) for asked, answer in QUESTIONS
    ),
    lines=(
        denied(
            DOCTOR,
            Said("veut l'ouvrir", "tries to open it"),
            lists(DOCTOR),
            "DOSSIER_MISSING",
        ),
        denied(
            DOCTOR,
            Said(
                "crée le dossier sans cocher la question 1",
                "creates the dossier, question 1 not ticked",
            ),
            creates(DOCTOR, ANSWERS, NORMAL),
            "CONSENT_MISSING",
        ),
        allowed(
            DOCTOR,
            Said(
                "crée le dossier avec les cinq réponses",
                "creates the dossier with the five answers",
            ),
            creates(DOCTOR, ANSWERS, AGREED),
            "CREATED_WITH_CONSENT",
        ),
    ),
)

DEPOSITS: Final = Scene(
    title=Said("Déposer et lire", "Depositing and reading"),
    lead=Said(
        "Alimenter et consulter sont deux droits ; la réponse à la question 2 donne le second.",
        "Feeding and reading are two rights; the answer to question 2 gives the second.",
    ),
    lines=(
        allowed(
            DOCTOR,
            Said(
                "dépose son compte rendu et son ordonnance, ensemble",
                "deposits his note and his prescription, together",
            ),
            deposits(DOCTOR, "note", "prescription"),
            "FEEDING",
        ),
        allowed(
            LABORATORY,
            Said("dépose un bilan, par son certificat", "deposits a report, by its certificate"),
            deposits(LABORATORY, "report"),
            "FEEDING",
        ),
        allowed(DOCTOR, READS_THE_NOTE, reads(DOCTOR, "note"), "AUTHOR"),
        allowed(DOCTOR, READS_THE_REPORT, reads(DOCTOR, "report", shown=True), "AUTHORISED"),
        denied(
            LABORATORY,
            Said("relit son propre bilan", "reads its own report back"),
            reads(LABORATORY, "report"),
            "STRUCTURE_MAY_NOT_CONSULT",
        ),
    ),
)
