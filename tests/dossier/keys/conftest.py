"""A folder of master keys, and a keyring on each kind of database in turn."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from dossier.keys.keyring import Keyring
from dossier.keys.masters import Masters
from storage.database import connect
from tests.databases import Database


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of the master keys; there is none yet."""
    return tmp_path / "masters"


@pytest.fixture
def masters(folder: Path) -> Masters:
    """One master key."""
    made = Masters(folder)
    made.create()
    return made


@pytest.fixture
def engine(blank: Database) -> Iterator[Engine]:
    """An empty database for the keys."""
    made = connect(blank.url)
    yield made
    made.dispose()


@pytest.fixture
def keyring(engine: Engine, masters: Masters) -> Keyring:
    """A keyring without keys."""
    return Keyring.open(engine, masters)
