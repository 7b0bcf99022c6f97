"""Days are days in France, whoever asks and wherever. Pure."""

from datetime import date, datetime, time
from typing import Final
from zoneinfo import ZoneInfo

FRANCE: Final = ZoneInfo("Europe/Paris")


def midnight(day: date) -> datetime:
    """When a day begins."""
    return datetime.combine(day, time(), FRANCE)
