"""The tables of the keys, for SQLite and PostgreSQL. Only `keyring` writes to them.

`metadata` is what migrations are compared with.
"""

from typing import Final

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

from storage.columns import Flag, Instant

metadata: Final = MetaData()

masters: Final = Table(
    "key_masters",
    metadata,
    Column("id", Text, primary_key=True),
    Column("closed", Flag, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""The master keys that have wrapped something; what is closed never wraps again."""

keys: Final = Table(
    "patient_keys",
    metadata,
    Column("patient", Text, primary_key=True),
    Column("master", Text, ForeignKey("key_masters.id"), nullable=False),
    Column("wrapped", LargeBinary),  # sealed with the master; none once it is destroyed
    Column("destroyed_at", Instant),
    CheckConstraint(
        "(wrapped IS NULL) = (destroyed_at IS NOT NULL)", name="patient_keys_destroyed"
    ),
    Index("patient_keys_master", "master", "patient"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""One row a patient; it stays when the key is destroyed, so that none is made in its place."""
