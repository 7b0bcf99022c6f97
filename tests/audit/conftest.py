"""Fixtures: a database as the service opens it, of each kind in turn, and a connection to it."""

import pytest

from storage.database import connect


@pytest.fixture
def url(database):
    """Where the database is."""
    return database.url


@pytest.fixture
def engine(url):
    """The database, as the service opens it."""
    engine = connect(url)
    yield engine
    engine.dispose()


@pytest.fixture
def conn(engine):
    """One connection."""
    with engine.connect() as conn:
        yield conn
