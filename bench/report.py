"""What a benchmark reports: figures in sections, and the tables that show them."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import IO, Final

from rich.console import Console, JustifyMethod
from rich.table import Table

Tell = Callable[[str], None]
"""Told what is going on; a run takes minutes."""


class DisagreementError(Exception):
    """A peer gave another answer: then its time means nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One row: a value with its unit, and how many times it is that of another row, as the section notes.

    * `met` tells whether the `target` was met; None when there is none.
    * `latency_ms` holds what 50, 90 and 99 percent of the calls did not exceed.
    * `cpu_us` is the processor time that the server took for a call, on all its cores.
    """

    what: str
    value: float
    unit: str
    ratio: float | None = None
    target: str = ""
    met: bool | None = None
    latency_ms: tuple[float, float, float] | None = None
    cpu_us: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Figures that were measured side by side; `note` says under which conditions."""

    title: str
    note: str
    figures: tuple[Figure, ...]


def show(sections: Sequence[Section], file: IO[str], *, width: int | None = None) -> None:
    """Writes a table a section to `file`, of the columns that it has something to say in."""
    console = Console(file=file, width=width, highlight=False)
    for section in sections:
        columns = [
            (name, justify, cell)
            for name, justify, cell in _COLUMNS
            if any(cell(figure) for figure in section.figures)
        ]
        table = Table(
            title=f"[bold]{section.title}[/bold]",
            caption=section.note,
            title_justify="left",
            caption_justify="left",
            title_style="",
            caption_style="dim",
        )
        for name, justify, _ in columns:
            table.add_column(name, justify=justify)
        for figure in section.figures:
            table.add_row(*(cell(figure) for _, _, cell in columns))
        console.print(table)
        console.print()


def plain(sections: Sequence[Section]) -> list[dict[str, object]]:
    """The same as data, for `--json`."""
    return [asdict(section) for section in sections]


def _value(figure: Figure) -> str:
    return f"{_number(figure.value)} {figure.unit}"


def _ratio(ratio: float | None) -> str:
    return "" if ratio is None else f"{_number(ratio)} x"


def _number(value: float) -> str:
    """Three digits that count, no more."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _target(figure: Figure) -> str:
    if figure.met is None:
        return figure.target
    return f"{figure.target}: {'met' if figure.met else 'missed'}"


def _latency(figure: Figure) -> str:
    return " / ".join(map(_number, figure.latency_ms or ()))


def _cpu(figure: Figure) -> str:
    return "" if figure.cpu_us is None else _number(figure.cpu_us)


_COLUMNS: Final[Sequence[tuple[str, JustifyMethod, Callable[[Figure], str]]]] = (
    ("", "left", lambda figure: figure.what),
    ("figure", "right", _value),
    ("ratio", "right", lambda figure: _ratio(figure.ratio)),
    ("p50 / p90 / p99, ms", "right", _latency),
    ("CPU, us", "right", _cpu),
    ("target", "left", _target),
)
