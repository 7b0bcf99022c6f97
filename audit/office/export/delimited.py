"""CSV (RFC 4180), in UTF-8, for spreadsheets: nothing in it is ever taken for a formula."""

import csv
from collections.abc import Iterable, Iterator
from datetime import datetime
from io import StringIO
from typing import Final

from audit.entry import rfc3339
from audit.office.export.columns import NAMES, Value, row
from audit.office.shown import Shown

FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a cell begins with that a spreadsheet takes for a formula (OWASP: CSV injection)."""

_ROWS: Final = 200


def write(entries: Iterable[Shown]) -> Iterator[bytes]:
    """Pieces of the file, the first with the names of the columns; lists are separated by blanks."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(NAMES)
    for number, one in enumerate(entries, 1):
        found = row(one)
        writer.writerow([_cell(found[name]) for name in NAMES])
        if number % _ROWS == 0:
            yield _taken(text)
    yield _taken(text)


def _cell(value: Value) -> str:
    match value:
        case bool():
            return "yes" if value else ""
        case datetime():
            return rfc3339(value)
        case int():
            return str(value)
        case list():
            return _safe(" ".join(value))
        case _:
            return _safe(value)


def _safe(text: str) -> str:
    """An apostrophe before what could be a formula; NUL, which many readers end at, is written out."""
    text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    # Not only the first sign: blanks before it do not keep a spreadsheet from calculating.
    begins = text.lstrip(" \u00a0").startswith(FORMULA) or text.startswith(FORMULA)
    return f"'{text}" if begins else text


def _taken(text: StringIO) -> bytes:
    data = text.getvalue().encode()
    text.seek(0)
    text.truncate()
    return data
