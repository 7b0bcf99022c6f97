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

alarms: Final = Table(
    "alarms",
    metadata,
    Column("log", Integer, primary_key=True, autoincrement=False),
    Column("place", Number, primary_key=True, autoincrement=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""Entries of which the decision comes out otherwise when it is made again."""

purges: Final = Table(
    "purges",
    metadata,
    Column("origin", Text, primary_key=True),
    Column("end", Number, nullable=False),
    Column("erased", Number, nullable=False),
    sqlite_strict=True,
)
"""Up to where the entries of a log are to be erased, as purges say, and up to where they are."""

words: Final = Table(
    "words",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("text", Text, nullable=False, unique=True),
    sqlite_strict=True,
)
"""Texts of closed lists: actions, effects, modes, reason codes, sets of rules, bundles, services."""

shapes: Final = Table(
    "shapes",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    *(
        Column(name, Integer, nullable=False)
        for name in ("kind", "caller", "action", "mode", "effect", "reason", "rules", "bundle")
    ),
    sqlite_strict=True,
)
"""What entries have in common but for whom they are about: few thousand of millions of entries.

By their numbers one index of the entries serves every question about these columns, however rare the answer.
"""

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
    # All eight in one number.
    Column("shape", Integer, nullable=False),
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
Index("entries_shape", _e.shape, _e.at, _e.log, _e.place)
for _name in ("patient", "subject", "structure", "document"):
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

case_steps: Final = Table(
    "case_steps",
    metadata,
    Column("log", Integer, primary_key=True, autoincrement=False),
    Column("place", Number, primary_key=True, autoincrement=False),
    Column("at", Number, nullable=False),
    Column("id", LargeBinary(16), nullable=False),
    # 1 access, 2 review, 3 report that an obligation was carried out, 4 standing that was told
    Column("kind", Integer, nullable=False),
    # The case of an access or review, the access of a report.
    Column("about", LargeBinary(16), nullable=False),
    # Handles; 0 for none. `who` is whose deed the step is, `professional` whose access it is about.
    Column("professional", Number, nullable=False),
    Column("structure", Number, nullable=False),
    Column("patient", Number, nullable=False),
    Column("who", Number, nullable=False),
    # The mode of an access, the verdict of a review, the obligations of a report, the standing.
    Column("what", Integer, nullable=False),
    Column("until", Number, nullable=False),
    Column("due", Number, nullable=False),
    Column("owes", Integer, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""What cases are made of (`audit.office.cases`): a line for each entry that is a step of one, or may be."""

cases: Final = Table(
    "cases",
    metadata,
    # The place of the access that opened it.
    Column("log", Integer, primary_key=True, autoincrement=False),
    Column("place", Number, primary_key=True, autoincrement=False),
    Column("id", LargeBinary(16), nullable=False),
    Column("at", Number, nullable=False),
    Column("last_at", Number, nullable=False),
    Column("due", Number, nullable=False),
    Column("professional", Number, nullable=False),
    Column("structure", Number, nullable=False),
    Column("patient", Number, nullable=False),
    Column("mode", Integer, nullable=False),
    Column("accesses", Integer, nullable=False),
    # 0 open, 1 justified, 2 misuse
    Column("state", Integer, nullable=False),
    # The review that closed it, and until when a misuse stands against the professional.
    Column("review", LargeBinary(16)),
    Column("closed_at", Number),
    Column("until", Number),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""Emergency accesses that are reviewed together."""

_s, _c = case_steps.c, cases.c
Index("case_steps_id", _s.id)
Index("case_steps_about", _s.about, _s.kind)
for _name, _kind, _columns in (
    ("group", 1, (_s.professional, _s.patient, _s.log, _s.place)),
    ("told", 4, (_s.professional, _s.at)),
):
    _only = _s.kind == _kind
    Index(f"case_steps_{_name}", *_columns, sqlite_where=_only, postgresql_where=_only)
Index("cases_id", _c.id)
Index("cases_queue", _c.state, _c.due, _c.log, _c.place)
Index("cases_group", _c.professional, _c.patient, _c.log, _c.place)
Index("cases_structure", _c.structure, _c.at)
Index("cases_patient", _c.patient, _c.at)
Index("cases_at", _c.at, _c.log, _c.place)

strangers: Final = Table(
    "strangers",
    metadata,
    Column("log", Integer, primary_key=True, autoincrement=False),
    Column("place", Number, primary_key=True, autoincrement=False),
    Column("at", Number, nullable=False),
    Column("professional", Number, nullable=False),
    Column("patient", Number, nullable=False),
    Index("strangers_at", "at", "professional", "patient"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""Accesses of professionals without a relation in care that policy knows of (`audit.office.signs`)."""

family_names: Final = Table(
    "family_names",
    metadata,
    Column("person", Number, primary_key=True, autoincrement=False),
    Column("name", Number, primary_key=True, autoincrement=False),
    Column("log", Integer, primary_key=True, autoincrement=False),
    # The last entry there that says so.
    Column("place", Number, nullable=False),
    Index("family_names_place", "log", "place"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""Under which family names persons have acted: both are keyed numbers."""
