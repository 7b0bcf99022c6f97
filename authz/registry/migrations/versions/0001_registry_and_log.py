"""Registry and decision log.

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

INDEX = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
FLAG = sa.Boolean().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "patients",
        sa.Column("ins", sa.Text, primary_key=True),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("birth_date", sa.Text),
        sa.Column("opened_at", sa.Text, nullable=False),
        sa.Column("closed_at", sa.Text),
        sa.Column("closure_reason", sa.Text, nullable=False),
        sa.Column("closure_text", sa.Text, nullable=False),
        sa.Column("consent_samu", FLAG, nullable=False),
        sa.Column("consent_break_glass", FLAG, nullable=False),
        sa.Column("consent_masked", FLAG, nullable=False),
        sa.Column("consent_feeding", FLAG, nullable=False),
        sa.Column("revision", INDEX, nullable=False),
        sa.CheckConstraint("status IN ('open', 'closed', 'destroyed')", name="patients_status"),
        **STRICT_BY_KEY,
    )
    op.create_table(
        "authorisations",
        sa.Column("ins", sa.Text, sa.ForeignKey("patients.ins"), primary_key=True),
        sa.Column("grantee", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("granted_at", sa.Text, nullable=False),
        sa.Column("expires_at", sa.Text, nullable=False),
        **STRICT_BY_KEY,
    )
    op.create_index("authorisations_grantee", "authorisations", ["grantee", "kind"])
    op.create_table(
        "treating_doctors",
        sa.Column("ins", sa.Text, sa.ForeignKey("patients.ins"), primary_key=True),
        sa.Column("professional", sa.Text, primary_key=True),
        sa.Column("since", sa.Text, nullable=False),
        **STRICT_BY_KEY,
    )
    op.create_table(
        "blocks",
        sa.Column("ins", sa.Text, sa.ForeignKey("patients.ins"), primary_key=True),
        sa.Column("grantee", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("since", sa.Text, nullable=False),
        **STRICT_BY_KEY,
    )
    op.create_table(
        "representatives",
        sa.Column("ins", sa.Text, sa.ForeignKey("patients.ins"), primary_key=True),
        sa.Column("representative", sa.Text, primary_key=True),
        sa.Column("relation", sa.Text, nullable=False),
        sa.Column("since", sa.Text, nullable=False),
        **STRICT_BY_KEY,
    )
    op.create_table(
        "changes",
        sa.Column("revision", INDEX, primary_key=True, autoincrement=False),
        sa.Column("ins", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("decision_id", sa.Text, nullable=False),
        sa.Column("at", sa.Text, nullable=False),
        **STRICT,
    )
    op.create_table(
        "bundles",
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("activated_at", sa.Text, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        **STRICT,
    )
    head = op.create_table(
        "head",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("revision", INDEX, nullable=False),
        sa.Column("bundle", sa.Text, sa.ForeignKey("bundles.digest")),
        sa.CheckConstraint("id = 1", name="head_is_one_row"),
        **STRICT,
    )
    op.bulk_insert(head, [{"id": 1, "revision": 0}])
    op.create_table(
        "log_batches",
        sa.Column("origin", sa.Text, primary_key=True),
        sa.Column("first_index", INDEX, primary_key=True, autoincrement=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("previous", sa.LargeBinary(32), nullable=False),
        sa.Column("hash", sa.LargeBinary(32), nullable=False),
        sa.Column("entries", sa.LargeBinary, nullable=False),
        **STRICT,
    )
    op.create_table(
        "log_head",
        sa.Column("origin", sa.Text, primary_key=True),
        sa.Column("next_index", INDEX, nullable=False),
        sa.Column("hash", sa.LargeBinary(32), nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("handle_key", sa.LargeBinary(32), nullable=False),
        **STRICT,
    )
    op.create_table(
        "log_patients",
        sa.Column("origin", sa.Text, primary_key=True),
        sa.Column("handle", sa.LargeBinary(16), primary_key=True),
        sa.Column("seq", INDEX, nullable=False),
        sa.Column("commitment", sa.LargeBinary(32), nullable=False),
        **STRICT_BY_KEY,
    )


def downgrade() -> None:
    for table in (
        "log_patients",
        "log_head",
        "log_batches",
        "head",
        "bundles",
        "changes",
        "representatives",
        "blocks",
        "treating_doctors",
        "authorisations",
        "patients",
    ):
        op.drop_table(table)
