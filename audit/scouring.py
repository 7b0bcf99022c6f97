"""Takes from the database's files what is left there of erased entries. The tables are as they were.

SQLite has overwritten the entries when it erased them; what is left stands in its write-ahead log, which is
emptied. PostgreSQL has kept them beside their commitments; the tables of their months are written anew, each
of which is out of reach meanwhile, for as long as it takes to copy what is left in it.
"""

import re
import time
from typing import Any, Final

from psycopg import errors
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from audit.retention import Purge

PATIENCE_S: Final = 10.0
"""For how long to wait until nobody reads what is to be overwritten, in seconds."""

_PAUSE_S: Final = 0.1
_WAITING: Final = "log_batches_default"
_MONTHS: Final = text(
    "SELECT DISTINCT CAST(tableoid AS regclass)::text FROM log_batches"
    " WHERE origin = :log AND first_index >= :first AND first_index < :end ORDER BY 1"
)
# While we wait for a table, all who come after us wait too.
_SETTINGS: Final = ("SET statement_timeout = 0", "SET lock_timeout = '1s'")


def scour(engine: Engine, purge: Purge, *, patience_s: float = PATIENCE_S) -> str:
    """Takes what a purge has erased from the files. It may be done again at any time.

    Args:
        engine: of the owner of the tables.
        purge: what was carried out.
        patience_s: for how long to wait for others.

    Returns:
        "" if nothing is left; else why it could not be done, and who is in the way.

    Raises:
        DBAPIError: the database can't be used.
    """
    until = time.monotonic() + patience_s
    with engine.connect() as conn:
        if engine.dialect.name == "sqlite":
            return _checkpoint(conn, until)
        found = conn.execute(_MONTHS, {"log": purge.log, "first": purge.first, "end": purge.end})
        # Also where batches may have waited for their month: they have left something behind there.
        months = sorted({*found.scalars(), _WAITING})
        conn.rollback()
        return _rewrite(conn, months, until)


def _checkpoint(conn: Connection, until: float) -> str:
    raw: Any = conn.connection.driver_connection
    while True:
        (busy, *_) = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if not busy:
            return ""
        if time.monotonic() > until:
            return (
                "somebody reads the database all the time, so its write-ahead log still holds them"
            )
        time.sleep(_PAUSE_S)


def _rewrite(conn: Connection, months: list[str], until: float) -> str:
    raw: Any = conn.connection.driver_connection
    conn.detach()  # with settings that nobody else shall have
    raw.patience = None
    raw.autocommit = True
    for setting in _SETTINGS:
        raw.execute(setting)
    for month in months:
        while left := _rewritten(raw, month):
            if time.monotonic() > until:
                return f"{left}, so table `{month}` still holds them"
            time.sleep(_PAUSE_S)
    return ""


def _rewritten(raw: Any, month: str) -> str:  # noqa: ANN401 - a connection of psycopg
    """Writes the table of a month anew; why something is left in it, "" if nothing is."""
    said: list[str] = []

    def note(notice: errors.Diagnostic) -> None:
        said.append(notice.message_detail or "")

    raw.add_notice_handler(note)
    try:
        raw.execute(f"VACUUM (FULL, VERBOSE) {month}")
    except errors.LockNotAvailable:
        return "somebody reads the log all the time"
    except errors.Error as exc:
        raise DBAPIError.instance("VACUUM", None, exc, errors.Error) from exc
    finally:
        raw.remove_notice_handler(note)
    # "3 dead row versions cannot be removed yet", in whatever language.
    numbers = [int(found[1]) for one in said if (found := re.match(r"\D*(\d+)", one))]
    return "a transaction is open that began before they were erased" if any(numbers) else ""
