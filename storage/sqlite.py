"""SQLite: one file on a local disk, one machine.

What makes it safe is in `connect`, and each item of it was a way to lose a commit that had been
answered.
"""

from pathlib import Path
from typing import Final
from urllib.parse import quote

import pysqlite3.dbapi2 as sqlite
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from storage.errors import DatabaseError

_BUSY_S: Final = 5.0
"""How long to wait for another process that writes, in seconds."""

_FIXED: Final = {(3, 44): 6, (3, 50): 7, (3, 51): 3}
_FIXED_SINCE: Final = (3, 53)


def connect(path: Path, *, read_only: bool) -> Engine:
    """Opens the file, creating it and its folder, readable by this user only.

    * Write-ahead log with `synchronous=FULL`: a commit that returned is on disk.
    * A transaction begins with BEGIN IMMEDIATE, so that what it read is still true when it writes.
    * One connection is kept, for the one writer; more are opened when asked for, and closed again.
    * Foreign keys are checked.
    * What is deleted or moved within a page is overwritten there: it shall not outlive its erasure.

    Args:
        path: the file.
        read_only: never write, never wait for the writer, and require that the file exists.

    Raises:
        DatabaseError: the folder or file can't be used, or this SQLite can lose commits.
    """
    if not has_wal_fix(sqlite.sqlite_version_info):
        raise DatabaseError(
            f"sqlite `{sqlite.sqlite_version}` can lose committed rows (WAL reset):"
            " install pysqlite3 with SQLite 3.53 or later"
        )
    try:
        if read_only:
            path.open("rb").close()
        else:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)
    except OSError as exc:
        raise DatabaseError(
            f"database `{path}` can't be opened: {exc.strerror}: check `{exc.filename}`"
        ) from exc
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        module=sqlite,
        creator=lambda: _open(path),
        pool_size=1,
        hide_parameters=True,  # an error may be logged, and what was to be stored must not
    )
    pragmas = ["foreign_keys=ON"]
    if read_only:
        pragmas += ["query_only=ON", "wal_autocheckpoint=0"]
    else:
        pragmas += ["synchronous=FULL", "secure_delete=FAST"]
    begin = "BEGIN" if read_only else "BEGIN IMMEDIATE"

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite.Connection, _: ConnectionPoolEntry) -> None:
        if not read_only and _ask(connection, "journal_mode=WAL") != "wal":
            raise DatabaseError(f"database `{path}` can't keep a write-ahead log: use a local disk")
        for pragma in pragmas:
            _ask(connection, pragma)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("SELECT count(*) FROM sqlite_schema")
    except (SQLAlchemyError, sqlite.Error) as exc:
        cause = getattr(exc, "orig", None) or exc
        raise DatabaseError(
            f"database `{path}` can't be used: {cause}: check that it is one of dmp's, and that no"
            " other program holds it"
        ) from exc
    return engine


def _open(path: Path) -> sqlite.Connection:
    # A file that was put away meanwhile is not made anew: an empty one would cost the old one its log.
    uri = f"file:{quote(str(path.absolute()))}?mode=rw"
    # None: SQLAlchemy says BEGIN, the driver does not guess when.
    return sqlite.connect(
        uri, uri=True, isolation_level=None, timeout=_BUSY_S, check_same_thread=False
    )


def has_wal_fix(version: tuple[int, int, int]) -> bool:
    """Whether this SQLite is free of the WAL-reset race, by which 3.7.0 to 3.51.2 lose commits."""
    major, minor, patch = version
    fixed = _FIXED.get((major, minor))
    return (major, minor) >= _FIXED_SINCE or (fixed is not None and patch >= fixed)


def _ask(connection: sqlite.Connection, pragma: str) -> object:
    """Sets a pragma; what SQLite answers, which for most is nothing."""
    cursor = connection.cursor()
    row = cursor.execute(f"PRAGMA {pragma}").fetchone()
    cursor.close()
    return row[0] if row else None
