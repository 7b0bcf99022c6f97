"""The tables of the months, on PostgreSQL: made ahead, so that the log finds that of its batch.

`log_batches` is divided by the instant of its batches. What has no month yet goes to `log_batches_default`,
so a batch always finds a place; it moves when its month is made. The role that serves can't make any.
"""

from typing import Final

from sqlalchemy import Connection

AHEAD: Final = 12
"""Months that are made ahead, beyond the present one."""

_WANTED: Final = """
    SELECT to_char(month, 'YYYY-MM'), to_char(month + INTERVAL '1 month', 'YYYY-MM') FROM (
        SELECT generate_series(
            date_trunc('month', now() AT TIME ZONE 'UTC'),
            date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => %(ahead)s),
            '1 month'
        )
        UNION SELECT to_date(substr(at, 1, 7), 'YYYY-MM') FROM log_batches_default
            WHERE at ~ '^[0-9]{4}-(0[1-9]|1[0-2])-'
    ) AS months (month)
    WHERE to_regclass('log_batches_' || to_char(month, 'YYYY_MM')) IS NULL
    ORDER BY month
"""
_TABLES: Final = (
    "SELECT inhrelid::regclass::text FROM pg_inherits"
    " WHERE inhparent = 'log_batches'::regclass ORDER BY 1"
)
# Attached when it is filled: to make it within its parent would keep everybody from the log meanwhile.
_MAKE: Final = """
    CREATE TABLE {name} (LIKE log_batches INCLUDING ALL);
    ALTER TABLE {name} ALTER COLUMN entries SET STATISTICS 0;
    LOCK TABLE log_batches_default IN ACCESS EXCLUSIVE MODE;
    WITH moved AS (
        DELETE FROM log_batches_default WHERE at >= '{begin}' AND at < '{end}' RETURNING *
    ) INSERT INTO {name} SELECT * FROM moved;
    ALTER TABLE log_batches ATTACH PARTITION {name} FOR VALUES FROM ('{begin}') TO ('{end}');
"""


def extend(conn: Connection, ahead: int = AHEAD) -> list[str]:
    """Makes the tables of the coming months that are not there, and of those that batches wait for.

    Args:
        conn: a connection of the owner to PostgreSQL, in a transaction.
        ahead: how many months beyond the present one.

    Returns:
        The months that were made, as `2026-11`.
    """
    wanted = conn.exec_driver_sql(_WANTED, {"ahead": ahead}).all()
    for begin, end in wanted:
        name = f"log_batches_{begin.replace('-', '_')}"
        conn.exec_driver_sql(_MAKE.format(name=name, begin=begin, end=end))
    return [begin for begin, _ in wanted]


def tables(conn: Connection) -> list[str]:
    """The tables that hold the log, on PostgreSQL."""
    return list(conn.exec_driver_sql(_TABLES).scalars())
