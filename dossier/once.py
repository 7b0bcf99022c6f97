"""Rows that are written once, however often they are asked for: on SQLite and PostgreSQL alike."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Insert, Table


def insert_once(conn: Connection, table: Table, row: Mapping[str, Any]) -> bool:
    """Adds a row unless one of its key is there; whether it was added.

    On PostgreSQL, meeting a row that another transaction has added meanwhile is a conflict
    (`storage.database.is_conflict`): whoever does it again then finds that row.
    """
    return conn.execute(_insert(table, conn.dialect.name), row).rowcount == 1


def put(conn: Connection, table: Table, row: Mapping[str, Any]) -> None:
    """Adds a row, or changes the columns given of the one with its key."""
    keys = tuple(column.name for column in table.primary_key)
    changed = tuple(name for name in row if name not in keys)
    conn.execute(_upsert(table, conn.dialect.name, keys, changed), row)


@cache
def _insert(table: Table, dialect: str) -> Insert:
    statement: Insert = _of(dialect)(table).on_conflict_do_nothing()
    return statement


@cache
def _upsert(table: Table, dialect: str, keys: Sequence[str], changed: Sequence[str]) -> Insert:
    statement = _of(dialect)(table)
    new = {name: statement.excluded[name] for name in changed}
    made: Insert = statement.on_conflict_do_update(index_elements=keys, set_=new)
    return made


def _of(dialect: str) -> Any:  # noqa: ANN401 - either dialect's insert
    if dialect == "postgresql":
        from sqlalchemy.dialects import postgresql  # noqa: PLC0415 - only those who use it pay

        return postgresql.insert
    from sqlalchemy.dialects import sqlite  # noqa: PLC0415 - as above

    return sqlite.insert
