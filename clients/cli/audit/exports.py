"""`dmp audit export`: what a filter finds, as a file."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, BinaryIO, Final

import typer
from rich.text import Text

from audit.v1 import audit_pb2 as pb
from clients.cli.audit.filtering import filtered
from clients.cli.audit.procedures import EXPORT
from clients.cli.audit.session import Session, command
from clients.cli.link import Error
from clients.cli.show import Said

app = typer.Typer()

_STDOUT: Final = Path("-")
_WRITTEN: Final = Said("{} entrées dans {}", "{} entries in {}")


class Format(StrEnum):
    """As what entries are shown."""

    TABLE = "table"
    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"
    PARQUET = "parquet"
    FHIR = "fhir"
    ADL = "adl"


FILES: Final = (Format.NDJSON, Format.CSV, Format.PARQUET, Format.FHIR, Format.ADL)

Output = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="FILE", help="A new file, for you alone; - for stdout."),
]


@command(app)
@filtered
def export(
    session: Session,
    *,
    wanted: pb.Filter,
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", metavar="FILE", help="A new file, for you alone; - for stdout."
        ),
    ],
    form: Annotated[
        Format,
        typer.Option("--format", help="ndjson, csv, parquet, fhir (IHE BALP), adl (Logius)."),
    ] = Format.NDJSON,
) -> None:
    """Write what a filter finds to a file, oldest first.

    Examples:
      dmp audit export --since 2026-11-01 --until 2026-12-01 --format parquet -o november.parquet
      dmp audit export --patient 1541187387477485562488 --format fhir -o - | jq -r .outcome

    Exit: 0 written, 1 denied, 2 wrong usage, 3 no answer; then what was written is taken away.
    """
    if form not in FILES:
        raise Error(f"--format: `{form}` is no file: give one of {', '.join(FILES)}")
    save(session, wanted, form, output)


def save(session: Session, wanted: pb.Filter, form: Format, output: Path | None) -> None:
    """Writes all that a filter finds to a new file, or to standard output.

    Raises:
        Error: the file is there already, or can't be written.
    """
    request = pb.ExportRequest(subject=session.subject, filter=wanted, format=form.value)
    pieces = session.stream(EXPORT, request)
    first = next(pieces, None)  # only what is allowed makes a file
    if first is None:
        raise Error("the service answered nothing: its log says why")
    if output is None or output == _STDOUT:
        for piece in pieces:
            sys.stdout.buffer.write(piece.piece)
        sys.stdout.buffer.flush()
        return
    entries = 0
    with opened(output) as file:
        for piece in pieces:
            file.write(piece.piece)
            entries = piece.entries
    session.print(Text(session.say(_WRITTEN).format(entries, output)))


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A new file that its owner alone may read; taken away again if it can't be finished.

    Raises:
        Error: it can't be made, or is there already.
    """
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Error(f"-o: `{path}` is there already: name a file that is not") from None
    except OSError as exc:
        raise Error(f"-o: `{path}` can't be written: {exc.strerror}") from exc
    try:
        with os.fdopen(number, "wb") as file:
            yield file
    except BaseException as exc:
        path.unlink(missing_ok=True)
        if isinstance(exc, OSError):
            raise Error(f"-o: `{path}` can't be written: {exc.strerror}") from exc
        raise
