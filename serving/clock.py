"""The clocks of the service: what day it is, and how much time has passed."""

import time
from datetime import UTC, datetime


def utc_now() -> datetime:
    """The instant, which an operator may set back or forth."""
    return datetime.now(UTC)


def boottime() -> float:
    """Seconds since the machine was started, the same for all its processes.

    Nobody can set it, and it goes on while a process is stopped or the machine asleep.
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME)
