"""The story of `dmp demo`, as data: who does what, and what must be decided.

It follows the slides of 2011, in which Dr MEDECIN3857 opens the dossier of Anasta PASQUIER.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from authz import ins
from authz.errors import InsError
from authz.v1 import authz_pb2 as pb
from clients.cli.cast import (
    AGREED,
    ANASTA,
    CENTRE_15,
    CLOSING,
    DOCTOR,
    EMERGENCY,
    INS,
    LAB_REPORT,
    LABORATORY,
    MASKED,
    NOTE,
    OCCUPATIONAL,
    PHARMACIST,
    PRINTED,
    PSYCHIATRY,
    REASONED,
    REGULATOR,
    STRANGER,
    TRAITS,
    TREATING,
    Person,
    change,
    check,
    grantee,
    read,
    same,
)
from clients.cli.show import Said


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One thing that someone does, and what must become of it.

    Attributes:
        who: the one who asks.
        does: what, in words that follow the name.
        asks: the request; a `ChangeRequest` changes the registry when it is allowed.
        then: the effect that the story wants, ALLOW or DENY.
        because: the reason code that it wants.
        explained: whether to ask why, too.
    """

    who: Person
    does: Said
    asks: pb.CheckRequest | pb.ChangeRequest
    then: str
    because: str
    explained: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Some lines on one subject.

    Attributes:
        title: of what it is.
        lead: what to look at.
        rows: what to know before, name beside value.
        lines: what happens.
        together: whether all lines are asked in one call, and shown as a table.
    """

    title: Said
    lead: Said
    rows: tuple[tuple[Said, Said], ...] = ()
    lines: tuple[Line, ...] = ()
    together: bool = False


ALLOW: Final = "ALLOW"
DENY: Final = "DENY"

Request = pb.CheckRequest | pb.ChangeRequest


def _allowed(who: Person, does: Said, asks: Request, because: str) -> Line:
    return Line(who=who, does=does, asks=asks, then=ALLOW, because=because)


def _denied(
    who: Person, does: Said, asks: Request, because: str, *, explained: bool = False
) -> Line:
    return Line(who=who, does=does, asks=asks, then=DENY, because=because, explained=explained)


_READS_THE_NOTE: Final = Said("lit le compte rendu", "reads the note")
_READS_THE_REPORT: Final = Said("lit l'analyse du laboratoire", "reads the laboratory report")

OBLIGATIONS: Final[Mapping[str, Said]] = {
    "confirm": Said("demander confirmation", "ask for confirmation"),
    "notify_holder": Said("prévenir la patiente", "tell the patient"),
    "notify_treating_doctor": Said("prévenir le médecin traitant", "tell the treating doctor"),
    "review": Said("examen par une seconde personne", "review by a second person"),
    "show_mode": Said("mode affiché à l'écran", "mode shown on screen"),
}
"""What whoever was answered must do, in words."""

QUESTIONS: Final[tuple[tuple[Said, bool], ...]] = (
    (Said("1  Créer le dossier ?", "1  Create the dossier?"), True),
    (Said("2  Ce médecin y accède ?", "2  This doctor may access it?"), True),
    (Said("3  Il devient médecin traitant ?", "3  Becomes treating doctor?"), False),
    (Said("4  Le SAMU, sur appel, y accède ?", "4  The SAMU may, on a call?"), True),
    (Said("5  Tous, en urgence vitale ?", "5  Anyone may, if life is at risk?"), True),
)
"""The five questions of the consent screen, in short, and Anasta's answers."""

_OPENED: Final = pb.OpenDossier(
    birth_date="1979-03-28",
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


SCENES: Final = (
    Scene(
        title=Said("Le numéro de la patiente", "The patient's number"),
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
    ),
    Scene(
        title=Said("La création du dossier", "The dossier is created"),
        lead=Said(
            "Sans le consentement de la patiente, pas de dossier ; ses cinq réponses le font naître.",
            "No dossier without the patient's consent; her five answers bring it into being.",
        ),
        rows=tuple(
            (asked, Said("oui", "yes") if answer else Said("non", "no"))
            for asked, answer in QUESTIONS
        ),
        lines=(
            _allowed(
                DOCTOR,
                Said("demande s'il existe un dossier", "asks whether a dossier exists"),
                check(DOCTOR, "dossier.find"),
                "EXISTENCE_TEST",
            ),
            _denied(
                DOCTOR,
                Said("veut l'ouvrir", "tries to open it"),
                check(DOCTOR, "dossier.read"),
                "DOSSIER_MISSING",
            ),
            _denied(
                DOCTOR,
                Said(
                    "crée le dossier sans cocher la question 1",
                    "creates the dossier, question 1 not ticked",
                ),
                change(DOCTOR, open_dossier=_OPENED),
                "CONSENT_MISSING",
            ),
            _allowed(
                DOCTOR,
                Said(
                    "crée le dossier avec les cinq réponses",
                    "creates the dossier with the five answers",
                ),
                change(DOCTOR, AGREED, open_dossier=_OPENED),
                "CREATED_WITH_CONSENT",
            ),
        ),
    ),
    Scene(
        title=Said("Déposer et lire", "Depositing and reading"),
        lead=Said(
            "Alimenter et consulter sont deux droits ; la réponse à la question 2 donne le second.",
            "Feeding and reading are two rights; the answer to question 2 gives the second.",
        ),
        lines=(
            _allowed(
                DOCTOR,
                Said("dépose son compte rendu de consultation", "deposits his consultation note"),
                check(DOCTOR, "document.deposit", NOTE),
                "FEEDING",
            ),
            _allowed(DOCTOR, _READS_THE_NOTE, read(DOCTOR, NOTE), "AUTHOR"),
            _allowed(
                DOCTOR,
                Said("lit une analyse du laboratoire", "reads a laboratory report"),
                read(DOCTOR, LAB_REPORT),
                "AUTHORISED",
            ),
        ),
    ),
    Scene(
        title=Said("La pharmacienne et la matrice", "The pharmacist and the matrix"),
        lead=Said(
            "Anasta l'autorise ; la matrice dit quels types de documents sa profession peut lire.",
            "Anasta authorises her; the matrix says which types of documents her profession may read.",
        ),
        lines=(
            _allowed(
                ANASTA,
                Said("autorise la pharmacienne", "authorises the pharmacist"),
                change(
                    ANASTA, grant_authorisation=pb.GrantAuthorisation(grantee=grantee(PHARMACIST))
                ),
                "HOLDER",
            ),
            _allowed(
                PHARMACIST,
                _READS_THE_REPORT,
                read(PHARMACIST, LAB_REPORT),
                "AUTHORISED",
            ),
            _denied(
                PHARMACIST,
                Said("lit une synthèse psychiatrique", "reads a psychiatric summary"),
                read(PHARMACIST, PSYCHIATRY),
                "HABILITATION_DENIED",
            ),
        ),
    ),
    Scene(
        title=Said("Un inconnu", "A stranger"),
        lead=Said(
            "Un refus dit pourquoi, et ce qui en aurait fait un oui.",
            "A refusal says why, and what would have made it a yes.",
        ),
        lines=(
            _denied(
                STRANGER, _READS_THE_NOTE, read(STRANGER, NOTE), "NOT_AUTHORISED", explained=True
            ),
        ),
    ),
    Scene(
        title=Said("Le SAMU", "The SAMU"),
        lead=Said(
            "Sur un appel, le centre 15 consulte ; il n'écrit pas. La patiente en est prévenue.",
            "On a call, the centre 15 reads; it does not write. The patient is told of it.",
        ),
        lines=(
            _allowed(REGULATOR, _READS_THE_NOTE, read(REGULATOR, NOTE, CENTRE_15), "CENTRE_15"),
            _denied(
                REGULATOR,
                Said("dépose un document", "deposits a document"),
                check(REGULATOR, "document.deposit", NOTE, CENTRE_15),
                "CENTRE_15_READS_ONLY",
            ),
        ),
    ),
    Scene(
        title=Said("Le bris de glace", "Break-glass"),
        lead=Said(
            "En urgence vitale, même un inconnu lit, s'il dit pourquoi ; chaque accès sera examiné.",
            "When life is at risk even a stranger reads, if he says why; each access is reviewed.",
        ),
        lines=(
            _denied(
                STRANGER,
                Said("lit en urgence, sans motif", "reads in an emergency, no reason given"),
                read(STRANGER, NOTE, EMERGENCY),
                "BREAK_GLASS_REASON_MISSING",
            ),
            _allowed(
                STRANGER,
                Said(
                    "lit en urgence : « Patiente inconsciente aux urgences »",
                    "reads in an emergency: “Patiente inconsciente aux urgences”",
                ),
                read(STRANGER, NOTE, REASONED),
                "BREAK_GLASS",
            ),
        ),
    ),
    Scene(
        title=Said("Un document masqué", "A masked document"),
        lead=Said(
            "Anasta se donne un médecin traitant, puis masque le compte rendu.",
            "Anasta names a treating doctor, then masks the note.",
        ),
        lines=(
            _allowed(
                ANASTA,
                Said(
                    "désigne Dr MEDECIN4410 médecin traitant",
                    "names Dr MEDECIN4410 her treating doctor",
                ),
                change(
                    ANASTA,
                    grant_authorisation=pb.GrantAuthorisation(
                        grantee=grantee(TREATING), treating_doctor=True
                    ),
                ),
                "HOLDER",
            ),
            _allowed(
                ANASTA,
                Said("masque le compte rendu", "masks the note"),
                check(ANASTA, "document.mask", NOTE),
                "HOLDER",
            ),
        ),
    ),
    Scene(
        title=Said("Qui lit le document masqué ?", "Who reads the masked document?"),
        lead=Said(
            "Six demandes en un seul appel ; l'urgence ne lève pas le masque.",
            "Six requests in one call; an emergency does not lift the mask.",
        ),
        together=True,
        lines=(
            _allowed(ANASTA, Said("la patiente", "the patient"), read(ANASTA, MASKED), "HOLDER"),
            _allowed(
                TREATING,
                Said("le médecin traitant", "the treating doctor"),
                read(TREATING, MASKED),
                "TREATING_DOCTOR",
            ),
            _allowed(DOCTOR, Said("l'auteur", "the author"), read(DOCTOR, MASKED), "AUTHOR"),
            _denied(
                PHARMACIST,
                Said("la pharmacienne autorisée", "the authorised pharmacist"),
                read(PHARMACIST, MASKED),
                "DOCUMENT_MASKED",
            ),
            _denied(
                REGULATOR,
                Said("le SAMU", "the SAMU"),
                read(REGULATOR, MASKED, CENTRE_15),
                "DOCUMENT_MASKED",
            ),
            _denied(
                STRANGER,
                Said("un inconnu, en bris de glace", "a stranger, breaking the glass"),
                read(STRANGER, MASKED, REASONED),
                "DOCUMENT_MASKED",
            ),
        ),
    ),
    Scene(
        title=Said("La patiente bloque quelqu'un", "The patient blocks someone"),
        lead=Said(
            "Un blocage vaut aussi pour le bris de glace, quel que soit le motif.",
            "A block holds for break-glass too, whatever the reason.",
        ),
        lines=(
            _allowed(
                ANASTA,
                Said("bloque Dr MEDECIN7021", "blocks Dr MEDECIN7021"),
                change(ANASTA, set_block=pb.SetBlock(grantee=grantee(STRANGER))),
                "HOLDER",
            ),
            _denied(
                STRANGER,
                Said(
                    "lit l'analyse en urgence, avec motif",
                    "reads the report in an emergency, with a reason",
                ),
                read(STRANGER, LAB_REPORT, REASONED),
                "BLOCKED",
            ),
        ),
    ),
    Scene(
        title=Said("Le consentement se retire", "Consent is withdrawn"),
        lead=Said(
            "Dès la réponse au retrait, aucune décision ne l'ignore.",
            "From the answer to the withdrawal on, no decision misses it.",
        ),
        lines=(
            _allowed(
                ANASTA,
                Said("s'oppose à l'accès du SAMU", "opposes access by the SAMU"),
                change(ANASTA, set_consents=pb.SetConsents(samu=False)),
                "HOLDER",
            ),
            _denied(
                REGULATOR, _READS_THE_REPORT, read(REGULATOR, LAB_REPORT, CENTRE_15), "SAMU_OPPOSED"
            ),
            _allowed(
                ANASTA,
                Said(
                    "retire l'autorisation de la pharmacienne",
                    "revokes the pharmacist's authorisation",
                ),
                change(
                    ANASTA, revoke_authorisation=pb.RevokeAuthorisation(grantee=grantee(PHARMACIST))
                ),
                "HOLDER",
            ),
            _denied(
                PHARMACIST,
                Said("relit l'analyse du laboratoire", "reads the laboratory report again"),
                read(PHARMACIST, LAB_REPORT),
                "NOT_AUTHORISED",
            ),
        ),
    ),
    Scene(
        title=Said("Ceux qui ne lisent jamais", "Those who never read"),
        lead=Said(
            "La loi passe avant l'accord de la patiente ; un certificat alimente et ne consulte pas.",
            "The law comes before the patient's agreement; a certificate feeds and does not read.",
        ),
        lines=(
            _allowed(
                ANASTA,
                Said("autorise le médecin du travail", "authorises the occupational doctor"),
                change(
                    ANASTA, grant_authorisation=pb.GrantAuthorisation(grantee=grantee(OCCUPATIONAL))
                ),
                "HOLDER",
            ),
            _denied(
                OCCUPATIONAL, _READS_THE_REPORT, read(OCCUPATIONAL, LAB_REPORT), "CATEGORY_EXCLUDED"
            ),
            _allowed(
                LABORATORY,
                Said(
                    "dépose une analyse, par son certificat",
                    "deposits a report, by its certificate",
                ),
                check(LABORATORY, "document.deposit", LAB_REPORT),
                "FEEDING",
            ),
            _denied(
                LABORATORY,
                Said("relit sa propre analyse", "reads its own report back"),
                read(LABORATORY, LAB_REPORT),
                "STRUCTURE_MAY_NOT_CONSULT",
            ),
        ),
    ),
    Scene(
        title=Said("Le dossier est fermé", "The dossier is closed"),
        lead=Said(
            "Fermé, il ne se lit ni ne s'alimente ; Anasta voit toujours qui y est venu.",
            "Once closed it is neither read nor fed; Anasta still sees who was there.",
        ),
        lines=(
            _allowed(
                DOCTOR,
                Said(
                    "ferme le dossier, à la demande d'Anasta", "closes the dossier, as Anasta asked"
                ),
                change(
                    DOCTOR,
                    CLOSING,
                    close_dossier=pb.CloseDossier(
                        reason="FERMETURE_DEMANDE_PATIENT", text="Demande orale de la patiente"
                    ),
                ),
                "CLOSED_AT_REQUEST",
            ),
            _denied(DOCTOR, _READS_THE_NOTE, read(DOCTOR, MASKED), "DOSSIER_CLOSED"),
            _denied(
                LABORATORY,
                Said("dépose une analyse", "deposits a report"),
                check(LABORATORY, "document.deposit", LAB_REPORT),
                "DOSSIER_CLOSED",
            ),
            _allowed(
                ANASTA,
                Said("lit la trace des accès", "reads the trace of accesses"),
                check(ANASTA, "trace.read"),
                "HOLDER",
            ),
        ),
    ),
)
