"""What opening promises of either kind of database."""

import pytest
from sqlalchemy import inspect
from sqlalchemy.exc import DBAPIError, IntegrityError

from storage.database import connect, is_conflict
from storage.errors import ConflictError, DatabaseError


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "database is not a url"),
        ("var/authz.db", "database is not a url"),
        ("mysql://u:secret@host/db", "unknown kind of database: `mysql`"),
        ("oracle+cx://u:secret@host/db", r"unknown kind of database: `oracle\+cx`"),
        ("postgres://u:secret@host/db", "unknown kind of database: `postgres`"),
        ("postgresql+asyncpg://u:secret@host/db", r"database: `postgresql\+asyncpg`"),
        ("postgresql://u:secret@host:port/db", "database is not a url"),
        ("sqlite://", "is not a plain file"),
        ("sqlite:///:memory:", "is not a plain file"),
        ("sqlite:///file:a.db?mode=memory&uri=true", "is not a plain file"),
        ("sqlite:///a.db?cache=shared", "is not a plain file"),
        ("sqlite://host/a.db", "is not a plain file"),
    ],
)
def test_other_urls_are_refused(url, problem, tmp_path, monkeypatch):
    """A url of anything else is refused with an example, and no password is repeated."""
    monkeypatch.chdir(tmp_path)

    with pytest.raises(DatabaseError, match=problem) as refused:
        connect(url)

    assert "give one like `sqlite:////var/lib/dmp/authz.db` or `postgresql" in str(refused.value)
    assert "secret" not in str(refused.value)
    assert not list(tmp_path.iterdir())


def test_rollback_undoes_tables_too(engine):
    """A transaction covers everything from its first statement, even new tables."""
    with engine.connect() as conn:
        conn.exec_driver_sql("CREATE TABLE note (line TEXT)")
        conn.exec_driver_sql("INSERT INTO note VALUES ('a')")
        conn.rollback()

    assert not inspect(engine).has_table("note")


def test_orphans_are_refused(engine):
    """An authorisation without its patient can't be stored."""
    with engine.connect() as conn, pytest.raises(IntegrityError, match=r"(?i)foreign key"):
        conn.exec_driver_sql("INSERT INTO treating_doctors VALUES ('nobody', 'x', 'now')")


def test_types_are_checked(engine):
    """The type of every column is checked."""
    with engine.connect() as conn, pytest.raises(DBAPIError, match=r"cannot store TEXT|bigint"):
        conn.exec_driver_sql("UPDATE head SET revision = 'seven'")


def test_reader_writes_nothing(database):
    """A read-only engine sees what is committed and can't change it."""
    reader = connect(database.url, read_only=True)

    with reader.connect() as conn:
        assert conn.exec_driver_sql("SELECT revision FROM head").scalar_one() == 0
        with pytest.raises(DBAPIError, match=r"readonly database|read-only transaction"):
            conn.exec_driver_sql("UPDATE head SET revision = 9")
    reader.dispose()


def test_reader_does_not_wait_for_the_writer(database, engine):
    """A reader reads the last committed state while a write is under way."""
    reader = connect(database.url, read_only=True)

    with engine.begin() as writing:
        writing.exec_driver_sql("UPDATE head SET revision = 7")
        with reader.connect() as conn:
            seen = conn.exec_driver_sql("SELECT revision FROM head").scalar_one()
    reader.dispose()

    assert seen == 0


def test_reader_sees_one_state(database, engine):
    """What a transaction reads does not change under it."""
    reader = connect(database.url, read_only=True)

    with reader.connect() as conn:
        seen = [conn.exec_driver_sql("SELECT revision FROM head").scalar_one()]
        with engine.begin() as writing:
            writing.exec_driver_sql("UPDATE head SET revision = 7")
        seen.append(conn.exec_driver_sql("SELECT revision FROM head").scalar_one())
    reader.dispose()

    assert seen == [0, 0]


def test_other_errors_are_no_conflicts(engine):
    """Only what another transaction brought about is worth another try."""
    with engine.connect() as conn, pytest.raises(IntegrityError) as orphan:
        conn.exec_driver_sql("INSERT INTO treating_doctors VALUES ('nobody', 'x', 'now')")

    found = [is_conflict(e) for e in (ConflictError("x"), orphan.value, ValueError())]
    assert found == [True, False, False]
