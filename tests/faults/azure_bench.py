"""One session carried out by the real worker, connector and SDK against the local Azure, on a clock that is stepped.

A cell of the fault matrix says what goes wrong, in which kind of request and at which of them. The bench never repairs
anything: it does what the rows say is due, lets time pass when nothing is, and keeps what the cloud's ledger counted.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import text

from engine import events as ev
from engine.apply import store
from engine.lifecycle import advance
from engine.model import Session, Step, Target
from engine.plan import digest_of
from engine.preparation import Preparation
from engine.worker import Patience, Worker, WorkerParts
from playground.azure import AzureCloud
from storage.catalog import FileCatalog
from storage.database import Database, open_database
from tests.builders import BOB, a_free_step, a_plan, a_session, an_actor
from tests.connectors.harness import CountingIds
from tests.fakes.clock import MovableClock
from tests.fakes.people import People
from tests.faults.azure_trouble import VM, BenchConnector, Strikes
from tests.policies import a_policy
from tests.storage.builders import NoQueue

ROUNDS = 400  #: more jobs than any cell needs; a session that never comes to rest is a failure
_numbers = count(1)


@dataclass
class Shelf:
    """One database for many benches, because opening one is slow; a bench that failed leaves it to nobody."""

    template: Path
    folder: Path

    def __post_init__(self) -> None:
        self.database = self._fresh()

    def _fresh(self) -> Database:
        file = self.folder / f"bench-{next(_numbers)}.db"
        shutil.copy(self.template, file)
        return open_database(f"sqlite:///{file}")

    def renew(self) -> None:
        self.database.close()
        self.database = self._fresh()


@dataclass
class Bench:
    """A session of steps that each leave one line on the machine, and the worker that carries it out."""

    cloud: AzureCloud
    shelf: Shelf
    steps: int = 1
    strikes: Strikes = field(default_factory=Strikes)
    settings: Mapping[str, Any] = field(default_factory=dict)
    patience: Patience = field(default_factory=Patience)
    clock: MovableClock = field(default_factory=MovableClock)

    def __post_init__(self) -> None:
        self.word = f"cell{next(_numbers)}"
        self.people = People()
        self.uow = self.shelf.database.unit_of_work(NoQueue(), owner="bench")
        self.connector = BenchConnector(self.cloud, self.clock, self.strikes, **self.settings)
        self.worker = self._worker()
        self.number = self._start()

    def _worker(self) -> Worker:
        catalog = FileCatalog(self.shelf.folder)
        connectors = {"azure": self.connector}
        return Worker(
            WorkerParts(
                uow=self.uow,
                clock=self.clock,
                ids=CountingIds(),
                connectors=connectors,
                directory=self.people,
                preparation=Preparation(catalog=catalog, policy=a_policy(), connectors=connectors),
                owner="bench",
                log=lambda _event, **_fields: None,
                patience=self.patience,
            )
        )

    def _start(self) -> int:
        steps = [a_free_step(name=f"Step {n}", script=f"effect {self.word}-{n}\n") for n in range(1, self.steps + 1)]
        plan = a_plan(*steps, target=self._target())
        nonce = f"{next(_numbers):032x}"
        draft = a_session(*steps, nonce=nonce, created_at=self.clock.now(), plan=plan, digest=digest_of(plan))
        with self.uow() as uow:
            session = uow.sessions.add(draft, request_key=self.word)
            started = advance(session, ev.Started(), self.clock.now())
            store(uow, session, started, actor=an_actor(), kind="session_started", now=self.clock.now())
            uow.commit()
        return session.id

    def _target(self) -> Target:
        machine = self.cloud.vm(VM)
        return Target(
            connector="azure",
            id=machine.id.lower(),
            name=machine.name,
            group="rg-prod",
            os="linux",
            fingerprint=machine.vm_id,
            location="westeurope",
        )

    def close(self) -> None:
        self.cloud.faults.clear()
        self.cloud.vm(VM).quirks.pending_forever = False
        self.connector.close()

    # ------------------------------------------------------------ time and work

    def works(self) -> None:
        """Do all that the rows say is due, stepping the clock to what comes next, until nothing ever will."""
        for _ in range(ROUNDS):
            if not self._goes_on():
                return
        raise AssertionError(f"It never comes to rest: {self.session}")

    def works_until(self, done: Callable[[], bool]) -> None:
        for _ in range(ROUNDS):
            if done():
                return
            assert self._goes_on(), "Nothing is due any more."
        raise AssertionError(f"It never happens: {self.session}")

    def _goes_on(self) -> bool:
        """Do what is due, or let the time come for what is due next; False when nothing ever will be."""
        now = self.clock.now()
        with self.uow() as uow:
            jobs = uow.due(now=now)
            following = uow.next_due(now=now)
        for job in jobs:
            self.worker.tasks()[job.task](job.id)
        if jobs or following is None:
            return bool(jobs)
        left = (following - self.clock.now()).total_seconds()
        if left > 0:
            self.clock.advance(seconds=left)
        return True

    def chooses(self, choice: ev.Choice) -> None:
        """A person has looked at the machine."""
        with self.uow() as uow:
            session = uow.sessions.get(self.number)
            assert session is not None
            event = ev.Chosen(step_number=1, choice=choice, actor=an_actor(BOB), reason="I looked.")
            change = advance(session, event, self.clock.now())
            store(uow, session, change, actor=an_actor(BOB), kind="choice_made", now=self.clock.now())
            uow.commit()

    # ------------------------------------------------------------ what is on record

    @property
    def session(self) -> Session:
        with self.uow() as uow:
            found = uow.sessions.get(self.number)
        assert found is not None
        return found

    def step(self, number: int = 1) -> Step:
        found = self.session.step(number)
        assert found is not None
        return found

    def attempts(self) -> dict[str, tuple[int, str]]:
        """The step and the outcome of each attempt, by the name of its run command."""
        query = text("SELECT id, number, step_number, status FROM attempts WHERE session_id = :n ORDER BY id")
        with self.shelf.database.engine.connect() as connection:
            rows = list(connection.execute(query, {"n": self.number}).mappings())
        return {f"rb-{row['id']}-{row['number']}": (row["step_number"], row["status"]) for row in rows}

    # ------------------------------------------------------------ what really happened

    def puts(self, name: str) -> list[bool]:
        """Each sending of this run command that the cloud received, and whether it did the work."""
        found = self.cloud.ledger.requests(method="PUT", path_contains=f"/runcommands/{name}")
        return [one.done is not None and one.done < 300 for one in found]

    def effects(self, step: int) -> int:
        lines = self.cloud.vm(VM).effects() if (self.cloud.vm(VM).root / "effects.log").exists() else []
        return sum(line.endswith(f" {self.word}-{step}") for line in lines)

    def leftovers(self) -> list[str]:
        """Run commands of this session that are still on the machine."""
        names = set(self.attempts())
        return [c["name"] for c in self.cloud.vm(VM).run_commands() if c["name"] in names]


@contextmanager
def bench(cloud: AzureCloud, shelf: Shelf, **options: Any) -> Iterator[Bench]:
    """A session on the bench; what a failed one leaves behind is in nobody's way."""
    made = Bench(cloud, shelf, **options)
    try:
        yield made
    except BaseException:
        shelf.renew()
        raise
    finally:
        made.close()
