"""Reads entries of the log by their places, each batch once."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from sqlalchemy import Connection, select, text

from audit.entry import rfc3339
from audit.office.gained import instant
from audit.office.tables import positions
from audit.reader import Batch, Stored
from audit.tables import log_batches
from storage.statements import first

_AT_ONCE: Final = 64
"""Places whose batches are read at once: bounds memory."""

_COLUMNS: Final = ", ".join(column.name for column in log_batches.columns)
_ONE: Final = f"""
    SELECT {_COLUMNS} FROM log_batches
    WHERE origin = :origin AND first_index <= :index AND at = :at
    ORDER BY first_index DESC LIMIT 1
"""  # noqa: S608 - names of columns
_ALL: Final = text(f"""
    SELECT DISTINCT ON (first_index) holding.*
    FROM unnest(CAST(:indexes AS bigint[]), CAST(:ats AS text[])) AS place (index, instant)
    CROSS JOIN LATERAL (
        SELECT {_COLUMNS} FROM log_batches
        WHERE origin = :origin AND first_index <= place.index AND at = place.instant COLLATE "C"
        ORDER BY first_index DESC LIMIT 1
    ) AS holding
    ORDER BY first_index
""")  # noqa: S608 - as above


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Place:
    """Where an entry stands: its log, its index there, and its instant in microseconds since 1970."""

    origin: str
    index: int
    at: int


def log_names(index: Connection) -> dict[int, str]:
    """The logs by their numbers in the index."""
    return {row.log: row.origin for row in index.execute(select(positions))}


def fetch(log: Connection, places: Iterable[Place]) -> dict[Place, Stored]:
    """The entries at these places; what the log has no more is not among them.

    Args:
        log: on one state of the log's database.
        places: in whatever order.

    Raises:
        LogDamagedError: a batch can't be taken apart.
    """
    found: dict[Place, Stored] = {}
    for origin, wanted in groupby(sorted(set(places)), key=lambda place: place.origin):
        found |= _of_one_log(log, origin, list(wanted))
    return found


def _of_one_log(log: Connection, origin: str, wanted: Sequence[Place]) -> dict[Place, Stored]:
    found: dict[Place, Stored] = {}
    several = log.dialect.name == "postgresql"
    for begin in range(0, len(wanted), _AT_ONCE):
        places = wanted[begin : begin + _AT_ONCE]
        batches = (
            _all_holding(log, origin, places) if several else _each_holding(log, origin, places)
        )
        left = iter(places)
        place = next(left, None)
        for batch in batches:
            stored = batch.stored()
            while place is not None and place.index < batch.end:
                if place.index >= batch.first_index:
                    found[place] = stored[place.index - batch.first_index]
                place = next(left, None)
    return found


def _each_holding(log: Connection, origin: str, places: Sequence[Place]) -> Iterator[Batch]:
    """The batches of these places one by one: in SQLite a statement costs next to nothing."""
    end = 0
    for place in places:
        if place.index >= end:
            row = first(log, _ONE, {"origin": origin, "index": place.index, "at": _text(place)})
            if row is not None:
                batch = Batch(*row)
                end = batch.end
                yield batch


def _all_holding(log: Connection, origin: str, places: Sequence[Place]) -> Iterator[Batch]:
    """The same in one statement; by their instants PostgreSQL knows in which months to look."""
    given = {
        "origin": origin,
        "indexes": [place.index for place in places],
        "ats": [_text(place) for place in places],
    }
    for row in log.execute(_ALL, given):
        yield Batch(*row)


def _text(place: Place) -> str:
    return rfc3339(instant(place.at))
