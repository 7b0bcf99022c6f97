"""The tables of the log, for SQLite and PostgreSQL. Only `log` and `patients` write to them.

`metadata` is what migrations are made from.
"""

from typing import Final

from sqlalchemy import (
    DDL,
    BigInteger,
    Column,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    event,
)
from sqlalchemy.dialects.postgresql import TEXT
from sqlalchemy.ext.compiler import compiles

metadata: Final = MetaData()

# SQLite checks types in strict tables only, and these know no other name for a 64-bit integer.
_Index: Final = BigInteger().with_variant(Integer(), "sqlite")

# Compared byte by byte: only so is text order time order, whatever the database's language.
_Instant: Final = Text().with_variant(TEXT(collation="C"), "postgresql")


class _Key(PrimaryKeyConstraint):
    """The key of a batch. PostgreSQL wants in it what tells the month, too."""


@compiles(_Key, "postgresql")
def _with_month(_key: _Key, _compiler: object, **_: object) -> str:
    return "PRIMARY KEY (origin, first_index, at)"


log_batches: Final = Table(
    "log_batches",
    metadata,
    Column("origin", Text, nullable=False),
    Column("first_index", _Index, nullable=False, autoincrement=False),
    Column("count", Integer, nullable=False),
    Column("at", _Instant, nullable=False),
    Column("previous", LargeBinary(32), nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
    # Last, so that SQLite finds the other columns without reading the pages of the entries.
    Column("entries", LargeBinary, nullable=False),
    Column("erased", _Index),
    _Key("origin", "first_index"),
    sqlite_strict=True,
    postgresql_partition_by="RANGE (at)",
)
"""The log itself: one row a commit, `entries` being canonical JSON, a newline behind each entry.

Where the entries are erased, `entries` holds their commitments, 32 bytes each, and `erased` the place of the
entry in the log of retention that says so. On PostgreSQL each month is a table of its own.
"""
event.listen(
    log_batches,
    "after_create",
    DDL("CREATE TABLE log_batches_default PARTITION OF log_batches DEFAULT").execute_if(  # type: ignore[no-untyped-call]
        dialect="postgresql"
    ),
)

log_head: Final = Table(
    "log_head",
    metadata,
    Column("origin", Text, primary_key=True),
    Column("next_index", _Index, nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("handle_key", LargeBinary(32), nullable=False),
    sqlite_strict=True,
)
"""Where each log ends, and who may write: a writer whose epoch is not this one is fenced off."""

log_patients: Final = Table(
    "log_patients",
    metadata,
    Column("origin", Text, primary_key=True),
    Column("handle", LargeBinary(16), primary_key=True),
    Column("seq", _Index, nullable=False),
    Column("commitment", LargeBinary(32), nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""The last entry of each patient in each log; the handle is keyed, so no INS stands in an index."""
