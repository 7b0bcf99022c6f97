"""What a filter finds as a file, in the forms that others read.

Each form is a function of entries, the earliest first, to pieces of bytes. Pure.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from audit.office.export import adl, delimited, fhir, lines
from audit.office.shown import Shown

Write = Callable[[Iterable[Shown]], Iterator[bytes]]


def _parquet(entries: Iterable[Shown]) -> Iterator[bytes]:
    from audit.office.export import parquet  # noqa: PLC0415 - only those who use it pay for it

    return parquet.write(entries)


FORMATS: Final[Mapping[str, Write]] = {
    "ndjson": lines.write,
    "csv": delimited.write,
    "parquet": _parquet,
    "fhir": fhir.write,
    "adl": adl.write,
}
