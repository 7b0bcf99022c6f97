"""`dmp dossier list`, `read` and `locate`: documents as one may see them."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.text import Text

from clients.cli.link import Error
from clients.cli.record import look
from clients.cli.record.arguments import Cursor, Document, PageSize, Patient
from clients.cli.record.labels import by_space, label
from clients.cli.record.procedures import LIST, LOCATE, READ
from clients.cli.record.session import Session, command
from clients.cli.record.text import Content, content
from clients.cli.show import Said
from dossier.errors import CdaError
from dossier.v1 import dossier_pb2 as pb

app = typer.Typer()

_STDOUT: Final = Path("-")


def search(
    *,
    spaces: Annotated[
        list[str] | None, typer.Option("--space", help="1 to 8; may be repeated.")
    ] = None,
    types: Annotated[
        list[str] | None, typer.Option("--type", help="typeCode; may be repeated.")
    ] = None,
    since: Annotated[str, typer.Option("--from", metavar="YYYY-MM-DD", help="Date of act.")] = "",
    until: Annotated[str, typer.Option("--until", metavar="YYYY-MM-DD", help="Date of act.")] = "",
    author: Annotated[str, typer.Option("--author", help="idNat_PS or INS.")] = "",
    statuses: Annotated[
        list[str] | None,
        typer.Option("--status", help="approved (if left out), deprecated, archived; repeatable."),
    ] = None,
) -> pb.Search:
    """What a list is narrowed to, by the options of those commands that list."""
    made = pb.Search(
        spaces=spaces or (),
        types=types or (),
        until=until,
        author=author,
        statuses=statuses or (),
    )
    setattr(made, "from", since)
    return made


@command(app, "list", narrowed=search)
def list_documents(
    session: Session,
    patient: Patient,
    *,
    narrowed: pb.Search,
    every: Annotated[bool, typer.Option("--all", help="All pages.")] = False,
    page_size: PageSize = 0,
    cursor: Cursor = "",
) -> None:
    """List the documents that you may see, by space.

    Examples:
      dmp dossier list 1541187387477485562488
      dmp dossier list 1541187387477485562488 --space 5 --from 2026-01-01
      dmp dossier list 1541187387477485562488 --all --json | jq -r .documents[].document
      dmp dossier list INS --mode bris_de_glace --reason risque_vital --why "Inconscient"

    Exit: 0 listed, 1 denied, 2 wrong usage, 3 no answer.
    """
    request = pb.ListRequest(
        **session.about(patient),
        search=narrowed,
        page_size=page_size,
        cursor=cursor,
    )
    answer = session.ask(LIST, request)
    while every and answer.cursor:
        request.cursor = answer.cursor
        page = session.ask(LIST, request)
        answer.documents.extend(page.documents)
        answer.cursor = page.cursor
    parts = list(by_space(answer.documents, session.language))
    if not parts:
        parts.append(Text(session.say(Said("Aucun document à voir.", "No document to see."))))
    parts += look.onward(answer.cursor, session.language)
    warned = look.warnings(answer.ruling, (), session.language)
    session.show(answer, *warned, *parts, look.footer(answer.ruling))


@command(app)
def read(
    session: Session,
    patient: Patient,
    document: Document,
    *,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Its exact bytes; - for stdout."),
    ] = None,
    body: Annotated[
        Path | None,
        typer.Option("--body", metavar="FILE", help="The file that it carries: PDF, image, text."),
    ] = None,
) -> None:
    """Read a document: its label and its text; with -o its bytes, as they were deposited.

    Examples:
      dmp dossier read 1541187387477485562488 ID
      dmp dossier read 1541187387477485562488 ID -o document.xml
      dmp dossier read 1541187387477485562488 ID --body report.pdf

    Exit: 0 read, 1 denied or none to be read, 2 wrong usage, 3 no answer.
    """
    request = pb.ReadRequest(**session.about(patient), document=document)
    answer = session.ask(READ, request)
    if output == _STDOUT:
        sys.stdout.buffer.write(answer.content)
        return
    carried = _content(answer.content)
    written = [] if output is None else [(output, answer.content)]
    if body is not None:
        if not carried.file:
            raise Error("--body: the document carries no file: its text is shown without --body")
        written.append((body, carried.file))
    for path, data in written:
        _write(path, data)
    told = [Text(f"{path}  {len(data)} B", style="green") for path, data in written]
    shown = () if written else tuple(_lines(carried, session))
    warned = look.warnings(answer.ruling, answer.label.banners, session.language)
    sheet = label(answer.label, session.language)
    session.show(answer, *warned, sheet, *shown, *told, look.footer(answer.ruling))


@command(app)
def locate(
    session: Session,
    patient: Patient,
    unique_id: Annotated[str, typer.Argument(metavar="UNIQUE_ID", help="The producer's id.")],
) -> None:
    """Find the id of a document of your own by the unique id that its producer gave it.

    Examples:
      dmp dossier locate 1541187387477485562488 1.2.250.1.999.1^20260504-1

    Exit: 0 found, 1 denied or not there, 2 wrong usage, 3 no answer.
    """
    request = pb.LocateRequest(**session.about(patient), unique_id=unique_id)
    answer = session.ask(LOCATE, request)
    session.show(answer, Text(answer.document))


def _content(data: bytes) -> Content:
    try:
        return content(data)
    except CdaError as exc:
        raise Error(f"the document can't be shown: {exc}: take its bytes with -o") from exc


def _lines(carried: Content, session: Session) -> Iterator[Text]:
    yield Text()
    for is_title, line in carried.lines:
        yield Text(line, style="bold" if is_title else "")
    if carried.file and not carried.lines:
        there = Said(
            "un fichier {}, {} octets : --body FICHIER", "a file {}, {} bytes: --body FILE"
        )
        yield Text(session.say(there).format(carried.kind, len(carried.file)))
    yield Text()


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as exc:
        raise Error(f"`{path}`: {exc.strerror}") from exc
