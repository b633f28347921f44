"""One transaction over all of memory: what is not committed has never happened.

Leaving the block without ``commit`` undoes everything, and jobs deferred in it are forgotten. A unit is short: it
must never be open while somebody talks to the network.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from sqlalchemy import Connection, select
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session as DbSession

from engine.errors import StorageUnavailable
from engine.ports import Attempts, Audit, Inbox, Job, Outbox, Sessions, WorkQueue
from storage.attempts import SqlAttempts
from storage.audit import SqlAudit
from storage.due import Due
from storage.inbox import SqlInbox
from storage.ledgers import SettingRow
from storage.outbox import SqlOutbox
from storage.sessions import SqlSessions
from storage.transaction import Transaction, insert


class SqlUnitOfWork:
    """See ``engine.ports.UnitOfWork``. Good for one ``with`` block."""

    sessions: Sessions
    attempts: Attempts
    outbox: Outbox
    audit: Audit
    inbox: Inbox

    def __init__(self, db: DbSession, queue: WorkQueue, *, owner: str, lease: timedelta) -> None:
        self._db = db
        self._queue = queue
        self._jobs: list[Job] = []
        self._tx = Transaction(db, owner=owner, lease=lease)
        self._outbox, self._audit = SqlOutbox(self._tx), SqlAudit(self._tx)
        self.sessions = SqlSessions(self._tx)
        self.attempts = SqlAttempts(self._tx)
        self.inbox = SqlInbox(self._tx)
        self.outbox, self.audit = self._outbox, self._audit

    def __enter__(self) -> Self:
        try:
            self._db.connection()
        except PoolTimeout as error:
            raise StorageUnavailable("All connections to the database are in use.", hint="Try again.") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()  # rolls back what was not committed

    def commit(self) -> None:
        self._outbox.flush()
        self._hand_over()
        self._audit.flush()  # last, because it takes the lock that all writers share
        self._db.commit()
        self._queue.after_commit(self)

    def connection(self) -> Connection:
        """Return this transaction's connection, for a queue that keeps its jobs in the same database."""
        return self._db.connection()

    def defer(self, task: str, row_id: str, *, not_before: datetime | None = None) -> None:
        self._jobs.append(Job(task=task, id=row_id, not_before=not_before))

    def _hand_over(self) -> None:
        """Give the jobs to the queue, in an order that all transactions share, so that no two wait for each other."""
        for job in sorted(self._jobs, key=lambda job: (job.task, job.id)):
            self._queue.defer(self, job.task, job.id, job.not_before)
        self._jobs = []

    def due(self, *, now: datetime, limit: int = 200) -> tuple[Job, ...]:
        return self._due(now, limit).jobs()

    def next_due(self, *, now: datetime) -> datetime | None:
        return self._due(now, 1).next()

    def set_setting(self, name: str, value: str) -> None:
        statement = insert(SettingRow, on_postgres=self._tx.on_postgres).values(name=name, value=value)
        self._tx.write(statement.on_conflict_do_update(index_elements=[SettingRow.name], set_={"value": value}))

    def setting(self, name: str) -> str | None:
        return self._db.execute(select(SettingRow.value).where(SettingRow.name == name)).scalar_one_or_none()

    def _due(self, now: datetime, limit: int) -> Due:
        return Due(tx=self._tx, now=now, limit=limit)
