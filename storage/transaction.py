"""What all repositories of one unit of work share: the SQLAlchemy session and the few statements that differ
between the databases. No table and no rule of ours may appear here.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from typing import Any, cast

from sqlalchemy import Executable, Select, func, literal, select, text
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
        self.on_postgres = db.get_bind().dialect.name == "postgresql"

    def write(self, statement: Executable, rows: list[Values] | Values | None = None) -> int:
        """Execute a statement that changes rows; return how many it changed."""
        return self.db.connection().execute(statement, rows).rowcount

    def one(self, statement: Select[Any], values: Mapping[str, object] | None = None) -> Any:
        """Return the only value of the only row, or None."""
        return self.db.connection().execute(statement, values).scalar_one_or_none()

    def insert_once(self, table: type[Base], values: Values, *unique: str, where: str = "") -> bool:
        """Insert a row unless one with the same unique columns is there; say whether it was inserted.

        A refused row is an answer and no error, so the transaction goes on. RETURNING tells, because the count of
        inserted rows is not known on PostgreSQL.
        """
        statement = _insert_once(table, unique, where, on_postgres=self.on_postgres)
        return self.db.connection().execute(statement, values).one_or_none() is not None

    def serialise(self, lock: int) -> None:
        """Let nobody else hold this lock until the transaction ends; on SQLite every writer is alone anyway."""
        if self.on_postgres:
            self.db.execute(select(func.pg_advisory_xact_lock(lock)))
        else:
            self.db.execute(select(1), execution_options={TAKES_WRITE_LOCK: True})


# Each statement is put together once: building it costs more than running it, and a click runs a dozen of them.


def insert(table: type[Base], *, on_postgres: bool) -> postgresql.Insert:
    """Return an INSERT that knows ON CONFLICT; both databases spell it the same."""
    if on_postgres:
        return postgresql.insert(table)
    return cast("postgresql.Insert", sqlite.insert(table))


@cache
def _insert_once(table: type[Base], unique: tuple[str, ...], where: str, *, on_postgres: bool) -> Executable:
    condition = text(where) if where else None
    statement = insert(table, on_postgres=on_postgres)
    return statement.on_conflict_do_nothing(index_elements=unique, index_where=condition).returning(literal(1))
