"""NDJSON: an entry a line, as it stands in the log where nothing of it is withheld."""

from collections.abc import Iterable, Iterator

import orjson

from audit.entry import rfc3339
from audit.office.shown import Shown


def write(entries: Iterable[Shown]) -> Iterator[bytes]:
    """Pieces of the file; of an erased entry the line says when and where it stood, and its commitment."""
    for one in entries:
        yield (one.bytes or _erased(one)) + b"\n"


def _erased(one: Shown) -> bytes:
    fields = {
        "at": rfc3339(one.at),
        "commitment": one.stored.commitment.hex(),
        "erased": True,
        "index": one.stored.index,
        "log": one.stored.origin,
    }
    return orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)
