"""CSV (RFC 4180), in UTF-8, for spreadsheets: nothing in it is ever taken for a formula."""

import csv
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from io import StringIO
from typing import Final

from audit.entry import rfc3339
from audit.office.export.columns import NAMES, Value, row
from audit.office.shown import Shown

FORMULA: Final = re.compile(r"[\W_]*?[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
"""How a cell begins that a spreadsheet takes for a formula (OWASP: CSV injection).

Behind blanks, quotes and what nobody sees, too; full-width signs are calculated as well.
"""

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
            return safe(" ".join(value))
        case _:
            return safe(value)


def safe(text: str) -> str:
    """A cell that is text in a spreadsheet, whatever it begins with.

    An apostrophe stands before what could be a formula; NUL, which many readers end at, is written out.
    """
    text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    return f"'{text}" if FORMULA.match(text) else text


def _taken(text: StringIO) -> bytes:
    data = text.getvalue().encode()
    text.seek(0)
    text.truncate()
    return data
