"""Entries at a terminal: as a table, one in full, and how far what is shown follows the log."""

from collections.abc import Iterable, Iterator
from datetime import UTC
from typing import Final

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from audit.v1 import audit_pb2 as pb
from clients.cli import show
from clients.cli.audit import heads
from clients.cli.record import look
from clients.cli.record.text import visible
from clients.cli.show import Language, Said
from serving.days import FRANCE

_HEADS: Final = (
    heads.WHEN,
    heads.WHO,
    heads.ACT,
    heads.PATIENT,
    Said("effet", "effect"),
    heads.REASON,
)
_WIDTHS: Final = (19, 16, 16, 17, 6, 10)
"""Columns of characters at least, so that portions stand below one another."""

_ERASED: Final = Said("effacée", "erased")
_NONE: Final = Said("aucune entrée", "no entry")
_SEALED: Final = Said("reçu : {} octets, --receipt FICHIER", "receipt: {} bytes, --receipt FILE")
_AGAIN: Final = Said("décidée à nouveau", "decided again")
_RULES: Final = Said("règles décisives", "deciding rules")
_NORMAL: Final = ("", "normal")
_STYLES: Final = {"same": "green", "different": "bold red"}


def table(entries: Iterable[pb.Entry], language: Language, *, header: bool = True) -> Table:
    """One line an entry: when, who, what, about whom, decided how and why."""
    made = look.table(*(one.text(language) for one in _HEADS), whole=(0, 3, 4))
    made.show_header = header
    for column, width in zip(made.columns, _WIDTHS, strict=True):
        column.min_width = width
    for one in entries:
        made.add_row(*_row(one, language))
    return made


def _row(one: pb.Entry, language: Language) -> Iterator[Text]:
    yield Text(moment(one))
    if one.erased:
        yield Text(f"{_ERASED.text(language)}: {visible(one.erased)}", style="dim")
        return
    subject = one.subject
    yield _plain(subject.name or subject.id or one.caller)
    act = one.action or one.kind
    yield _plain(act if one.mode in _NORMAL else f"{act} ({one.mode})")
    yield _plain(one.patient)
    yield show.badge(visible(one.effect).upper())
    yield _plain(one.reason_code)


def moment(one: pb.Entry) -> str:
    """When it was, in Paris, to the second."""
    return f"{one.at.ToDatetime(UTC).astimezone(FRANCE):%Y-%m-%d %H:%M:%S}"


def page(answer: pb.QueryResponse, language: Language) -> Iterator[RenderableType]:
    """A page, and where it goes on."""
    if answer.entries:
        yield table(answer.entries, language)
    else:
        yield Text(_NONE.text(language))
    yield from look.onward(answer.cursor, language)
    yield from footer(answer.look, answer.standing, language)


def footer(under: pb.Look, standing: pb.Standing, language: Language) -> Iterator[Text]:
    """Under which decision this is shown, and what is not in it yet."""
    yield from heads.late(standing, language)
    yield Text(visible(f"{under.reason_code}  {under.decision_id}"), style="dim")


def counted(answer: pb.CountResponse, language: Language) -> Iterator[RenderableType]:
    """How many there are, and a table of values for each facet."""
    yield Text(f"{answer.total:,}".replace(",", "\N{NO-BREAK SPACE}"), style="bold")
    for facet in answer.facets:
        made = Table(box=None, pad_edge=False, header_style="dim")
        made.add_column(_plain(facet.name), overflow="fold", min_width=24)
        made.add_column("n", justify="right")
        for one in facet.values:
            made.add_row(_plain(one.value or "-"), str(one.count))
        if facet.others:
            made.add_row(Text("...", style="dim"), str(facet.others))
        yield made
    yield from footer(answer.look, answer.standing, language)


def sheet(answer: pb.ShowResponse, language: Language) -> Iterator[RenderableType]:
    """One entry in full: its fields, what was true, which rules decided, and how it comes out again."""
    made = Table(box=None, show_header=False, pad_edge=False)
    made.add_column(style="dim", min_width=24)
    made.add_column(overflow="fold")
    for name, value in _fields(answer.entry):
        made.add_row(
            name, show.badge(visible(value).upper()) if name == "effect" else _plain(value)
        )
    yield made
    if answer.rules:
        yield Text(f"\n{_RULES.text(language)}", style="dim")
    for rule in answer.rules:
        told = rule.fr if language is Language.FR else rule.en
        yield Text(f"  {visible(rule.uid)}  ", style="bold").append(visible(told), style="")
        if rule.source:
            yield Text(f"    {visible(rule.source)}", style="dim")
    if answer.facts:
        yield Text(f"\n{show.FACTS.text(language)}", style="dim")
        yield _facts(answer.facts, language)
    if answer.HasField("replayed"):
        outcome, why = visible(answer.replayed.outcome), visible(answer.replayed.why)
        line = Text(f"\n{_AGAIN.text(language)}: ").append(outcome, style=_STYLES.get(outcome, ""))
        yield line.append(f" ({why})" if why else "")
    for one in answer.replayed.differences:
        yield _plain(f"  {one.field}: {one.recorded} -> {one.replayed}")
    if answer.receipt:
        yield Text(_SEALED.text(language).format(len(answer.receipt)), style="dim")
    yield from footer(answer.look, answer.standing, language)


def _facts(facts: Iterable[pb.Fact], language: Language) -> Table:
    made = Table(box=None, show_header=False, pad_edge=False)
    made.add_column(style="dim", min_width=24)
    made.add_column(overflow="fold")
    made.add_column(overflow="fold", style="dim")
    for one in facts:
        said = one.fr if language is Language.FR else one.en
        made.add_row(f"  {visible(one.name)}", _plain(one.value or "-"), _plain(said))
    return made


def _fields(entry: pb.Entry) -> Iterator[tuple[str, str]]:
    """The fields that are there, by the names of the contract, within one another by dots."""
    yield "log", f"{entry.log}#{entry.index}"
    yield "at (Paris)", moment(entry)
    for field, value in entry.ListFields():
        if field.name in ("log", "index", "at", "bytes"):
            continue
        if field.message_type is None:
            yield field.name, _text(value, listed=field.is_repeated)
            continue
        for inner, held in value.ListFields():
            yield f"{field.name}.{inner.name}", _text(held, listed=inner.is_repeated)


def _text(value: object, *, listed: bool) -> str:
    if listed and isinstance(value, Iterable):
        return ", ".join(map(str, value))
    return str(value)


def _plain(text: str) -> Text:
    return Text(visible(text))
