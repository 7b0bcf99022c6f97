"""The tables of the index, for SQLite and PostgreSQL: all that stands in them follows from the log.

No patient, person, structure or document stands here by name or number, but by a keyed number
(`audit.office.handles`): whoever gets hold of the index alone learns neither.
"""

from typing import Final

from sqlalchemy import Column, Index, Integer, LargeBinary, MetaData, Table, Text

from storage.columns import Number

metadata: Final = MetaData()

positions: Final = Table(
    "positions",
    metadata,
    Column("origin", Text, primary_key=True),
    Column("log", Integer, nullable=False, unique=True),
    Column("next_index", Number, nullable=False),
    Column("link", LargeBinary(32), nullable=False),
    Column("at", Number, nullable=False),
    sqlite_strict=True,
)
"""How far each log is in the index: the index behind, the hash of the last batch and its instant."""

words: Final = Table(
    "words",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("text", Text, nullable=False, unique=True),
    sqlite_strict=True,
)
"""Texts of closed lists: actions, effects, modes, reason codes, sets of rules, bundles, services."""

entries: Final = Table(
    "entries",
    metadata,
    # Microseconds since 1970: entries are shown in the order of their instants.
    Column("at", Number, primary_key=True, autoincrement=False),
    Column("log", Integer, primary_key=True, autoincrement=False),
    # The index of the entry in its log.
    Column("place", Number, primary_key=True, autoincrement=False),
    Column("id", LargeBinary(16), nullable=False),
    Column("kind", Integer, nullable=False),
    Column("caller", Integer, nullable=False),
    Column("action", Integer, nullable=False),
    Column("mode", Integer, nullable=False),
    Column("effect", Integer, nullable=False),
    Column("reason", Integer, nullable=False),
    Column("rules", Integer, nullable=False),
    Column("bundle", Integer, nullable=False),
    # Handles; 0 for none.
    Column("subject", Number, nullable=False),
    Column("structure", Number, nullable=False),
    Column("patient", Number, nullable=False),
    Column("document", Number, nullable=False),
    # 1 for every mode but normal; 1 for what was done in a secret connection
    Column("emergency", Integer, nullable=False),
    Column("secret", Integer, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""A line for each entry that is not erased."""

_e = entries.c
Index("entries_id", _e.id)
Index("entries_place", _e.log, _e.place)
Index("entries_action", _e.action, _e.at, _e.log, _e.place)
Index("entries_rules", _e.rules, _e.at, _e.log, _e.place)
for _name in ("patient", "subject", "structure", "document", "emergency"):
    _column = _e[_name]
    Index(
        f"entries_{_name}",
        _column,
        _e.at,
        _e.log,
        _e.place,
        sqlite_where=_column != 0,
        postgresql_where=_column != 0,
    )
