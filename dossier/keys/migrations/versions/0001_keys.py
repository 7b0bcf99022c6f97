"""The keys of patients.

Revision ID: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

STRICT_BY_KEY = {"sqlite_strict": True, "sqlite_with_rowid": False}
FLAG = sa.Boolean().with_variant(sa.Integer(), "sqlite")
DESTROYED = "(wrapped IS NULL) = (destroyed_at IS NOT NULL)"


def upgrade() -> None:
    op.create_table(
        "key_masters",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("closed", FLAG, nullable=False),
        **STRICT_BY_KEY,
    )
    op.create_table(
        "patient_keys",
        sa.Column("patient", sa.Text, primary_key=True),
        sa.Column("master", sa.Text, sa.ForeignKey("key_masters.id"), nullable=False),
        sa.Column("wrapped", sa.LargeBinary),
        sa.Column("destroyed_at", sa.Text),
        sa.CheckConstraint(DESTROYED, name="patient_keys_destroyed"),
        **STRICT_BY_KEY,
    )
    op.create_index("patient_keys_master", "patient_keys", ["master", "patient"])


def downgrade() -> None:
    op.drop_table("patient_keys")
    op.drop_table("key_masters")
