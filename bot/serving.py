"""The life of the serving process: start in order, stay, stop in order.

Start: database, Slack identity, workers, messages, clock, listeners. Stop: first nothing new comes in, then what
runs is finished. It must never pick an implementation; that is ``bot.bootstrap``.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Protocol

import uvicorn
from fastapi import FastAPI
from slack_bolt import App
from slack_sdk import WebClient

from bot.api import build_router
from bot.delivery import Deliverer
from bot.http import Readiness, build_http
from bot.listeners.answer import Watchdog
from bot.listeners.visit import Desk
from bot.logs import get_logger
from bot.metrics import Metrics
from bot.payloads import Identity
from bot.requests import TASK, RequestParts, Requests
from bot.scheduler import Clockwork
from bot.settings import Settings
from bot.slack import build_app, check_slack, listening_client
from bot.slack_http import Guard, slack_router
from bot.socket_mode import SocketMode
from engine.errors import DeliveryError, Misconfigured, RunbookError
from engine.policy import Policy
from engine.ports import Catalog, Check, Clock, Connector, Directory, Ids, UnitOfWorkFactory
from engine.service import Service
from engine.worker import Worker

log = get_logger("serving")
DRAIN_SECONDS = 15.0  #: for what runs when the process is asked to stop
HARD_SECONDS = 18.0  #: from then on nothing is waited for; service managers give 20 or 30 until they kill
SLACK_RETRY_SECONDS = 5.0  #: between two tries to reach Slack at start


class Database(Protocol):
    def check(self) -> None: ...


class Queue(Protocol):
    def run(self, handlers: Mapping[str, Callable[[str], None]], stop: threading.Event) -> None: ...

    def wake(self) -> None: ...


class Wired(Protocol):
    """The wired core, as far as serving needs it."""

    @property
    def clock(self) -> Clock: ...
    @property
    def ids(self) -> Ids: ...
    @property
    def policy(self) -> Policy: ...
    @property
    def catalog(self) -> Catalog: ...
    @property
    def directory(self) -> Directory: ...
    @property
    def database(self) -> Database: ...
    @property
    def uow(self) -> UnitOfWorkFactory: ...
    @property
    def connectors(self) -> Mapping[str, Connector]: ...
    @property
    def client(self) -> WebClient: ...
    @property
    def service(self) -> Service: ...
    def slack_check(self) -> Check: ...
    def close(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Serving:
    """What a serving process is made of."""

    settings: Settings
    core: Wired
    worker: Worker
    deliverer: Deliverer
    queue: Queue
    prepare_database: Callable[[], None]
    lock: Callable[[], AbstractContextManager[object]]
    alone: bool  #: no other process can serve this database at the same time
    presence: Callable[[], AbstractContextManager[object]]  #: held while we serve: others see that we are there
    stop: threading.Event  #: set when the process was asked to end


class Drain:
    """The time that is left for what runs, shared by all that is waited for one after the other."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end: float | None = None

    def begin(self) -> None:
        """Let the time run from now."""
        self._end = time.monotonic() + self._seconds

    def left(self) -> float:
        """Return the seconds that are left; all of them before anybody asked to stop."""
        return self._seconds if self._end is None else max(self._end - time.monotonic(), 0.1)


class Application:
    """The product as one process."""

    def __init__(self, serving: Serving) -> None:
        self._it = serving
        self._stop = serving.stop
        self._drain = Drain(DRAIN_SECONDS)
        self._trouble = "not connected yet"
        self._metrics = Metrics()
        self._sockets: SocketMode | None = None

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        threading.Thread(target=_end_by_all_means, args=(self._stop,), name="end", daemon=True).start()
        with ExitStack() as stack:
            stack.callback(self._it.core.close)
            stack.enter_context(self._it.lock())
            self._it.prepare_database()
            self._take_over()
            stack.enter_context(self._it.presence())
            self._serve(stack)

    def stop(self) -> None:
        """Ask the process to end."""
        self._stop.set()

    def _serve(self, stack: ExitStack) -> None:
        identity = self._identity()
        if identity is None:
            return
        requests = Requests(
            RequestParts(
                service=self._it.core.service,
                uow=self._it.core.uow,
                clock=self._it.core.clock,
                directory=self._it.core.directory,
                connectors=self._it.core.connectors,
                catalog=self._it.core.catalog,
                slack_check=self._it.core.slack_check,
            )
        )
        self._start_workers(stack, requests)
        app = self._app(stack, identity, requests)
        self._start_doors(stack, app)
        self._thread(stack, "catalog", self._warm_catalog)
        self._trouble = ""
        log.info("serving", workspace=identity.team, socket_mode=self._it.settings.socket_mode)
        self._stop.wait()
        self._drain.begin()
        log.info("stopping")

    def _take_over(self) -> None:
        """Alone on the database: whatever was being sent when the last process died is looked up at once."""
        if self._it.alone:
            with self._it.core.uow() as uow:
                uow.outbox.orphan()
                uow.commit()

    def _identity(self) -> Identity | None:
        """Ask Slack who we are; wait while it cannot be reached, refuse what is wrong."""
        core = self._it.core
        while not self._stop.is_set():
            try:
                identity = check_slack(core.client, team=self._it.settings.slack_team_id)
            except DeliveryError as trouble:
                log.warning("slack_unreachable", reason=str(trouble))
                self._stop.wait(SLACK_RETRY_SECONDS)
                continue
            home = core.policy.document.workspace
            if (home.team, home.enterprise) != (identity.team, identity.enterprise):
                raise Misconfigured(
                    f"The policy speaks of workspace {home.team}, but the bot token belongs to {identity.team}.",
                    hint="Correct `workspace` in the policy file, or use the other workspace's token.",
                )
            return identity
        return None

    def _start_workers(self, stack: ExitStack, requests: Requests) -> None:
        it = self._it
        service = it.core.service
        handlers = {
            **it.worker.tasks(),
            TASK: requests.carry_out,
            "expire": service.expire,
            "remind": service.remind,
        }
        self._thread(stack, "queue", lambda: it.queue.run(handlers, self._stop))
        self._thread(stack, "outbox", lambda: it.deliverer.run(self._stop))
        clockwork = Clockwork({"sweep": it.queue.wake, "outbox": it.deliverer.wake})
        clockwork.start()
        stack.callback(clockwork.stop)
        stack.callback(it.deliverer.wake)
        stack.callback(self._stop.set)

    def _app(self, stack: ExitStack, identity: Identity, requests: Requests) -> App:
        settings, core = self._it.settings, self._it.core
        watchdog = Watchdog()
        stack.callback(watchdog.close)
        desk = Desk(
            service=core.service,
            requests=requests,
            catalog=core.catalog,
            directory=core.directory,
            clock=core.clock,
            ids=core.ids,
            identity=identity,
            watchdog=watchdog,
            on_uninstalled=self._uninstalled,
            acknowledged=lambda kind, seconds: self._metrics.acknowledged.labels(kind).observe(seconds),
            refused=lambda code: self._metrics.refusals.labels(code).inc(),
        )
        client = listening_client(settings.slack_bot_token.get_secret_value(), base_url=settings.slack_api_url)
        return build_app(desk, client, signing_secret=settings.slack_signing_secret.get_secret_value())

    def _start_doors(self, stack: ExitStack, app: App) -> None:
        settings = self._it.settings
        if settings.socket_mode:
            self._sockets = SocketMode(app, settings.slack_app_token.get_secret_value(), clock=self._it.core.clock)
            stack.callback(self._sockets.close)
            self._connect(self._sockets)
        if settings.port is not None:
            stop = _serve_http(self._http(app), host=settings.http_host, port=settings.port, drain=self._drain)
            stack.callback(stop)

    def _connect(self, sockets: SocketMode) -> None:
        while not self._stop.is_set():
            try:
                sockets.start()
            except DeliveryError as trouble:
                log.warning("slack_unreachable", reason=str(trouble))
                self._stop.wait(SLACK_RETRY_SECONDS)
            else:
                return

    def _http(self, app: App) -> FastAPI:
        settings, core = self._it.settings, self._it.core
        metrics = self._metrics
        metrics.gauge("runbook_outbox_messages", "Messages to Slack, by state", "state", self._outbox_stats)
        metrics.gauge("runbook_sessions", "Open sessions, by status", "status", self._session_stats)
        routers = [build_router(core.service, core.policy, core.ids, default_channel=settings.default_channel)]
        if not settings.socket_mode:
            routers.append(slack_router(app, Guard(settings.slack_signing_secret.get_secret_value(), core.clock)))
        return build_http(
            Readiness(database=self._database_trouble, slack=self._slack_trouble, workers=self._worker_trouble),
            metrics.registry,
            routers,
        )

    def _thread(self, stack: ExitStack, name: str, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, name=name, daemon=True)
        thread.start()
        stack.callback(lambda: thread.join(self._drain.left()))

    def _warm_catalog(self) -> None:
        """Read every runbook once, so that nobody waits for version control to say who changed it."""
        for name in self._it.core.catalog.names():
            if self._stop.is_set():
                return
            try:
                self._it.core.catalog.get(name)
            except RunbookError as error:
                log.warning("runbook_refused", name=name, reason=str(error))

    # ------------------------------------------------------------ health

    def _uninstalled(self, why: str) -> None:
        self._trouble = why
        log.error("slack_access_lost", reason=why)

    def _slack_trouble(self) -> str:
        if self._trouble:
            return self._trouble
        return self._sockets.health().trouble if self._sockets else ""

    def _database_trouble(self) -> str:
        try:
            self._it.core.database.check()
        except RunbookError as error:
            return str(error)
        return ""

    def _worker_trouble(self) -> str:
        alive = {thread.name for thread in threading.enumerate()}
        dead = sorted({"queue", "outbox"} - alive)
        return f"stopped: {', '.join(dead)}" if dead else ""

    def _outbox_stats(self) -> Mapping[str, float]:
        with self._it.core.uow() as uow:
            return {state: float(count) for state, count in uow.outbox.stats().items()}

    def _session_stats(self) -> Mapping[str, float]:
        with self._it.core.uow() as uow:
            return {status: float(count) for status, count in uow.sessions.counts().items()}


def _serve_http(app: FastAPI, *, host: str, port: int, drain: Drain) -> Callable[[], None]:
    """Serve HTTP from a thread; when this returns, the port is open or the start has failed. Returns how to end it."""
    config = uvicorn.Config(app, host=host, port=port, log_config=None, access_log=False, server_header=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="http", daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise Misconfigured(
                f"Port {port} of {host} cannot be used.", hint="Another process may have it; see RUNBOOK_HTTP_PORT."
            )
        thread.join(0.01)

    def stop() -> None:
        server.should_exit = True
        thread.join(drain.left())

    return stop


def _end_by_all_means(stop: threading.Event) -> None:
    """End in time even if a call to the outside does not come back: what it was about stands in the rows."""
    stop.wait()
    threading.Event().wait(HARD_SECONDS)
    log.warning("left_behind", threads=sorted(thread.name for thread in threading.enumerate()))
    os._exit(0)
