"""Opening an SQLite file."""

import errno
import stat
import threading
from pathlib import Path

import pysqlite3.dbapi2 as sqlite
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from authz.registry.database import migrate
from storage import sqlite as opening
from storage.database import connect
from storage.errors import DatabaseError
from storage.sqlite import has_wal_fix


@pytest.fixture
def engine(tmp_path):
    """A migrated file."""
    engine = connect(f"sqlite:///{tmp_path}/registry.db")
    migrate(engine)
    yield engine
    engine.dispose()


def pragma(engine, name):
    with engine.connect() as conn:
        return conn.exec_driver_sql(f"PRAGMA {name}").scalar_one()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("journal_mode", "wal"),
        ("synchronous", 2),
        ("foreign_keys", 1),
        ("busy_timeout", 5000),
        ("query_only", 0),
    ],
)
def test_commits_are_durable(engine, name, expected):
    """Every connection writes ahead, syncs at commit, checks foreign keys and waits for others."""
    assert expected == pragma(engine, name)


def test_runs_on_the_wheel(engine):
    """The library that answers is the one whose version was checked."""
    with engine.connect() as conn:
        version = conn.exec_driver_sql("SELECT sqlite_version()").scalar_one()

    assert sqlite.sqlite_version == version


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ((3, 40, 1), False),
        ((3, 44, 5), False),
        ((3, 44, 6), True),
        ((3, 45, 9), False),
        ((3, 50, 6), False),
        ((3, 50, 7), True),
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 52, 0), False),
        ((3, 53, 0), True),
        ((3, 53, 4), True),
        ((4, 0, 0), True),
    ],
)
def test_versions_that_lose_commits(version, expected):
    """Only releases that carry the fix of the WAL reset are trusted."""
    assert expected is has_wal_fix(version)


def test_unsafe_version_is_refused(tmp_path, monkeypatch):
    """Nothing is opened with an SQLite that can lose commits."""
    monkeypatch.setattr(sqlite, "sqlite_version_info", (3, 40, 1))

    with pytest.raises(DatabaseError, match="can lose committed rows"):
        connect(f"sqlite:///{tmp_path}/a.db")
    assert not (tmp_path / "a.db").exists()


def test_folder_is_made_for_its_owner_only(tmp_path):
    """A missing folder is created, and nobody else can read what is in it."""
    connect(f"sqlite:///{tmp_path}/new/deep/a 100%.db").dispose()

    file = tmp_path / "new" / "deep" / "a 100%.db"
    assert [stat.S_IMODE(p.stat().st_mode) for p in (file, file.parent)] == [0o600, 0o700]


def test_path_with_odd_characters_is_migrated(tmp_path):
    """Spaces and percent signs in a path do no harm."""
    engine = connect(f"sqlite:///{tmp_path}/100% é/a b.db")

    migrate(engine)

    assert (tmp_path / "100% é" / "a b.db").exists()
    engine.dispose()


def test_folder_below_a_file(tmp_path):
    """A path that can't be a folder is an error that names it."""
    (tmp_path / "file").write_text("")

    with pytest.raises(DatabaseError, match=r"file/a.db` can't be opened: .*: check `/.*/file`"):
        connect(f"sqlite:///{tmp_path}/file/a.db")


def test_unwritable_folder(tmp_path, monkeypatch):
    """A folder without permission is an error that says so."""

    def refuse(path, **_):  # root, who may run the tests, is refused nothing
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "touch", refuse)

    with pytest.raises(DatabaseError, match="can't be opened: Permission denied: check"):
        connect(f"sqlite:///{tmp_path}/a.db")


def test_folder_instead_of_a_file(tmp_path):
    """A path that is a folder is an error, not a crash."""
    with pytest.raises(DatabaseError, match="can't be used: unable to open database file"):
        connect(f"sqlite:///{tmp_path}")


def test_file_that_is_no_database(tmp_path):
    """A file of something else is refused and left as it is."""
    file = tmp_path / "letter.txt"
    file.write_text("Madame, Monsieur, " * 100)

    with pytest.raises(DatabaseError, match="can't be used: file is not a database"):
        connect(f"sqlite:///{file}")
    assert file.read_text() == "Madame, Monsieur, " * 100


def test_disk_without_write_ahead_log(tmp_path, monkeypatch):
    """Where SQLite can't keep a write-ahead log, as on network disks, nothing is opened."""
    monkeypatch.setattr(opening, "_ask", lambda *_: "delete")

    with pytest.raises(DatabaseError, match="can't keep a write-ahead log: use a local disk"):
        connect(f"sqlite:///{tmp_path}/a.db")


def test_reader_needs_the_file(tmp_path):
    """A reader makes no database."""
    with pytest.raises(DatabaseError, match="No such file"):
        connect(f"sqlite:///{tmp_path}/a.db", read_only=True)
    assert not list(Path(tmp_path).iterdir())


def test_writers_queue(engine):
    """A second writer waits for the first, so what it read is still true when it writes."""
    second_began = threading.Event()
    seen = []

    def second():
        with engine.begin() as conn:
            second_began.set()
            seen.append(conn.execute(text("SELECT revision FROM head")).scalar_one())

    with engine.begin() as conn:
        thread = threading.Thread(target=second)
        thread.start()
        assert not second_began.wait(0.2)
        conn.exec_driver_sql("UPDATE head SET revision = 7")
    thread.join()

    assert seen == [7]


def test_file_that_is_away_is_not_made_anew(tmp_path):
    """While its file is somewhere else a database can't be opened; nothing is lost when it is back."""
    path = tmp_path / "dmp.db"
    engine = connect(f"sqlite:///{path}")
    with engine.begin() as conn:
        conn.execute(text("CREATE TABLE kept (word TEXT)"))
        conn.execute(text("INSERT INTO kept VALUES ('there')"))
    engine.dispose()
    path.rename(tmp_path / "away")

    with pytest.raises(OperationalError, match="unable to open"), engine.connect():
        pass

    assert not path.exists()
    (tmp_path / "away").rename(path)
    with engine.connect() as conn:
        assert "there" == conn.scalar(text("SELECT word FROM kept"))
    engine.dispose()
