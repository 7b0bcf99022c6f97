"""How the record looks at a terminal: emergencies marked from the first line to the last, tables, dates."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.style import Style
from rich.table import Table
from rich.text import Text

from authz.v1 import authz_pb2 as authz
from clients.cli.record import words
from clients.cli.record.text import visible
from clients.cli.show import Language, Said
from dossier.v1 import dossier_pb2 as pb
from serving.days import FRANCE

NORMAL: Final = ("", "normal")

_ONWARD: Final = Said("la suite : --cursor", "more: --cursor")
_EMERGENCY: Final = "bold white on red"
_KEPT: Final = "bold black on yellow"


def banner(context: authz.Context, language: Language) -> Text | None:
    """What stands above, and below, everything that is shown in an emergency or a secret connection."""
    if context.mode not in NORMAL:
        mode = words.word(words.MODES, context.mode).text(language)
        return Text(f" {mode}  {words.EMERGENCY.text(language)} ", style=_EMERGENCY)
    if context.secret_connection:
        return Text(f" {words.SECRET.text(language)} ", style=_KEPT)
    return None


def framed(
    parts: Sequence[RenderableType], context: authz.Context, language: Language
) -> Iterable[RenderableType]:
    """The parts; in an emergency each line of them bears its colour, between two banners."""
    above = banner(context, language)
    if above is None:
        yield from parts
        return
    style = "red" if context.mode not in NORMAL else "yellow"
    yield above
    for part in parts:
        yield _Marked(part, style)
    yield above


class _Marked:
    """Something with a bar at the left of each of its lines."""

    def __init__(self, inner: RenderableType, style: str) -> None:
        self._inner = inner
        self._style = style

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = max(options.max_width - 2, 1)
        bar = Segment("▌ ", Style.parse(self._style))
        for line in console.render_lines(self._inner, options.update(width=width), pad=False):
            yield bar
            yield from line
            yield Segment.line()


def table(*columns: str, whole: Collection[int] = ()) -> Table:
    """A table without lines, as the log is shown; `whole` are the columns that are never folded."""
    made = Table(box=None, pad_edge=False, header_style="dim")
    for place, name in enumerate(columns):
        made.add_column(name, overflow="fold", no_wrap=place in whole)
    return made


def day(at: Timestamp) -> str:
    """The day of an instant; "" when there is none."""
    return f"{_local(at):%Y-%m-%d}" if at.seconds else ""


def minute(at: Timestamp) -> str:
    """Day and time of an instant; "" when there is none."""
    return f"{_local(at):%Y-%m-%d %H:%M}" if at.seconds else ""


def _local(at: Timestamp) -> datetime:
    return at.ToDatetime(tzinfo=UTC).astimezone(FRANCE)


def name(of: pb.Administrative | pb.PatientLine) -> str:
    """How a person is called: usage name, or that of birth; given names."""
    return " ".join(filter(None, (of.usage_name or of.family_name, of.given_names)))


def author(of: pb.Label) -> str:
    """Who wrote a document: the first author, and how many more."""
    people = [one.name or one.id for one in of.authors]
    if not people:
        return of.structure_name or of.structure
    return people[0] + (f" +{len(people) - 1}" if len(people) > 1 else "")


def marks(of: pb.Label, language: Language) -> Text:
    """What is particular about a document: from whom it is kept, its status, who deposited it."""
    seen, found = of.visibility, Text()
    for given, said, style in (
        (seen.masked, words.MASKED, "bold magenta"),
        (seen.hidden_from_patient, words.HIDDEN_FROM_PATIENT, "bold yellow"),
        (seen.hidden_from_representatives, words.HIDDEN_FROM_REPRESENTATIVES, "bold yellow"),
        (of.status not in ("", "approved"), words.word(words.STATUSES, of.status), "dim"),
        (of.by_patient, words.BY_PATIENT, "cyan"),
    ):
        if given:
            found.append(", " if found else "").append(said.text(language), style=style)
    if of.version > 1:
        found.append(", " if found else "").append(f"v{of.version}", style="dim")
    return found


def warnings(ruling: pb.Ruling, banners: Iterable[str], language: Language) -> list[Text]:
    """The banners in words, one a line; the mode has its own."""
    names = dict.fromkeys((*ruling.banners, *banners))
    shown = (name for name in names if name not in ("show_mode", "confirm"))
    return [
        Text(f"! {words.word(words.BANNERS, name).text(language)}", style="bold yellow")
        for name in shown
    ]


def onward(cursor: str, language: Language) -> Iterator[Text]:
    """Where a list goes on, on a line to be copied; none at its end."""
    if cursor:
        line = f"{_ONWARD.text(language)} {visible(cursor)}"
        yield Text(line, style="dim", no_wrap=True, overflow="ignore")


def footer(ruling: pb.Ruling) -> Text:
    """Under which decision this is shown."""
    return Text(f"{ruling.reason_code}  {ruling.decision_id}", style="dim")
