"""Calendar durations of policies' parameters, such as `PT24H`, `P7D`, `P1Y` (ISO 8601). Pure."""

import calendar
import re
from datetime import datetime, timedelta
from typing import Final

_SHAPE: Final = re.compile(
    r"P(?!\Z)(?:(?P<weeks>\d+)W|(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<days>\d+)D)?"
    r"(?:T(?!\Z)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?)?)",
    re.ASCII,
)


def after(at: datetime, duration: object, default: str) -> datetime:
    """The instant one duration later, as policies count it (`authz.registry.duration`).

    Args:
        at: the instant.
        duration: value of a parameter; what is none, or leads out of the calendar, is the default.
        default: such as `P7D`.
    """
    match = _SHAPE.fullmatch(duration) if isinstance(duration, str) else None
    try:
        if match is not None:
            return _after(
                at, {unit: int(number or 0) for unit, number in match.groupdict().items()}
            )
    except (ValueError, OverflowError):
        pass
    return at if duration == default else after(at, default, default)


def _after(at: datetime, part: dict[str, int]) -> datetime:
    years, month = divmod(at.month - 1 + part["months"], 12)
    year, month = at.year + part["years"] + years, month + 1
    day = min(at.day, calendar.monthrange(year, month)[1])
    return at.replace(year=year, month=month, day=day) + timedelta(
        weeks=part["weeks"],
        days=part["days"],
        hours=part["hours"],
        minutes=part["minutes"],
        seconds=part["seconds"],
    )
