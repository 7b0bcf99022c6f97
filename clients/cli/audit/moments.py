"""Instants as people say them: `2d` ago, a day in France, or exactly."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from clients.cli.link import Error
from serving.clock import utc_now
from serving.days import FRANCE

_AGO: Final = re.compile(r"([0-9]{1,6})([smhdw])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_CURE: Final = "give one as 2d, 12h, 2026-05-04 or 2026-05-04T10:00:00Z"


def fill(message: Any, since: str, until: str) -> None:  # noqa: ANN401 - any message with `from` and `until`
    """Writes into a message what `--since` and `--until` say; what is empty is left out.

    Raises:
        Error: one of them is no instant.
    """
    now = utc_now()
    for option, name, text in (("--since", "from", since), ("--until", "until", until)):
        if text:
            getattr(message, name).FromDatetime(read(option, text, now))


def read(option: str, text: str, now: datetime) -> datetime:
    """The instant that is meant.

    Args:
        option: that said so.
        text: how long ago (`90s`, `15m`, `12h`, `2d`, `3w`); a day, from its midnight in France; an instant.
        now: what `ago` is counted from.

    Raises:
        Error: none is meant.
    """
    try:
        if ago := _AGO.fullmatch(text):
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo is not None else at.replace(tzinfo=FRANCE)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Error(f"{option}: `{text[:40]}` is no instant: {_CURE}") from None
