"""`dmp dossier mask` and its like: what changes a document without touching its bytes, once confirmed."""

from collections.abc import Callable
from typing import Annotated, Final

import typer
from rich.text import Text

from clients.cli.record import look
from clients.cli.record.arguments import Document, Patient, Yes
from clients.cli.record.procedures import CHANGE
from clients.cli.record.session import Session, command
from clients.cli.show import Said
from dossier.v1 import dossier_pb2 as pb

app = typer.Typer()


def _announced(
    *,
    announced: Annotated[
        bool, typer.Option("--announced", help="The announcement has taken place, by someone else.")
    ] = False,
) -> bool:
    return announced


def _unannounced() -> bool:
    return False


def _act(
    act: pb.Act.ValueType, question: Said, *, announced: Callable[..., bool] = _unannounced
) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Makes a command that does this, of a function that says what the command is called and tells."""

    def made(named: Callable[[], None]) -> Callable[[], None]:
        def work(
            session: Session,
            patient: Patient,
            document: Document,
            *,
            yes: Yes = False,
            announced: bool,
        ) -> None:
            session.confirm(question, yes=yes)
            request = pb.ChangeRequest(**session.about(patient), document=document, act=act)
            request.context.announced = announced
            answer = session.ask(CHANGE, request)
            session.show(answer, Text(session.say(_DONE)), look.footer(answer.ruling))

        work.__doc__ = named.__doc__
        command(app, named.__name__.replace("_", "-"), announced=announced)(work)
        return named

    return made


_DONE: Final = Said(
    "Fait ; le document lui-même n'a pas changé.", "Done; its bytes have not changed."
)


@_act(pb.ACT_MASK, Said("Masquer ce document aux professionnels ?", "Mask this document?"))
def mask() -> None:
    """Mask a document from professionals other than its author and the treating doctor.

    Examples:
      dmp dossier mask 1541187387477485562488 ID --as patient.yaml
      dmp dossier mask 1541187387477485562488 ID --agreement --yes

    Exit: 0 masked, 1 denied or not confirmed, 2 wrong usage, 3 no answer.
    """


@_act(pb.ACT_UNMASK, Said("Démasquer ce document ?", "Unmask this document?"))
def unmask() -> None:
    """Make a masked document visible again.

    Examples:
      dmp dossier unmask 1541187387477485562488 ID --as patient.yaml

    Exit: 0 unmasked, 1 denied or not confirmed, 2 wrong usage, 3 no answer.
    """


@_act(
    pb.ACT_SHOW_TO_PATIENT,
    Said("Montrer ce document au patient ?", "Show this document to the patient?"),
    announced=_announced,
)
def show_to_patient() -> None:
    """Show a document to the patient, now that it has been announced.

    Examples:
      dmp dossier show-to-patient 1541187387477485562488 ID
      dmp dossier show-to-patient 1541187387477485562488 ID --announced

    Exit: 0 shown, 1 denied or not confirmed, 2 wrong usage, 3 no answer.
    """


@_act(
    pb.ACT_SHOW_TO_REPRESENTATIVES,
    Said("Montrer ce document aux représentants ?", "Show it to the representatives?"),
    announced=_announced,
)
def show_to_representatives() -> None:
    """Show a minor's document to the legal representatives.

    Examples:
      dmp dossier show-to-representatives 1541187387477485562488 ID

    Exit: 0 shown, 1 denied or not confirmed, 2 wrong usage, 3 no answer.
    """


@_act(
    pb.ACT_HIDE_FROM_PATIENT,
    Said("Cacher ce document au patient ?", "Hide this document from the patient?"),
)
def hide_from_patient() -> None:
    """Hide a document from the patient until it is announced, where policy lets this be done later.

    Examples:
      dmp dossier hide-from-patient 1541187387477485562488 ID

    Exit: 0 hidden, 1 denied or not confirmed, 2 wrong usage, 3 no answer.
    """


@_act(pb.ACT_ARCHIVE, Said("Archiver ce document ?", "Archive this document?"))
def archive() -> None:
    """Archive a document: it stays, and usual lists leave it out.

    Examples:
      dmp dossier archive 1541187387477485562488 ID

    Exit: 0 archived, 1 denied or not confirmed, 2 wrong usage, 3 no answer.
    """


@_act(pb.ACT_UNARCHIVE, Said("Sortir ce document des archives ?", "Take it out of the archive?"))
def unarchive() -> None:
    """Take a document out of the archive.

    Examples:
      dmp dossier unarchive 1541187387477485562488 ID

    Exit: 0 done, 1 denied or not confirmed, 2 wrong usage, 3 no answer.
    """


@_act(pb.ACT_DELETE, Said("Supprimer ce document ?", "Delete this document?"))
def delete() -> None:
    """Delete a document of your own: nobody finds it any more; its bytes are kept, as the law wants.

    Examples:
      dmp dossier delete 1541187387477485562488 ID

    Exit: 0 deleted, 1 denied or not confirmed, 2 wrong usage, 3 no answer.
    """
