"""Fixtures for all rooms."""

import os
import signal

import pytest

from tests.databases import blank, database, kept, memory, postgresql
from tests.service import plain_log

# What a shell starts in the background is deaf to Ctrl-C, and so would be the processes that tests end by it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Most of the time that a database takes is waiting for the disk, which is not what is tested.
if (place := memory()) is not None:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(place))

__all__ = ["blank", "database", "kept", "postgresql"]


def pytest_xdist_auto_num_workers() -> int:
    """One worker more than there are processors: tests wait as much as they compute."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(autouse=True)
def _log_of_its_own():
    """No test writes the service log as another one has told it to."""
    plain_log()
