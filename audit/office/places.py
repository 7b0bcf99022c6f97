"""Reads entries of the log by their places, each batch once."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from sqlalchemy import Connection

from audit.entry import rfc3339
from audit.office.gained import instant
from audit.reader import Batch, Stored
from audit.tables import log_batches
from storage.statements import first

_HOLDING: Final = f"""
    SELECT {", ".join(column.name for column in log_batches.columns)} FROM log_batches
    WHERE origin = :origin AND first_index <= :index AND at = :at
    ORDER BY first_index DESC LIMIT 1
"""  # noqa: S608 - names of columns


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Place:
    """Where an entry stands: its log, its index there, and its instant in microseconds since 1970."""

    origin: str
    index: int
    at: int


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
        found |= _of_one_log(log, origin, wanted)
    return found


def _of_one_log(log: Connection, origin: str, wanted: Iterator[Place]) -> dict[Place, Stored]:
    found: dict[Place, Stored] = {}
    batch: Batch | None = None
    stored: list[Stored] = []
    for place in wanted:
        if batch is None or place.index >= batch.end:
            batch = _holding(log, origin, place)
            stored = [] if batch is None else batch.stored()
        if batch is not None and batch.first_index <= place.index < batch.end:
            found[place] = stored[place.index - batch.first_index]
    return found


def _holding(log: Connection, origin: str, place: Place) -> Batch | None:
    """The batch of a place; by its instant, too, which tells PostgreSQL in which month to look."""
    at = rfc3339(instant(place.at))
    row = first(log, _HOLDING, {"origin": origin, "index": place.index, "at": at})
    return None if row is None else Batch(*row)
