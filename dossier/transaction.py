"""Transactions that are done again when another one was faster."""

from collections.abc import Callable
from typing import Final, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from storage.database import is_conflict
from storage.errors import ConflictError

ATTEMPTS: Final = 3

Result = TypeVar("Result")


def run(engine: Engine, work: Callable[[Connection], Result]) -> Result:
    """Does the work in one transaction and commits it; all over again, up to 3 times, after a conflict.

    Args:
        engine: the database.
        work: reads and writes over the connection, and nothing else that could not be done twice.

    Raises:
        DBAPIError: the database can't do it; nothing was written.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            with engine.begin() as conn:
                return work(conn)
        except (DBAPIError, ConflictError) as exc:
            if not is_conflict(exc):
                raise
    with engine.begin() as conn:
        return work(conn)
