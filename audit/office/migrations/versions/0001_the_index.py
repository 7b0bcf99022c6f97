"""The index: what follows from the log. Nothing is lost with it.

Revision ID: 0001
"""

from alembic import op

from audit.office.tables import metadata

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    metadata.create_all(op.get_bind())


def downgrade() -> None:
    metadata.drop_all(op.get_bind())
