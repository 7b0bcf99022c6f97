"""Finds entries by the index and reads them in the log, where each is compared with the question again."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, Row

from audit.errors import Damage, LogDamagedError
from audit.office import counting
from audit.office.counting import Counted
from audit.office.cursor import Position
from audit.office.filters import Filter
from audit.office.gained import instant
from audit.office.handles import Handles
from audit.office.limits import LIMIT_S, limited
from audit.office.places import Place, fetch
from audit.office.search import Question
from audit.reader import Stored


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """An entry as it stands in the log, and its place in the order of all."""

    position: Position
    stored: Stored


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Entries, and behind which one the next page begins; None behind the last."""

    seen: Sequence[Seen]
    after: Position | None


class Browser:
    """Reads index and log; each call is a transaction of its own."""

    def __init__(
        self, index: Engine, log: Engine, handles: Handles, *, limit_s: float = LIMIT_S
    ) -> None:
        self._index = index
        self._log = log
        self._handles = handles
        self._limit_s = limit_s

    def page(
        self, asked: Filter, *, size: int, after: Position | None = None, ascending: bool = False
    ) -> Page:
        """The next entries; there may be fewer than `size` before the last page.

        Raises:
            TooMuchError: it takes too long to find them.
            LogDamagedError: the log has no more what the index was made from.
        """
        with self._index.connect() as conn, limited(conn, self._limit_s):
            question = Question(conn, asked, self._handles)
            rows = question.page(size=size + 1, after=after, ascending=ascending)
        shown = rows[:size]
        return Page(
            seen=self._read(asked, question, shown),
            after=_position(shown[-1]) if len(rows) > size else None,
        )

    def count(self, asked: Filter, facets: Sequence[str]) -> tuple[Counted, dict[Place, Stored]]:
        """How many there are, with the entries by which subjects and structures are known.

        Raises:
            TooMuchError: it takes too long to count them.
        """
        with self._index.connect() as conn, limited(conn, self._limit_s):
            counted = counting.count(conn, Question(conn, asked, self._handles), facets)
        places = [value.place for facet in counted.facets for value in facet.values if value.place]
        with self._log.connect() as log:
            return counted, fetch(log, places)

    def gained(self, asked: Filter, since: dict[str, int], *, size: int) -> list[Stored]:
        """The entries that the index has taken in, in the order of each log; moves `since` on.

        Args:
            asked: which ones.
            since: the index behind what was seen, by log; of a log that is not there, all is new.
            size: how many of each log at most.
        """
        found: list[Stored] = []
        with self._index.connect() as conn, limited(conn, self._limit_s):
            question = Question(conn, asked, self._handles)
            each = [
                (log, question.behind(log, since.get(origin, 0), size=size))
                for log, origin in question.origins.items()
            ]
            ends = question.ends
        for log, rows in each:
            origin = question.origins[log]
            found += [one.stored for one in self._read(asked, question, rows)]
            last = rows[-1].place + 1 if rows else 0
            # What was taken in while this was asked is behind `ends`, and must not be told again.
            since[origin] = last if len(rows) == size else max(last, ends[origin])
        return found

    def ends(self) -> dict[str, int]:
        """The index behind the last entry that was taken in, by log."""
        with self._index.connect() as conn:
            return Question(conn, Filter(), self._handles).ends

    def _read(self, asked: Filter, question: Question, rows: Sequence[Row[Any]]) -> list[Seen]:
        places = [
            Place(origin=question.origins[row.log], index=row.place, at=row.at) for row in rows
        ]
        if not places:
            return []
        with self._log.connect() as log:
            found = fetch(log, places)
        seen = []
        for place, row in zip(places, rows, strict=True):
            stored = found.get(place)
            if stored is None:
                what = "the index was made from it, and it is not there any more"
                raise LogDamagedError(place.origin, place.index, Damage.MISSING, what)
            if stored.erased is not None or _is_wanted(asked, stored, place):
                seen.append(Seen(position=_position(row), stored=stored))
        return seen


def _is_wanted(asked: Filter, stored: Stored, place: Place) -> bool:
    return asked.fits(stored.entry, origin=place.origin, at=instant(place.at))


def _position(row: Row[Any]) -> Position:
    return Position(row.at, row.log, row.place)
