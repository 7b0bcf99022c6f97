"""The tables of the log, for SQLite and PostgreSQL. Only `log` and `patients` write to them.

`metadata` is what migrations are made from.
"""

from typing import Final

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, Table, Text

metadata: Final = MetaData()

# SQLite checks types in strict tables only, and these know no other name for a 64-bit integer.
_Index: Final = BigInteger().with_variant(Integer(), "sqlite")

log_batches: Final = Table(
    "log_batches",
    metadata,
    Column("origin", Text, primary_key=True),
    Column("first_index", _Index, primary_key=True, autoincrement=False),
    Column("count", Integer, nullable=False),
    Column("at", Text, nullable=False),
    Column("previous", LargeBinary(32), nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
    # Last, so that SQLite finds the other columns without reading the pages of the entries.
    Column("entries", LargeBinary, nullable=False),
    sqlite_strict=True,
)
"""The log itself: one row a commit, `entries` being canonical JSON, a newline behind each entry."""

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
