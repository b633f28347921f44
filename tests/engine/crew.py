"""The use cases and a worker on a real database; machines, people and the clock are stand-ins that tests command.

Nothing moves by itself: a test calls a task, or lets ``works`` carry out what the rows say is due. Nothing here
decides anything, and nothing may be due only because this class knows it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import func, select, update

from engine import events as ev
from engine.apply import store
from engine.effects import Purpose
from engine.errors import Refused, StorageUnavailable
from engine.lifecycle import advance
from engine.model import Actor, Attempt, Gate, Person, Place, PlannedStep, Session, Source, Step, Verdict
from engine.policy import Policy
from engine.ports import AuditRecord, Connector, Job, Message
from engine.preparation import Preparation, StartRequest
from engine.service import Ballot, Parts, Service
from engine.worker import Worker, WorkerParts
from storage.catalog import FileCatalog
from storage.columns import Base
from storage.database import Database
from storage.ledgers import AuditRow, InboxRow, OutboxRow
from storage.tables import AttemptRow, DecisionRow, GateRow, SessionRow, StepRow
from tests.builders import ALICE, BOB, NOW, a_session, an_actor
from tests.fakes.machines import Machines
from tests.fakes.people import People
from tests.policies import a_policy
from tests.storage.builders import FixedClock

GUEST = Person(team="T0HOME", user="U0GINA")
OUTSIDER = Person(team="T0OTHER", user="U0BOB")

RUNBOOK = """\
name: restart-web
title: Restart the web server
owner: platform-team
environment: prod
risk: low
os: linux
targets: any
parameters:
  word:
    description: what to say
    default: hello
    pattern: "[a-z]+"
    max_length: 20
steps:
  - name: Say it
    run: |
      echo $word
    requires_approval: true
  - name: Look again
    risk: none
    run: |
      echo fine
    requires_approval: false
"""


class CountedIds:
    """See ``engine.ports.Ids``: never the same twice, and sorted by time."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def ulid(self) -> str:
        return f"01crew{next(self._numbers):020d}"

    def token(self) -> str:
        return f"{next(self._numbers):032x}"


class Notebook:
    """A work queue that carries nothing, and notes what each commit asked for."""

    def __init__(self) -> None:
        self.noted: list[Job] = []
        self._open: WeakKeyDictionary[object, list[Job]] = WeakKeyDictionary()

    def defer(self, tx: object, task: str, row_id: str, not_before: Any = None) -> None:
        self._open.setdefault(tx, []).append(Job(task=task, id=row_id, not_before=not_before))

    def after_commit(self, tx: object) -> None:
        self.noted += self._open.pop(tx, [])

    def run(self, _handlers: object, stop: Any) -> None:
        stop.wait()


class Crew:
    """One installation in one process, stopped between any two steps of its work."""

    def __init__(self, database: Database, folder: Path, *, policy: Policy | None = None) -> None:
        self.database, self.folder = database, folder
        self.clock, self.people, self.notebook = FixedClock(NOW), People(), Notebook()
        self.machines = Machines(self.clock)
        self.ids = CountedIds()
        self.policy = policy or a_policy(unattended={"risks": ["none"]})
        self.log: list[tuple[str, dict[str, Any]]] = []
        self.uow = database.unit_of_work(self.notebook, owner="worker-1")
        (folder / "runbooks").mkdir(exist_ok=True)
        self.writes_runbook(RUNBOOK)
        self.service = Service(self.parts())
        self.worker = self.another_worker("worker-1")

    def parts(self) -> Parts:
        return Parts(
            uow=self.uow,
            clock=self.clock,
            ids=self.ids,
            policy=self.policy,
            directory=self.people,
            connectors={"azure": self.machines},
            preparation=self.preparation,
            log=self._note,
        )

    def another_service(self, now: datetime) -> Service:
        """The same installation as somebody sees it whose clock shows another time."""
        return Service(replace(self.parts(), clock=FixedClock(now)))

    @property
    def preparation(self) -> Preparation:
        return self.preparation_for({"azure": self.machines})

    def preparation_for(self, connectors: Mapping[str, Connector]) -> Preparation:
        return Preparation(catalog=FileCatalog(self.folder / "runbooks"), policy=self.policy, connectors=connectors)

    def another_worker(self, owner: str, **parts: Any) -> Worker:
        return Worker(self.worker_parts(owner, **parts))

    def worker_parts(self, owner: str = "worker-1", **parts: Any) -> WorkerParts:
        facts: dict[str, Any] = {
            "uow": self.database.unit_of_work(self.notebook, owner=owner),
            "clock": self.clock,
            "ids": self.ids,
            "connectors": {"azure": self.machines},
            "directory": self.people,
            "preparation": self.preparation,
            "owner": owner,
            "log": self._note,
        }
        return WorkerParts(**(facts | parts))

    def _note(self, event: str, **fields: Any) -> None:
        self.log.append((event, fields))

    def writes_runbook(self, text: str, name: str = "restart-web") -> None:
        (self.folder / "runbooks" / f"{name}.yaml").write_text(text, encoding="utf-8")

    # ------------------------------------------------------------ people

    def starts(self, *steps: PlannedStep, **changes: Any) -> int:
        """Store a session of these steps and start it, as the use case does; return its number."""
        key = self.ids.token()
        with self.uow() as uow:
            session = uow.sessions.add(a_session(*steps, **({"nonce": key} | changes)), request_key=key)
            started = advance(session, ev.Started(), self.clock.now())
            store(uow, session, started, actor=an_actor(ALICE), kind="session_started", now=self.clock.now())
            uow.commit()
        return session.id

    def request(self, **changes: Any) -> StartRequest:
        """What Alice asks to run."""
        place = Place(team="T0HOME", channel="C0OPS")
        facts: dict[str, Any] = {
            "key": "request-1",
            "runbook": "restart-web",
            "actor": an_actor(),
            "vm": "web-1",
            "place": place,
        }
        return StartRequest(**(facts | changes))

    def ballot(self, number: int, person: Person = BOB, verdict: Verdict = Verdict.APPROVE, **changes: Any) -> Ballot:
        """A vote on the gate that is open now, unless the changes name another."""
        facts: dict[str, Any] = {"actor": an_actor(person), "verdict": verdict}
        if not {"gate_id", "session_id"} & set(changes):
            facts["gate_id"] = self.gate(number).id
        if verdict is Verdict.REJECT:
            facts["reason"] = "Not now."
        return Ballot(**(facts | changes))

    def approves(self, number: int, person: Person = BOB, **changes: Any) -> Session:
        return self.service.decide(self.ballot(number, person, **changes))

    def rejects(self, number: int, person: Person = BOB, **changes: Any) -> Session:
        return self.service.decide(self.ballot(number, person, Verdict.REJECT, **changes))

    def approved(self, *steps: PlannedStep, **changes: Any) -> int:
        """Start a session whose first step asks, and let Bob approve it."""
        number = self.starts(*steps, **changes)
        self.approves(number)
        return number

    def waits(self, **much: float) -> None:
        self.clock.time += timedelta(**much)

    def posts(self) -> None:
        """Let Slack show every message that is wanted, each under a time stamp of its own."""
        for number in range(40):
            with self.uow() as uow:
                claimed = uow.outbox.claim(now=self.clock.now(), limit=10)
                for message in claimed:
                    uow.outbox.sent(message, ts=message.ts or f"{number}.{message.id}", now=self.clock.now())
                uow.commit()
            if not claimed:
                return
        raise AssertionError("There is always something to post.")

    # ------------------------------------------------------------ the worker

    def does(self, task: str, row_id: object, *, worker: Worker | None = None) -> None:
        (worker or self.worker).tasks()[task](str(row_id))

    def due(self, *tasks: str) -> list[Job]:
        """Return what the rows say is due now."""
        with self.uow() as uow:
            return [job for job in uow.due(now=self.clock.now()) if not tasks or job.task in tasks]

    def works(self, *, rounds: int = 30) -> None:
        """Carry out what the rows say is due, until nothing is; the clock does not move."""
        for _ in range(rounds):
            jobs = [job for job in self.due() if job.task in self.worker.tasks()]
            if not jobs:
                return
            for job in jobs:
                self.does(job.task, job.id)
        raise AssertionError(f"Something stays due: {jobs}")

    def runs(self, number: int) -> None:
        """Let the session go on until it waits for something that no time brings."""
        for _ in range(30):
            self.works()
            with self.uow() as uow:
                following = uow.next_due(now=self.clock.now())
            if self.session(number).open_gate or following is None:
                return
            self.clock.time = following
        raise AssertionError("It never comes to rest.")

    # ------------------------------------------------------------ look

    def session(self, number: int) -> Session:
        with self.uow() as uow:
            found = uow.sessions.get(number)
        assert found is not None
        return found

    def status(self, number: int) -> str:
        return self.session(number).status.value

    def step(self, number: int, step: int = 1) -> Step:
        found = self.session(number).step(step)
        assert found is not None
        return found

    def attempt(self, number: int, step: int = 1) -> Attempt:
        found = self.step(number, step).attempt
        assert found is not None
        return found

    def gate(self, number: int) -> Gate:
        found = self.session(number).open_gate
        assert found is not None
        return found

    def gate_message(self, number: int, step: int = 1, serial: int = 1) -> Message:
        with self.uow() as uow:
            message = uow.outbox.message(number, Purpose.GATE, step_number=step, ordinal=serial)
        assert message is not None
        return message

    def audit(self, *kinds: str) -> list[AuditRecord]:
        with self.uow() as uow:
            return [record for record in uow.audit.records() if not kinds or record.kind in kinds]

    def count(self, kind: str) -> int:
        return len(self.audit(kind))

    # ------------------------------------------------------------ somebody with SQL

    def changes(self, table: type[Base], where: Mapping[str, object], **values: object) -> int:
        """Change rows behind everybody's back; return how many."""
        statement = update(table).where(*(getattr(table, name) == value for name, value in where.items()))
        with self.database.engine.begin() as connection:
            return connection.execute(statement.values(**values)).rowcount

    def changes_session(self, number: int, **values: object) -> None:
        assert self.changes(SessionRow, {"id": number}, **values) == 1

    def changes_step(self, number: int, step: int = 1, **values: object) -> None:
        assert self.changes(StepRow, {"session_id": number, "step_number": step}, **values) == 1

    def changes_attempt(self, attempt_id: str, **values: object) -> None:
        assert self.changes(AttemptRow, {"id": attempt_id}, **values) == 1


def api_actor(person: Person) -> Actor:
    """The same person with a bearer token."""
    return Actor(person=person, source=Source.API, name=person.user)


TRIES = 5
EVERY_TABLE = (SessionRow, StepRow, GateRow, DecisionRow, AttemptRow, OutboxRow, AuditRow, InboxRow)


def rows_of(crew: Crew, *tables: Any) -> int:
    with crew.database.engine.connect() as connection:
        return sum(
            connection.execute(select(func.count()).select_from(table)).scalar_one() for table in tables or EVERY_TABLE
        )


def together(*actions: Callable[[], object]) -> list[object]:
    """Do all at the same moment; give what each returned, or the refusal that it met.

    Whoever reads that the database is busy tries again, as people do: on a loaded machine it may be, for a second.
    """
    barrier = threading.Barrier(len(actions))
    outcomes: list[object] = [None] * len(actions)

    def act(place: int) -> None:
        barrier.wait()
        for left in reversed(range(TRIES)):
            try:
                outcomes[place] = actions[place]()
            except Refused as refusal:
                outcomes[place] = refusal
            except StorageUnavailable:
                if left:
                    continue
                raise
            return

    threads = [threading.Thread(target=act, args=(place,)) for place in range(len(actions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def refusals(outcomes: list[object]) -> list[object]:
    return [outcome for outcome in outcomes if isinstance(outcome, Refused)]
