"""`dmp dossier list`, `read`, `locate`, and what changes a document: mask, show, archive, delete."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from clients.cli import show
from clients.cli.point import Error
from clients.cli.record import look, words
from clients.cli.record.arguments import Cursor, Document, PageSize, Patient, Yes
from clients.cli.record.procedures import CHANGE, LIST, LOCATE, READ
from clients.cli.record.session import Session, command
from clients.cli.record.text import Content, content, visible
from clients.cli.show import Language, Said
from dossier.errors import CdaError
from dossier.v1 import dossier_pb2 as pb

app = typer.Typer()

Spaces = Annotated[list[str] | None, typer.Option("--space", help="1 to 8; may be repeated.")]
Types = Annotated[list[str] | None, typer.Option("--type", help="typeCode; may be repeated.")]
From = Annotated[str, typer.Option("--from", metavar="YYYY-MM-DD", help="Date of act.")]
Until = Annotated[str, typer.Option("--until", metavar="YYYY-MM-DD", help="Date of act.")]
Author = Annotated[str, typer.Option("--author", help="idNat_PS or INS.")]
Statuses = Annotated[
    list[str] | None,
    typer.Option("--status", help="approved (if left out), deprecated, archived; repeatable."),
]
_STDOUT: Final = Path("-")


def search(
    *,
    spaces: Iterable[str] | None,
    types: Iterable[str] | None,
    since: str,
    until: str,
    author: str,
    statuses: Iterable[str] | None,
) -> pb.Search:
    """What a list is narrowed to."""
    made = pb.Search(
        spaces=spaces or (),
        types=types or (),
        until=until,
        author=author,
        statuses=statuses or (),
    )
    setattr(made, "from", since)
    return made


@command(app, "list")
def list_documents(
    session: Session,
    patient: Patient,
    *,
    spaces: Spaces = None,
    types: Types = None,
    since: From = "",
    until: Until = "",
    author: Author = "",
    statuses: Statuses = None,
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
        search=search(
            spaces=spaces,
            types=types,
            since=since,
            until=until,
            author=author,
            statuses=statuses,
        ),
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
    if answer.cursor:
        more = Said("la suite : --cursor", "more: --cursor")
        parts.append(Text(f"{session.say(more)} {answer.cursor}", style="dim"))
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


def by_space(documents: Iterable[pb.Label], language: Language) -> Iterator[RenderableType]:
    """A table for each space that has documents, in the order of the spaces."""
    spaces: dict[str, list[pb.Label]] = {}
    for one in documents:
        spaces.setdefault(one.space, []).append(one)
    for space in sorted(spaces):
        title = f"{space}  {words.word(words.SPACES, space).text(language)} ({len(spaces[space])})"
        yield Text(title, style="bold underline")
        yield rows(spaces[space], language)
        yield Text()


def rows(documents: Iterable[pb.Label], language: Language) -> Table:
    """Documents, two lines each: what they are, and by which id they are read."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold", min_width=36)
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    for one in documents:
        what = Text(visible(one.title) or one.type, style="bold cyan" if one.by_patient else "bold")
        what.append(f"\n{one.document}", style="dim not bold")
        who = Text(visible(look.author(one))).append(f"\n{one.type}", style="dim")
        table.add_row(look.day(one.act_from), what, who, look.marks(one, language))
    return table


def label(of: pb.Label, language: Language) -> Table:
    """The label of a document, one thing a line."""
    space = words.word(words.SPACES, of.space).text(language)
    told = (
        (Said("titre", "title"), visible(of.title)),
        (Said("type", "type"), of.type),
        (Said("espace", "space"), f"{of.space} {space}"),
        (Said("auteur", "author"), ", ".join(visible(one.name or one.id) for one in of.authors)),
        (Said("structure", "structure"), visible(of.structure_name or of.structure)),
        (Said("acte du", "act of"), look.minute(of.act_from)),
        (Said("déposé le", "deposited"), look.minute(of.deposited_at)),
        (Said("état", "status"), words.word(words.STATUSES, of.status).text(language)),
        (Said("visibilité", "visibility"), look.marks(of, language).plain),
        (Said("remplace", "replaces"), of.replaces),
        (Said("remplacé par", "replaced by"), of.replaced_by),
        (Said("taille", "size"), f"{of.size} B {of.media_type}".strip()),
    )
    return show.listed((name.text(language), value) for name, value in told if value)


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
