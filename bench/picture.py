"""A section of figures as a picture: a bar for each group of rows, piece after piece."""

from collections.abc import Sequence
from html import escape
from typing import Final

from bench.report import Figure, Section

WIDTH: Final = 960
_LEFT, _RIGHT = 170, 24
_BAR, _LINE = 44, 22
_INK, _PAPER = "#33475b", "#fbfaf7"
_COLOURS: Final = (
    *("#5c7f67", "#94783a", "#4a6d8c", "#a65e5e", "#7a6a9b", "#3f8f8b"),
    *("#b08a4e", "#6b8e4e", "#8c5a7c", "#55708f", "#9a9a8a"),
)
_LOOK: Final = 'font-family="system-ui, sans-serif" font-size="14" role="img" aria-labelledby="t d"'
_LETTER: Final = 7.4
_NARROW: Final = 30
"""A piece with fewer points than this has its number only below."""


def draw(section: Section) -> str:
    """The picture; a row `group: piece` is a piece of its group's bar, in the order of the rows."""
    groups: dict[str, list[tuple[str, Figure]]] = {}
    for figure in section.figures:
        group, _, piece = figure.what.partition(": ")
        groups.setdefault(group, []).append((piece, figure))
    longest = max(sum(figure.value for _, figure in pieces) for pieces in groups.values())
    scale = (WIDTH - _LEFT - _RIGHT) / max(longest, 1e-9)
    parts, top = [], 76
    for group, pieces in groups.items():
        drawn, top = _group(group, pieces, scale, top)
        parts += drawn
    said = "; ".join(
        f"{group}: " + ", ".join(f"{piece} {_number(figure)}" for piece, figure in pieces)
        for group, pieces in groups.items()
    )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" {_LOOK}>',
            f'  <title id="t">{escape(section.title)}</title>',
            f'  <desc id="d">{escape(said)}</desc>',
            f'  <rect width="{WIDTH}" height="{top}" fill="{_PAPER}"/>',
            f'  <g fill="{_INK}">',
            f'    <text x="24" y="34" font-size="19">{escape(section.title)}</text>',
            f'    <text x="24" y="56">{escape(section.note)}</text>',
            *parts,
            "  </g>",
            "</svg>",
            "",
        ]
    )


def _group(
    name: str, pieces: Sequence[tuple[str, Figure]], scale: float, top: int
) -> tuple[list[str], int]:
    """The bar of a group with the names of its pieces below, and where the next group begins."""
    total = sum(figure.value for _, figure in pieces)
    unit = pieces[0][1].unit
    parts = [
        f'    <text x="24" y="{top + 20}" font-weight="600">{escape(name)}</text>',
        f'    <text x="24" y="{top + 39}">{total:,.0f} {unit}</text>',
    ]
    x = float(_LEFT)
    for number, (piece, figure) in enumerate(pieces):
        width, colour = figure.value * scale, _COLOURS[number % len(_COLOURS)]
        parts.append(
            f'    <rect x="{x:.1f}" y="{top}" width="{width:.1f}" height="{_BAR}" fill="{colour}">'
            f"<title>{escape(piece)}: {_number(figure)}</title></rect>"
        )
        if width >= _NARROW:
            parts.append(
                f'    <text x="{x + width / 2:.1f}" y="{top + 27}" fill="#fff" '
                f'text-anchor="middle">{figure.value:,.0f}</text>'
            )
        x += width
    top += _BAR + 10
    place = float(_LEFT)
    for number, (piece, figure) in enumerate(pieces):
        text = f"{piece} {_number(figure)}"
        width = 34 + _LETTER * len(text)
        if place > _LEFT and place + width > WIDTH - _RIGHT:
            place, top = _LEFT, top + _LINE
        colour = _COLOURS[number % len(_COLOURS)]
        parts.append(
            f'    <rect x="{place:.0f}" y="{top}" width="12" height="12" fill="{colour}"/>'
            f'<text x="{place + 18:.0f}" y="{top + 11}">{escape(text)}</text>'
        )
        place += width
    return parts, top + _LINE + 22


def _number(figure: Figure) -> str:
    digits = 0 if figure.value >= 10 else 1
    return f"{figure.value:,.{digits}f} {figure.unit}"
