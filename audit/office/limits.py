"""How long a question to the index may take: a question about everything must not stop all others."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from audit.office.errors import TooMuchError

LIMIT_S: Final = 8.0
"""Seconds for a question to the index: less than a call may take (`serving.door`)."""

_OPERATIONS: Final = 20_000
"""Steps of SQLite between two looks at the clock: about a millisecond."""

_CANCELLED: Final = "57014"
_INTERRUPTED: Final = "interrupted"


@contextmanager
def limited(conn: Connection, limit_s: float = LIMIT_S) -> Iterator[None]:
    """Meanwhile no statement may take longer: SQLite counts them all together, PostgreSQL each.

    Args:
        conn: the index, in a transaction of this question alone.
        limit_s: seconds.

    Raises:
        TooMuchError: one did.
    """
    driver: Any = None
    if conn.dialect.name == "sqlite":
        end = time.monotonic() + limit_s
        driver = conn.connection.driver_connection
        driver.set_progress_handler(lambda: time.monotonic() > end, _OPERATIONS)
    else:
        conn.execute(text(f"SET LOCAL statement_timeout = {max(1, round(limit_s * 1000))}"))
    try:
        yield
    except DBAPIError as exc:
        if getattr(exc.orig, "sqlstate", None) == _CANCELLED or _INTERRUPTED in str(exc.orig):
            raise TooMuchError(limit_s) from exc
        raise
    finally:
        if driver is not None:
            driver.set_progress_handler(None, 0)
