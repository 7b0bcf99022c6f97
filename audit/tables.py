"""The tables of the log, for SQLite and PostgreSQL. Only `log` and `patients` write to them.

`metadata` is what migrations are made from.
"""

import re
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Connection, Integer, LargeBinary, MetaData, Table, Text
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import DBAPIError

metadata: Final = MetaData()

# SQLite checks types in strict tables only, and these know no other name for a 64-bit integer.
_Index: Final = BigInteger().with_variant(Integer(), "sqlite")

Values = dict[str, Any] | list[dict[str, Any]] | tuple[()]

log_batches: Final = Table(
    "log_batches",
    metadata,
    Column("origin", Text, primary_key=True),
    Column("first_index", _Index, primary_key=True, autoincrement=False),
    Column("count", Integer, nullable=False),
    Column("at", Text, nullable=False),
    Column("previous", LargeBinary(32), nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
    # Last, so that SQLite finds the other columns without reading the pages of the entries.
    Column("entries", LargeBinary, nullable=False),
    sqlite_strict=True,
)
"""The log itself: one row a commit, `entries` being canonical JSON, a newline behind each entry."""

log_head: Final = Table(
    "log_head",
    metadata,
    Column("origin", Text, primary_key=True),
    Column("next_index", _Index, nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("handle_key", LargeBinary(32), nullable=False),
    sqlite_strict=True,
)
"""Where each log ends, and who may write: a writer whose epoch is not this one is fenced off."""

log_patients: Final = Table(
    "log_patients",
    metadata,
    Column("origin", Text, primary_key=True),
    Column("handle", LargeBinary(16), primary_key=True),
    Column("seq", _Index, nullable=False),
    Column("commitment", LargeBinary(32), nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""The last entry of each patient in each log; the handle is keyed, so no INS stands in an index."""


def run(conn: Connection, sql: str, values: Values = ()) -> int:
    """Hands `sql` to the driver as it is: in each batch, SQLAlchemy's own way costs ten times as much.

    Args:
        conn: a connection.
        sql: a statement with `:name` parameters and no other colon.
        values: the parameters, once or once for each execution.

    Returns:
        The number of rows that were hit.

    Raises:
        DBAPIError: as SQLAlchemy does.
    """
    cursor = _execute(conn, sql, values)
    hit = cursor.rowcount
    cursor.close()
    return hit


def first(conn: Connection, sql: str, values: Values = ()) -> Any:  # noqa: ANN401 - what the columns hold
    """The first row that `sql` finds, or None; as `run` otherwise."""
    cursor = _execute(conn, sql, values)
    row = cursor.fetchone()
    cursor.close()
    return row


def _execute(conn: Connection, sql: str, values: Values) -> DBAPICursor:
    dialect = conn.dialect
    if dialect.name != "sqlite":
        sql = re.sub(r":(\w+)", r"%(\1)s", sql)
    if not conn.in_transaction():
        conn.begin()
    cursor = conn.connection.cursor()
    try:
        if isinstance(values, list):
            cursor.executemany(sql, values)
        else:
            cursor.execute(sql, values)
    except dialect.loaded_dbapi.Error as exc:
        raise DBAPIError.instance(
            sql, None, exc, dialect.loaded_dbapi.Error, dialect=dialect
        ) from exc
    return cursor
