"""What the index keeps once and names by numbers: texts of closed lists, and which of them stand together."""

from collections.abc import Iterable, Mapping
from typing import Final

from sqlalchemy import Connection, select

from audit.office.tables import shapes, words
from storage.statements import run

SHAPE: Final = tuple(column.name for column in shapes.columns if not column.primary_key)
"""What a shape is made of: the numbers of these words."""

_NAMES: Final = [column.name for column in shapes.columns]
_ADD_SHAPE: Final = f"INSERT INTO shapes ({', '.join(_NAMES)}) VALUES (:{', :'.join(_NAMES)})"  # noqa: S608 - names of columns
_ADD = "INSERT INTO words (number, text) VALUES (:number, :text)"


class Words:
    """The numbers of texts, in memory as far as they are committed."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def forget(self) -> None:
        """Reads them again next time: what was added last may not be committed."""
        self._numbers.clear()

    def numbers(self, conn: Connection, texts: Iterable[str]) -> Mapping[str, int]:
        """The numbers of these texts, at least; new ones are added."""
        if not self._numbers:
            self._numbers = {row.text: row.number for row in conn.execute(select(words))}
        missing = sorted({one for one in texts if one not in self._numbers})
        if missing:
            first = len(self._numbers)
            added = [{"number": first + n, "text": one} for n, one in enumerate(missing)]
            run(conn, _ADD, added)
            self._numbers |= {one: first + n for n, one in enumerate(missing)}
        return self._numbers


class Shapes:
    """The numbers of shapes, in memory as far as they are committed."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[int, ...], int] = {}

    def forget(self) -> None:
        """As `Words.forget`."""
        self._numbers.clear()

    def numbers(
        self, conn: Connection, wanted: Iterable[tuple[int, ...]]
    ) -> Mapping[tuple[int, ...], int]:
        """The numbers of these shapes, at least; new ones are added."""
        if not self._numbers:
            self._numbers = {tuple(row[1:]): row[0] for row in conn.execute(select(shapes))}
        missing = sorted({one for one in wanted if one not in self._numbers})
        if missing:
            first = len(self._numbers)
            added = {one: first + n for n, one in enumerate(missing)}
            rows = [dict(zip(_NAMES, (n, *one), strict=True)) for one, n in added.items()]
            run(conn, _ADD_SHAPE, rows)
            self._numbers |= added
        return self._numbers
