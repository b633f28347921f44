"""The composition root: the only module that knows every concrete class. Settings in, wired parts out.

Nothing here connects to anything while it wires; the tests call the same functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from slack_sdk import WebClient

from bot.delivery import Deliverer
from bot.delivery_render import Renderer
from bot.delivery_sender import SlackSender
from bot.directory import SlackDirectory
from bot.logs import get_logger
from bot.serving import Application, Serving
from bot.settings import Settings, require_slack
from bot.slack import check_slack
from bot.world import RandomIds, SystemClock
from connectors.azure_action import azure_connector
from connectors.azure_settings import AzureSettings
from connectors.local import LocalConnector
from engine.errors import Misconfigured, RunbookError
from engine.policy import Policy
from engine.ports import AuditRecord, Catalog, Check, Clock, Connector, Directory, Ids, Level, UnitOfWorkFactory
from engine.preparation import LOCAL, Preparation
from engine.service import Parts, Service
from engine.worker import Patience, Worker, WorkerParts
from storage.audit import verify
from storage.catalog import FileCatalog, lint
from storage.database import Database, acquire_process_lock, open_database
from storage.migrate import current, upgrade
from storage.moving import copy_rows
from storage.policy_file import load_policy
from storage.presence import Presence
from storage.queue import EmbeddedQueue

if TYPE_CHECKING:
    from storage.team_queue import TeamQueue

log = get_logger("bootstrap")
START_SECONDS = 10  #: for the questions that Slack is asked at start


class Wakes:
    """The work queue, and whoever else wants to know that a transaction has committed."""

    def __init__(self, queue: EmbeddedQueue | TeamQueue) -> None:
        self.queue = queue
        self.listeners: list[Callable[[], None]] = []

    def defer(self, tx: object, task: str, row_id: str, not_before: datetime | None = None) -> None:
        self.queue.defer(tx, task, row_id, not_before)

    def after_commit(self, tx: object) -> None:
        self.queue.after_commit(tx)
        for wake in self.listeners:
            wake()

    def run(self, handlers: Mapping[str, Callable[[str], None]], stop: Event) -> None:
        self.queue.run(handlers, stop)


@dataclass(frozen=True, kw_only=True)
class Core:
    """Everything but Slack's listeners and the threads: enough for the command line."""

    settings: Settings
    clock: Clock
    ids: Ids
    policy: Policy
    catalog: Catalog
    database: Database
    wakes: Wakes
    uow: UnitOfWorkFactory
    connectors: Mapping[str, Connector]
    client: WebClient
    directory: Directory
    preparation: Preparation
    service: Service
    owner: str

    def slack_check(self) -> Check:
        """Say whether Slack accepts our token."""
        try:
            require_slack(self.settings)
            identity = check_slack(self.client, team=self.settings.slack_team_id)
        except RunbookError as error:
            return Check(name="slack", level=Level.BLOCK, evidence=error.message, remedy=error.hint)
        return Check(name="slack", level=Level.OK, evidence=f"workspace {identity.team} ({identity.team_name})")

    def close(self) -> None:
        """Let go of the database."""
        self.database.close()


def build_core(settings: Settings) -> Core:
    """Wire everything that needs neither Slack's listeners nor threads."""
    clock = SystemClock()
    ids = RandomIds(clock)
    policy = load_policy(settings.policy_file)
    catalog = FileCatalog(_folder(settings.runbook_dir))
    database = open_database(settings.database_url)
    owner = f"bot-{ids.ulid()}"
    wakes = Wakes(_queue(settings, database, clock))
    uow = database.unit_of_work(wakes, owner=owner, lease=timedelta(seconds=settings.lease_seconds))
    wakes.queue.sweep_with(uow)
    connectors = _connectors(settings, clock, ids)
    client = _client(settings)
    home = policy.document.workspace
    directory = SlackDirectory(client, clock, team=home.team, enterprise=home.enterprise)
    preparation = Preparation(catalog=catalog, policy=policy, connectors=connectors)
    parts = Parts(
        uow=uow,
        clock=clock,
        ids=ids,
        policy=policy,
        directory=directory,
        connectors=connectors,
        preparation=preparation,
        log=get_logger("service").info,
    )
    return Core(
        settings=settings,
        clock=clock,
        ids=ids,
        policy=policy,
        catalog=catalog,
        database=database,
        wakes=wakes,
        uow=uow,
        connectors=connectors,
        client=client,
        directory=directory,
        preparation=preparation,
        service=Service(parts),
        owner=owner,
    )


def build_application(settings: Settings) -> Application:
    """Wire the whole product, ready to ``run``."""
    require_slack(settings)
    core = build_core(settings)
    alone = core.database.kind == "sqlite"
    lease = timedelta(seconds=settings.lease_seconds)
    stop = Event()
    worker = Worker(
        WorkerParts(
            uow=core.uow,
            clock=core.clock,
            ids=core.ids,
            connectors=core.connectors,
            directory=core.directory,
            preparation=core.preparation,
            owner=core.owner,
            log=get_logger("worker").bind(actor="system").info,
            secrets=settings.secrets(),
            patience=Patience() if alone else Patience(guard=lease),
            stopping=stop.is_set,
        )
    )
    deliverer = Deliverer(core.uow, core.clock, sender=SlackSender(core.client), renderer=Renderer(core.clock))
    core.wakes.listeners.append(deliverer.wake)
    return Application(
        Serving(
            settings=settings,
            core=core,
            worker=worker,
            deliverer=deliverer,
            queue=core.wakes.queue,
            prepare_database=lambda: upgrade(settings.database_url),
            lock=lambda: acquire_process_lock(settings.database_url),
            alone=alone,
            presence=lambda: _presence(core, lease),
            stop=stop,
        )
    )


def _queue(settings: Settings, database: Database, clock: Clock) -> EmbeddedQueue | TeamQueue:
    """Choose the queue by the database: one process has its own, several share one in PostgreSQL."""
    if database.kind == "sqlite":
        return EmbeddedQueue(clock, threads=settings.workers)
    from storage.team_queue import TeamQueue  # noqa: PLC0415 - its libraries cost a start on SQLite for nothing

    return TeamQueue(database.engine.url, clock, threads=settings.workers)


def _presence(core: Core, lease: timedelta) -> AbstractContextManager[object]:
    if core.database.kind == "sqlite":
        return nullcontext()  # the lock file says who is there
    return Presence(core.database, owner=core.owner, version=version("runbook-bot"), lease=lease)


def migrate_database(settings: Settings) -> str:
    """Bring the tables to this version; return the revision."""
    upgrade(settings.database_url)
    return current(settings.database_url) or "none"


def copy_database(settings: Settings, source: str) -> int:
    """Prepare an empty database and copy every row of another one into it; return how many."""
    upgrade(source)
    upgrade(settings.database_url)
    return copy_rows(source, settings.database_url)


def lint_files(paths: Iterable[Path]) -> list[str]:
    """Return every problem of runbook files, as lines for people."""
    return [str(problem) for problem in lint(paths)]


def verify_audit(core: Core) -> tuple[int, list[str]]:
    """Walk the whole audit chain; return its length and what is wrong with it."""
    records: list[AuditRecord] = []
    after = 0
    while True:
        with core.uow() as uow:
            page = uow.audit.records(after=after, limit=1000)
        records += page
        if len(page) < 1000:
            return len(records), verify(records)
        after = page[-1].seq


def _client(settings: Settings) -> WebClient:
    """Return a client that never sends anything twice by itself."""
    return WebClient(
        token=settings.slack_bot_token.get_secret_value(),
        base_url=settings.slack_api_url,
        timeout=START_SECONDS,
        retry_handlers=[],
    )


def _connectors(settings: Settings, clock: Clock, ids: Ids) -> dict[str, Connector]:
    found: dict[str, Connector] = {}
    if settings.azure_subscription_ids:
        azure = AzureSettings(
            subscription_ids=settings.azure_subscription_ids,
            arm_url=settings.azure_resource_manager_url,
            cloud=settings.azure_cloud,
            credential=settings.azure_credential,
            client_id=settings.azure_client_id,
            tags=settings.azure_tag_map,
            use_action_fallback=settings.azure_action_fallback,
            poll_seconds=settings.poll_waits,
            bucket_share=settings.azure_rate_share,
        )
        found["azure"] = azure_connector(azure, clock, ids)
    if settings.local:
        found[LOCAL] = LocalConnector(Path("local-runs").resolve(), clock)
    return found


def _folder(path: Path) -> Path:
    if not path.is_dir():
        raise Misconfigured(f"The runbook folder {path} does not exist.", hint="The setting RUNBOOK_DIR names it.")
    return path
