"""Opens a database so that a commit that returned is durable: SQLite or PostgreSQL, by its url."""

from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine, Select, make_url, select
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from storage import sqlite
from storage.errors import ConflictError, DatabaseError

_EXAMPLE: Final = (
    "give one like `sqlite:////var/lib/dmp/authz.db` or `postgresql+psycopg://dmp@host/dmp`"
)
_LOOK: Final = select(1)
_FASTER: Final = {"40001", "40P01"}
"""PostgreSQL's codes for a transaction that gave way to another: serialization failure, deadlock."""


def connect(url: str, *, read_only: bool = False) -> Engine:
    """Opens the database of `url` so that a commit that returned is durable.

    Args:
        url: `sqlite:///` and a path, or `postgresql+psycopg://user@host/name`. An SQLite database in
            memory is refused: it keeps no record.
        read_only: never write, and require that the database exists.

    Raises:
        DatabaseError: the url can't be used, or what it leads to can lose commits.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as exc:
        raise DatabaseError(f"database is not a url: {_EXAMPLE}") from exc
    match parsed.drivername:
        case "sqlite" | "sqlite+pysqlite":
            name = parsed.database or ":memory:"
            if name == ":memory:" or name.startswith("file:") or parsed.query or parsed.host:
                shown = parsed.render_as_string(hide_password=True)
                raise DatabaseError(f"database `{shown}` is not a plain file: {_EXAMPLE}")
            return sqlite.connect(Path(name), read_only=read_only)
        case "postgresql" | "postgresql+psycopg":
            from storage import postgresql  # noqa: PLC0415 - only those who use it pay for it

            return postgresql.connect(parsed, read_only=read_only)
        case other:
            raise DatabaseError(f"unknown kind of database: `{other}`: {_EXAMPLE}")


def readable(engine: Engine, look: Select[Any] = _LOOK) -> bool:
    """Whether the database answers a question now."""
    try:
        with engine.connect() as conn:
            conn.execute(look)
    except SQLAlchemyError:
        # A connection whose file was away goes on failing; one to a server is given up by its pool.
        if engine.dialect.name == "sqlite":
            engine.dispose()
        return False
    return True


def is_conflict(error: BaseException) -> bool:
    """Whether another transaction was faster, so that it makes sense to do this one again."""
    code = getattr(getattr(error, "orig", None), "sqlstate", None)
    return isinstance(error, ConflictError) or code in _FASTER
