"""The database: opened once at start, it hands out units of work and says whether it is fit for use.

Nothing happens at import. One process serves a SQLite database: ``acquire_process_lock`` makes sure of it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from sqlalchemy import Engine
from sqlalchemy.orm import Session as DbSession
from sqlalchemy.orm import sessionmaker

from engine.errors import Misconfigured
from engine.ports import WorkQueue
from storage.connecting import connect, parse
from storage.migrate import require_current
from storage.transaction import LEASE
from storage.unit_of_work import SqlUnitOfWork


@dataclass(frozen=True)
class Database:
    """An engine with its connections. Close it when the process ends."""

    engine: Engine
    _session: sessionmaker[DbSession] = field(repr=False)

    @property
    def kind(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self.engine.dialect.name

    def unit_of_work(self, queue: WorkQueue, *, owner: str, lease: timedelta = LEASE) -> Callable[[], SqlUnitOfWork]:
        """Return the factory of units; ``owner`` is the name that this process writes into what it has begun."""
        return lambda: SqlUnitOfWork(self._session(), queue, owner=owner, lease=lease)

    def check(self) -> None:
        """Return if the database answers and has the tables of this version; else raise what is wrong."""
        with self.engine.connect() as connection:
            require_current(connection)

    def close(self) -> None:
        self.engine.dispose()


def open_database(url: str) -> Database:
    """Prepare the use of a database; ``Misconfigured`` if the address cannot be right. Does not connect yet."""
    engine = connect(url)
    return Database(engine, sessionmaker(engine, autoflush=False, expire_on_commit=False))


class ProcessLock:
    """Held by the one process that serves a SQLite database; a lock file that the kernel releases on any death."""

    def __init__(self, file: IO[str] | None) -> None:
        self._file = file

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def acquire_process_lock(url: str) -> ProcessLock:
    """Make this process the one that serves the database. PostgreSQL takes any number of them: nothing to hold."""
    parsed = parse(url)
    if parsed.get_backend_name() != "sqlite":
        return ProcessLock(None)
    path = Path(f"{parsed.database}.lock")
    try:
        file = path.open("a+", encoding="ascii")
    except OSError as error:
        raise Misconfigured(
            f"The lock file {path} cannot be written: {error.strerror}.", hint="Give this account write access."
        ) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise Misconfigured(
            f"Process {holder} already serves this database.",
            hint="Stop it first; several processes need PostgreSQL.",
        ) from error
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return ProcessLock(file)
