"""What SQLite and PostgreSQL say in different words."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

import orjson
from sqlalchemy import (
    ColumnElement,
    Connection,
    Insert,
    Table,
    TableValuedAlias,
    Text,
    cast,
    column,
    func,
    literal,
    tuple_,
)

from dossier.cursor import Position
from storage.columns import Instant


def insert_once(conn: Connection, table: Table, row: Mapping[str, Any]) -> bool:
    """Adds a row unless one of its key is there; whether it was added.

    On PostgreSQL, meeting a row that another transaction has added meanwhile is a conflict
    (`storage.database.is_conflict`): whoever does it again then finds that row.
    """
    return conn.execute(_insert(table, conn.dialect.name), row).rowcount == 1


def put(
    conn: Connection, table: Table, row: Mapping[str, Any], *, fixed: Sequence[str] = ()
) -> None:
    """Adds a row, or changes the one with its key; its columns `fixed` stay as they were."""
    keys = tuple(column.name for column in table.primary_key)
    changed = tuple(name for name in row if name not in (*keys, *fixed))
    conn.execute(_upsert(table, conn.dialect.name, keys, changed), row)


def among(conn: Connection, values: Sequence[str]) -> TableValuedAlias:
    """Texts as a table with the column `value`, sent as one parameter however many they are."""
    sent = literal(orjson.dumps(values).decode(), Text)
    if conn.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import JSON  # noqa: PLC0415 - only those who use it pay

        made = func.json_array_elements_text(cast(sent, JSON(none_as_null=True)))
    else:
        made = func.json_each(sent)
    return made.table_valued(column("value", Text), name="listed")


def binary(conn: Connection, text: ColumnElement[Any]) -> ColumnElement[Any]:
    """A text that sorts by its code points, whatever the language of the database."""
    return text.collate("C" if conn.dialect.name == "postgresql" else "BINARY")


def earlier(
    at: ColumnElement[datetime], row: ColumnElement[str], place: Position
) -> ColumnElement[bool]:
    """Whether a row comes before a place."""
    return tuple_(at, row) < tuple_(literal(place.at, Instant), literal(place.id, Text))


@cache
def _insert(table: Table, dialect: str) -> Insert:
    statement: Insert = _of(dialect)(table).on_conflict_do_nothing()
    # Or SQLAlchemy answers -1 for PostgreSQL: it expects no count of an insert.
    return statement.execution_options(preserve_rowcount=True)


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
