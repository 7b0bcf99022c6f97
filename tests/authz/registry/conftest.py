"""A migrated database, of each kind in turn."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from storage.database import connect
from tests.databases import Database


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    engine = connect(database.url)
    yield engine
    engine.dispose()
