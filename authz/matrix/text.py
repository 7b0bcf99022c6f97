"""A text file cut into lines and cells that know their place, and the mistakes noted on the way."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from authz.mistake import Mistake

_UNSEEN: Final = {"Cc", "Cf", "Zl", "Zp"}
_QUOTED: Final = re.compile(r'("(?:[^"]|"")*"|[^",]*)(?:,|$)')


@dataclass(frozen=True, slots=True)
class Cell:
    """A piece of text without blanks around it, and where it begins, counted from 1."""

    text: str
    line: int
    column: int


class Notes:
    """The mistakes of one file."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._found: list[Mistake] = []

    def __len__(self) -> int:
        """How many mistakes there are so far."""
        return len(self._found)

    def at(self, cell: Cell, where: str, message: str, hint: str = "") -> None:
        """Notes a mistake at the cell."""
        mistake = Mistake(
            path=self._path,
            line=cell.line,
            column=cell.column,
            where=where,
            message=message,
            hint=hint,
        )
        self._found.append(mistake)

    def in_order(self) -> tuple[Mistake, ...]:
        """The mistakes in the order of the file, each once."""
        return tuple(sorted(set(self._found)))


def content(text: str, notes: Notes) -> Iterator[Cell]:
    """The lines that are neither blank nor a comment.

    Refused with a note, comments included: control, direction and zero-width characters, which make
    a line read otherwise than it looks, and a byte order mark, with which casbin drops the line.
    """
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.removesuffix("\r")
        odd = [i for i, c in enumerate(line, 1) if unicodedata.category(c) in _UNSEEN]
        if odd:
            message = f"holds an unseen character: `U+{ord(line[odd[0] - 1]):04X}`"
            notes.at(Cell("", number, odd[0]), "line", message, "retype the line")
        elif (words := line.strip()) and not words.startswith("#"):
            yield Cell(words, number, line.index(words) + 1)


def split(line: Cell, by: str = ",") -> list[Cell]:
    """The cells of a line, as casbin cuts it: no quotes, blanks around a cell dropped."""
    cells = []
    at = line.column
    for part in line.text.split(by):
        words = part.strip()
        cells.append(Cell(words, line.line, at + part.index(words)))
        at += len(part) + len(by)
    return cells


def split_quoted(line: Cell) -> list[Cell]:
    """The cells of a CSV line (RFC 4180, one record a line); it ends where the quotes go wrong."""
    cells = []
    at = 0
    while match := _QUOTED.match(line.text, at):
        words = match[1]
        plain = words[1:-1].replace('""', '"') if words.startswith('"') else words.strip()
        cells.append(Cell(plain, line.line, line.column + at))
        at = match.end()
        if not match[0].endswith(","):
            break
    return cells
