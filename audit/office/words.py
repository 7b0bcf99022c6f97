"""What the index keeps once and names by numbers: texts of closed lists, and which of them stand together."""

from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import Connection, Table, select

from audit.office.tables import shapes, words
from storage.statements import run

SHAPE: Final = tuple(column.name for column in shapes.columns if not column.primary_key)
"""What a shape is made of: the numbers of these words."""

Named = TypeVar("Named", bound=str | tuple[int, ...])


class _Numbers(Generic[Named]):
    """The numbers of what a table names, in memory as far as they are committed."""

    def __init__(
        self,
        table: Table,
        *,
        read: Callable[[tuple[Any, ...]], Named],
        written: Callable[[Named], tuple[Any, ...]],
    ) -> None:
        """Reads nothing yet.

        Args:
            table: its first column is the number.
            read: what the other columns of a row name.
            written: the same back.
        """
        self._table = table
        self._read = read
        self._written = written
        self._columns = [column.name for column in table.columns]
        self._numbers: dict[Named, int] = {}

    def forget(self) -> None:
        """Reads them again next time: what was added last may not be committed."""
        self._numbers.clear()

    def numbers(self, conn: Connection, wanted: Iterable[Named]) -> Mapping[Named, int]:
        """The numbers of these, at least; new ones are added."""
        if not self._numbers:
            rows = conn.execute(select(self._table))
            self._numbers = {self._read(tuple(row[1:])): row[0] for row in rows}
        missing = sorted({one for one in wanted if one not in self._numbers})
        if missing:
            added = {one: n for n, one in enumerate(missing, len(self._numbers))}
            new = [
                dict(zip(self._columns, (n, *self._written(one)), strict=True))
                for one, n in added.items()
            ]
            names = ", ".join(self._columns)
            values = ", ".join(f":{name}" for name in self._columns)
            run(conn, f"INSERT INTO {self._table.name} ({names}) VALUES ({values})", new)  # noqa: S608 - names
            self._numbers |= added
        return self._numbers


class Words(_Numbers[str]):
    """The numbers of texts."""

    def __init__(self) -> None:
        super().__init__(words, read=itemgetter(0), written=lambda text: (text,))


class Shapes(_Numbers[tuple[int, ...]]):
    """The numbers of shapes."""

    def __init__(self) -> None:
        super().__init__(shapes, read=tuple, written=tuple)
