"""One life of the product: its own parts, wired as ``bot.bootstrap`` wires them, moved by one hand.

The machine, Slack and the clock are those that outlive the process. Instead of threads that wait, ``turn`` does what
the real queue and the real outbox worker hold to be due, so that each life reaches its crash points in the same order.
"""

from __future__ import annotations

import json
import threading
import traceback
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, text

from bot.bootstrap import Wakes
from bot.delivery import Deliverer, DeliverySettings
from bot.delivery_render import Renderer
from bot.payloads import Caller
from bot.requests import RequestParts as PartsOfRequests
from bot.requests import Requests
from bot.serving import Application, Serving
from bot.settings import Settings
from bot.world import RandomIds
from engine.effects import Purpose
from engine.errors import StorageUnavailable
from engine.events import Choice, Chosen
from engine.model import Actor, Person, Place, Session, Verdict
from engine.policy import Policy
from engine.ports import Catalog, Check, Job, Level, Message, Reply
from engine.preparation import Preparation, StartRequest
from engine.service import Ballot, Parts, Seen, Service
from engine.worker import Worker, WorkerParts
from storage.database import Database
from storage.ledgers import OutboxRow
from storage.outbox import ABANDONED
from storage.queue import EmbeddedQueue
from tests.builders import an_actor
from tests.crash.campaign.machine import Nature, StoredMachine
from tests.crash.campaign.points import MACHINE_CALLS, CrashPoints, Watched
from tests.crash.campaign.slack import StoredSender, StoredSlack
from tests.crash.campaign.world import Ledger, StoredClock, World
from tests.fakes.people import People

OPS = Place(team="T0HOME", channel="C0OPS")


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a life finds when it begins."""

    world: World
    database: Database
    points: CrashPoints
    catalog: Catalog
    policy: Policy
    nature: Nature
    history_readable: bool
    life: int  #: 0 for the first
    redelivers: bool  #: whether an act that was not acknowledged comes again under its old key


class Installation:
    """The product in this process, and the people who use it."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.clock = StoredClock(setting.world.clock)
        self.people = People()
        self.seen = Ledger(setting.world.people)
        self.slack = Ledger(setting.world.slack)
        machine = StoredMachine(Ledger(setting.world.machine), self.clock, setting.nature)
        self._connectors = {"azure": Watched(machine, setting.points, MACHINE_CALLS)}
        self._ids = RandomIds(self.clock)
        self._queue = EmbeddedQueue(self.clock, threads=1)
        wakes = Wakes(self._queue)
        self._owner = f"bot-{setting.life}-{self._ids.ulid()}"
        self.uow = setting.database.unit_of_work(wakes, owner=self._owner)
        self._queue.sweep_with(self.uow)
        self.service = Service(self._parts())
        self.requests = self._requests()
        self._deliverer = self._outbox()
        wakes.listeners.append(self._deliverer.wake)
        self._worker = Worker(self._worker_parts())
        self._handlers = {
            **self._worker.tasks(),
            "start": self.requests.carry_out,
            "expire": self.service.expire,
            "remind": self.service.remind,
        }

    # ------------------------------------------------------------ wiring

    def _preparation(self) -> Preparation:
        return Preparation(catalog=self.setting.catalog, policy=self.setting.policy, connectors=self._connectors)

    def _parts(self) -> Parts:
        return Parts(
            uow=self.uow,
            clock=self.clock,
            ids=self._ids,
            policy=self.setting.policy,
            directory=self.people,
            connectors=self._connectors,
            preparation=self._preparation(),
            log=_say_nothing,
        )

    def _worker_parts(self) -> WorkerParts:
        return WorkerParts(
            uow=self.uow,
            clock=self.clock,
            ids=self._ids,
            connectors=self._connectors,
            directory=self.people,
            preparation=self._preparation(),
            owner=self._owner,
            log=_say_nothing,
        )

    def _requests(self) -> Requests:
        parts = PartsOfRequests(
            service=self.service,
            catalog=self.setting.catalog,
            uow=self.uow,
            clock=self.clock,
            directory=self.people,
            connectors=self._connectors,
            slack_check=lambda: Check(name="slack", level=Level.OK, evidence="It answers."),
        )
        return Requests(parts)

    def _outbox(self) -> Deliverer:
        client = StoredSlack(self.slack, self.clock, self.setting.points, readable=self.setting.history_readable)
        return Deliverer(
            self.uow,
            self.clock,
            sender=StoredSender(client),
            renderer=Renderer(self.clock),
            settings=DeliverySettings(threads=1, batch=1),  # one at a time: always in the same order
        )

    # ------------------------------------------------------------ moving

    def boots(self) -> None:
        """Do what ``runbook serve`` does with the rows before it serves."""
        core: Any = self  # of the wired core, only the units of work are asked for
        serving = Serving(
            settings=Settings.model_construct(),
            core=core,
            worker=self._worker,
            deliverer=self._deliverer,
            queue=self._queue,
            prepare_database=lambda: None,
            lock=nullcontext,
            alone=self.setting.database.kind == "sqlite",
            presence=nullcontext,
            stop=threading.Event(),
        )
        Application(serving)._take_over()
        if self.setting.database.kind == "postgresql":
            self._is_there_alone()

    def _is_there_alone(self) -> None:
        """What ``storage.presence`` comes to: this process is seen, and those before it are known to be gone."""
        there = "INSERT INTO replicas VALUES (:owner, '', '', now(), now() + interval '1 year') ON CONFLICT DO NOTHING"
        with self.setting.database.engine.begin() as connection:
            connection.execute(text(there), {"owner": self._owner})
            connection.execute(
                text("UPDATE replicas SET gone_since = now() - interval '1 h' WHERE owner <> :owner"),
                {"owner": self._owner},
            )

    def turn(self) -> bool:
        """Do everything that is due now; say whether there was anything.

        The rows are swept only when nothing else is left, as the real queue does now and then: until then what was
        deferred must be known without it.
        """
        if self._work_off() or self._deliver():
            return True
        self._queue._sweep(self.uow)
        return self._work_off()

    def _work_off(self) -> bool:
        did = False
        while (job := self._queue._heap.pop(self.clock.now())) is not None:
            self._carry(job)
            did = True
        return did

    def _deliver(self) -> bool:
        did = False
        while self._deliverer.turn():
            assert self._deliverer.settle()
            did = True
        return did

    def _carry(self, job: Job) -> None:
        """What ``EmbeddedQueue._work`` does with a job; an error is noted, and the row still says what is due."""
        try:
            self._handlers[job.task](job.id)
        except StorageUnavailable as away:
            self.note(away)
        finally:
            self._queue._finished(job)

    def note(self, trouble: BaseException) -> None:
        """Keep an error of the product for whoever judges."""
        with self.setting.world.trouble.open("a", encoding="utf-8") as file:
            file.write("".join(traceback.format_exception(trouble)))

    def next_moment(self) -> datetime | None:
        """Return when the next row is due, messages included; None when all is done or waits for people."""
        with self.uow() as uow:
            following = uow.next_due(now=self.clock.now())
            sending = select(func.min(OutboxRow.sending_since)).where(OutboxRow.state == "sending")
            put_off = select(func.min(OutboxRow.not_before)).where(OutboxRow.state.in_(["ready", "unknown"]))
            since, later = (uow._db.execute(query).scalar_one() for query in (sending, put_off))
        abandoned = since + ABANDONED if since else None
        return min((moment for moment in (following, abandoned, later) if moment), default=None)

    def told_everything(self) -> bool:
        """Say whether every message is shown."""
        with self.uow() as uow:
            stats = uow.outbox.stats()
        return not any(stats.get(state) for state in ("ready", "sending", "unknown"))

    def export_audit(self) -> None:
        """Write the audit trail as ``runbook audit export`` prints it."""
        with self.uow() as uow:
            records = uow.audit.records()
        lines = [json.dumps(asdict(record), default=str, sort_keys=True) for record in records]
        self.setting.world.audit.write_text("\n".join(lines), encoding="utf-8")

    def close(self) -> None:
        self._deliverer.close()

    # ------------------------------------------------------------ looking

    def session(self, key: str = "a") -> Session | None:
        """Return the session that a start request has begun."""
        with self.uow() as uow:
            number = uow.sessions.by_request(key)
            return uow.sessions.get(number) if number is not None else None

    def gate_message(self, session: Session) -> Message | None:
        """Return the message of the open gate, once Slack shows it."""
        gate = session.open_gate
        if gate is None:
            return None
        with self.uow() as uow:
            found = uow.outbox.message(session.id, Purpose.GATE, step_number=gate.step_number, ordinal=gate.serial)
        return found if found and found.ts else None

    # ------------------------------------------------------------ what people do

    def starts(self, runbook: str, key: str = "a", actor: Actor | None = None) -> None:
        request = StartRequest(key=key, runbook=runbook, actor=actor or an_actor(), vm="web-1", place=OPS)
        self.requests.begin(request)

    def asks(self, kind: str, runbook: str, key: str) -> None:
        self.requests.ask(kind, StartRequest(key=key, runbook=runbook, actor=an_actor(), vm="web-1", place=OPS))

    def decides(self, person: Person, act: str, *, verdict: Verdict = Verdict.APPROVE, key: str = "a") -> None:
        """Click on the request in the thread; on the same one again when the first click was not acknowledged."""
        clicked = next((line for line in self.seen.lines if line["act"] == f"{act} sees"), None)
        if clicked is None:
            clicked = {"act": f"{act} sees", "answer": "seen", **self._request_in_thread(key)}
            self.seen.add(**clicked)
        ballot = Ballot(
            actor=an_actor(person),
            verdict=verdict,
            reason="Because." if verdict is Verdict.REJECT else "",
            gate_id=clicked["gate"],
            seen=Seen(channel=OPS.channel, ts=clicked["ts"]),
            delivery=f"{act}/{key}" if self.setting.redelivers else f"{act}/{key}/{self.setting.life}",
        )
        self.service.decide(ballot)

    def _request_in_thread(self, key: str) -> dict[str, str]:
        session = self.session(key)
        gate = session.open_gate if session else None
        message = self.gate_message(session) if session else None
        assert gate is not None
        assert message is not None
        return {"gate": gate.id, "ts": message.ts}

    def cancels(self, person: Person, key: str = "a") -> None:
        self.service.cancel(self._number(key), an_actor(person), "wrong machine")

    def pauses(self, person: Person, key: str = "a") -> None:
        self.service.pause(self._number(key), an_actor(person))

    def resumes(self, person: Person, key: str = "a") -> None:
        self.service.resume(self._number(key), an_actor(person))

    def chooses(self, person: Person, choice: Choice, key: str = "a") -> None:
        session = self.session(key)
        assert session is not None
        step = session.current_step or next(step for step in session.steps[::-1] if step.attempts)
        self.service.choose(
            session.id, Chosen(step_number=step.number, choice=choice, actor=an_actor(person), reason="I looked.")
        )

    def opens_home(self, person: Person) -> None:
        self.requests.publish_home(person)

    def is_told(self, person: Person, delivery: str) -> None:
        caller = Caller(actor=an_actor(person), person=person, delivery=delivery, place=OPS, reply=Reply())
        self.requests.tell(caller, "This is how it works.")

    def _number(self, key: str) -> int:
        session = self.session(key)
        assert session is not None
        return session.id


def _say_nothing(_event: str, **_fields: object) -> None:
    """Log nothing: what matters is in the ledgers."""
