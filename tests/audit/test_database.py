"""Opening the log for reading."""

import pytest
from sqlalchemy.exc import DBAPIError

from audit import database as opening
from audit.errors import UnreachableError
from audit.reader import count
from tests.audit.world import append, draft, opened


def test_reader_can_not_write(url):
    """Whoever reads the log can't change it."""
    with opening.reader(url).connect() as conn, pytest.raises(DBAPIError, match=r"read-?only"):
        conn.exec_driver_sql("DELETE FROM log_batches")


def test_snapshot_is_one_state(conn, url):
    """What is committed meanwhile is not seen, but the next time."""
    log, engine = opened(conn), opening.reader(url)
    append(conn, log, draft())

    with opening.snapshot(engine) as reading:
        seen = [count(reading)]
        append(conn, log, draft(), batch=1)
        seen.append(count(reading))
    with opening.snapshot(engine) as reading:
        seen.append(count(reading))

    assert seen == [1, 1, 2]


def test_reading_does_not_wait_for_the_writer(conn, url):
    """A log can be read while a batch is being written, and shows what is committed."""
    log = opened(conn)
    append(conn, log, draft())
    log.touch(conn)

    with opening.snapshot(opening.reader(url)) as reading:
        assert count(reading) == 1


def test_database_without_log(blank):
    """A database that holds no log is told, not taken for an empty one."""
    if blank.kind == "sqlite":
        blank.folder.joinpath("new.db").touch()

    with (
        pytest.raises(UnreachableError, match="holds no decision log"),
        opening.snapshot(opening.reader(blank.url)),
    ):
        pass
