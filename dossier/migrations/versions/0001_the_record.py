"""The record.

Revision ID: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

STRICT = {"sqlite_strict": True}
STRICT_BY_KEY = {"sqlite_strict": True, "sqlite_with_rowid": False}

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
FLAG = sa.Boolean().with_variant(sa.Integer(), "sqlite")

STATUSES = "status IN ('approved', 'deprecated', 'archived', 'deleted')"
CONFIDENTIALITIES = "confidentiality IN ('N', 'R', 'V')"


def upgrade() -> None:
    op.create_table(
        "dossiers",
        sa.Column("patient", sa.Text, primary_key=True),
        sa.Column("family_name", sa.Text, nullable=False),
        sa.Column("usage_name", sa.Text, nullable=False),
        sa.Column("given_names", sa.Text, nullable=False),
        sa.Column("birth_date", sa.Text),
        sa.Column("sex", sa.Text, nullable=False),
        sa.Column("birth_place", sa.Text, nullable=False),
        sa.Column("contact", sa.Text, nullable=False),
        sa.Column("guardians", sa.Text, nullable=False),
        sa.Column("family_key", sa.Text, nullable=False),
        sa.Column("usage_key", sa.Text, nullable=False),
        sa.Column("given_key", sa.Text, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("updated_at", sa.Text, nullable=False),
        **STRICT_BY_KEY,
    )
    op.create_index("dossiers_family", "dossiers", ["family_key"])
    op.create_index("dossiers_usage", "dossiers", ["usage_key"])
    op.create_table(
        "closures",
        sa.Column("patient", sa.Text, primary_key=True),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        **STRICT_BY_KEY,
    )
    op.create_table(
        "documents",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("entry", sa.Text, nullable=False, unique=True),
        sa.Column("patient", sa.Text, nullable=False),
        sa.Column("unique_id", sa.Text, nullable=False, unique=True),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("class_code", sa.Text, nullable=False),
        sa.Column("space", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("masked", FLAG, nullable=False),
        sa.Column("hidden_from_patient", FLAG, nullable=False),
        sa.Column("hidden_from_representatives", FLAG, nullable=False),
        sa.Column("confidentiality", sa.Text, nullable=False),
        sa.Column("structure", sa.Text, nullable=False),
        sa.Column("system", sa.Text, nullable=False),
        sa.Column("made_at", sa.Text, nullable=False),
        sa.Column("act_from", sa.Text, nullable=False),
        sa.Column("act_to", sa.Text),
        sa.Column("deposited_at", sa.Text, nullable=False),
        sa.Column("by_patient", FLAG, nullable=False),
        sa.Column("version", NUMBER, nullable=False),
        sa.Column("replaces", sa.Text, nullable=False),
        sa.Column("replaced_by", sa.Text, nullable=False),
        sa.Column("media_type", sa.Text, nullable=False),
        sa.Column("size", NUMBER, nullable=False),
        sa.Column("secret", FLAG, nullable=False),
        sa.Column("particulars", sa.LargeBinary, nullable=False),
        sa.CheckConstraint("type <> ''", name="documents_type"),
        sa.CheckConstraint(STATUSES, name="documents_status"),
        sa.CheckConstraint(CONFIDENTIALITIES, name="documents_confidentiality"),
        **STRICT,
    )
    op.create_index(
        "documents_of_patient",
        "documents",
        [
            *("patient", "act_from", "id", "status", "type", "space"),
            *("masked", "hidden_from_patient", "hidden_from_representatives"),
            *("confidentiality", "structure", "act_to"),
        ],
    )
    op.create_table(
        "authors",
        sa.Column("document", sa.Text, sa.ForeignKey("documents.id"), primary_key=True),
        sa.Column("author", sa.Text, primary_key=True),
        sa.Column("patient", sa.Text, nullable=False),
        sa.Column("place", NUMBER, nullable=False),
        **STRICT_BY_KEY,
    )
    op.create_index("authors_of_patient", "authors", ["patient", "author", "document"])
    op.create_table(
        "bodies",
        sa.Column("document", sa.Text, sa.ForeignKey("documents.id"), primary_key=True),
        sa.Column("content", sa.LargeBinary, nullable=False),
        **STRICT,
    )
    op.create_table(
        "acts",
        sa.Column("decision", sa.Text, primary_key=True),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("patient", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("effect", sa.Text, nullable=False),
        sa.Column("reason_code", sa.Text, nullable=False),
        sa.Column("actor_kind", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("actor_name", sa.Text, nullable=False),
        sa.Column("profession", sa.Text, nullable=False),
        sa.Column("structure", sa.Text, nullable=False),
        sa.Column("structure_name", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("space", sa.Text, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("secret", FLAG, nullable=False),
        sa.Column("shown", NUMBER, nullable=False),
        sa.CheckConstraint("effect IN ('allow', 'deny')", name="acts_effect"),
        **STRICT,
    )
    op.create_index("acts_of_patient", "acts", ["patient", "at", "decision"])
    op.create_index("acts_of_actor", "acts", ["actor", "patient", "at"])
    op.create_table(
        "accounts",
        sa.Column("patient", sa.Text, sa.ForeignKey("dossiers.patient"), primary_key=True),
        sa.Column("login", sa.Text, nullable=False, unique=True),
        sa.Column("password", sa.Text, nullable=False),
        sa.Column("temporary", FLAG, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        **STRICT_BY_KEY,
    )
    op.create_table(
        "settings",
        sa.Column("patient", sa.Text, sa.ForeignKey("dossiers.patient"), primary_key=True),
        sa.Column("first_access", FLAG, nullable=False),
        sa.Column("new_document", FLAG, nullable=False),
        sa.Column("by_email", FLAG, nullable=False),
        sa.Column("by_sms", FLAG, nullable=False),
        **STRICT_BY_KEY,
    )
    op.create_table(
        "notices",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("patient", sa.Text, nullable=False),
        sa.Column("recipient", sa.Text, nullable=False),
        sa.Column("decision", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("attempts", NUMBER, nullable=False),
        sa.Column("due_at", sa.Text),
        sa.Column("sent_at", sa.Text),
        **STRICT_BY_KEY,
    )
    op.create_index("notices_due", "notices", ["due_at"])
    op.create_index("notices_of_patient", "notices", ["patient", "recipient", "at", "id"])
    op.create_table(
        "reports",
        sa.Column("decision", sa.Text, primary_key=True),
        sa.Column("obligation", sa.Text, primary_key=True),
        sa.Column("notice", sa.Text, primary_key=True),
        sa.Column("patient", sa.Text, nullable=False),
        sa.Column("attempts", NUMBER, nullable=False),
        sa.Column("due_at", sa.Text, nullable=False),
        **STRICT_BY_KEY,
    )
    op.create_index("reports_due", "reports", ["due_at"])


def downgrade() -> None:
    for table in (
        "reports",
        "notices",
        "settings",
        "accounts",
        "acts",
        "bodies",
        "authors",
        "documents",
        "dossiers",
        "closures",
    ):
        op.drop_table(table)
