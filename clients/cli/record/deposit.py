"""`dmp dossier deposit`: documents into a dossier, all of them or none."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.text import Text

from clients import sdk
from clients.cli.link import Error, RefusedError
from clients.cli.record import look, words
from clients.cli.record.arguments import Patient
from clients.cli.record.procedures import SUBMIT
from clients.cli.record.session import Session, command
from clients.cli.show import Said
from dossier.cda.markup import MAX_BYTES
from dossier.v1 import dossier_pb2 as pb

app = typer.Typer()

MAX_DEPOSITS: Final = 20
_PLACE: Final = re.compile(r"deposits\[(\d{1,2})\](?:\.content)?")


@command(app)
def deposit(
    session: Session,
    patient: Patient,
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="CDA R2 documents, at most 20.")
    ],
    *,
    masked: Annotated[bool, typer.Option("--masked", help="From other professionals.")] = False,
    hidden_from_patient: Annotated[
        bool, typer.Option("--hidden-from-patient", help="Until it is announced.")
    ] = False,
    hidden_from_representatives: Annotated[
        bool, typer.Option("--hidden-from-representatives", help="Of a minor.")
    ] = False,
    replaces: Annotated[
        str, typer.Option("--replaces", metavar="ID", help="The document it is a new version of.")
    ] = "",
) -> None:
    """Deposit documents: all of them, or none. Every mistake is told with its XPath.

    Examples:
      dmp dossier deposit 1541187387477485562488 note.xml report.xml
      dmp dossier deposit 1541187387477485562488 result.xml --hidden-from-patient
      dmp dossier deposit 1541187387477485562488 note-2.xml --replaces 5f0c...

    Exit: 0 deposited, 1 denied, 2 a document can't be taken, 3 no answer.
    """
    if len(files) > MAX_DEPOSITS:
        raise Error(f"{len(files)} files: at most {MAX_DEPOSITS} at once, all of them or none")
    if replaces and len(files) > 1:
        raise Error("--replaces: one file replaces one document: deposit it alone")
    seen = pb.Visibility(
        masked=masked,
        hidden_from_patient=hidden_from_patient,
        hidden_from_representatives=hidden_from_representatives,
    )
    deposits = [
        pb.Deposit(content=_read(file), visibility=seen, replaces=replaces) for file in files
    ]
    request = pb.SubmitRequest(**session.about(patient), deposits=deposits)
    try:
        answer = session.ask(SUBMIT, request)
    except Error as exc:
        raise named(exc, files) from exc
    columns = (Said("fichier", "file"), Said("document", "document"), Said("espace", "space"))
    table = look.table(*map(session.say, columns))
    for file, done in zip(files, answer.deposited, strict=True):
        space = session.say(words.word(words.SPACES, done.space))
        table.add_row(file.name, done.document, f"{done.space} {space}")
    said = Said("déposés", "deposited") if len(files) > 1 else Said("déposé", "deposited")
    head = Text(f"{len(files)} {session.say(said)}", style="bold green")
    warned = look.warnings(answer.ruling, (), session.language)
    session.show(answer, head, table, *warned, look.footer(answer.ruling))


def named(error: Error, files: Sequence[Path]) -> Error:
    """An error whose places are files rather than numbers."""
    if isinstance(error, RefusedError):
        told = Said(*(_PLACE.sub(lambda of: _file(of, files), text) for text in error.told))
        return RefusedError(error.reason_code, told, error.decision_id)
    if not error.violations:
        return error
    found = (
        sdk.Violation(_PLACE.sub(lambda of: _file(of, files), field), problem)
        for field, problem in error.violations
    )
    return Error(str(error), tuple(found))


def _file(place: re.Match[str], files: Sequence[Path]) -> str:
    """The name of the file in a place."""
    number = int(place[1])
    return files[number].name if number < len(files) else place[0]


def _read(file: Path) -> bytes:
    """The bytes of a file, which are looked at by the record; of one that is too large, none are sent."""
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_BYTES + 1)
    except OSError as exc:
        raise Error(f"`{file}`: {exc.strerror}") from exc
    if len(data) > MAX_BYTES:
        raise Error(f"`{file}`: more than {MAX_BYTES} bytes: make it smaller, or split it")
    return data
