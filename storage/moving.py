"""Copying everything from one database into an empty one: how an installation leaves SQLite for PostgreSQL.

All rows or none, in one transaction, with nobody serving either side. Jobs are not copied: the rows say what is due.
"""

from __future__ import annotations

from sqlalchemy import Connection, Table, func, select, text

from engine.errors import Misconfigured
from storage import ledgers, tables
from storage.columns import Base
from storage.connecting import connect_to_migrate
from storage.database import acquire_process_lock
from storage.migrate import require_current

BATCH = 500
#: what belongs to a database and not to the installation: ``settings`` holds a word about the tables, written anew
LEFT_BEHIND = frozenset({ledgers.ReplicaRow.__tablename__})
MODULES = (tables, ledgers)  # importing them fills the metadata


def copy_rows(source_url: str, target_url: str) -> int:
    """Copy every row; return how many. The source stays as it is, the target must hold nothing."""
    source, target = connect_to_migrate(source_url), connect_to_migrate(target_url)
    try:
        with acquire_process_lock(source_url), source.begin() as old, target.begin() as new:
            require_current(old)
            require_current(new)
            _require_empty(new)
            return sum(_copy(table, old, new) for table in _tables())
    finally:
        source.dispose()
        target.dispose()


def _tables() -> list[Table]:
    return [table for table in Base.metadata.sorted_tables if table.name not in LEFT_BEHIND]


def _require_empty(connection: Connection) -> None:
    count = connection.execute(select(func.count()).select_from(tables.SessionRow)).scalar_one()
    if count:
        raise Misconfigured(
            f"The database of DATABASE_URL already holds {count} sessions.", hint="Copy into a new, empty database."
        )


def _copy(table: Table, old: Connection, new: Connection) -> int:
    new.execute(table.delete() if table.name == ledgers.SettingRow.__tablename__ else select(1))
    copied = 0
    for page in old.execute(select(table)).mappings().partitions(BATCH):
        new.execute(table.insert(), [dict(row) for row in page])
        copied += len(page)
    if new.dialect.name == "postgresql":
        _count_on(table, new)
    return copied


def _count_on(table: Table, connection: Connection) -> None:
    """Let the next row get the number after the last copied one."""
    for column in table.primary_key.columns:
        name = {"table": table.name, "column": column.name}
        sequence = connection.execute(text("SELECT pg_get_serial_sequence(:table, :column)"), name).scalar_one()
        if sequence is not None:
            last = connection.execute(select(func.max(column))).scalar_one()
            connection.execute(
                text("SELECT setval(:sequence, :last, :used)"),
                {
                    "sequence": sequence,
                    "last": last or 1,
                    "used": last is not None,
                },
            )
