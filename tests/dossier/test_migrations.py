"""The steps from one shape of the tables to the next, those of the record and those of the keys."""

import re

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import LargeBinary, insert, inspect

import audit.tables
import authz.registry.tables
import dossier.tables
from authz.registry.database import migrate as migrate_registry
from dossier.database import MIGRATIONS
from dossier.keys import tables as keys
from dossier.keys.keyring import MIGRATIONS as KEY_MIGRATIONS
from storage.columns import Day, Flag, Instant, Number
from storage.database import connect
from storage.errors import DatabaseError
from tests.authz.registry.samples import NOW

BOTH = pytest.mark.parametrize(
    ("migrations", "metadata"),
    [(MIGRATIONS, dossier.tables.metadata), (KEY_MIGRATIONS, keys.metadata)],
    ids=["record", "keys"],
)
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


@pytest.fixture
def new(blank):
    """A database without tables."""
    engine = connect(blank.url)
    yield engine
    engine.dispose()


def schema(engine, version):
    """What the database remembers of every table, column, check and index, but for white space."""
    with engine.connect() as conn:
        rows = conn.exec_driver_sql(SCHEMA[engine.dialect.name]).all()
    found = {name: re.sub(r"\s+", " ", sql) for name, sql in rows}
    return {name: sql for name, sql in found.items() if not name.startswith(version)}


def fill(engine, metadata):
    """Puts one row into every table."""
    given = {Instant: NOW, Day: NOW.date(), Flag: True, LargeBinary: b"sealed"}
    texts = {"status": "archived", "confidentiality": "R", "effect": "deny"}
    with engine.begin() as conn:
        for table in metadata.sorted_tables:
            row = {
                column.name: 7
                if column.type is Number
                else given.get(type(column.type), texts.get(column.name, "one"))
                for column in table.columns
            }
            row |= {"destroyed_at": None} if "destroyed_at" in row else {}
            conn.execute(insert(table).values(row))


def contents(engine, metadata):
    """Every row of every table."""
    with engine.connect() as conn:
        return {table.name: conn.execute(table.select()).all() for table in metadata.sorted_tables}


@BOTH
def test_migrations_make_what_the_code_expects(new, migrations, metadata):
    """Alembic finds no difference between the migrated tables and the metadata."""
    migrations.migrate(new)

    with new.connect() as conn:
        options = {"compare_type": True, "version_table": migrations.table}
        assert compare_metadata(MigrationContext.configure(conn, opts=options), metadata) == []


@BOTH
def test_migrations_keep_checks_and_strictness(new, migrations, metadata):
    """Checks, strictness and key order, which Alembic does not compare, are the same too."""
    metadata.create_all(new)
    expected = schema(new, migrations.table)
    metadata.drop_all(new)

    migrations.migrate(new)

    assert expected == schema(new, migrations.table)


@BOTH
def test_up_down_up_on_data(new, migrations, metadata):
    """Going down leaves no table, coming up again makes tables that work, and migrating again keeps all."""
    migrations.migrate(new)
    fill(new, metadata)

    migrations.downgrade(new)
    left = set(inspect(new).get_table_names())
    migrations.migrate(new)
    fill(new, metadata)
    before = contents(new, metadata)
    migrations.migrate(new)

    assert left == {migrations.table}
    assert all(before.values())
    assert before == contents(new, metadata)


def test_all_rooms_share_one_database(new):
    """The tables of the decision point, of the log, of the record and of the keys have no name in common."""
    migrate_registry(new)
    MIGRATIONS.migrate(new)
    KEY_MIGRATIONS.migrate(new)
    rooms = [
        authz.registry.tables.metadata,
        audit.tables.metadata,
        dossier.tables.metadata,
        keys.metadata,
    ]
    names = [name for metadata in rooms for name in metadata.tables]

    assert len(names) == len(set(names))
    assert set(inspect(new).get_table_names()) > set(names)


@BOTH
def test_failed_migration_leaves_nothing(new, migrations, metadata):
    """A database with a foreign table of our names is refused and left as it was."""
    name = metadata.sorted_tables[-1].name
    with new.begin() as conn:
        conn.exec_driver_sql(f"CREATE TABLE {name} (a TEXT)")

    with pytest.raises(DatabaseError, match=rf'"?{name}"? already exists.*: check that it'):
        migrations.migrate(new)

    assert inspect(new).get_table_names() == [name]


@BOTH
def test_the_newest_shape_is_that_of_the_last_step(migrations, metadata):
    """What the program works with is what its migrations end with."""
    assert migrations.shapes()[-1] == migrations.newest
    assert migrations.table not in metadata.tables
