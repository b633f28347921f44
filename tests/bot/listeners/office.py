"""The bot's Slack side as in production, on a fresh SQLite database, against the local Slack workspace.

Only the machines and the list of members are stand-ins. ``show`` empties the outbox as a notifier would, and
``work`` carries out what was acknowledged.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from slack_bolt import App
from slack_sdk import WebClient

from bot.listeners.answer import BUDGET_SECONDS, Watchdog
from bot.listeners.visit import Desk
from bot.requests import RequestParts, Requests
from bot.slack import build_app, check_slack, listening_client
from bot.views.card import card
from bot.views.gate import gate_message
from bot.world import RandomIds, SystemClock
from engine.effects import Purpose
from engine.errors import NotAllowed, Transient
from engine.model import Session, Shell, Target
from engine.policy import PolicyDocument, check_policy
from engine.ports import Capabilities, Check, Level
from engine.preparation import Preparation
from engine.service import Parts, Service
from playground.slack import SlackWorkspace
from playground.slack.model import TEAM_ID
from storage.catalog import FileCatalog
from storage.database import Database

WEB = Target(connector="azure", id="/vm/web-01", name="web-01", group="rg", os="linux", fingerprint="v1")
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
steps:
  - name: Restart
    run: |
      systemctl restart "$service"
    requires_approval: true
"""
POLICY = {
    "workspace": {"team": TEAM_ID},
    "groups": {"approvers": ["U0BOB", "U0CAROL"]},
    "default": {"approvers": ["approvers"], "quorum": 1},
}


class Machines:
    """A connector that knows one machine and runs nothing."""

    def __init__(self) -> None:
        self.patient = True

    def describe(self):
        return Capabilities(
            name="azure", label="test", cancel="none", shells=(Shell.BASH,), poll_seconds=(1.0,), max_timeout_seconds=60
        )

    def resolve(self, selector: str) -> tuple[Target, ...]:
        if not self.patient:
            raise Transient("Azure asked for patience; nothing was started.")
        return (WEB,) if selector.removeprefix("rg/") == WEB.name else ()

    def inventory(self):
        return ((WEB, "running"),)

    def preflight(self, _target: Target, _shell: Shell):
        return ()

    def doctor(self, target: Target | None, **_options: bool):
        where = target.name if target else "the subscription"
        return (Check(name="reach", level=Level.OK, evidence=f"{where} answers"),)


class Members:
    """The people of the workspace who may use the bot. Clear ``answers`` and it is silent until it is set again."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.answers.set()

    def require_member(self, person) -> str:
        self.answers.wait(30)
        if person.user not in {"U0ALICE", "U0BOB", "U0CAROL", "U0DAVE"}:
            raise NotAllowed("Guests may not use Runbook Bot.", hint="Ask a full member.")
        return person.user

    def require_postable(self, _place) -> None:
        """Everywhere is fine."""


class Jobs:
    """A work queue that keeps what was deferred until the test carries it out."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    def defer(self, _tx, task, row_id, *_when, **_options) -> None:
        if task == "start":
            self.keys.append(row_id)

    def after_commit(self, _tx) -> None:
        """Wake nobody."""

    def run(self, _handlers, stop) -> None:
        stop.wait()


@dataclass
class Office:
    workspace: SlackWorkspace
    database: Database
    runbooks: Path
    seconds: float = BUDGET_SECONDS
    jobs: Jobs = field(default_factory=Jobs)
    machines: Machines = field(default_factory=Machines)
    members: Members = field(default_factory=Members)
    gone: list[str] = field(default_factory=list)
    answered: list[tuple[str, float]] = field(default_factory=list)  #: kind of request, seconds
    refused: list[str] = field(default_factory=list)  #: error codes
    told: list[tuple[str, str, str]] = field(default_factory=list)  #: person, place, text

    def __post_init__(self) -> None:
        self.units = self.database.unit_of_work(self.jobs, owner="test")
        self.clock = SystemClock()
        self.watchdog = Watchdog(self.seconds)
        self.client = listening_client(self.workspace.bot_token, base_url=self.workspace.base_url)
        self.identity = check_slack(self.client)
        self.service, self.requests = self._core()
        self.desk = Desk(
            service=self.service,
            requests=self.requests,
            catalog=FileCatalog(self.runbooks),
            directory=self.members,
            clock=self.clock,
            ids=RandomIds(self.clock),
            identity=self.identity,
            watchdog=self.watchdog,
            on_uninstalled=self.gone.append,
            acknowledged=lambda kind, seconds: self.answered.append((kind, seconds)),
            refused=self.refused.append,
        )
        self.app: App = build_app(self.desk, self.client, signing_secret=self.workspace.signing_secret)

    def _core(self) -> tuple[Service, Requests]:
        catalog, connectors = FileCatalog(self.runbooks), {"azure": self.machines}
        policy = check_policy(PolicyDocument.model_validate(POLICY), version="0" * 64)
        service = Service(
            Parts(
                uow=self.units,
                clock=self.clock,
                ids=RandomIds(self.clock),
                policy=policy,
                directory=self.members,
                connectors=connectors,
                log=structlog.get_logger("service").info,
                preparation=Preparation(catalog=catalog, policy=policy, connectors=connectors),
            )
        )
        parts = RequestParts(
            service=service,
            catalog=catalog,
            uow=self.units,
            clock=self.clock,
            directory=self.members,
            connectors=connectors,
            slack_check=lambda: Check(name="slack", level=Level.OK, evidence="answers"),
        )
        return service, Requests(parts)

    # ------------------------------------------------------------ what workers do

    def work(self) -> None:
        """Carry out everything that was acknowledged."""
        while self.jobs.keys:
            self.requests.carry_out(self.jobs.keys.pop(0))

    def show(self) -> None:
        """Deliver the outbox: cards and gates are posted, sentences are whispered."""
        poster = WebClient(self.workspace.bot_token, base_url=self.workspace.base_url, retry_handlers=[])
        while messages := self._claim():
            for message in messages:
                self._deliver(poster, message)

    def _claim(self):
        with self.units() as uow:
            claimed = uow.outbox.claim(now=self.clock.now(), limit=50)
            uow.commit()
            return claimed

    def _deliver(self, poster: WebClient, message) -> None:
        ts = message.ts or "0"
        if message.purpose is Purpose.EPHEMERAL:
            self.told.append((message.user, message.channel, message.payload["text"]))
        elif message.purpose in {Purpose.CARD, Purpose.GATE}:
            shown = self._render(message)
            call = poster.chat_update if message.ts else poster.chat_postMessage
            place = {"ts": message.ts} if message.ts else {"thread_ts": self._thread(message) or None}
            ts = call(channel=message.channel, text=shown.text, blocks=shown.blocks, **place)["ts"]
        with self.units() as uow:
            uow.outbox.sent(message, ts=ts, now=self.clock.now())
            uow.commit()

    def _thread(self, message) -> str:
        if message.purpose is Purpose.CARD:
            return ""
        return self.service.view(message.session_id).thread_ts

    def _render(self, message):
        view = self.service.view(message.session_id)
        now = self.clock.now()
        if message.purpose is Purpose.CARD:
            return card(view.session, view.explanation, now=now)
        step = view.session.step(message.step_number)
        return gate_message(view.session, step, gate=step.gate, now=now)

    # ------------------------------------------------------------ what tests ask

    def settle(self) -> None:
        """Wait until the listeners of acknowledged events are through: Bolt acknowledges those first."""
        self.app.listener_runner.listener_executor.shutdown(wait=True)

    def waiting_session(self) -> Session:
        """Have Alice start a session that waits for an approval, shown in #ops."""
        self.workspace.person("alice").types("/runbook execute restart-web vm=web-01", channel="ops")
        self.work()
        self.show()
        return self.session(self.service.recent(limit=1)[0].id)

    def session(self, number: int = 1) -> Session:
        return self.service.view(number).session

    def gate(self):
        """The gate's message in #ops, as it is shown now."""
        return next(m for m in self.workspace.channel("ops").all() if m.is_reply)

    def card(self):
        """The root of the newest thread in #ops."""
        return next(m for m in self.workspace.channel("ops").all() if not m.is_reply)

    def audit(self, kind: str):
        with self.units() as uow:
            return [record for record in uow.audit.records() if record.kind == kind]

    def close(self) -> None:
        self.watchdog.close()
        self.app.listener_runner.listener_executor.shutdown()
