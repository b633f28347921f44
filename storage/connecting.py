"""How a connection is made: SQLite's pragmas and its one writer, PostgreSQL's time limits.

Nothing is opened at import. No address with a password may reach a message or a log.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import ExecutionContext
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry

from engine.errors import Misconfigured, StorageUnavailable
from storage.errors import translate
from storage.transaction import TAKES_WRITE_LOCK

_EXAMPLE = "Examples: sqlite:///runbook.db, postgresql://user:password@host/runbook"
WRITE_PATIENCE = 1.0  # seconds; a listener has three until Slack gives up on it
_WRITING = "writes"
_SWITCH_TRIES = 200
_SWITCH_SECONDS = 0.05

# Both limits stay below two seconds: a person waits at the other end.
_POSTGRES_LIMITS = "-c statement_timeout=1800 -c lock_timeout=1000 -c idle_in_transaction_session_timeout=10000"

#: Where the network swallows everything, nobody answers and nobody hangs up: the system gives a connection up after 15
#: seconds instead of its own quarter of an hour, in which whoever waits on it could do nothing else.
NETWORK_LIMITS = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 1, "tcp_user_timeout": 15_000}


def parse(url: str) -> URL:
    """Return the address of a database that we can use, or say what is wrong with it."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise Misconfigured("DATABASE_URL is not an address of a database.", hint=_EXAMPLE) from error
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise Misconfigured(f"DATABASE_URL names {backend}; SQLite and PostgreSQL are known.", hint=_EXAMPLE)
    if parsed.database in {None, "", ":memory:"}:
        raise Misconfigured("DATABASE_URL names a database in memory; it would forget everything.", hint=_EXAMPLE)
    folder = Path(str(parsed.database)).absolute().parent
    if not folder.is_dir():
        raise Misconfigured(
            f"The folder of the database does not exist: {folder}.", hint="Create it or change DATABASE_URL."
        )
    return parsed.set(drivername="sqlite+pysqlite")


def connect(url: str) -> Engine:
    """Make the engine for the running service."""
    parsed = parse(url)
    limits = {"pool_size": 10, "max_overflow": 10, "pool_timeout": 1.5, "hide_parameters": True}
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine(parsed, **limits, connect_args={"timeout": WRITE_PATIENCE})
        _prepare_sqlite(engine, "ON")
        _one_writer(engine)
    else:
        names = {"application_name": "runbook-bot", "options": _POSTGRES_LIMITS}
        arguments = {**names, "connect_timeout": 2, **NETWORK_LIMITS}
        engine = create_engine(parsed, **limits, pool_pre_ping=True, connect_args=arguments)
    event.listen(engine, "handle_error", translate)
    return engine


def connect_to_migrate(url: str) -> Engine:
    """Make an engine without time limits and without checks of references, for changing the tables."""
    parsed = parse(url)
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine(parsed, hide_parameters=True, connect_args={"timeout": 60})
        _prepare_sqlite(engine, "OFF")
        event.listen(engine, "begin", _begin_immediate)
    else:
        engine = create_engine(parsed, hide_parameters=True, connect_args={"connect_timeout": 5})
    event.listen(engine, "handle_error", translate)
    return engine


def _write_ahead(connection: Any) -> None:
    """Switch a new file to the write-ahead log. Two who do so at once are refused at once, not made to wait."""
    for _ in range(_SWITCH_TRIES):
        if connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
            return
        with contextlib.suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode=WAL")
            return
        time.sleep(_SWITCH_SECONDS)
    connection.execute("PRAGMA journal_mode=WAL")


def _prepare_sqlite(engine: Engine, foreign_keys: str) -> None:
    def prepare(connection: Any, _: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # the driver must not begin transactions behind our back
        _write_ahead(connection)
        for pragma in ("synchronous=FULL", f"foreign_keys={foreign_keys}"):
            connection.execute(f"PRAGMA {pragma}")

    event.listen(engine, "connect", prepare)


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _one_writer(engine: Engine) -> None:
    """Let the first writing statement of a unit take the write lock, which it keeps until the end.

    A unit reads without a transaction, as PostgreSQL does with READ COMMITTED, so readers never wait; compare-and-set
    makes that safe. A unit that read first and then began to write inside one transaction would die with "database
    is locked" as soon as somebody else had written in between. Inside this process writers queue at a lock of ours,
    because SQLite's own waiting is a poll that grows to 100 ms; other processes meet SQLite's lock.
    """
    writer = threading.Lock()

    def before(
        _: Connection,
        cursor: Any,
        statement: str,
        _parameters: Any,
        context: ExecutionContext,
        _many: bool,  # noqa: FBT001 - SQLAlchemy's signature
    ) -> None:
        info = context.root_connection.connection.record_info
        if info is None or _WRITING in info or not _writes(statement, context):
            return
        if not writer.acquire(timeout=WRITE_PATIENCE):
            raise StorageUnavailable("The database is busy with something else.", hint="Try again in a moment.")
        info[_WRITING] = writer
        cursor.execute("BEGIN IMMEDIATE")

    def release(_: Any, entry: ConnectionPoolEntry) -> None:
        if entry.record_info is not None and entry.record_info.pop(_WRITING, None) is not None:
            writer.release()

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "checkin", release)


def _writes(statement: str, context: ExecutionContext) -> bool:
    if context.execution_options.get(TAKES_WRITE_LOCK):
        return True
    return statement.lstrip()[:8].split(None, 1)[0].upper() in {
        "INSERT",
        "UPDATE",
        "DELETE",
        "REPLACE",
        "CREATE",
        "DROP",
    }
