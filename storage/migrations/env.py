"""Alembic's entry: runs the revisions on the connection it is given, or on the address after ``-x url=``.

It must never read the environment, and never commit what its caller began.
"""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from storage import ledgers, tables
from storage.columns import Base
from storage.connecting import connect_to_migrate

TARGET = Base.metadata
MODULES = (tables, ledgers)  # importing them fills the metadata


def ours(name: str | None, kind: str, _parents: object) -> bool:
    """Leave the job table alone: its own project says what it looks like."""
    return kind != "table" or not (name or "").startswith("procrastinate_")


def run(connection: Connection) -> None:
    """Run the asked revisions in the caller's transaction."""
    context.configure(
        connection=connection, target_metadata=TARGET, render_as_batch=True, compare_type=True, include_name=ours
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    engine = connect_to_migrate(context.get_x_argument(as_dictionary=True)["url"])
    with engine.begin() as opened:
        run(opened)
    engine.dispose()
