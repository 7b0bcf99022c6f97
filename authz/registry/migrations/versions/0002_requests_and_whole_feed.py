"""Answers that can be repeated, and a feed without gaps.

Revision ID: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# A revision without a row was that of a bundle; its instant is taken from the change before it.
FILL = """
    INSERT INTO changes (revision, ins, action, decision_id, at)
    WITH RECURSIVE numbers (revision) AS (
        SELECT revision FROM head WHERE revision > 0
        UNION ALL SELECT revision - 1 FROM numbers WHERE revision > 1
    )
    SELECT numbers.revision, '', 'policy.activate', '', coalesce(
        (SELECT earlier.at FROM changes AS earlier WHERE earlier.revision < numbers.revision
            ORDER BY earlier.revision DESC LIMIT 1),
        (SELECT min(activated_at) FROM bundles)
    )
    FROM numbers WHERE NOT EXISTS (
        SELECT 1 FROM changes AS known WHERE known.revision = numbers.revision
    )
"""


def upgrade() -> None:
    op.create_table(
        "requests",
        sa.Column("caller", sa.Text, primary_key=True),
        sa.Column("request_id", sa.Text, primary_key=True),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("decision_id", sa.Text, nullable=False),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("answer", sa.LargeBinary, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("requests_at", "requests", ["at"])
    op.execute(FILL)


def downgrade() -> None:
    op.execute("DELETE FROM changes WHERE ins = ''")
    op.drop_table("requests")
