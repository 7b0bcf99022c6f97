"""Entries can be erased; on PostgreSQL the log is kept month by month.

Revision ID: 0005
"""

import sqlalchemy as sa
from alembic import op
from alembic.util.exc import CommandError

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

INDEX = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

PUT_ASIDE = """
    ALTER TABLE log_batches RENAME TO log_batches_old;
    ALTER INDEX log_batches_pkey RENAME TO log_batches_old_pkey;
"""
# What is known of a column's values would repeat entries: nothing shall be known of this one.
BY_MONTH = """
    CREATE TABLE log_batches (
        origin TEXT NOT NULL,
        first_index BIGINT NOT NULL,
        "count" INTEGER NOT NULL,
        at TEXT COLLATE "C" NOT NULL,
        previous BYTEA NOT NULL,
        hash BYTEA NOT NULL,
        entries BYTEA NOT NULL,
        erased BIGINT,
        PRIMARY KEY (origin, first_index, at)
    ) PARTITION BY RANGE (at);
    CREATE TABLE log_batches_default PARTITION OF log_batches DEFAULT;
    DO $$
    DECLARE month DATE;
    BEGIN
        FOR month IN
            SELECT to_date(substr(at, 1, 7), 'YYYY-MM') FROM log_batches_old
                WHERE at ~ '^[0-9]{4}-(0[1-9]|1[0-2])-'
            UNION SELECT generate_series(
                date_trunc('month', now() AT TIME ZONE 'UTC'),
                date_trunc('month', now() AT TIME ZONE 'UTC') + INTERVAL '12 months',
                '1 month'
            )
        LOOP
            EXECUTE format(
                'CREATE TABLE IF NOT EXISTS %I PARTITION OF log_batches FOR VALUES FROM (%L) TO (%L)',
                'log_batches_' || to_char(month, 'YYYY_MM'),
                to_char(month, 'YYYY-MM'),
                to_char(month + INTERVAL '1 month', 'YYYY-MM')
            );
        END LOOP;
    END $$;
    ALTER TABLE log_batches ALTER COLUMN entries SET STATISTICS 0;
    INSERT INTO log_batches (origin, first_index, "count", at, previous, hash, entries)
        SELECT origin, first_index, "count", at, previous, hash, entries FROM log_batches_old;
    DROP TABLE log_batches_old;
"""
IN_ONE = """
    CREATE TABLE log_batches (
        origin TEXT NOT NULL,
        first_index BIGINT NOT NULL,
        "count" INTEGER NOT NULL,
        at TEXT NOT NULL,
        previous BYTEA NOT NULL,
        hash BYTEA NOT NULL,
        entries BYTEA NOT NULL,
        PRIMARY KEY (origin, first_index)
    );
    INSERT INTO log_batches (origin, first_index, "count", at, previous, hash, entries)
        SELECT origin, first_index, "count", at, previous, hash, entries FROM log_batches_old;
    DROP TABLE log_batches_old;
"""


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.add_column("log_batches", sa.Column("erased", INDEX))
    else:
        op.execute(PUT_ASIDE)
        op.execute(BY_MONTH)


def downgrade() -> None:
    conn = op.get_bind()
    if conn.scalar(sa.text("SELECT 1 FROM log_batches WHERE erased IS NOT NULL LIMIT 1")):
        raise CommandError("entries of the log were erased, and no older version can read that")
    if conn.dialect.name == "sqlite":
        op.drop_column("log_batches", "erased")
    else:
        op.execute(PUT_ASIDE)
        op.execute(IN_ONE)
