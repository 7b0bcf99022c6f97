"""The tables of the record, for SQLite and PostgreSQL. `metadata` is what migrations are compared with.

What policy judges and lists are searched by stands in the clear; titles, names of authors and the bytes of
documents are sealed with the patient's key (`dossier.keys`), which is kept in another database.
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

from storage.columns import Day, Flag, Instant, Number

metadata: Final = MetaData()

dossiers: Final = Table(
    "dossiers",
    metadata,
    Column("patient", Text, primary_key=True),
    Column("family_name", Text, nullable=False),
    Column("usage_name", Text, nullable=False),
    Column("given_names", Text, nullable=False),
    Column("birth_date", Day),
    Column("sex", Text, nullable=False),
    Column("birth_place", Text, nullable=False),
    Column("contact", Text, nullable=False),  # JSON of model.Contact
    Column("guardians", Text, nullable=False),  # JSON of model.Guardian
    # Names as they are searched: without accents, in capitals, letters only.
    Column("family_key", Text, nullable=False),
    Column("usage_key", Text, nullable=False),
    Column("given_key", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Index("dossiers_family", "family_key"),
    Index("dossiers_usage", "usage_key"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""The administrative data of each patient; whether the dossier is open, the registry knows."""

closures: Final = Table(
    "closures",
    metadata,
    Column("patient", Text, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("reason", Text, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""When and why a dossier was closed, while it is."""

documents: Final = Table(
    "documents",
    metadata,
    Column("id", Text, primary_key=True),
    Column("entry", Text, nullable=False, unique=True),
    Column("patient", Text, nullable=False),
    Column("unique_id", Text, nullable=False, unique=True),
    Column("type", Text, nullable=False),
    Column("class_code", Text, nullable=False),
    Column("space", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("masked", Flag, nullable=False),
    Column("hidden_from_patient", Flag, nullable=False),
    Column("hidden_from_representatives", Flag, nullable=False),
    Column("confidentiality", Text, nullable=False),
    Column("structure", Text, nullable=False),
    Column("system", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    Column("act_from", Instant, nullable=False),
    Column("act_to", Instant),
    Column("deposited_at", Instant, nullable=False),
    Column("by_patient", Flag, nullable=False),
    Column("version", Number, nullable=False),
    Column("replaces", Text, nullable=False),
    Column("replaced_by", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("size", Number, nullable=False),
    Column("secret", Flag, nullable=False),
    Column("particulars", LargeBinary, nullable=False),  # sealed
    CheckConstraint("type <> ''", name="documents_type"),
    CheckConstraint(
        "status IN ('approved', 'deprecated', 'archived', 'deleted')", name="documents_status"
    ),
    CheckConstraint("confidentiality IN ('N', 'R', 'V')", name="documents_confidentiality"),
    # In the order of a list, with all that a list is narrowed by, so that what it does not show is not read.
    Index(
        "documents_of_patient",
        *("patient", "act_from", "id", "status", "type", "space"),
        *("masked", "hidden_from_patient", "hidden_from_representatives"),
        *("confidentiality", "structure", "act_to"),
    ),
    sqlite_strict=True,
)
"""One row a document; a replacement is another document."""

authors: Final = Table(
    "authors",
    metadata,
    Column("document", Text, ForeignKey("documents.id"), primary_key=True),
    Column("author", Text, primary_key=True),
    Column(
        "patient", Text, nullable=False
    ),  # the document's, so that a patient's are found at once
    Column("place", Number, nullable=False),
    Index("authors_of_patient", "patient", "author", "document"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

bodies: Final = Table(
    "bodies",
    metadata,
    Column("document", Text, ForeignKey("documents.id"), primary_key=True),
    Column("content", LargeBinary, nullable=False),  # sealed
    sqlite_strict=True,
)
"""The bytes as they were deposited; written once, never changed."""

acts: Final = Table(
    "acts",
    metadata,
    Column("decision", Text, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("patient", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("effect", Text, nullable=False),
    Column("reason_code", Text, nullable=False),
    Column("actor_kind", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("actor_name", Text, nullable=False),
    Column("profession", Text, nullable=False),
    Column("structure", Text, nullable=False),
    Column("structure_name", Text, nullable=False),
    Column("document", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("space", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("secret", Flag, nullable=False),
    Column("shown", Number, nullable=False),  # how many documents a list showed
    CheckConstraint("effect IN ('allow', 'deny')", name="acts_effect"),
    Index("acts_of_patient", "patient", "at", "decision"),
    Index("acts_of_actor", "actor", "patient", "at"),
    sqlite_strict=True,
)
"""Who did what: one row for each decision that was used, and for each that was a denial (CSP R.1111-43)."""

accounts: Final = Table(
    "accounts",
    metadata,
    Column("patient", Text, ForeignKey("dossiers.patient"), primary_key=True),
    Column("login", Text, nullable=False, unique=True),
    Column("password", Text, nullable=False),  # scrypt, with its parameters and salt
    Column("temporary", Flag, nullable=False),
    Column("created_at", Instant, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""The holder's access by the web; the channels of the one-time code are those of the contact."""

settings: Final = Table(
    "settings",
    metadata,
    Column("patient", Text, ForeignKey("dossiers.patient"), primary_key=True),
    Column("first_access", Flag, nullable=False),
    Column("new_document", Flag, nullable=False),
    Column("by_email", Flag, nullable=False),
    Column("by_sms", Flag, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""Which notices the holder wants; without a row: all of them, by every channel there is."""

notices: Final = Table(
    "notices",
    metadata,
    Column("id", Text, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("kind", Text, nullable=False),
    Column("patient", Text, nullable=False),
    Column("recipient", Text, nullable=False),  # holder, or treating_doctor: any of the patient
    Column("decision", Text, nullable=False),
    Column("channel", Text, nullable=False),  # email, sms, or inbox: it only stands here
    Column("attempts", Number, nullable=False),
    Column(
        "due_at", Instant
    ),  # when it is to be sent, or tried again; none when nothing is left to do
    Column("sent_at", Instant),
    Index("notices_due", "due_at"),
    Index("notices_of_patient", "patient", "recipient", "at", "id"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""What is told to whom; the outbox of the courier."""

reports: Final = Table(
    "reports",
    metadata,
    Column("decision", Text, primary_key=True),
    Column("obligation", Text, primary_key=True),
    Column("notice", Text, primary_key=True),  # that carries it out, as soon as one of several has
    Column("patient", Text, nullable=False),
    Column("attempts", Number, nullable=False),
    Column("due_at", Instant, nullable=False),
    Index("reports_due", "due_at"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""What the decision point is still to be told: that an obligation of an emergency access was carried out."""
