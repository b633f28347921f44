"""One session carried out by the real worker, connector and SDK against the local Azure, on a clock that is stepped.

A cell of the fault matrix says what goes wrong, in which kind of request and at which of them. The bench never repairs
anything: it does what the rows say is due, lets time pass when nothing is, and keeps what the cloud's ledger counted.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import text

from connectors.azure_buckets import Buckets
from connectors.azure_run_command import AzureConnector
from connectors.azure_side import ENDED
from engine import events as ev
from engine.apply import store
from engine.lifecycle import advance
from engine.model import Session, Step, Target
from engine.plan import digest_of
from engine.ports import Command, Handle, Observation
from engine.preparation import Preparation
from engine.worker import Patience, Worker, WorkerParts
from playground.azure import AzureCloud
from playground.azure.faults import Fault
from storage.catalog import FileCatalog
from storage.database import open_database
from tests.builders import BOB, a_free_step, a_plan, a_session, an_actor
from tests.connectors.azure import settings_for
from tests.connectors.harness import CountingIds
from tests.fakes.clock import MovableClock
from tests.fakes.people import People
from tests.policies import a_policy
from tests.storage.builders import NoQueue

VM = "rg-prod/web-01"
PLACE = "/runcommands/rb-"
ROUNDS = 400  #: more jobs than any cell needs; a session that never comes to rest is a failure
_METHOD = {"submit": "PUT", "poll": "GET", "lookup": "GET", "delete": "DELETE"}
_numbers = count(1)


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """What goes wrong. ``done`` says whether the cloud did the work all the same."""

    name: str
    kind: str
    status: int = 0
    done: bool = False
    retry_after: int | None = None

    def __str__(self) -> str:
        patience = "" if self.retry_after is None else "+retry-after"
        return f"{self.name}{'+done' if self.done else ''}{patience}"


@dataclass(frozen=True, kw_only=True)
class Strikes:
    """Which trouble hits which request of one operation; ``for_ever`` hits all of them.

    Submissions and deletions are counted by step, polls and look-ups one by one. ``arrives`` says, for look-ups,
    whether the request whose answer was lost has reached the cloud.
    """

    operation: str = ""
    at: Mapping[int, Trouble] = field(default_factory=dict)
    arrives: bool = True
    for_ever: Trouble | None = None

    def trouble(self, operation: str, number: int) -> Trouble | None:
        return (self.for_ever or self.at.get(number)) if operation == self.operation else None


class BenchConnector(AzureConnector):
    """The real connector, with a fault armed around the calls that are struck. Its buckets follow the clock."""

    def __init__(self, cloud: AzureCloud, clock: MovableClock, strikes: Strikes, **settings: Any) -> None:
        options: dict[str, Any] = {"read_seconds": 5.0, "side_seconds": 5.0, "stale_heartbeat_seconds": 1e9}
        found = settings_for(cloud, **(options | settings))
        super().__init__(found, clock, CountingIds())
        self._client._buckets = Buckets(lambda: clock.now().timestamp(), share=found.bucket_share)
        self._cloud, self._strikes = cloud, strikes
        self.calls = dict.fromkeys(_METHOD, 0)
        self.struck = 0  #: requests that a fault has really met
        self._cleaned: list[str] = []

    # ------------------------------------------------------------ the calls of the worker

    def submit(self, command: Command) -> Handle:
        self.calls["submit"] += 1
        number = command.step_number if command.attempt_number == 1 else 0
        with self._answer_lost(), self._trouble("submit", number):
            return super().submit(command)

    def observe(self, target: Target, handles: Sequence[Handle]) -> Mapping[str, Observation]:
        self.calls["poll"] += 1
        self._let_the_machine_work({handle["name"] for handle in handles})
        with self._trouble("poll", self.calls["poll"]):
            return super().observe(target, handles)

    def reconcile(self, command: Command) -> Handle | None:
        self.calls["lookup"] += 1
        self._hide(command, hidden=self.calls["lookup"] < min(self._strikes.at, default=0))
        with self._trouble("lookup", self.calls["lookup"]):
            return super().reconcile(command)

    def cleanup(self, handle: Handle) -> float | None:
        self.calls["delete"] += 1
        new = handle["attempt"] not in self._cleaned
        if new:
            self._cleaned.append(handle["attempt"])
        with self._trouble("delete", len(self._cleaned) if new else 0):
            return super().cleanup(handle)

    # ------------------------------------------------------------ arming

    @contextmanager
    def _trouble(self, operation: str, number: int) -> Iterator[None]:
        trouble = self._strikes.trouble(operation, number)
        if trouble is None:
            yield
            return
        fault = self._cloud.faults.add(_fault(trouble, _METHOD[operation]))
        if fault.where == "identity":
            self.close()  # forgets the token, so that the next request needs another
        try:
            yield
        finally:
            self._cloud.faults.clear()
            self.struck += fault.used
            if fault.where == "identity":
                self.close()  # the identity library goes on refusing for a real minute, which nobody waits for here

    @contextmanager
    def _answer_lost(self) -> Iterator[None]:
        """Only a request whose answer is lost is looked up."""
        if self._strikes.operation != "lookup":
            yield
            return
        lose = self._cloud.faults.lose_response if self._strikes.arrives else self._cloud.faults.reset
        lose("PUT", PLACE)
        try:
            yield
        finally:
            self._cloud.faults.clear()

    def _hide(self, command: Command, *, hidden: bool) -> None:
        """Azure may not show for a while what it has accepted."""
        machine = self._cloud.vm(VM)._vm

        def act() -> None:
            for one in machine.run_commands.values():
                if command.attempt_id in one.name:
                    one.visible_from = float("inf") if hidden else 0.0

        self._cloud.on_loop(act)

    def _let_the_machine_work(self, names: set[str]) -> None:
        """Hold the result back until the poll that shall see it: the third where polls are the subject."""
        machine = self._cloud.vm(VM)
        held = self._strikes.operation == "poll" and self.calls["poll"] < 3
        machine.quirks.pending_forever = held
        if not held:
            self._cloud.wait_for(lambda: names <= _ended(machine.run_commands()), 30)


def _ended(commands: list[dict[str, Any]]) -> set[str]:
    return {c["name"] for c in commands if c["properties"]["instanceView"]["executionState"] in ENDED}


def _fault(trouble: Trouble, method: str) -> Fault:
    if trouble.kind == "token":
        return Fault(kind="answer", where="identity", status=500, times=None)
    concurrent = "The request failed due to conflict with a concurrent request."
    return Fault(
        kind=trouble.kind,  # type: ignore[arg-type]  # one of the kinds, from the table
        method=method,
        path_contains=PLACE,
        times=None,
        after_work=trouble.done,
        status=trouble.status or 500,
        code="Conflict" if trouble.status == 409 else "ServerBusy",
        message=concurrent if trouble.status == 409 else "The server is busy.",
        retry_after=trouble.retry_after,
        seconds=5.0,
    )


@dataclass
class Bench:
    """A session of steps that each leave one line on the machine, and the worker that carries it out."""

    cloud: AzureCloud
    database_file: Path
    steps: int = 1
    strikes: Strikes = Strikes()
    settings: Mapping[str, Any] = field(default_factory=dict)
    patience: Patience = Patience()
    clock: MovableClock = field(default_factory=MovableClock)

    def __post_init__(self) -> None:
        self.word = f"cell{next(_numbers)}"
        self.people = People()
        self.database = open_database(f"sqlite:///{self.database_file}")
        self.uow = self.database.unit_of_work(NoQueue(), owner="bench")
        self.connector = BenchConnector(self.cloud, self.clock, self.strikes, **self.settings)
        self.worker = self._worker()
        self.number = self._start()

    def _worker(self) -> Worker:
        catalog = FileCatalog(self.database_file.parent)
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
        self.connector.close()
        self.database.close()

    # ------------------------------------------------------------ time and work

    def works(self) -> None:
        """Do all that the rows say is due, stepping the clock to what comes next, until nothing ever will."""
        for _ in range(ROUNDS):
            if not self._does_what_is_due() and not self._lets_time_pass():
                return
        raise AssertionError(f"It never comes to rest: {self.session}")

    def works_until(self, done: Callable[[], bool]) -> None:
        for _ in range(ROUNDS):
            if done():
                return
            assert self._does_what_is_due() or self._lets_time_pass(), "Nothing is due any more."
        raise AssertionError(f"It never happens: {self.session}")

    def _does_what_is_due(self) -> int:
        with self.uow() as uow:
            jobs = uow.due(now=self.clock.now())
        for job in jobs:
            self.worker.tasks()[job.task](job.id)
        return len(jobs)

    def _lets_time_pass(self) -> bool:
        with self.uow() as uow:
            following = uow.next_due(now=self.clock.now())
        if following is None:
            return False
        self.clock.advance(seconds=max((following - self.clock.now()).total_seconds(), 0.0) + 0.001)
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
        with self.database.engine.connect() as connection:
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
def bench(cloud: AzureCloud, template: Path, folder: Path, **options: Any) -> Iterator[Bench]:
    """A bench with a database of its own."""
    file = folder / f"bench-{next(_numbers)}.db"
    shutil.copy(template, file)
    made = Bench(cloud, file, **options)
    try:
        yield made
    finally:
        made.close()
