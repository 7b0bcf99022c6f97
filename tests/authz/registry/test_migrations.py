"""The steps from one shape of the tables to the next."""

import re
import shutil
import time
from itertools import chain

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

import audit.tables
from authz.errors import DatabaseError
from authz.registry import database, tables
from authz.registry.database import connect, downgrade, migrate
from authz.registry.store import Store
from tests.authz.registry.samples import CHILD, FULL, put, read

METADATA = [tables.metadata, audit.tables.metadata]
NAMES = {name for metadata in METADATA for name in metadata.tables}


def schema(engine):
    """What SQLite remembers of every table and index, but for white space."""
    query = "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL"
    with engine.connect() as conn:
        rows = conn.exec_driver_sql(query).all()
    return {name: re.sub(r"\s+", " ", sql) for name, sql in rows if name != "alembic_version"}


def test_migrations_make_what_the_code_expects(engine):
    """Alembic finds no difference between the migrated tables and the two rooms' metadata."""
    with engine.connect() as conn:
        context = MigrationContext.configure(conn, opts={"compare_type": True})

        assert compare_metadata(context, METADATA) == []


def test_migrations_keep_checks_and_strictness(engine, tmp_path):
    """Checks, strictness and key order, which Alembic does not compare, are the same too."""
    direct = connect(f"sqlite:///{tmp_path}/direct.db")
    with direct.begin() as conn:
        for metadata in METADATA:
            metadata.create_all(conn)
    expected = schema(direct)
    direct.dispose()

    assert expected == schema(engine)


def test_up_down_up_on_data(engine):
    """Going down leaves no table, and coming up again makes an empty registry that works."""
    put(Store(), engine, FULL)

    downgrade(engine)
    left = set(inspect(engine).get_table_names())
    migrate(engine)

    assert left == {"alembic_version"}
    assert set(inspect(engine).get_table_names()) > NAMES
    assert put(Store(), engine, FULL) == 1
    assert read(Store(), engine) == FULL


def test_migrating_again_changes_nothing(engine):
    """A database that is up to date keeps its data and its shape."""
    put(Store(), engine, FULL)
    before = schema(engine)

    migrate(engine)

    assert before == schema(engine)
    assert read(Store(), engine) == FULL


def test_starting_is_quick(tmp_path):
    """Opening and migrating a new database takes a small part of a second."""
    began = time.perf_counter()

    engine = connect(f"sqlite:///{tmp_path}/new.db")
    migrate(engine)

    assert time.perf_counter() - began < 1
    engine.dispose()


def test_failed_migration_leaves_nothing(tmp_path):
    """A database with foreign tables of our names is refused and left as it was."""
    engine = connect(f"sqlite:///{tmp_path}/other.db")
    with engine.begin() as conn:
        conn.exec_driver_sql("CREATE TABLE log_patients (a TEXT)")

    with pytest.raises(DatabaseError, match="table log_patients already exists: check that it"):
        migrate(engine)

    assert inspect(engine).get_table_names() == ["log_patients"]
    engine.dispose()


def test_newer_database_is_refused(engine):
    """A database that a newer program has migrated is not touched."""
    with engine.begin() as conn:
        conn.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(DatabaseError, match=r"9999.*check that it belongs to this version"):
        migrate(engine)


def test_installed_below_an_odd_path(tmp_path, monkeypatch):
    """The program may be installed in a folder whose name has spaces and percent signs."""
    steps = shutil.copytree(database._MIGRATIONS, tmp_path / "100% of it")
    monkeypatch.setattr(database, "_MIGRATIONS", steps)
    engine = connect(f"sqlite:///{tmp_path}/new.db")

    migrate(engine)

    assert set(inspect(engine).get_table_names()) > NAMES
    engine.dispose()


def test_two_starts_at_once(tmp_path):
    """A second process that migrates after the first finds its work done."""
    url = f"sqlite:///{tmp_path}/shared.db"
    one, two = connect(url), connect(url)

    migrate(one)
    migrate(two)
    put(Store(), one, FULL)

    assert read(Store(), two) == FULL
    assert read(Store(), two, CHILD).patient == CHILD
    one.dispose()
    two.dispose()


def test_tables_can_be_made_on_postgresql():
    """Every table has a form for PostgreSQL, with real booleans and 64-bit revisions."""
    every = chain.from_iterable(metadata.sorted_tables for metadata in METADATA)
    dialect = postgresql.dialect()

    ddl = {table.name: str(CreateTable(table).compile(dialect=dialect)) for table in every}

    assert "consent_samu BOOLEAN NOT NULL" in ddl["patients"]
    assert "revision BIGINT NOT NULL" in ddl["head"]
    assert set(ddl) == NAMES
