"""`dmp audit accesses`: who saw or tried to see a patient's record, to read and to keep."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import orjson
import typer
from rich.table import Table
from rich.text import Text

from audit.entry import uuid7_ms
from audit.v1 import audit_pb2 as pb
from clients.cli import show
from clients.cli.audit import exports, heads, page, sheet
from clients.cli.audit import patientwords as words
from clients.cli.audit.procedures import LIST_ACCESSES
from clients.cli.audit.session import Session, command
from clients.cli.cast import same
from clients.cli.link import Error
from clients.cli.record import look
from clients.cli.record import words as record
from clients.cli.record.text import visible
from clients.cli.show import Language, Said

app = typer.Typer()

_PAGE: Final = 50
_AT_ONCE: Final = 1_000
_PAGES: Final = 1_000_000


class Format(StrEnum):
    """As what it is written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    HTML = "html"


@command(app)
def accesses(
    session: Session,
    *,
    patient: Annotated[str, typer.Argument(metavar="INS", help="Of whose record.")],
    since: Annotated[str, typer.Option("--from", metavar="YYYY-MM-DD", help="The first day.")] = "",
    until: Annotated[str, typer.Option("--until", metavar="YYYY-MM-DD", help="The last day.")] = "",
    who: Annotated[
        str, typer.Option("--who", metavar="NUMBER", help="Of one professional or structure only.")
    ] = "",
    refused: Annotated[bool, typer.Option("--refused", help="Refused attempts only.")] = False,
    emergency: Annotated[
        bool, typer.Option("--emergency", help="What was done in an emergency only.")
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="The whole of it as a table, too; files hold it always.")
    ] = False,
    form: Annotated[Format, typer.Option("--format", help="As what.")] = Format.TABLE,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="A new file, for you alone."),
    ] = None,
) -> None:
    """See who saw a record, or tried to: who, when, which data, from where, and why it was allowed.

    For the patient, a minor's representatives, and the treating doctor. That you look is on record, too.

    Examples:
      dmp audit accesses 1113109067725142806651 --as patient
      dmp audit accesses 1113109067725142806651 --as patient --refused --from 2026-01-01
      dmp audit accesses 1113109067725142806651 --as patient --format html -o accesses.html

    Exit: 0 shown, 1 denied, 2 wrong usage, 3 no answer.
    """
    if session.as_json:
        form = Format.JSON
    if output is not None and output.exists():
        raise Error(f"-o: `{output}` is there already: name a file that is not")
    whole = everything or form is not Format.TABLE or output is not None
    request = pb.ListAccessesRequest(
        subject=session.subject,
        patient=patient,
        until=until,
        who=who,
        refused=refused,
        emergency=emergency,
        page_size=_AT_ONCE if whole else _PAGE,
        pages=_PAGES if whole else 1,
    )
    setattr(request, "from", since)
    request.context.mode = "normal"
    pages = list(session.stream(LIST_ACCESSES, request))
    if not pages:
        raise Error("the service answered nothing: its log says why")
    found = [one for part in pages for one in part.accesses]
    if form is Format.TABLE and output is None:
        session.print(*_shown(found, pages[-1], session.language))
        return
    text = _written(form, _frame(request, pages, since), found, session.language)
    if output is None:
        print(text, end="", flush=True)
        return
    with exports.opened(output) as file:
        file.write(text.encode())
    lines = Said("{} lignes dans {}", "{} lines in {}")
    session.print(Text(session.say(lines).format(len(found), output)))


def _written(
    form: Format, frame: page.Frame, found: Sequence[pb.Access], language: Language
) -> str:
    match form:
        case Format.HTML:
            return page.write(frame, found)
        case Format.CSV:
            return sheet.write(found)
        case Format.JSON:
            data = {
                "patient": frame.patient,
                "decision_id": frame.decision,
                "complete_until": frame.complete_until.isoformat() if frame.complete_until else "",
                "accesses": [show.as_data(one) for one in found],
            }
            return orjson.dumps(data).decode() + "\n"
        case Format.TABLE:
            console = show.console()
            with console.capture() as held:
                console.print(table(found, language))
            return held.get()


def table(found: Iterable[pb.Access], language: Language) -> Table:
    """One access a row: when, who, what, and below it whether and why it was allowed."""
    columns = (heads.WHEN, heads.WHO, Said("quoi, et pourquoi", "what, and why"))
    made = look.table(*(one.text(language) for one in columns), whole=(0,))
    for one in found:
        made.add_row(look.minute(one.at), _who(one, language), _what(one, language))
    return made


def _who(one: pb.Access, language: Language) -> Text:
    said = Text(words.person(one).text(language), style="bold")
    for more in (words.profession(one).text(language), words.structure(one), one.who.id):
        if more and more not in said.plain:
            said.append(f"\n{visible(more)}", style="dim not bold")
    return said


def _what(one: pb.Access, language: Language) -> Text:
    style = "bold green" if one.effect == "allow" else "bold red"
    said = Text(record.word(words.EFFECTS, one.effect).text(language), style=style)
    if emergency := words.mode(one).text(language):
        said.append(f"  {emergency} ", style="bold white on red")
    act, data = record.word(words.ACTIONS, one.action), words.data(one)
    said.append(f"  {act.text(language)} — {data.text(language)}", style="not bold default")
    said.append(
        f"\n{visible(one.fr if language is Language.FR else one.en)}", style="not bold default"
    )
    rest = (
        (Said("origine", "origin"), same(visible(one.origin))),
        (Said("raison", "reason"), words.reason(one)),
        (Said("contrôle", "review"), record.word(words.REVIEWS, one.review)),
        (Said("en outre", "besides"), words.further(one)),
        (Said("par le service", "through"), same(visible(one.service))),
        (Said("document", "document"), same(visible(one.document))),
        (show.DECISION, same(one.decision_id)),
    )
    for name, value in rest:
        if value.fr:
            said.append(f"\n{name.text(language)} {value.text(language)}", style="dim not bold")
    return said


def _shown(
    found: Sequence[pb.Access], last: pb.ListAccessesResponse, language: Language
) -> Iterable[Table | Text]:
    if not found:
        yield Text(Said("aucun accès à montrer", "nothing to show").text(language))
        return
    yield table(found, language)
    yield from heads.ending(last.cursor, last.standing, language)


def _frame(
    request: pb.ListAccessesRequest, pages: Sequence[pb.ListAccessesResponse], since: str
) -> page.Frame:
    first = pages[0]
    asked = []
    if since:
        asked.append(Said(f"À partir du {since}", f"From {since}"))
    if request.until:
        asked.append(Said(f"Jusqu'au {request.until}", f"Until {request.until}"))
    if request.who:
        asked.append(Said(f"Seulement {request.who}", f"Only {request.who}"))
    if request.refused:
        asked.append(Said("Tentatives refusées seulement", "Refused attempts only"))
    if request.emergency:
        asked.append(Said("Accès d'urgence seulement", "Emergency accesses only"))
    known = first.standing.HasField("complete_until")
    return page.Frame(
        patient=request.patient,
        asked=asked,
        made_at=datetime.fromtimestamp(uuid7_ms(first.look.decision_id) / 1000, UTC),
        complete_until=first.standing.complete_until.ToDatetime(tzinfo=UTC) if known else None,
        decision=first.look.decision_id,
    )
