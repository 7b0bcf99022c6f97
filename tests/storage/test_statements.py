"""Statements that are handed to the driver as they are."""

import pytest
from sqlalchemy.exc import IntegrityError

from storage.database import connect
from storage.statements import first, run


@pytest.fixture
def engine(tmp_path):
    """A file with one table."""
    engine = connect(f"sqlite:///{tmp_path}/numbers.db")
    with engine.begin() as conn:
        conn.exec_driver_sql("CREATE TABLE numbers (number INTEGER PRIMARY KEY)")
    yield engine
    engine.dispose()


def test_they_tell_what_they_hit(engine):
    """Once or many times, the rows that were hit are counted, and found afterwards."""
    with engine.begin() as conn:
        hit = run(conn, "INSERT INTO numbers VALUES (:number)", [{"number": 1}, {"number": 2}])
        none = run(conn, "DELETE FROM numbers WHERE number = :number", {"number": 3})

        assert (hit, none) == (2, 0)
        assert first(conn, "SELECT max(number) FROM numbers") == (2,)
        assert first(conn, "SELECT number FROM numbers WHERE number = 3") is None


def test_they_begin_a_transaction(engine):
    """What was not committed is taken back, even if nobody had begun a transaction."""
    with engine.connect() as conn:
        run(conn, "INSERT INTO numbers VALUES (:number)", {"number": 1})
        conn.rollback()

        assert first(conn, "SELECT count(*) FROM numbers") == (0,)


def test_errors_are_those_of_sqlalchemy(engine):
    """What the driver refuses is told as SQLAlchemy tells it, but for the parameters."""
    with engine.connect() as conn:
        run(conn, "INSERT INTO numbers VALUES (:number)", {"number": 4711})

        with pytest.raises(IntegrityError, match="UNIQUE") as refused:
            run(conn, "INSERT INTO numbers VALUES (:number)", {"number": 4711})

    assert not refused.value.connection_invalidated
    assert "4711" not in str(refused.value)
