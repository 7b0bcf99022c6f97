"""What a connection to PostgreSQL says when something goes wrong on the way."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from storage.database import connect, is_conflict


def test_conflict_among_many_statements(postgresql):
    """When one of many statements sent at once gives way to another writer, that is what is told."""
    with postgresql.database() as name:
        engine = connect(postgresql.url(name))
        with engine.begin() as conn:
            conn.execute(text("CREATE TABLE t (a INT PRIMARY KEY, b INT)"))
            conn.execute(text("INSERT INTO t SELECT generate_series(1, 500), 0"))
        add = text("UPDATE t SET b = b + 1 WHERE a = :a")
        with engine.connect() as late:
            late.execute(text("SELECT 1 FROM t"))
            with engine.begin() as fast:
                fast.execute(add, {"a": 3})

            with pytest.raises(OperationalError) as told:
                late.execute(add, [{"a": number} for number in range(1, 501)])

        assert is_conflict(told.value)
        with engine.connect() as conn:
            assert conn.execute(text("SELECT sum(b) FROM t")).scalar_one() == 1
        engine.dispose()
