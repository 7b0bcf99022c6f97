"""Statements that are handed to the driver as they are: those of which each batch has some.

What SQLAlchemy does on the way of a statement takes ten times as long as the statement itself.
"""

import re
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import DBAPIError

Values = dict[str, Any] | list[dict[str, Any]] | tuple[()]


def run(conn: Connection, sql: str, values: Values = ()) -> int:
    """Runs a statement.

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
        conn.begin()  # as SQLAlchemy does before a statement
    connection = conn.connection
    cursor = connection.cursor()
    try:
        if isinstance(values, list):
            cursor.executemany(sql, values)
        else:
            cursor.execute(sql, values)
    except dialect.loaded_dbapi.Error as exc:
        lost = dialect.is_disconnect(exc, connection.dbapi_connection, cursor)
        if lost:
            conn.invalidate(exc)
        raise DBAPIError.instance(
            sql,
            None,
            exc,
            dialect.loaded_dbapi.Error,
            connection_invalidated=lost,
            dialect=dialect,
        ) from exc
    return cursor
