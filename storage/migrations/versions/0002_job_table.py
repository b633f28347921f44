"""The job table, on PostgreSQL only: the schema of Procrastinate 3.10 as it was published.

The text beside this file is a copy, so that this revision stays what it was when a newer Procrastinate is
installed; a newer schema comes as a revision of its own. SQLite's queue lives in memory and needs no table.
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SCHEMA = Path(__file__).with_name("procrastinate_3_10.sql")


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    # On the driver's own connection, in the same transaction: the text holds percent signs and function bodies.
    driver = connection.connection.driver_connection
    assert driver is not None
    driver.execute(SCHEMA.read_bytes())
