"""Fixtures: a log's database of each kind in turn, and an index beside it of the same kind."""

import pytest

from audit.office.database import opened
from tests.audit.office.world import index_of


@pytest.fixture
def index_url(database):
    """Where the index is: a file of its own, or a schema of its own."""
    if database.kind == "sqlite":
        return f"sqlite:///{database.folder}/audit.db"
    return database.url


@pytest.fixture
def index_engine(index_url):
    """The index, with its tables."""
    engine = opened(index_url)
    index_of(engine).clear()  # a PostgreSQL server is shared by tests
    yield engine
    engine.dispose()
