"""One installation that lives through many sessions: the product's own parts, with time that only jumps.

Service, worker, queue, outbox and storage are the real ones on a file; Slack, the machines and the people answer at
once and remember nothing, so that whatever stays behind is the product's. Nothing here may keep a session.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from slack_sdk import WebClient
from sqlalchemy import func, select

from bot.bootstrap import Wakes
from bot.delivery import Deliverer, DeliverySettings
from bot.delivery_render import Renderer
from bot.delivery_sender import SlackSender
from bot.world import RandomIds
from engine.effects import Purpose
from engine.model import Person, Place, Session, SessionStatus, Target, Verdict
from engine.ports import Command, Handle, RawResult
from engine.preparation import Preparation, StartRequest
from engine.service import Ballot, Parts, Seen, Service
from engine.worker import Worker, WorkerParts
from storage.catalog import FileCatalog
from storage.database import Database
from storage.ledgers import OutboxRow
from storage.queue import EmbeddedQueue
from tests.builders import BOB, NOW, WEB, an_actor
from tests.fakes.machines import Machines, printed
from tests.fakes.people import People
from tests.policies import a_policy
from tests.storage.builders import FixedClock

LANES = 20  #: sessions at the same time, each in a channel and on a machine of its own
STRIDE = timedelta(seconds=15)  #: longer than Slack's limits make a burst of one batch wait
PATIENCE = 2000  #: turns of a batch; one that has not settled by then never will
LONG = "a line of output that somebody may want to read\n" * 400
_HEAD = """\
name: {name}
title: A runbook of the soak
owner: platform-team
environment: prod
risk: low
os: linux
targets: any
steps:
  - name: Change it
    run: {run}
    requires_approval: true
{more}"""
_LOOK = """\
  - name: Look at it
    risk: none
    run: echo fine
    requires_approval: false
"""
RUNBOOKS: Mapping[str, tuple[str, str]] = {
    "plain": ("echo changed", ""),
    "looks": ("echo changed", _LOOK),
    "fails": ("exit 3", ""),
    "flaky": ("echo flaky", "    retries: 1\n"),
    "floods": ("echo much", ""),
}
#: what happens in a session -> (runbook, how it must end, how often it is done)
KINDS: Mapping[str, tuple[str, SessionStatus, int]] = {
    "approve": ("plain", SessionStatus.COMPLETED, 5),
    "two steps": ("looks", SessionStatus.COMPLETED, 1),
    "reject": ("plain", SessionStatus.REJECTED, 3),
    "expire": ("plain", SessionStatus.EXPIRED, 2),
    "fail": ("fails", SessionStatus.FAILED, 3),
    "retry": ("flaky", SessionStatus.COMPLETED, 2),
    "output": ("floods", SessionStatus.COMPLETED, 2),
    "cancel": ("plain", SessionStatus.CANCELLED, 2),
}


class Sink(WebClient):
    """Slack, as far as the sender needs it: everything succeeds, nothing is kept but counts."""

    def __init__(self, clock: FixedClock) -> None:
        super().__init__("xoxb-soak")
        self._clock = clock
        self.calls = 0
        self.files = 0

    def api_call(self, api_method: str, **parts: Any) -> Any:
        self.calls += 1
        self.files += api_method == "files.completeUploadExternal"
        asked = {**(parts.get("json") or {}), **(parts.get("params") or {}), **(parts.get("data") or {})}
        answer = {"ok": True, "ts": asked.get("ts") or f"{self._clock.now().timestamp():.0f}.{self.calls:06d}"}
        if api_method == "files.getUploadURLExternal":
            answer |= {"upload_url": "https://files.example/1", "file_id": "F1"}
        return answer


class Poster(SlackSender):
    """The product's sender, with the sink in the place of the client that it made."""

    def __init__(self, sink: Sink) -> None:
        super().__init__(sink)
        self._client = sink

    def _put(self, url: str, content: bytes) -> None:
        """Take the file and forget it."""


class Forgetful(Machines):
    """Machines that forget a command once it was cleared away, and tell apart what the runbooks ask for."""

    def submit(self, command: Command) -> Handle:
        handle = super().submit(command)
        self.submitted.clear()
        return handle

    def cleanup(self, handle: Handle) -> float | None:
        wait = super().cleanup(handle)
        self.runs.pop(handle["attempt"], None)
        self.cleaned.clear()
        return wait

    def _ending(self, command: Command) -> RawResult:
        if "echo flaky" in command.script and command.attempt_number == 1:
            return printed("not yet\n", 1)
        return printed(LONG) if "echo much" in command.script else super()._ending(command)


def machine(lane: int) -> Target:
    return replace(WEB, id=f"{WEB.id.rpartition('/')[0]}/web-{lane}", name=f"web-{lane}")


class Installation:
    """The product in this process, moved by one hand."""

    def __init__(self, database: Database, folder: Path, *, seed: int = 1) -> None:
        self._random = random.Random(seed)
        self._numbers = 0
        self.clock, self.people = FixedClock(NOW), People()
        self.people.channels = {f"C0LANE{lane}" for lane in range(LANES)}
        self.machines = Forgetful(self.clock, *(machine(lane) for lane in range(LANES)))
        self.slack = Sink(self.clock)
        self.ended: dict[str, int] = {}
        self._queue = EmbeddedQueue(self.clock, threads=1)
        wakes = Wakes(self._queue)
        self.uow = database.unit_of_work(wakes, owner="bot-soak")
        self._queue.sweep_with(self.uow)
        self._write(folder)
        self._wire(folder)
        wakes.listeners.append(self._deliverer.wake)

    def _write(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        for name, (run, more) in RUNBOOKS.items():
            (folder / f"{name}.yaml").write_text(_HEAD.format(name=name, run=run, more=more), encoding="utf-8")

    def _wire(self, folder: Path) -> None:
        policy = a_policy(unattended={"risks": ["none"]})
        connectors = {"azure": self.machines}
        shared: dict[str, Any] = {
            "uow": self.uow,
            "clock": self.clock,
            "ids": RandomIds(self.clock),  # type: ignore[arg-type]
            "directory": self.people,
            "connectors": connectors,
            "preparation": Preparation(catalog=FileCatalog(folder), policy=policy, connectors=connectors),
            "log": _say_nothing,
        }
        self.service = Service(Parts(policy=policy, **shared))
        worker = Worker(WorkerParts(owner="bot-soak", **shared))
        settings = DeliverySettings(threads=6, batch=6)  # nothing is taken that cannot go at once
        sender, renderer = Poster(self.slack), Renderer(self.clock)
        self._deliverer = Deliverer(self.uow, self.clock, sender=sender, renderer=renderer, settings=settings)
        self._handlers: dict[str, Callable[[str], None]] = {
            **worker.tasks(),
            "expire": self.service.expire,
            "remind": self.service.remind,
        }

    # ------------------------------------------------------------ many sessions

    def batch(self, count: int = LANES) -> None:
        """Let so many sessions live at the same time, from their start to the last message about them."""
        weights = [often for _, _, often in KINDS.values()]
        kinds = self._random.choices(list(KINDS), weights, k=min(count, LANES))
        open_ = {self._start(kind, lane): (kind, lane) for lane, kind in enumerate(kinds)}
        waiting = dict(open_)
        for _ in range(PATIENCE):
            self._turn()
            waiting = {number: what for number, what in waiting.items() if not self._act(number, *what)}
            if not self._turn() and not waiting and self._settled():
                self._count(open_)
                return
            self._pass(waiting)
        raise AssertionError(f"these never came to rest: {open_}")

    def _start(self, kind: str, lane: int) -> int:
        self._numbers += 1
        request = StartRequest(
            key=f"soak/{self._numbers}",
            runbook=KINDS[kind][0],
            actor=an_actor(),
            vm=f"web-{lane}",
            place=Place(team="T0HOME", channel=f"C0LANE{lane}"),
        )
        return self.service.start(request).id

    def _act(self, number: int, kind: str, lane: int) -> bool:
        """Do what people do in such a session once its request is to be seen; say whether it was done."""
        if kind == "expire":
            return True  # nobody does anything
        with self.uow() as uow:
            session = uow.sessions.get(number)
            gate = session.open_gate if session else None
            shown = gate and uow.outbox.message(number, Purpose.GATE, step_number=gate.step_number, ordinal=gate.serial)
        if not gate or not shown or not shown.ts:
            return False
        if kind == "cancel":
            self.service.cancel(number, an_actor(), "wrong machine", delivery=f"cancel/{number}")
            return True
        verdict = Verdict.REJECT if kind == "reject" else Verdict.APPROVE
        self._decide(BOB, gate.id, verdict, Seen(channel=f"C0LANE{lane}", ts=shown.ts))
        return True

    def _decide(self, person: Person, gate: str, verdict: Verdict, seen: Seen) -> None:
        reason = "Not now." if verdict is Verdict.REJECT else ""
        ballot = Ballot(actor=an_actor(person), verdict=verdict, reason=reason, gate_id=gate, seen=seen, delivery=gate)
        self.service.decide(ballot)

    def _settled(self) -> bool:
        with self.uow() as uow:
            stats, open_ = uow.outbox.stats(), uow.sessions.counts()
        return not any(open_.values()) and not any(stats.get(state) for state in ("ready", "sending", "unknown"))

    def _count(self, open_: Mapping[int, tuple[str, int]]) -> None:
        for number, (kind, _) in open_.items():
            session: Session = self.service.view(number).session
            assert session.status is KINDS[kind][1], f"{kind}: session {number} is {session.status.value}"
            self.ended[kind] = self.ended.get(kind, 0) + 1

    # ------------------------------------------------------------ moving

    def _turn(self) -> bool:
        """Do everything that is due now, as the queue and the outbox worker would; say whether there was anything."""
        did = False
        self._queue._sweep(self.uow)
        while (job := self._queue._heap.pop(self.clock.now())) is not None:
            try:
                self._handlers[job.task](job.id)
            finally:
                self._queue._finished(job)
            did = True
        while self._deliverer.turn():
            assert self._deliverer.settle()
            did = True
        self._deliverer._pause()
        return did

    def _pass(self, waiting: Mapping[int, object]) -> None:
        """Let time pass: to what is due next, or for a moment while somebody waits for a message."""
        now, following = self.clock.now(), self._next()
        self.clock.time = now + STRIDE if waiting else max(now + STRIDE, following or now)

    def _next(self) -> datetime | None:
        with self.uow() as uow:
            following = uow.next_due(now=self.clock.now())
            later = select(func.min(OutboxRow.not_before)).where(OutboxRow.state.in_(["ready", "unknown"]))
            put_off = uow._db.execute(later).scalar_one()
        return min((moment for moment in (following, put_off) if moment), default=None)

    def close(self) -> None:
        self._deliverer.close()


def _say_nothing(_event: str, **_fields: object) -> None:
    """Log nothing: what counts is what stays behind."""
