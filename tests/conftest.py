"""Fixtures for all rooms."""

import pytest

from tests.databases import blank, database, kept, postgresql
from tests.service import plain_log

__all__ = ["blank", "database", "kept", "postgresql"]


@pytest.fixture(autouse=True)
def _log_of_its_own():
    """No test writes the service log as another one has told it to."""
    plain_log()
