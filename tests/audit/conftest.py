"""Fixtures: a database in a temporary folder, and a connection to it."""

import pytest

from tests.audit.world import database


@pytest.fixture
def path(tmp_path):
    """Where the database is."""
    return tmp_path / "dmp.db"


@pytest.fixture
def engine(path):
    """The database, as the service opens it."""
    engine = database(path)
    yield engine
    engine.dispose()


@pytest.fixture
def conn(engine):
    """One connection."""
    with engine.connect() as conn:
        yield conn
