"""The product without Slack: real use cases, worker, policy file, runbook files and local commands on a real database.

Only the people and the clock are stand-ins. Whoever needs another rule writes another policy, never another Service.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog

from bot.world import RandomIds
from connectors.local import LocalConnector
from engine.model import Actor, Person, Place, Session, Source, Verdict
from engine.ports import Check, Level
from engine.preparation import LOCAL, Preparation, StartRequest
from engine.service import Ballot, Parts, Service
from engine.worker import Worker, WorkerParts
from storage.catalog import FileCatalog
from storage.database import Database
from storage.policy_file import load_policy
from storage.queue import EmbeddedQueue
from tests.fakes.clock import MovableClock
from tests.fakes.people import TEAM, People

PATIENCE = 30.0  #: seconds for a few local commands on a loaded machine
TOKENS = {name: f"token-of-{name}-0123456789" for name in ("alice", "bob", "carol", "dave", "gina")}
RUNBOOK = """\
name: restart-web
title: Restart a web service
description: Restarts it.
owner: web-team
service: web
environment: prod
risk: medium
os: linux
targets: any
parameters:
  service:
    description: name of the service
    default: nginx
    pattern: "[a-z]+"
    max_length: 20
prechecks:
  - name: Look at it
    risk: low
    run: |
      echo "state of $service"
steps:
  - name: Restart
    run: |
      echo "restarting $service"
      echo "careful" >&2
    requires_approval: true
postchecks:
  - name: Look again
    risk: none
    run: |
      echo "fine"
"""


def policy_text(*, quorum: int = 1) -> str:
    """Bob and Carol approve; Alice asks; Dave is nobody's approver; Gina is a guest."""
    lines = [
        f"workspace: {{team: {TEAM}}}",
        "groups: {oncall: [U0BOB, U0CAROL, U0GINA]}",
        f"default: {{approvers: [oncall], quorum: {quorum}, expires_minutes: 30}}",
        "tokens:",
    ]
    for name, token in TOKENS.items():
        digest = hashlib.sha256(token.encode()).hexdigest()
        lines.append(f'  - {{name: {name}, sha256: "{digest}", person: U0{name.upper()}}}')
    return "\n".join([*lines, ""])


def actor(name: str, source: Source = Source.API) -> Actor:
    return Actor(person=Person(team=TEAM, user=f"U0{name.upper()}"), source=source, name=name)


class Watched:
    """The work queue, and a condition that everybody who waits for a commit can wait on."""

    def __init__(self, queue: EmbeddedQueue) -> None:
        self.queue = queue
        self.committed = threading.Condition()

    def defer(self, tx, task, row_id, not_before=None) -> None:
        self.queue.defer(tx, task, row_id, not_before)

    def after_commit(self, tx) -> None:
        self.queue.after_commit(tx)
        with self.committed:
            self.committed.notify_all()


class Works:
    """Everything behind the doors."""

    def __init__(self, database: Database, folder: Path, *, quorum: int = 1) -> None:
        self.database = database
        self.people, self.clock = People(), MovableClock()
        self.ids = RandomIds(self.clock)
        (folder / "policy.yaml").write_text(policy_text(quorum=quorum), encoding="utf-8")
        self.policy = load_policy(folder / "policy.yaml")
        (folder / "runbooks").mkdir(exist_ok=True)
        (folder / "runbooks" / "restart-web.yaml").write_text(RUNBOOK, encoding="utf-8")
        self.catalog = FileCatalog(folder / "runbooks")
        self.connectors = {LOCAL: LocalConnector(folder / "local-runs", self.clock)}
        self.watched = Watched(EmbeddedQueue(self.clock, threads=2))
        self.uow = database.unit_of_work(self.watched, owner="bot-of-the-test")
        self.watched.queue.sweep_with(self.uow)
        self.preparation = Preparation(catalog=self.catalog, policy=self.policy, connectors=self.connectors)
        self.service = Service(self._parts())

    def _parts(self) -> Parts:
        return Parts(
            uow=self.uow,
            clock=self.clock,
            ids=self.ids,
            policy=self.policy,
            directory=self.people,
            connectors=self.connectors,
            preparation=self.preparation,
            log=structlog.get_logger("service").info,
        )

    def slack_check(self) -> Check:
        return Check(name="slack", level=Level.OK, evidence=f"workspace {TEAM}")

    # ------------------------------------------------------------ what people do

    def start(self, name: str = "alice", *, channel: str = "", ticket: str = "") -> Session:
        """Start a session as somebody; it waits for the approval of its first step."""
        place = Place(team=TEAM, channel=channel) if channel else None
        return self.service.start(self.request(actor=actor(name), ticket=ticket, place=place))

    def request(self, **changes: Any) -> StartRequest:
        """Return what Alice would ask for."""
        asked: dict[str, Any] = {
            "key": self.ids.token(),
            "runbook": "restart-web",
            "actor": actor("alice"),
            "vm": LOCAL,
        }
        return StartRequest(**asked | changes)

    def vote(
        self, session: Session, step: int = 1, *, name: str = "bob", verdict: Verdict = Verdict.APPROVE
    ) -> Session:
        return self.service.decide(
            Ballot(actor=actor(name), verdict=verdict, reason="Seen.", session_id=session.id, step_number=step)
        )

    def session(self, number: int) -> Session:
        return self.service.view(number).session

    def audit(self, kind: str) -> list:
        with self.uow() as uow:
            return [record for record in uow.audit.records() if record.kind == kind]

    # ------------------------------------------------------------ what workers do

    @contextmanager
    def working(self) -> Iterator[None]:
        """Carry out what is due, in threads, until the block ends."""
        stop = threading.Event()
        handlers = {**self._worker().tasks(), "expire": self.service.expire, "remind": self.service.remind}
        thread = threading.Thread(target=self.watched.queue.run, args=(handlers, stop))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _worker(self) -> Worker:
        return Worker(
            WorkerParts(
                uow=self.uow,
                clock=self.clock,
                ids=self.ids,
                connectors=self.connectors,
                directory=self.people,
                preparation=self.preparation,
                owner="bot-of-the-test",
                log=structlog.get_logger("worker").bind(actor="system").info,
            )
        )

    def wait_until(self, true: Callable[[], bool]) -> None:
        """Look after every commit until it is true."""
        with self.watched.committed:
            assert self.watched.committed.wait_for(true, PATIENCE), "it did not come true in time"
