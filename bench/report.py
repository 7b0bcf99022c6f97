"""What a benchmark reports: figures in sections, and the one table that shows them all."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import IO

from rich.console import Console
from rich.table import Table

Tell = Callable[[str], None]
"""Told what is going on; a run takes minutes."""


class DisagreementError(Exception):
    """A peer gave another answer: then its time means nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One row: a value with its unit, and how many times it is that of the section's first row.

    `met` tells whether the `target` was met; None when there is none.
    """

    what: str
    value: float
    unit: str
    ratio: float | None = None
    target: str = ""
    met: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Figures that were measured side by side; `note` says under which conditions."""

    title: str
    note: str
    figures: tuple[Figure, ...]


def show(sections: Sequence[Section], file: IO[str], *, width: int | None = None) -> None:
    """Writes one table to `file`."""
    table = Table(title="Measured side by side in one run", title_justify="left", show_lines=False)
    for name in ("what", "figure", "ratio", "target"):
        table.add_column(name, justify="right" if name in ("figure", "ratio") else "left")
    for section in sections:
        table.add_section()
        table.add_row(f"[bold]{section.title}[/bold]")
        if section.note:
            table.add_row(f"[dim]{section.note}[/dim]")
        for figure in section.figures:
            table.add_row(f"  {figure.what}", _value(figure), _ratio(figure.ratio), _target(figure))
    Console(file=file, width=width, highlight=False).print(table)


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
