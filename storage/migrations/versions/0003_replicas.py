"""Who serves this database, and who sends which message: what it takes to go on where a dead process stopped.

Only additions with a default, so that the version before this one serves the same tables meanwhile.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "replicas",
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("seen_at", MOMENT, nullable=False),
        sa.Column("gone_since", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("owner", name=op.f("pk_replicas")),
    )
    op.add_column("outbox", sa.Column("sender", sa.Text(), nullable=False, server_default=""))
