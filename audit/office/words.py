"""Texts of closed lists, which the index keeps once and names by numbers."""

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, select

from audit.office.tables import words
from storage.statements import run

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
