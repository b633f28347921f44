"""The same rows in the product's own tables: real units of work on a SQLite file in memory.

One database serves all seeds of a process; before each it is set back to the freshly migrated one. Too slow for many
seeds, but whatever happens here must tell the same story as ``tests/simulation/memory.py``, line by line.
"""

from __future__ import annotations

import atexit
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import Connection, UpdateBase, event, select, update
from sqlalchemy.orm import Session as DbSession

from engine.model import AttemptStatus, Session, SessionStatus
from engine.ports import AuditRecord, Job, Message, UnitOfWork
from storage.connecting import _WRITING
from storage.database import Database, open_database
from storage.ledgers import InboxRow, OutboxRow
from storage.migrate import upgrade
from storage.outbox import _message
from storage.tables import AttemptRow, SessionRow, StepRow
from storage.transaction import LEASE, TAKES_WRITE_LOCK
from storage.unit_of_work import SqlUnitOfWork
from tests.scratch import in_memory
from tests.simulation.store import interrupted

if TYPE_CHECKING:
    from tests.simulation.world import Process, World

_HOOK = "simulation"
WAITING = ("ready", "unknown")


class NoQueue:
    """Takes nothing: a unit keeps its own hints."""

    def defer(self, tx: object, task: str, row_id: str, not_before: datetime | None = None) -> None:
        """Never called."""

    def after_commit(self, tx: object) -> None:
        """Nobody is woken."""

    def run(self, handlers: object, stop: object) -> None:
        """Nothing is carried."""


@cache
def _installation() -> tuple[Database, Path]:
    """Return a database and the template that it is set back to."""
    folder = Path(tempfile.mkdtemp(dir=in_memory()))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    template = folder / "template.db"
    upgrade(f"sqlite:///{template}")
    shutil.copy(template, folder / "runbook.db")
    database = open_database(f"sqlite:///{folder / 'runbook.db'}")
    event.listen(database.engine, "before_execute", _first_write)
    return database, template


def _first_write(
    connection: Connection, statement: object, _many: object, _values: object, options: Mapping[str, Any]
) -> None:
    """Interrupt a unit right before it takes the lock that all writers share."""
    info = connection.connection.record_info
    writes = isinstance(statement, UpdateBase) or options.get(TAKES_WRITE_LOCK)
    if info is not None and _HOOK in info and _WRITING not in info and writes:
        info[_HOOK]()


class WatchedUnit(SqlUnitOfWork):
    """A unit of the product that can be interrupted."""

    def __init__(self, world: World, process: Process, db: DbSession) -> None:
        super().__init__(db, NoQueue(), owner=process.owner, lease=LEASE)
        self._world, self._process = world, process
        self.hints: list[Job] = []

    def __enter__(self) -> Self:
        self._world.at(self._process, "unit begin")
        super().__enter__()
        self._info()[_HOOK] = lambda: self._world.at(self._process, "first write")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._info().pop(_HOOK, None)
        super().__exit__(kind, error, trace)

    def _info(self) -> dict[Any, Any]:
        info = self._db.connection().connection.record_info
        assert info is not None
        return info

    def defer(self, task: str, row_id: str, *, not_before: datetime | None = None) -> None:
        self.hints.append(Job(task=task, id=row_id, not_before=not_before))

    def commit(self) -> None:
        interrupted(self._world, self._process, self._commit)
        self._process.hint(self.hints)

    def _commit(self) -> None:
        super().commit()
        store = self._world.store
        assert isinstance(store, TableStore)
        self._world.committed(store.touched())


class TableStore:
    """See ``tests.simulation.store.Store``."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._database, template = _installation()
        self._told = 0
        fresh, used = sqlite3.connect(template), self._database.engine.raw_connection()
        fresh.backup(used.driver_connection)  # type: ignore[arg-type]  # SQLite's own connection
        fresh.close()
        used.close()

    def units(self, process: Process) -> Callable[[], UnitOfWork]:
        return lambda: WatchedUnit(self._world, process, self._database._session())

    def touched(self) -> set[int]:
        """Return the sessions whose version is not the one that the judges have seen."""
        rows = self._all(select(SessionRow.id, SessionRow.version))
        seen = self._world.judge.seen
        return {number for number, version in rows if number not in seen or seen[number].version != version}

    def session(self, number: int) -> Session:
        with self._unit() as unit:
            found = unit.sessions.get(number)
        assert found is not None
        return found

    def sessions(self) -> list[Session]:
        return [self.session(number) for (number,) in self._all(select(SessionRow.id).order_by(SessionRow.id))]

    def message(self, key: str) -> Message | None:
        return next((row for row in self.outbox() if row.key == key), None)

    def outbox(self) -> list[Message]:
        with self._database._session() as db:
            return [_message(row) for row in db.execute(select(OutboxRow).order_by(OutboxRow.id)).scalars()]

    def undone(self) -> list[str]:
        return [key for (key,) in self._all(select(InboxRow.key).where(InboxRow.done_at.is_(None)))]

    def new_audit(self) -> list[AuditRecord]:
        with self._unit() as unit:
            fresh = list(unit.audit.records(after=self._told))
        self._told += len(fresh)
        return fresh

    def next_moment(self, now: datetime) -> datetime | None:
        with self._unit() as unit:
            due = unit.next_due(now=now)
        posts = [row.not_before for row in self.outbox() if row.state in WAITING and row.not_before]
        return min((moment for moment in [*posts, *([due] if due else [])] if moment > now), default=None)

    def is_busy(self) -> bool:
        goes_on = select(SessionRow.id).where(SessionRow.status == SessionStatus.IN_PROGRESS)
        unsent = select(OutboxRow.id).where(OutboxRow.state.in_((*WAITING, "sending")))
        return bool(self._all(goes_on) or self._all(unsent) or self.undone())

    def is_followed(self, attempt_id: str) -> bool:
        found = self._all(select(AttemptRow.status).where(AttemptRow.id == attempt_id))
        return found[0][0] is not AttemptStatus.SUBMITTING

    def tamper(self, number: int) -> None:
        last = max(step.number for step in self.session(number).steps)
        changed = update(StepRow).where(StepRow.session_id == number, StepRow.step_number == last)
        with self._database.engine.begin() as connection:
            connection.execute(changed.values(command=StepRow.command + "# and more\n"))

    def close(self) -> None:
        """The database serves the next seed."""

    def _unit(self) -> SqlUnitOfWork:
        return SqlUnitOfWork(self._database._session(), NoQueue(), owner="judge", lease=LEASE)

    def _all(self, query: Any) -> list[Any]:
        with self._database.engine.connect() as connection:
            return list(connection.execute(query).all())
