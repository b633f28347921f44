"""The work queue of a team: Procrastinate's job table in the same PostgreSQL database, for any number of replicas.

A job is written in the transaction that decides, so neither can be there without the other. It carries a task name
and the id of a row, and it is a hint: it may come twice, late or never, and emptying the table loses nothing, because
a sweep asks the rows what is due. No rule may depend on a job, and no job may hold a machine.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Protocol, cast

import procrastinate
import psycopg
import psycopg_pool
from procrastinate.exceptions import ConnectorException
from sqlalchemy import URL, Connection, text

from engine.errors import Bug, Misconfigured, RunbookError
from engine.ports import Clock, UnitOfWorkFactory
from storage.connecting import NETWORK_LIMITS
from storage.queue import SWEEP_LIMIT, Handlers, carry_out

QUEUE = "runbook"
LAST_SCRIPT = "03.04.00_50_post_add_retry_failed_job_procedure.sql"  #: the newest change in the schema of revision 0002
POLL_SECONDS = 0.5  #: between two looks for jobs whose time has come; new ones announce themselves
ALIVE_SECONDS = 3.0  #: between two signs of life of a worker
STALLED_SECONDS = 10.0  #: a worker without one is gone, and its jobs with it
DRAIN_SECONDS = 15.0
RETRY_SECONDS = 1.0  #: after the database was away

# Procrastinate's own deferral would end the deciding transaction with an error if the job was there, and could not
# bring it forward. The unique index over waiting jobs is Procrastinate's.
_DEFER = text(
    """
    INSERT INTO procrastinate_jobs AS known (queue_name, task_name, queueing_lock, args, scheduled_at)
    VALUES (:queue, :task, :key, jsonb_build_object('row_id', CAST(:row_id AS text)), :at)
    ON CONFLICT (queueing_lock) WHERE status = 'todo' DO UPDATE SET scheduled_at = excluded.scheduled_at
    WHERE known.scheduled_at > coalesce(excluded.scheduled_at, '-infinity')
    """
)
_DEFER_MISSING = text(
    """
    INSERT INTO procrastinate_jobs AS known (queue_name, task_name, queueing_lock, args)
    SELECT :queue, :task, :key, jsonb_build_object('row_id', CAST(:row_id AS text))
    WHERE NOT EXISTS (SELECT FROM procrastinate_jobs WHERE status = 'doing' AND queueing_lock = :key)
    ON CONFLICT (queueing_lock) WHERE status = 'todo' DO UPDATE SET scheduled_at = NULL
    WHERE known.scheduled_at > clock_timestamp()
    """
)
_SILENT = "SELECT id FROM procrastinate_workers WHERE last_heartbeat < clock_timestamp() - make_interval(secs => :secs)"
_DROP_STALLED = text(
    f"DELETE FROM procrastinate_jobs WHERE status = 'doing' AND (worker_id IS NULL OR worker_id IN ({_SILENT}))"  # noqa: S608 - no value of anybody's is in it
)
_WAITING = text("SELECT count(*) FROM procrastinate_jobs WHERE status = 'todo'")
_EMPTY = text("DELETE FROM procrastinate_jobs WHERE status = 'todo'")

log = logging.getLogger(__name__)


class Transaction(Protocol):
    """What a transaction must offer for a job to be written in it."""

    def connection(self) -> Connection: ...


class TeamQueue:
    """See ``engine.ports.WorkQueue``. ``sweep_with`` must be told where the rows are before ``run``."""

    def __init__(self, url: URL, clock: Clock, *, threads: int = 4, sweep_seconds: float = 3.0) -> None:
        require_known_schema()
        self._address = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._clock = clock
        self._threads = threads
        self._sweep_seconds = sweep_seconds
        self._units: UnitOfWorkFactory | None = None
        self._sweep_now = threading.Event()

    def sweep_with(self, units: UnitOfWorkFactory) -> None:
        """Take units of work from here to ask the rows what is due."""
        self._units = units

    # ------------------------------------------------------------ filling

    def defer(self, tx: object, task: str, row_id: str, not_before: datetime | None = None) -> None:
        connection = cast("Transaction", tx).connection()
        connection.execute(_DEFER, {**_job(task, row_id), "at": not_before})

    def after_commit(self, tx: object) -> None:
        """Nothing to do: PostgreSQL tells every replica's worker as it commits."""

    def wake(self) -> None:
        """Look at the rows again now."""
        self._sweep_now.set()

    def forget(self) -> None:
        """Drop every waiting job, as a restored table would."""
        with self._open()() as uow:
            cast("Transaction", uow).connection().execute(_EMPTY)
            uow.commit()

    def waiting(self) -> int:
        """Return how many jobs wait for a worker."""
        with self._open()() as uow:
            return int(cast("Transaction", uow).connection().execute(_WAITING).scalar_one())

    def _open(self) -> UnitOfWorkFactory:
        if self._units is None:
            raise Bug("The queue was not told where the rows are.")
        return self._units

    # ------------------------------------------------------------ working

    def run(self, handlers: Handlers, stop: threading.Event) -> None:
        units = self._open()
        ended = threading.Event()
        sweeper = threading.Thread(target=self._sweep_until, args=(ended, units), name="queue-sweep")
        sweeper.start()
        try:
            asyncio.run(self._work_until(handlers, stop))
        finally:
            ended.set()
            self.wake()
            sweeper.join()

    async def _work_until(self, handlers: Handlers, stop: threading.Event) -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(self._threads, thread_name_prefix="worker"))
        loop.set_exception_handler(_note_trouble)
        stopped = asyncio.Event()
        threading.Thread(target=_tell, args=(stop, loop, stopped), name="queue-stop", daemon=True).start()
        while not stop.is_set():
            try:
                await self._work(handlers, stopped)
            except (ConnectorException, psycopg.Error, psycopg_pool.PoolTimeout) as trouble:
                log.warning("queue_lost_database", extra={"reason": type(trouble).__name__})
            with suppress(TimeoutError):
                await asyncio.wait_for(stopped.wait(), RETRY_SECONDS)

    async def _work(self, handlers: Handlers, stopped: asyncio.Event) -> None:
        """Run Procrastinate's worker until it is told to stop or loses the database."""
        app = self._app(handlers)
        async with app.open_async():
            worker = asyncio.create_task(
                app.run_worker_async(
                    queues=[QUEUE],
                    concurrency=self._threads,
                    fetch_job_polling_interval=POLL_SECONDS,
                    abort_job_polling_interval=3600,  # nobody aborts a job: rows are cancelled
                    delete_jobs="always",
                    install_signal_handlers=False,
                    shutdown_graceful_timeout=DRAIN_SECONDS,
                    update_heartbeat_interval=ALIVE_SECONDS,
                    stalled_worker_timeout=STALLED_SECONDS,
                )
            )
            told = asyncio.create_task(stopped.wait())
            await asyncio.wait({worker, told}, return_when=asyncio.FIRST_COMPLETED)
            told.cancel()
            worker.cancel()  # it finishes what it has begun
            with suppress(asyncio.CancelledError):
                await worker

    def _app(self, handlers: Handlers) -> procrastinate.App:
        connector = procrastinate.PsycopgConnector(
            conninfo=self._address,
            kwargs={"application_name": "runbook-bot queue", "connect_timeout": 2, **NETWORK_LIMITS},
            min_size=1,
            max_size=4,
            timeout=5,
        )
        app = procrastinate.App(connector=connector)
        for task in handlers:
            app.task(name=task, queue=QUEUE)(_carrier(handlers, task))
        return app

    # ------------------------------------------------------------ sweeping

    def _sweep_until(self, ended: threading.Event, units: UnitOfWorkFactory) -> None:
        while not ended.is_set():
            self._sweep_now.clear()
            try:
                self._sweep(units)
            except RunbookError as trouble:  # the database is away: what is due stays due
                log.warning("sweep_failed", extra={"code": trouble.code, "reason": trouble.message})
            if not ended.is_set():
                self._sweep_now.wait(self._sweep_seconds)

    def _sweep(self, units: UnitOfWorkFactory) -> None:
        """Write the jobs that the rows say are due and the table does not have."""
        now = self._clock.now()
        with units() as uow:
            connection = cast("Transaction", uow).connection()
            dropped = connection.execute(_DROP_STALLED, {"secs": STALLED_SECONDS}).rowcount
            due = sorted(uow.due(now=now, limit=SWEEP_LIMIT), key=lambda job: (job.task, job.id))
            if due:
                connection.execute(_DEFER_MISSING, [_job(job.task, job.id) for job in due])
            if due or dropped:
                uow.commit()


def require_known_schema(last_script: str = LAST_SCRIPT) -> None:
    """Refuse a Procrastinate that expects other tables than our revisions make."""
    folder = Path(procrastinate.__file__).parent / "sql" / "migrations"
    newest = max((path.name for path in folder.glob("*.sql")), default="")
    if newest != last_script:
        raise Misconfigured(
            f"Procrastinate {procrastinate.__version__} expects another job table than this version makes.",
            hint="Install the versions of requirements/runtime.lock.",
        )


def _job(task: str, row_id: str) -> dict[str, str]:
    return {"queue": QUEUE, "task": task, "key": f"{task}:{row_id}", "row_id": row_id}


def _carrier(handlers: Handlers, task: str) -> Callable[[str], None]:
    def carry(row_id: str) -> None:
        carry_out(handlers, task, row_id)

    return carry


def _tell(stop: threading.Event, loop: asyncio.AbstractEventLoop, stopped: asyncio.Event) -> None:
    stop.wait()
    with suppress(RuntimeError):  # the loop has ended before
        loop.call_soon_threadsafe(stopped.set)


def _note_trouble(_loop: asyncio.AbstractEventLoop, context: Mapping[str, object]) -> None:
    """A job whose row in the table has vanished cannot be crossed off; it was only a hint."""
    log.warning("queue_trouble", extra={"reason": str(context.get("exception") or context.get("message"))})
