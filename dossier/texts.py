"""What notices say, in French first and then in English.

An e-mail is read by whoever opens the mailbox. So a notice tells that something happened, when, in which
mode, and where to read more; never who did it, for a profession can tell an illness, nor what it was done to.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from dossier.notices import Kind
from serving.days import FRANCE

_MONTHS_FR: Final = (
    *("janvier", "février", "mars", "avril", "mai", "juin"),
    *("juillet", "août", "septembre", "octobre", "novembre", "décembre"),
)
_MONTHS_EN: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)

_SAID: Final = {
    Kind.CREATED: ("votre dossier a été créé", "your record was created"),
    Kind.FIRST_ACCESS: (
        "un professionnel de santé a consulté votre dossier pour la première fois",
        "a health professional consulted your record for the first time",
    ),
    Kind.NEW_DOCUMENT: (
        "un nouveau document est arrivé dans votre dossier",
        "a new document has come into your record",
    ),
    Kind.EMERGENCY_ACCESS: (
        "un professionnel de santé a accédé à votre dossier en urgence",
        "a health professional accessed your record in an emergency",
    ),
    Kind.ACCESS: (
        "un professionnel de santé a consulté votre dossier",
        "a health professional consulted your record",
    ),
    Kind.CHANGED: (
        "vos droits, vos réglages ou l'état de votre dossier ont changé",
        "your rights, your settings or the state of your record have changed",
    ),
    Kind.REFUSED: (
        "une demande d'accès à votre dossier a été refusée",
        "a request to access your record was refused",
    ),
}

_MODES: Final = {
    "bris_de_glace": ("bris de glace", "break-glass"),
    "centre_15": ("appel au SAMU, centre 15", "call to the SAMU, centre 15"),
}

_ALWAYS: Final = (
    (
        "Vous êtes toujours prévenu d'un accès en urgence (CSP, R.1111-48). D'autres accès de la même"
        " personne dans la même heure sont annoncés par ce même message."
    ),
    (
        "You are always told of an emergency access (CSP, R.1111-48). Further accesses of the same person"
        " within the same hour are announced by this same message."
    ),
)
_CHOSEN: Final = (
    "Vous choisissez les messages que vous recevez dans les paramètres de votre dossier.",
    "You choose which messages you get in the settings of your record.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A notice in words: the subject and body of an e-mail, and an SMS."""

    subject: str
    body: str
    sms: str


def text(kind: Kind, *, at: datetime, mode: str = "normal", portal: str = "") -> Text:
    """A notice in words.

    Args:
        kind: what it tells of.
        at: when that happened; shown as the time in Paris.
        mode: of the access; the emergency modes are named.
        portal: address of the portal; "" to name none.
    """
    here = at.astimezone(FRANCE)
    fr, en = _SAID[kind]
    how_fr, how_en = (f" ({word})" if word else "" for word in _MODES.get(mode, ("", "")))
    when_fr = (
        f"le {here.day} {_MONTHS_FR[here.month - 1]} {here.year} à {here:%H:%M} (heure de Paris)"
    )
    when_en = f"on {here.day} {_MONTHS_EN[here.month - 1]} {here.year} at {here:%H:%M} (Paris time)"
    more_fr, more_en = _ALWAYS if kind is Kind.EMERGENCY_ACCESS else _CHOSEN
    there_fr, there_en = (f" : {portal}", f": {portal}") if portal else (".", ".")
    body = (
        f"Bonjour,\n\n{_capital(fr)}{how_fr} {when_fr}.\n\n"
        f"Qui est intervenu et comment se lit dans votre dossier, rubrique « Traçabilité »{there_fr}\n\n"
        f"{more_fr}\n\n"
        "--------\n\n"
        f"Hello,\n\n{_capital(en)}{how_en} {when_en}.\n\n"
        f"Who acted, and how, can be read in your record, under “Traçabilité”{there_en}\n\n{more_en}\n"
    )
    return Text(
        subject=f"Dossier médical partagé : {fr}",
        body=body,
        sms=f"DMP : {fr}{how_fr}, le {here:%d/%m/%Y à %H:%M} (Paris). Détails dans votre dossier.",
    )


def _capital(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]
