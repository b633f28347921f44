"""The product in one process, as it is wired for production, between machines that do nothing and a silent Slack.

Real are Bolt and the listeners, use cases, workers, queue, outbox and the database. Nothing here may measure.
"""

from __future__ import annotations

import copy
import json
import secrets
import threading
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, Self

from slack_bolt import App, BoltRequest

from bot.bootstrap import Wakes
from bot.delivery import Deliverer
from bot.delivery_render import Renderer
from bot.listeners.answer import Watchdog
from bot.listeners.visit import Desk
from bot.payloads import Identity
from bot.requests import RequestParts, Requests
from bot.slack import build_app, listening_client
from bot.world import RandomIds, SystemClock
from engine.model import Actor, Person, Place, Session, Source
from engine.policy import PolicyDocument, check_policy
from engine.ports import Check, Level
from engine.preparation import Preparation, StartRequest
from engine.service import Parts, Service
from engine.worker import Worker, WorkerParts
from playground.slack.model import TEAM_ID
from storage.catalog import FileCatalog
from storage.database import open_database
from storage.queue import EmbeddedQueue
from storage.team_queue import TeamQueue
from tests.benchmarks.stands import TS, Everybody, NoMachines, NoSlack

CLICK = Path(__file__).parents[1] / "payloads" / "click.json"
ALICE = Person(team=TEAM_ID, user="U0ALICE")
BOB = Person(team=TEAM_ID, user="U0BOB")
POLICY = {
    "workspace": {"team": TEAM_ID},
    "groups": {"approvers": ["U0BOB", "U0CAROL"]},
    "default": {"approvers": ["approvers"], "quorum": 1},
    "unattended": {"risks": ["none"]},
}
HEAD = """\
title: A benchmark
description: Does nothing.
owner: nobody
service: none
environment: prod
risk: {risk}
os: linux
targets: any
steps:
"""
STEP = "  - name: Step {number}\n    run: |\n      true\n    requires_approval: {asks}\n"
_keys = count(1)


def runbook(name: str, *asks: bool) -> str:
    """A runbook of steps that do nothing; each asks first or does not."""
    steps = (STEP.format(number=n, asks=str(ask).lower()) for n, ask in enumerate(asks, start=1))
    return f"name: {name}\n" + HEAD.format(risk="low" if any(asks) else "none") + "".join(steps)


class Leaping:
    """A clock for the listeners' limit per person: nobody ever clicks twice within a second."""

    def __init__(self, clock: SystemClock) -> None:
        self._clock = clock
        self._looks = count()

    def now(self) -> datetime:
        return self._clock.now() + timedelta(seconds=next(self._looks))


class Installation:
    """One process on one database. ``with`` starts and stops its threads."""

    def __init__(self, url: str, folder: Path) -> None:
        (folder / "asks.yaml").write_text(runbook("asks", True), encoding="utf-8")
        (folder / "runs.yaml").write_text(runbook("runs", False, False, False), encoding="utf-8")
        self.clock = SystemClock()
        self.ids = RandomIds(self.clock)
        self.machines, self.people, self.slack = NoMachines(), Everybody(), NoSlack()
        self.database = open_database(url)
        self.owner = f"bot-{self.ids.ulid()}"
        alone = self.database.kind == "sqlite"
        self.wakes = Wakes(EmbeddedQueue(self.clock) if alone else TeamQueue(self.database.engine.url, self.clock))
        self.uow = self.database.unit_of_work(self.wakes, owner=self.owner)
        self.wakes.queue.sweep_with(self.uow)
        self.catalog = FileCatalog(folder)
        self.policy = check_policy(PolicyDocument.model_validate(POLICY), version="0" * 64)
        self.service = self._service()
        self.requests = self._requests()
        self.renderer = Renderer(self.clock)
        self.deliverer = Deliverer(self.uow, self.clock, sender=self.slack, renderer=self.renderer)
        self.wakes.listeners.append(self.deliverer.wake)
        self.watchdog = Watchdog()
        self.decided: list[float] = []  #: seconds from a request's arrival at the listeners until it was answered
        self.app: App = build_app(self._desk(), listening_client("xoxb-none", base_url="http://127.0.0.1:1/"))
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    # ------------------------------------------------------------ what people do

    def starts(self, name: str = "asks", *, vm: str = "") -> Session:
        """Have Alice start a session on a machine, and in a channel, of its own."""
        number = next(_keys)
        place = Place(team=TEAM_ID, channel=f"C0BENCH{number}")
        actor = Actor(person=ALICE, source=Source.SLACK, name="Alice")
        key = self.ids.token()
        return self.service.start(
            StartRequest(key=key, runbook=name, actor=actor, vm=vm or f"vm-{key[:12]}", place=place)
        )

    def click_on(self, session: Session) -> dict[str, Any]:
        """Return the payload of Bob's click on Approve."""
        assert session.open_gate is not None
        assert session.place is not None
        click: dict[str, Any] = copy.deepcopy(json.loads(CLICK.read_text(encoding="utf-8")))
        click["user"] |= {"id": BOB.user, "username": "bob", "name": "bob"}
        click["actions"][0] |= {"value": session.open_gate.id, "action_ts": f"17{secrets.randbelow(10**8):08d}.000300"}
        click["container"] |= {"channel_id": session.place.channel, "message_ts": TS}
        click["channel"] |= {"id": session.place.channel}
        return click

    def clicks(self, click: dict[str, Any]) -> None:
        """Hand a click to Bolt; return when Slack would get its acknowledgement."""
        answer = self.app.dispatch(BoltRequest(body=click, mode="socket_mode"))
        if answer.status != 200:
            raise RuntimeError(f"the click was answered with {answer.status}: {answer.body}")

    # ------------------------------------------------------------ life

    def __enter__(self) -> Self:
        handlers = {
            **self.worker().tasks(),
            "start": self.requests.carry_out,
            "expire": self.service.expire,
            "remind": self.service.remind,
        }
        for work in (lambda: self.wakes.run(handlers, self._stop), lambda: self.deliverer.run(self._stop)):
            thread = threading.Thread(target=work)
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self.deliverer.wake()
        for thread in self._threads:
            thread.join()
        self.close()

    def close(self) -> None:
        """Let go of everything, also of what was never started."""
        self.watchdog.close()
        self.app.listener_runner.listener_executor.shutdown()
        self.deliverer.close()
        self.database.close()

    # ------------------------------------------------------------ wiring

    def worker(self) -> Worker:
        return Worker(
            WorkerParts(
                uow=self.uow,
                clock=self.clock,
                ids=self.ids,
                connectors={"azure": self.machines},
                directory=self.people,
                preparation=self._preparation(),
                owner=self.owner,
                log=_log_nothing,
            )
        )

    def _preparation(self) -> Preparation:
        return Preparation(catalog=self.catalog, policy=self.policy, connectors={"azure": self.machines})

    def _service(self) -> Service:
        return Service(
            Parts(
                uow=self.uow,
                clock=self.clock,
                ids=self.ids,
                policy=self.policy,
                directory=self.people,
                connectors={"azure": self.machines},
                preparation=self._preparation(),
                log=_log_nothing,
            )
        )

    def _requests(self) -> Requests:
        return Requests(
            RequestParts(
                service=self.service,
                catalog=self.catalog,
                uow=self.uow,
                clock=self.clock,
                directory=self.people,
                connectors={"azure": self.machines},
                slack_check=lambda: Check(name="slack", level=Level.OK, evidence="answers"),
            )
        )

    def _desk(self) -> Desk:
        return Desk(
            service=self.service,
            requests=self.requests,
            catalog=self.catalog,
            directory=self.people,
            clock=Leaping(self.clock),
            ids=self.ids,
            identity=Identity(team=TEAM_ID, app="A0RUNBOOKBOT", bot_user="U0RUNBOOKBOT"),
            watchdog=self.watchdog,
            on_uninstalled=_log_nothing,
            acknowledged=lambda _kind, seconds: self.decided.append(seconds),
        )


def _log_nothing(*_: object, **__: object) -> None:
    """A log file's speed is not the product's."""
