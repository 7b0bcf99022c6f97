"""The steps from one shape of the tables to the next."""

import os
import re
import shutil
import threading
import time
from dataclasses import replace

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, select

import audit.tables
from audit.entry import rfc3339
from audit.log import Log
from audit.verify import verify
from authz.registry import feed as feeds
from authz.registry import requests, tables
from authz.registry.database import MIGRATIONS, downgrade, migrate
from authz.registry.state import NO_CONSENT
from authz.registry.store import Store
from storage.database import connect
from storage.errors import DatabaseError
from tests.authz.registry.asker import answer
from tests.authz.registry.samples import CHILD, FULL, NOW, PATIENT, opened, put, read

METADATA = [tables.metadata, audit.tables.metadata]
NAMES = {name for metadata in METADATA for name in metadata.tables}


SCHEMA = {
    "sqlite": "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL",
    "postgresql": """
        SELECT table_name || '.' || column_name,
            concat_ws(' ', ordinal_position, data_type, is_nullable, column_default)
        FROM information_schema.columns WHERE table_schema = 'public'
        UNION ALL SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
        UNION ALL SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
    """,
}


def schema(engine):
    """What the database remembers of every table, column, check and index, but for white space."""
    with engine.connect() as conn:
        rows = conn.exec_driver_sql(SCHEMA[engine.dialect.name]).all()
    found = {name: re.sub(r"\s+", " ", sql) for name, sql in rows}
    ours = {name: sql for name, sql in found.items() if not name.startswith("alembic_version")}
    return {name: sql for name, sql in ours.items() if not is_month(name)}


def is_month(name):
    """Whether this is of a part of the log, on PostgreSQL: there is one for each month."""
    return re.match(r"log_batches_(default|\d{4}_\d\d)", name or "") is not None


@pytest.fixture
def new(blank):
    """A database without tables."""
    engine = connect(blank.url)
    yield engine
    engine.dispose()


def test_migrations_make_what_the_code_expects(engine):
    """Alembic finds no difference between the migrated tables and the two rooms' metadata."""
    with engine.connect() as conn:
        options = {"compare_type": True, "include_name": lambda name, *_: not is_month(name)}
        context = MigrationContext.configure(conn, opts=options)

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


def populate(engine):
    """A registry with a history: patients of all kinds, changes, policies, a log and an answer kept."""
    store, log = Store(), Log("authz-1")
    people = [opened(patient=f"{number:022d}") for number in range(40)]
    changed = [
        replace(FULL, patient=person.patient)
        if number % 3
        else replace(person, consents=NO_CONSENT)
        for number, person in enumerate(people)
    ]
    put(store, engine, *people)
    for digest in ("digest-1", "digest-2"):
        with engine.begin() as conn:
            store.catch_up(conn, changes=True)
            at = store.activate(conn, digest, digest.encode(), at=NOW, decision_id=f"of {digest}")
        store.adopt([], at)
    put(store, engine, *changed)
    with engine.begin() as conn:
        log.open(conn, random=os.urandom)
    for number in range(3):
        with engine.begin() as conn:
            draft = {"id": f"decision {number}", "patient": PATIENT}
            log.append(conn, [draft], at=rfc3339(NOW), random=os.urandom)
        log.committed()
    with engine.begin() as conn:
        requests.keep(conn, answer(1, "decision 1"))


def contents(engine):
    """Every row of every table that there is, in the order of the keys; `erased` is not in all shapes."""
    tables = {table.name: table for metadata in METADATA for table in metadata.sorted_tables}
    with engine.connect() as conn:
        return {
            name: [
                tuple(row)
                for row in conn.execute(
                    select(*(column for column in table.c if column.name != "erased")).order_by(
                        *table.primary_key
                    )
                )
            ]
            for name, table in tables.items()
            if inspect(conn).has_table(name)
        }


def test_up_down_up_on_data(new):
    """Going down to the beginning leaves no table, and coming up again makes a registry that works."""
    migrate(new)
    populate(new)

    downgrade(new)
    left = set(inspect(new).get_table_names())
    migrate(new)

    assert left == {"alembic_version"}
    assert set(inspect(new).get_table_names()) > NAMES
    assert put(Store(), new, FULL) == 1
    assert read(Store(), new) == FULL


def test_first_shape_keeps_all_but_the_answers(new):
    """Down to 0001 and up again, only the answers and the details of activations are gone."""
    migrate(new)
    populate(new)
    before = contents(new)

    downgrade(new, "0001")
    older = contents(new)
    migrate(new)
    newer = contents(new)

    feed = before["changes"]
    activations = [row for row in feed if not row[1]]
    assert len(activations) == 2
    newer_tables = {"requests", "standings"}
    assert older == {name: rows for name, rows in before.items() if name not in newer_tables} | {
        "changes": [row for row in feed if row[1]]
    }
    assert newer == before | {
        "changes": [row if row[1] else (*row[:3], "", row[4]) for row in feed],
        "requests": [],
    }
    with new.begin() as conn:
        assert len(feeds.read(conn, after=0, limit=100).events) == 82
        assert verify(conn, "authz-1").count == 3


def test_older_registry_that_only_had_policies(new):
    """A registry of the first shape that has seen nothing but an activation comes up, too."""
    migrate(new)
    store = Store()
    with new.begin() as conn:
        store.catch_up(conn)
        store.activate(conn, "digest-1", b"one", at=NOW, decision_id="")
    downgrade(new, "0001")

    migrate(new)

    with new.begin() as conn:
        (event,) = feeds.read(conn, after=0, limit=100).events
    assert (event.revision, event.patient, event.at) == (1, "", NOW)


@pytest.mark.parametrize("revision", ["0001", "0002", "0003", "0004"])
def test_work_goes_on_at_every_shape(new, revision):
    """After going down and up again, changes, policies and the log go on where they were."""
    migrate(new)
    populate(new)
    downgrade(new, revision)
    migrate(new)
    store, log = Store(), Log("authz-1")

    revision = put(store, new, opened())
    with new.begin() as conn:
        log.open(conn, random=os.urandom)
        (recorded,) = log.append(
            conn, [{"id": "next", "patient": PATIENT}], at=rfc3339(NOW), random=os.urandom
        )

    assert revision == 83
    assert recorded.index == 3
    assert read(store, new) == opened()
    assert read(store, new, f"{1:022d}") == replace(FULL, patient=f"{1:022d}")


def test_erased_entries_keep_the_shape(new):
    """Older versions could not read a log with erased entries, so there is no way back to them."""
    migrate(new)
    populate(new)
    with new.begin() as conn:
        conn.exec_driver_sql("UPDATE log_batches SET erased = 0 WHERE first_index = 0")

    with pytest.raises(DatabaseError, match="entries of the log were erased"):
        downgrade(new, "0004")

    assert MIGRATIONS.shape(new) == "0005"


def test_migrating_again_changes_nothing(engine):
    """A database that is up to date keeps its data and its shape."""
    put(Store(), engine, FULL)
    before = schema(engine)

    migrate(engine)

    assert before == schema(engine)
    assert read(Store(), engine) == FULL


def test_starting_is_quick(blank):
    """Opening and migrating a new database takes a small part of a second of work."""
    began = time.process_time()

    engine = connect(blank.url)
    migrate(engine)

    assert time.process_time() - began < 1
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


def test_installed_below_an_odd_path(tmp_path):
    """The program may be installed in a folder whose name has spaces and percent signs."""
    steps = shutil.copytree(MIGRATIONS.folder, tmp_path / "100% of it")
    engine = connect(f"sqlite:///{tmp_path}/new.db")

    replace(MIGRATIONS, folder=steps).migrate(engine)

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


def test_the_newest_shape_is_that_of_the_last_step():
    """What the program works with is what its migrations end with."""
    assert MIGRATIONS.shapes()[-1] == MIGRATIONS.newest
