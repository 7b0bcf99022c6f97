"""Parquet, for analyses: columns with types, compressed by zstd, in groups of rows."""

from collections.abc import Iterable, Iterator
from io import BytesIO
from itertools import islice
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from audit.office.export.columns import AUTHORS, LISTS, NAMES, TEXTS, row
from audit.office.shown import Shown

ROWS: Final = 10_000
"""Rows of a group: so many are in memory at once."""

_FEW: Final = (
    *("log", "kind", "caller", "subject_kind", "profession", "authentication", "action"),
    *(
        "document_type",
        "document_class",
        "document_space",
        "mode",
        "effect",
        "reason_code",
        "bundle",
    ),
)
"""Columns of few values, which a dictionary holds once."""

_TYPES: Final[dict[str, Any]] = {
    "index": pa.int64(),
    "at": pa.timestamp("us", tz="UTC"),
    "revision": pa.int64(),
    "erased": pa.bool_(),
    AUTHORS: pa.list_(pa.string()),
    **dict.fromkeys(LISTS, pa.list_(pa.string())),
}
SCHEMA: Final = pa.schema(
    [pa.field(name, _TYPES.get(name, pa.string()), nullable=name in TEXTS) for name in NAMES],
    metadata={"source": "dmp decision log"},
)


def write(entries: Iterable[Shown]) -> Iterator[bytes]:
    """Pieces of the file; a text that an entry does not have is null."""
    sink = _Sink()
    left = iter(entries)
    with pq.ParquetWriter(sink, SCHEMA, compression="zstd", use_dictionary=list(_FEW)) as writer:
        while rows := [row(one) for one in islice(left, ROWS)]:
            columns = [[one[name] or _empty(name, one[name]) for one in rows] for name in NAMES]
            arrays = [
                pa.array(values, type=field.type)
                for values, field in zip(columns, SCHEMA, strict=True)
            ]
            writer.write_batch(pa.record_batch(arrays, schema=SCHEMA))
            yield sink.taken()
    yield sink.taken()


def _empty(name: str, value: object) -> object:
    return None if name in TEXTS else value


class _Sink(BytesIO):
    """Takes what is written, to be handed on piece by piece; tells where it is as if all were still there."""

    def __init__(self) -> None:
        super().__init__()
        self._gone = 0

    def tell(self) -> int:
        return self._gone + super().tell()

    def close(self) -> None:
        """Stays open: the end of the file is still to be taken."""

    def taken(self) -> bytes:
        data = self.getvalue()
        self._gone += len(data)
        self.seek(0)
        self.truncate()
        return data
