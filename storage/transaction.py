"""What all repositories of one unit of work share: the SQLAlchemy session and the few statements that differ
between the databases. No table and no rule of ours may appear here.
"""

from __future__ import annotations

from datetime import timedelta
from typing import cast

from sqlalchemy import Executable, func, literal, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session as DbSession

from storage.columns import Base
from storage.mapping import Values

#: A statement with this option takes SQLite's write lock although it only reads.
TAKES_WRITE_LOCK = "takes_write_lock"
LEASE = timedelta(seconds=60)  #: how long a silent process is believed to be alive


class Transaction:
    """One open transaction."""

    def __init__(self, db: DbSession, *, owner: str, lease: timedelta = LEASE) -> None:
        """``owner`` names the process; ``lease`` is how long a silent one is believed to be alive."""
        self.db = db
        self.owner = owner
        self.lease = lease

    @property
    def on_postgres(self) -> bool:
        return self.db.get_bind().dialect.name == "postgresql"

    def insert(self, table: type[Base]) -> postgresql.Insert:
        """Return an INSERT that knows ON CONFLICT; both databases spell it the same."""
        if self.on_postgres:
            return postgresql.insert(table)
        return cast("postgresql.Insert", sqlite.insert(table))

    def write(self, statement: Executable, rows: list[Values] | None = None) -> int:
        """Execute a statement that changes rows; return how many it changed."""
        return self.db.connection().execute(statement, rows).rowcount

    def insert_once(self, table: type[Base], values: Values, *unique: str, where: str = "") -> bool:
        """Insert a row unless one with the same unique columns is there; say whether it was inserted.

        A refused row is an answer and no error, so the transaction goes on. RETURNING tells, because the count of
        inserted rows is not known on PostgreSQL.
        """
        statement = self.insert(table).values(values)
        condition = text(where) if where else None
        statement = statement.on_conflict_do_nothing(index_elements=unique, index_where=condition)
        inserted = self.db.connection().execute(statement.returning(literal(1)))
        return inserted.one_or_none() is not None

    def serialise(self, lock: int) -> None:
        """Let nobody else hold this lock until the transaction ends; on SQLite every writer is alone anyway."""
        if self.on_postgres:
            self.db.execute(select(func.pg_advisory_xact_lock(lock)))
        else:
            self.db.execute(select(1), execution_options={TAKES_WRITE_LOCK: True})
