"""Instants as HL7 writes them: `YYYY[MM[DD[HH[MM[SS[.UUUU]]]]]][+|-ZZzz]` (data type TS, ISO 21090).

A value may end early: `2026` is the whole year. What is kept is its beginning, an aware instant, and how
precise it is. A value without offset is legal and means the sender's own time: that of Paris is taken.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from enum import StrEnum
from typing import Final

from serving.days import FRANCE

YEARS: Final = range(1800, 3000)
"""Years outside are typing errors; inside, no arithmetic with offsets leaves the calendar."""

_TS: Final = re.compile(
    r"([0-9]{4})(?:([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})(?:\.([0-9]{1,6}))?)?)?)?)?)?"
    r"([+-][0-9]{4})?"
)
_FIRST: Final = (0, 1, 1, 0, 0, 0)
_LAST_HOUR: Final = 14


class Precision(StrEnum):
    """The last part that was written."""

    YEAR = "year"
    MONTH = "month"
    DAY = "day"
    HOUR = "hour"
    MINUTE = "minute"
    SECOND = "second"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The beginning of what a value means, as an aware instant, and how precise the value is."""

    start: datetime
    precision: Precision


def moment(value: str) -> Moment | None:
    """Reads a TS; None when it is none, or no date of the calendar."""
    match = _TS.fullmatch(value)
    if match is None or int(match[1]) not in YEARS:
        return None
    written = [part for part in match.groups()[:6] if part is not None]
    parts = [int(part) for part in written] + list(_FIRST[len(written) :])
    micro = int((match[7] or "0").ljust(6, "0"))
    zone = _offset(match[8]) if match[8] else FRANCE
    if zone is None:
        return None
    year, month, day, hour, minute, second = parts
    try:
        start = datetime(year, month, day, hour, minute, second, micro, tzinfo=zone)
    except ValueError:
        return None
    # A zone by name would compare unlike an offset around the change of the clocks.
    fixed = start.replace(tzinfo=timezone(start.utcoffset() or timedelta()))
    return Moment(start=fixed, precision=list(Precision)[len(written) - 1])


def partial_date(value: str) -> str:
    """A date of birth as ISO 8601 writes it, as precise as it is: `1979-03-28`, `1979-03` or `1979`.

    "" when the value is no TS. A time of day, which newborns have, is left out.
    """
    read = moment(value)
    if read is None:
        return ""
    digits = {Precision.YEAR: 4, Precision.MONTH: 7}.get(read.precision, 10)
    return read.start.date().isoformat()[:digits]


def _offset(text: str) -> timezone | None:
    hours, minutes = int(text[1:3]), int(text[3:])
    if hours > _LAST_HOUR or minutes > 59:  # noqa: PLR2004 - minutes of an hour
        return None
    delta = timedelta(hours=hours, minutes=minutes)
    return timezone(-delta if text[0] == "-" else delta)
