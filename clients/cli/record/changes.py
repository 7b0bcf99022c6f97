"""`dmp dossier mask` and its like: what changes a document without touching its bytes, once confirmed."""

from typing import Annotated

import typer
from rich.text import Text

from clients.cli.record import look
from clients.cli.record.arguments import Document, Patient, Yes
from clients.cli.record.procedures import CHANGE
from clients.cli.record.session import Session, command
from clients.cli.show import Said
from dossier.v1 import dossier_pb2 as pb

app = typer.Typer()


@command(app)
def mask(session: Session, patient: Patient, document: Document, *, yes: Yes = False) -> None:
    """Mask a document from professionals other than its author and the treating doctor.

    Examples:
      dmp dossier mask 1541187387477485562488 ID --as patient.yaml
      dmp dossier mask 1541187387477485562488 ID --agreement --yes

    Exit: 0 masked, 1 denied or not confirmed, 2 wrong usage, 3 no answer.
    """
    asked = Said("Masquer ce document aux professionnels ?", "Mask this document?")
    _change(session, patient, document, pb.ACT_MASK, asked, yes=yes)


@command(app)
def unmask(session: Session, patient: Patient, document: Document, *, yes: Yes = False) -> None:
    """Make a masked document visible again.

    Examples:
      dmp dossier unmask 1541187387477485562488 ID --as patient.yaml

    Exit: 0 unmasked, 1 denied or not confirmed, 2 wrong usage, 3 no answer.
    """
    asked = Said("Démasquer ce document ?", "Unmask this document?")
    _change(session, patient, document, pb.ACT_UNMASK, asked, yes=yes)


Announced = Annotated[
    bool, typer.Option("--announced", help="The announcement has taken place, by someone else.")
]


@command(app)
def show_to_patient(
    session: Session,
    patient: Patient,
    document: Document,
    *,
    announced: Announced = False,
    yes: Yes = False,
) -> None:
    """Show a document to the patient, now that it has been announced.

    Examples:
      dmp dossier show-to-patient 1541187387477485562488 ID
      dmp dossier show-to-patient 1541187387477485562488 ID --announced

    Exit: 0 shown, 1 denied or not confirmed, 2 wrong usage, 3 no answer.
    """
    asked = Said("Montrer ce document au patient ?", "Show this document to the patient?")
    act = pb.ACT_SHOW_TO_PATIENT
    _change(session, patient, document, act, asked, yes=yes, announced=announced)


@command(app)
def show_to_representatives(
    session: Session,
    patient: Patient,
    document: Document,
    *,
    announced: Announced = False,
    yes: Yes = False,
) -> None:
    """Show a minor's document to the legal representatives.

    Examples:
      dmp dossier show-to-representatives 1541187387477485562488 ID

    Exit: 0 shown, 1 denied or not confirmed, 2 wrong usage, 3 no answer.
    """
    asked = Said("Montrer ce document aux représentants ?", "Show it to the representatives?")
    act = pb.ACT_SHOW_TO_REPRESENTATIVES
    _change(session, patient, document, act, asked, yes=yes, announced=announced)


@command(app)
def hide_from_patient(
    session: Session, patient: Patient, document: Document, *, yes: Yes = False
) -> None:
    """Hide a document from the patient until it is announced, where policy lets this be done later.

    Examples:
      dmp dossier hide-from-patient 1541187387477485562488 ID

    Exit: 0 hidden, 1 denied or not confirmed, 2 wrong usage, 3 no answer.
    """
    asked = Said("Cacher ce document au patient ?", "Hide this document from the patient?")
    _change(session, patient, document, pb.ACT_HIDE_FROM_PATIENT, asked, yes=yes)


@command(app)
def archive(session: Session, patient: Patient, document: Document, *, yes: Yes = False) -> None:
    """Archive a document: it stays, and usual lists leave it out.

    Examples:
      dmp dossier archive 1541187387477485562488 ID

    Exit: 0 archived, 1 denied or not confirmed, 2 wrong usage, 3 no answer.
    """
    asked = Said("Archiver ce document ?", "Archive this document?")
    _change(session, patient, document, pb.ACT_ARCHIVE, asked, yes=yes)


@command(app)
def unarchive(session: Session, patient: Patient, document: Document, *, yes: Yes = False) -> None:
    """Take a document out of the archive.

    Examples:
      dmp dossier unarchive 1541187387477485562488 ID

    Exit: 0 done, 1 denied or not confirmed, 2 wrong usage, 3 no answer.
    """
    asked = Said("Sortir ce document des archives ?", "Take it out of the archive?")
    _change(session, patient, document, pb.ACT_UNARCHIVE, asked, yes=yes)


@command(app)
def delete(session: Session, patient: Patient, document: Document, *, yes: Yes = False) -> None:
    """Delete a document of your own: nobody finds it any more; its bytes are kept, as the law wants.

    Examples:
      dmp dossier delete 1541187387477485562488 ID

    Exit: 0 deleted, 1 denied or not confirmed, 2 wrong usage, 3 no answer.
    """
    asked = Said("Supprimer ce document ?", "Delete this document?")
    _change(session, patient, document, pb.ACT_DELETE, asked, yes=yes)


def _change(
    session: Session,
    patient: str,
    document: str,
    act: pb.Act.ValueType,
    question: Said,
    *,
    yes: bool,
    announced: bool = False,
) -> None:
    session.confirm(question, yes=yes)
    request = pb.ChangeRequest(**session.about(patient), document=document, act=act)
    request.context.announced = announced
    answer = session.ask(CHANGE, request)
    done = Said("Fait ; le document lui-même n'a pas changé.", "Done; its bytes have not changed.")
    session.show(answer, Text(session.say(done)), look.footer(answer.ruling))
