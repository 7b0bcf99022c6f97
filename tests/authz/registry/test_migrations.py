"""The steps from one shape of the tables to the next."""

import re
import shutil
import threading
import time

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

import audit.tables
from authz.errors import DatabaseError
from authz.registry import database, tables
from authz.registry.database import connect, downgrade, migrate
from authz.registry.store import Store
from tests.authz.registry.samples import CHILD, FULL, put, read

METADATA = [tables.metadata, audit.tables.metadata]
NAMES = {name for metadata in METADATA for name in metadata.tables}


SCHEMA = {
    "sqlite": "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL",
    "postgresql": """
        SELECT table_name || '.' || column_name,
            concat_ws(' ', ordinal_position, data_type, is_nullable, column_default)
        FROM information_schema.columns WHERE table_schema = 'public'
        UNION ALL SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace
        UNION ALL SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
    """,
}


def schema(engine):
    """What the database remembers of every table, column, check and index, but for white space."""
    with engine.connect() as conn:
        rows = conn.exec_driver_sql(SCHEMA[engine.dialect.name]).all()
    found = {name: re.sub(r"\s+", " ", sql) for name, sql in rows}
    return {name: sql for name, sql in found.items() if not name.startswith("alembic_version")}


@pytest.fixture
def new(blank):
    """A database without tables."""
    engine = connect(blank.url)
    yield engine
    engine.dispose()


def test_migrations_make_what_the_code_expects(engine):
    """Alembic finds no difference between the migrated tables and the two rooms' metadata."""
    with engine.connect() as conn:
        context = MigrationContext.configure(conn, opts={"compare_type": True})

        assert compare_metadata(context, METADATA) == []


def test_migrations_keep_checks_and_strictness(new):
    """Checks, strictness and key order, which Alembic does not compare, are the same too."""
    with new.begin() as conn:
        for metadata in METADATA:
            metadata.create_all(conn)
    expected = schema(new)
    with new.begin() as conn:
        for metadata in METADATA:
            metadata.drop_all(conn)

    migrate(new)

    assert expected == schema(new)


def test_up_down_up_on_data(new):
    """Going down leaves no table, and coming up again makes an empty registry that works."""
    migrate(new)
    put(Store(), new, FULL)

    downgrade(new)
    left = set(inspect(new).get_table_names())
    migrate(new)

    assert left == {"alembic_version"}
    assert set(inspect(new).get_table_names()) > NAMES
    assert put(Store(), new, FULL) == 1
    assert read(Store(), new) == FULL


def test_migrating_again_changes_nothing(engine):
    """A database that is up to date keeps its data and its shape."""
    put(Store(), engine, FULL)
    before = schema(engine)

    migrate(engine)

    assert before == schema(engine)
    assert read(Store(), engine) == FULL


def test_starting_is_quick(blank):
    """Opening and migrating a new database takes a small part of a second."""
    began = time.perf_counter()

    engine = connect(blank.url)
    migrate(engine)

    assert time.perf_counter() - began < 1
    engine.dispose()


def test_failed_migration_leaves_nothing(new):
    """A database with foreign tables of our names is refused and left as it was."""
    with new.begin() as conn:
        conn.exec_driver_sql("CREATE TABLE log_patients (a TEXT)")

    with pytest.raises(DatabaseError, match=r'"?log_patients"? already exists.*: check that it'):
        migrate(new)

    assert inspect(new).get_table_names() == ["log_patients"]


def test_newer_database_is_refused(new):
    """A database that a newer program has migrated is not touched."""
    migrate(new)
    with new.begin() as conn:
        conn.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(DatabaseError, match=r"9999.*check that it belongs to this version"):
        migrate(new)


def test_installed_below_an_odd_path(tmp_path, monkeypatch):
    """The program may be installed in a folder whose name has spaces and percent signs."""
    steps = shutil.copytree(database._MIGRATIONS, tmp_path / "100% of it")
    monkeypatch.setattr(database, "_MIGRATIONS", steps)
    engine = connect(f"sqlite:///{tmp_path}/new.db")

    migrate(engine)

    assert set(inspect(engine).get_table_names()) > NAMES
    engine.dispose()


def test_two_starts_at_once(blank):
    """Of two processes that migrate at once, the second waits and finds the work done."""
    engines = [connect(blank.url) for _ in range(2)]
    failed = []

    def start(engine):
        try:
            migrate(engine)
        except DatabaseError as exc:
            failed.append(exc)

    threads = [threading.Thread(target=start, args=[engine]) for engine in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    one, two = engines

    assert failed == []
    assert put(Store(), one, FULL) == 1
    assert read(Store(), two) == FULL
    assert read(Store(), two, CHILD).patient == CHILD
    one.dispose()
    two.dispose()


def test_types_on_postgresql(kept):
    """Revisions and indexes are 64-bit, answers are booleans, entries are bytes."""
    query = "SELECT table_name || '.' || column_name, data_type FROM information_schema.columns"

    with kept.connect() as conn:
        types = dict(conn.exec_driver_sql(query).all())

    names = "head.revision", "changes.revision", "log_batches.first_index", "log_head.next_index"
    assert {types[name] for name in names} == {"bigint"}
    assert types["patients.consent_samu"] == "boolean"
    assert types["log_batches.entries"] == "bytea"
