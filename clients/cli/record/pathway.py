"""`dmp dossier pathway`: what happened to a person, drawn along time."""

from collections.abc import Iterable, Iterator

import typer
from rich.text import Text

from clients.cli.record import look, words
from clients.cli.record.arguments import Patient
from clients.cli.record.documents import search
from clients.cli.record.procedures import READ_PATHWAY
from clients.cli.record.session import Session, command
from clients.cli.record.text import visible
from clients.cli.show import Language, Said
from dossier.v1 import dossier_pb2 as pb

app = typer.Typer()

_COLOURS = {
    "1": "bright_white",
    "2": "green",
    "3": "blue",
    "4": "magenta",
    "5": "red",
    "6": "cyan",
    "7": "yellow",
    "8": "bright_cyan",
}


@command(app, narrowed=search)
def pathway(
    session: Session,
    patient: Patient,
    *,
    narrowed: pb.Search,
) -> None:
    """Draw the care pathway: what happened, by date of act, across the spaces, the latest first.

    Examples:
      dmp dossier pathway 1541187387477485562488
      dmp dossier pathway 1541187387477485562488 --from 2025-01-01 --space 3 --space 5

    Exit: 0 drawn, 1 denied, 2 wrong usage, 3 no answer.
    """
    request = pb.ReadPathwayRequest(
        **session.about(patient),
        search=narrowed,
    )
    answer = session.ask(READ_PATHWAY, request)
    parts = list(drawn(answer.months, session.language))
    if not parts:
        parts.append(Text(session.say(Said("Rien à voir.", "Nothing to see."))))
    if answer.partial:
        more = Said("il y a d'autres documents : préciser la période", "more: narrow the period")
        parts.append(Text(session.say(more), style="dim"))
    warned = look.warnings(answer.ruling, (), session.language)
    session.show(answer, *warned, *parts, look.footer(answer.ruling))


def drawn(months: Iterable[pb.Month], language: Language) -> Iterator[Text]:
    """The time line, a line a document."""
    last = ""
    for month in months:
        year, _, _ = month.month.partition("-")
        if year != last:
            yield Text(f"━━ {year} ━━", style="bold")
            last = year
        yield Text.assemble(("┃", "dim"), f"\n┣━ {month.month}")
        for one in month.documents:
            colour = _COLOURS.get(one.space, "white")
            space = words.word(words.SPACES, one.space).text(language)
            line = Text.assemble(
                ("┃    ", "dim"),
                ("●", colour),
                f" {look.day(one.act_from)[8:]}  ",
                (visible(one.title) or one.type, "bold"),
                (f"  {visible(look.author(one))}  ", ""),
                (space, colour),
            )
            marks = look.marks(one, language)
            yield line.append("  ").append(marks) if marks else line
