"""Calendar durations in ISO 8601: `P1Y`, `P1M`, `P30D`, `P2W`, `PT4H`.

A year is a year of the calendar, not 365 days: an authorisation given on 3 March ends on 3 March.
"""

import calendar
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from serving.errors import DurationError

_SHAPE: Final = re.compile(
    r"P(?!\Z)(?:(?P<weeks>\d+)W|(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<days>\d+)D)?"
    r"(?:T(?!\Z)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?)?)",
    re.ASCII,
)
_MAX_TEXT: Final = 32
_MAX_YEARS: Final = 1000
"""Keeps every sum inside the calendar, which ends with the year 9999."""

_EXAMPLES: Final = "write one like `P1Y`, `P6M`, `P30D` or `PT4H`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Duration:
    """A length of time in calendar units, longer than nothing and at most a thousand years.

    Raises:
        DurationError: when a part is negative, when all are zero, or when the sum is too long.
    """

    years: int = 0
    months: int = 0
    days: int = 0
    seconds: int = 0

    def __post_init__(self) -> None:
        """Refuses what can't be counted."""
        parts = (self.years, self.months, self.days, self.seconds)
        if min(parts) < 0 or not any(parts):
            raise DurationError(f"duration `{self}` must be longer than nothing: {_EXAMPLES}")
        days = self.days + self.seconds / 86_400
        if self.years + self.months / 12 + days / 365 > _MAX_YEARS:
            raise DurationError(
                f"duration `{self}` exceeds {_MAX_YEARS} years: write a shorter one"
            )

    def __str__(self) -> str:
        """The duration in ISO 8601, every unit written out."""
        return f"P{self.years}Y{self.months}M{self.days}DT{self.seconds}S"

    def after(self, instant: datetime) -> datetime:
        """The instant one duration later; a day that its month lacks becomes the month's last.

        One year after 29 February 2028 is 28 February 2029. Years and months are counted first, in
        the time zone of `instant`, then days and seconds.
        """
        years, month = divmod(instant.month - 1 + self.months, 12)
        year, month = instant.year + self.years + years, month + 1
        day = min(instant.day, calendar.monthrange(year, month)[1])
        start = instant.replace(year=year, month=month, day=day)
        return start + timedelta(days=self.days, seconds=self.seconds)


def parse(text: str) -> Duration:
    """Reads an ISO 8601 duration: whole numbers only, capital letters, largest unit first.

    Raises:
        DurationError: when `text` is no such duration, is zero or exceeds a thousand years.
    """
    match = _SHAPE.fullmatch(text) if len(text) <= _MAX_TEXT else None
    if match is None:
        raise DurationError(f"duration `{text[:_MAX_TEXT]}` is not ISO 8601: {_EXAMPLES}")
    part = {unit: int(number or 0) for unit, number in match.groupdict().items()}
    return Duration(
        years=part["years"],
        months=part["months"],
        days=7 * part["weeks"] + part["days"],
        seconds=3600 * part["hours"] + 60 * part["minutes"] + part["seconds"],
    )
