"""The databases of the dossier, of each kind in turn."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from dossier import tables
from dossier.database import MIGRATIONS
from storage.database import connect
from tests.databases import KINDS, Database, Server
from tests.dossier import world as worlds
from tests.dossier.town import Town
from tests.dossier.world import World


@pytest.fixture(scope="session")
def kept_record(postgresql: Server) -> Iterator[Engine]:
    """A migrated database that tests use one after the other."""
    with postgresql.database() as name:
        engine = connect(postgresql.url(name))
        MIGRATIONS.migrate(engine)
        yield engine
        engine.dispose()


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path) -> Database:
    """A record without data, of each kind in turn."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/record.db"
        engine = connect(url)
        MIGRATIONS.migrate(engine)
        engine.dispose()
        return Database("sqlite", url, tmp_path)
    engine = request.getfixturevalue("kept_record")
    with engine.begin() as conn:
        for table in reversed(tables.metadata.sorted_tables):
            conn.execute(table.delete())
    return Database("postgresql", engine.url.render_as_string(), tmp_path)


@pytest.fixture
def writer(database: Database) -> Iterator[Engine]:
    """The record, to write to."""
    engine = connect(database.url)
    yield engine
    engine.dispose()


@pytest.fixture
def reader(database: Database) -> Iterator[Engine]:
    """The same record, to read from."""
    engine = connect(database.url, read_only=True)
    yield engine
    engine.dispose()


@pytest.fixture
def world(database: Database) -> Iterator[World]:
    """A store of each kind in turn."""
    with worlds.world(database.url, database.folder) as made:
        yield made


@pytest.fixture
def town(writer: Engine, reader: Engine) -> Town:
    """People and records over an empty record."""
    return Town(writer, reader)
