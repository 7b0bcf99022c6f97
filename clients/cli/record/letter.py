"""The letter with the access codes: on paper, in two parts that are detached from each other.

Who holds the number, the login and the password of a person can be that person. So the letter is written to a
file that nobody else can read, is to be printed and destroyed, and the screen never shows the password
(homologation EX_GEN-1470: handed over, or by two channels; never both codes by one electronic channel).
"""

import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Final, Self

from clients.cli.link import Error
from clients.cli.record import look
from clients.cli.show import Language, Said
from dossier.v1 import dossier_pb2 as pb

_WIDTH: Final = 78
_CUT: Final = Said("détacher ici", "detach here")
_HEAD: Final = Said(
    "ASIP Santé - DMP Info Service\n(service d'essai : aucune personne réelle)",
    "ASIP Santé - DMP Info Service\n(trial service: no real person)",
)
_BODY: Final = Said(
    "Vous avez consenti, après en avoir été informé(e), à la création de votre dossier médical\n"
    "personnel (DMP). Vous pouvez le fermer à tout moment.\n\n"
    "Votre identifiant national de santé (INS) : {ins}\n"
    "Il n'est pas votre numéro de sécurité sociale. Conservez-le : il peut vous être demandé.\n",
    "Having been informed, you consented to the creation of your personal medical record (DMP).\n"
    "You may close it at any time.\n\n"
    "Your national health identifier (INS): {ins}\n"
    "It is not your social security number. Keep it: you may be asked for it.\n",
)
_HOW: Final = Said(
    "Pour activer votre compte : ouvrez le portail du DMP, donnez votre identifiant de connexion et\n"
    "votre mot de passe temporaire, puis le code reçu par SMS ou par courriel, et choisissez votre\n"
    "propre mot de passe.\n",
    "To activate your account: open the portal of the DMP, give your login and your temporary\n"
    "password, then the code received by SMS or e-mail, and choose a password of your own.\n",
)
_LOGIN: Final = Said(
    "PARTIE 1 - à conserver, sans limite de temps\n\n  Identifiant de connexion : {login}\n",
    "PART 1 - to be kept, without time limit\n\n  Login: {login}\n",
)
_PASSWORD: Final = Said(
    "PARTIE 2 - à conserver ailleurs, à détruire après la première connexion\n\n"
    "  Mot de passe temporaire : {password}\n",
    "PART 2 - to be kept elsewhere, to be destroyed after the first login\n\n"
    "  Temporary password: {password}\n",
)
_NO_ACCOUNT: Final = Said(
    "Sans adresse de courriel ni téléphone mobile, aucun compte internet n'a été ouvert.\n",
    "Without an e-mail address or a mobile phone no internet account was opened.\n",
)
_TOLD: Final = Said(
    "Les codes d'accès ont déjà été remis ; en demander d'autres si le courrier est perdu.\n",
    "The access codes were given before; ask for new ones if that letter is lost.\n",
)
_BACK: Final = Said(
    "En cas d'erreur de destinataire, retourner à : DMP Info Service.\n",
    "If this is not for you, return it to: DMP Info Service.\n",
)


class Letter:
    """A letter that will be written: its place is taken before there is anything secret."""

    def __init__(self, path: Path, file: int) -> None:
        self._path = path
        self._file = file

    @classmethod
    def reserve(cls, path: Path) -> Self:
        """Makes the file, for its owner alone.

        Raises:
            Error: it can't be made, or is there already.
        """
        try:
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as exc:
            raise Error(f"--letter `{path}`: {exc.strerror}: name a new file") from exc
        return cls(path, file)

    def give_up(self) -> None:
        """Removes the file: there is no letter."""
        os.close(self._file)
        self._path.unlink(missing_ok=True)

    def write(
        self,
        person: pb.Administrative,
        ins: str,
        account: pb.Account,
        language: Language,
        *,
        day: date,
    ) -> None:
        """Writes the letter of this day.

        Raises:
            Error: the file can't be written; the person then asks for new codes.
        """
        text = "\n".join((f"{day:%d/%m/%Y}\n", *_parts(person, ins, account, language)))
        try:
            with os.fdopen(self._file, "w", encoding="utf-8") as file:
                file.write(text)
        except OSError as exc:
            what = "the dossier is there, its letter is not"
            raise Error(f"--letter `{self._path}`: {exc.strerror}: {what}") from exc


def cut(language: Language) -> str:
    """The line along which the parts are detached."""
    return f" ✂ {_CUT.text(language)} ".center(_WIDTH, "-")


def _parts(
    person: pb.Administrative, ins: str, account: pb.Account, language: Language
) -> Iterator[str]:
    contact = person.contact
    yield _HEAD.text(language) + "\n"
    yield look.name(person)
    yield from contact.address
    if contact.city:
        yield f"{contact.postal_code} {contact.city}".strip()
    yield "\n" + _BODY.text(language).format(ins=ins)
    if not account.login:
        reached = contact.email or contact.phone
        yield (_TOLD if reached else _NO_ACCOUNT).text(language)
        yield _BACK.text(language)
        return
    yield _HOW.text(language)
    yield cut(language) + "\n"
    yield _LOGIN.text(language).format(login=account.login)
    yield cut(language) + "\n"
    yield _PASSWORD.text(language).format(password=account.temporary_password)
    yield cut(language) + "\n"
    yield _BACK.text(language)
