"""The five questions of the consent screen, with the defaults that it shows."""

from typing import Final

import typer

from clients.cli.link import Error
from clients.cli.show import Language, Said
from dossier.v1 import dossier_pb2 as pb

QUESTIONS: Final[tuple[tuple[str, Said, bool], ...]] = (
    (
        "create",
        Said(
            "1  La personne vous autorise à créer son DMP",
            "1  The person authorises you to create the DMP",
        ),
        True,
    ),
    (
        "authorise",
        Said(
            "2  … vous autorise à y accéder",
            "2  ... authorises you to access it",
        ),
        True,
    ),
    (
        "treating_doctor",
        Said(
            "3  … vous donne le statut de médecin traitant DMP",
            "3  ... gives you treating-doctor status in the DMP",
        ),
        False,
    ),
    (
        "samu",
        Said(
            "4  … permet l'accès au médecin régulateur lors d'un appel au SAMU ou à un centre 15",
            "4  ... lets the regulator physician access it in a call to the SAMU or a centre 15",
        ),
        True,
    ),
    (
        "break_glass",
        Said(
            "5  … permet l'accès à tout professionnel en cas de risque immédiat pour sa santé",
            "5  ... lets any professional access it when there is an immediate risk to health",
        ),
        True,
    ),
)
"""Field, statement, and the answer that the screen shows at first."""

_YES: Final = ("oui", "o", "yes", "y")
_NO: Final = ("non", "n", "no")


def parse(text: str) -> pb.Answers:
    """The answers in five words.

    Raises:
        Error: there are not five, or one is neither yes nor no.
    """
    given = text.replace(",", " ").lower().split()
    if len(given) != len(QUESTIONS):
        raise Error(f"--answers: {len(given)} words: give five, as `oui oui non oui oui`")
    answers = pb.Answers()
    for (field, _, _), word in zip(QUESTIONS, given, strict=True):
        if word not in (*_YES, *_NO):
            raise Error(f"--answers: `{word}`: say `oui` or `non`")
        setattr(answers, field, word in _YES)
    return answers


def put(language: Language) -> pb.Answers:
    """Asks them at the terminal; Enter takes what is shown. After a no to the first there are no others."""
    answers = pb.Answers()
    yes, no = ("oui", "non") if language is Language.FR else ("yes", "no")
    for field, statement, shown in QUESTIONS:
        while True:
            asked = statement.text(language)
            given = typer.prompt(asked, default=yes if shown else no, err=True).strip().lower()
            if given in (*_YES, *_NO):
                break
        setattr(answers, field, given in _YES)
        if not answers.create:
            break
    return answers
