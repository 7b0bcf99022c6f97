"""The tables of the registry, for SQLite and PostgreSQL. Only `store` writes to them.

`metadata` is what migrations are compared with.
"""

from typing import Final

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

from storage.columns import Day, Flag, Instant, Number

metadata: Final = MetaData()


patients: Final = Table(
    "patients",
    metadata,
    Column("ins", Text, primary_key=True),
    Column("status", Text, nullable=False),
    Column("birth_date", Day),
    Column("opened_at", Instant, nullable=False),
    Column("closed_at", Instant),
    Column("closure_reason", Text, nullable=False),
    Column("closure_text", Text, nullable=False),
    Column("consent_samu", Flag, nullable=False),
    Column("consent_break_glass", Flag, nullable=False),
    Column("consent_masked", Flag, nullable=False),
    Column("consent_feeding", Flag, nullable=False),
    Column("revision", Number, nullable=False),
    CheckConstraint("status IN ('open', 'closed', 'destroyed')", name="patients_status"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""One row a dossier that exists or existed; `revision` is that of its last change."""


def _ins() -> Column[str]:
    return Column("ins", Text, ForeignKey("patients.ins"), primary_key=True)


authorisations: Final = Table(
    "authorisations",
    metadata,
    _ins(),
    Column("grantee", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("granted_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Index("authorisations_grantee", "grantee", "kind", "ins"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""Who may consult; the index answers "the dossiers I am authorised on", in order."""

treating_doctors: Final = Table(
    "treating_doctors",
    metadata,
    _ins(),
    Column("professional", Text, primary_key=True),
    Column("since", Instant, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

blocks: Final = Table(
    "blocks",
    metadata,
    _ins(),
    Column("grantee", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("since", Instant, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

representatives: Final = Table(
    "representatives",
    metadata,
    _ins(),
    Column("representative", Text, primary_key=True),
    Column("relation", Text, nullable=False),
    Column("since", Instant, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

standings: Final = Table(
    "standings",
    metadata,
    Column("professional", Text, primary_key=True),
    Column("standing", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("since", Instant, nullable=False),
    CheckConstraint("standing IN ('overdue', 'misuse')", name="standings_standing"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""What reviews of emergency accesses have left professionals with; who has no row has nothing."""

changes: Final = Table(
    "changes",
    metadata,
    Column("revision", Number, primary_key=True, autoincrement=False),
    Column("ins", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("decision_id", Text, nullable=False),
    Column("at", Instant, nullable=False),
    sqlite_strict=True,
)
"""The change feed: what moved the registry to each revision, and the decision that permitted it.

Every revision has its row; `ins` is empty where a bundle was activated, or a professional's standing changed.
So a reader can tell that none is missing.
"""

bundles: Final = Table(
    "bundles",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("activated_at", Instant, nullable=False),
    # Last, so that SQLite finds the other columns without reading the pages of the content.
    Column("content", LargeBinary, nullable=False),
    sqlite_strict=True,
)
"""Every policy bundle that was ever active: a log entry names one, and must find it."""

requests: Final = Table(
    "requests",
    metadata,
    Column("caller", Text, primary_key=True),
    Column("request_id", Text, primary_key=True),
    Column("digest", LargeBinary(32), nullable=False),
    Column("decision_id", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("answer", LargeBinary, nullable=False),
    Index("requests_at", "at"),
    sqlite_strict=True,
)
"""What was answered to a change that its caller gave an id, for as long as it may ask again."""

head: Final = Table(
    "head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("revision", Number, nullable=False),
    Column("bundle", Text, ForeignKey("bundles.digest")),
    CheckConstraint("id = 1", name="head_is_one_row"),
    sqlite_strict=True,
)
"""One row: the revision of registry *and* active bundle, so that one look tells what is new.

INVARIANT: whoever changes either moves this row in the same transaction, so the order of the
numbers is the order of the commits.
"""
