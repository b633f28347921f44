"""One simulated installation under one seed: processes over the same rows, machines, Slack, people and true time.

Everything happens in one thread, one event after the other. What threads and replicas do at the same time is drawn
as somebody else's whole event between two steps of a piece of work, where nobody holds the database. A process that
dies drops everything that it had in memory; the next one boots over the rows. Nothing here
may sleep or look at a clock.
"""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event

from bot.delivery import Deliverer
from bot.delivery_render import Renderer
from bot.requests import RequestParts, Requests
from engine.errors import Bug, NotAllowed, Precondition, RunbookError, Unverifiable
from engine.model import Person, Place
from engine.ports import Check, Job, Level, Message
from engine.preparation import Preparation
from engine.service import Parts, Service
from engine.worker import Worker, WorkerParts
from tests.builders import NOW
from tests.simulation.chance import Dice, Fault
from tests.simulation.cloud import Cloud, CloudPort
from tests.simulation.installation import CANARY, CHANNEL, MEMBERS, Shelf, policy
from tests.simulation.judge import Judge, Violation
from tests.simulation.slack import Slack, SlackPort
from tests.simulation.store import MemoryStore, Store

LOCKED = frozenset({"commit before"})  #: where the database may be held, so that nobody else can act
PORT_WEIGHT = 8  #: how many times likelier a death is at a port than at the database, which is asked far more often


RARE_WEIGHT = 40
RARE_POINTS = frozenset({"azure.probe", "azure.cancel before", "azure.cancel after"})


def _weight(point: str) -> int:
    if "." not in point:
        return 1
    return RARE_WEIGHT if point in RARE_POINTS else PORT_WEIGHT


class Died(BaseException):
    """A process is gone. Nothing in the product may catch it."""

    def __init__(self, process: Process) -> None:
        super().__init__(process.owner)
        self.process = process


class Trace:
    """Everything that happened: a hash of all of it, and the last lines for people."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.last: deque[str] = deque(maxlen=60)
        self.lines = 0

    def add(self, line: str) -> None:
        self._hash.update(line.encode("utf-8", "replace"))
        self._hash.update(b"\n")
        self.last.append(line)
        self.lines += 1

    def digest(self) -> str:
        return self._hash.hexdigest()


@dataclass
class Frame:
    """One event under way: whose, and what the directory said in it."""

    process: Process
    asked: dict[Person, bool] = field(default_factory=dict)


class CountedIds:
    """See ``engine.ports.Ids``: one counter for all processes, so that nothing is ever drawn twice."""

    def __init__(self) -> None:
        self._number = 0

    def ulid(self) -> str:
        self._number += 1
        return f"01sim{self._number:021d}"

    def token(self) -> str:
        self._number += 1
        return f"{self._number:032x}"


@dataclass(frozen=True)
class ProcessClock:
    """See ``engine.ports.Clock``: the true time, as wrong as this process sees it."""

    world: World
    skew: timedelta

    def now(self) -> datetime:
        return self.world.now + self.world.jumped + self.skew


@dataclass(frozen=True)
class DirectoryPort:
    """See ``engine.ports.Directory``. What it answers in an event is what the judges hold that event to."""

    world: World
    process: Process

    def require_member(self, person: Person) -> str:
        self.world.at(self.process, "directory")
        if self.world.directory_away:
            raise Unverifiable("Slack could not be asked.")
        known = person in self.world.members
        self.world.frames[-1].asked[person] = known
        if not known:
            raise NotAllowed("Slack does not know you as a member.")
        return person.user.removeprefix("U0").title()

    def require_postable(self, place: Place) -> None:
        self.world.at(self.process, "directory")
        if self.world.directory_away:
            raise Unverifiable("Slack could not be asked.")
        if place.channel != CHANNEL or self.world.slack.closed:
            raise Precondition("The bot is not in this channel.")


class Courier(Deliverer):
    """The outbox worker; what its threads would do is done when the simulation says so."""

    bag: list[Message]

    def _start(self, message: Message) -> None:
        self.bag.append(message)

    def carry(self, message: Message) -> None:
        self.bag.remove(message)
        self._carry(message)


class Process:
    """One process of the bot: the product's own parts over the simulated world."""

    def __init__(self, world: World, number: int) -> None:
        self.world, self.number = world, number
        self.owner = f"bot-{world.ids.ulid()}"
        self.hints: list[Job] = []
        self.booted = False
        skew = world.dice.seconds(-30, 30) if world.dice.strikes(Fault.CLOCK_SKEW) else timedelta()
        self.clock = ProcessClock(world, skew)
        self.uow = world.store.units(self)
        at: Callable[[str], None] = lambda point: world.at(self, point)  # noqa: E731 - a name for what all ports get
        sending = lambda command: world.judge.submitting(command, world.frames[-1].asked)  # noqa: E731
        self.connectors = {"azure": CloudPort(world.cloud, at, sending)}
        self.directory = DirectoryPort(world, self)
        self.preparation = Preparation(catalog=world.shelf, policy=policy(), connectors=self.connectors)
        self.service = Service(self._parts())
        self.requests = Requests(self._request_parts())
        self.worker = Worker(self._worker_parts())
        self.courier = Courier(self.uow, self.clock, sender=SlackPort(world.slack, at), renderer=Renderer(self.clock))
        self.courier.bag = []
        self.courier._closing = _Hurry()
        self.tasks = {
            **self.worker.tasks(),
            "start": self.requests.carry_out,
            "expire": self.service.expire,
            "remind": self.service.remind,
        }

    def _parts(self) -> Parts:
        return Parts(
            uow=self.uow,
            clock=self.clock,
            ids=self.world.ids,
            policy=policy(),
            directory=self.directory,
            connectors=self.connectors,
            preparation=self.preparation,
            log=self._log,
        )

    def _request_parts(self) -> RequestParts:
        return RequestParts(
            service=self.service,
            catalog=self.world.shelf,
            uow=self.uow,
            clock=self.clock,
            directory=self.directory,
            connectors=self.connectors,
            slack_check=lambda: Check(name="slack", level=Level.OK, evidence="It answers."),
        )

    def _worker_parts(self) -> WorkerParts:
        return WorkerParts(
            uow=self.uow,
            clock=self.clock,
            ids=self.world.ids,
            connectors=self.connectors,
            directory=self.directory,
            preparation=self.preparation,
            owner=self.owner,
            log=self._log,
            secrets=(CANARY,),
        )

    def _log(self, event: str, **fields: object) -> None:
        self.world.says(f"  log {event} {fields.get('reason', '')}")

    def boot(self) -> None:
        """Take over what the one before has left, if there can be no other."""
        if not self.world.shared:
            with self.uow() as uow:
                uow.outbox.orphan()
                uow.commit()
        self.booted = True

    def hint(self, jobs: list[Job]) -> None:
        """Keep what a commit has asked for, as the work queue does: in memory only."""
        self.hints += [job for job in jobs if not self.world.dice.strikes(Fault.LOST_HINT)]

    def due(self) -> list[Job]:
        with self.uow() as uow:
            return sorted(uow.due(now=self.clock.now()), key=lambda job: (job.task, job.id))

    def does(self, job: Job) -> None:
        self.world.says(f" {self.number} does {job.task} {job.id}")
        self.tasks[job.task](job.id)


class _Hurry(Event):
    """Nobody waits in here: who would wait goes on at once."""

    def wait(self, timeout: float | None = None) -> bool:  # noqa: ARG002 - the signature of what it stands for
        return True


class World:
    """Everything of one seed."""

    def __init__(self, seed: int, *, without: frozenset[Fault] = frozenset(), store: str = "memory") -> None:
        self.seed = seed
        self.dice = Dice(seed, without=without)
        self.trace = Trace()
        self.now = NOW
        self.jumped = self.furthest = timedelta()  #: how far all clocks of the bot are off, and were at most
        self.ids = CountedIds()
        self.shelf = Shelf()
        self.members = set(MEMBERS)
        self.directory_away = False
        self.points: Counter[str] = Counter()
        self.crashes: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.events = 0
        self.frames: list[Frame] = []
        self.meanwhile: Callable[[Process], None] = lambda _: None
        self.shared = self.dice.strikes(Fault.REPLICAS)
        self.judge = Judge(self)
        self.slack = Slack(self.dice, self.judge.shown)
        self.cloud = Cloud(self.dice, lambda: self.now, self.judge.took_effect)
        self.store: Store = self._store(store)
        self.processes = [Process(self, number) for number in range(self.dice.pick((2, 3)) if self.shared else 1)]

    def _store(self, kind: str) -> Store:
        if kind == "memory":
            return MemoryStore(self, shared=self.shared)
        raise ValueError(kind)

    # ------------------------------------------------------------ what the ports call

    def at(self, process: Process, point: str) -> None:
        """A process has come to a place where it can die, or where others can be quicker."""
        self.points[point] += 1
        if self.dice.calm:
            return
        if any(self.dice.strikes(Fault.CRASH) for _ in range(_weight(point))):
            self.crashes[point] += 1
            self.says(f" {process.number} dies at {point}")
            raise Died(process)
        if len(self.frames) == 1 and point not in LOCKED:
            if self.dice.strikes(Fault.STALL):
                self._stall(process, point)
            if self.dice.strikes(Fault.RACE):
                self.says(f" meanwhile, at {point} of {process.number}")
                self.meanwhile(process)

    def _stall(self, process: Process, point: str) -> None:
        """Stop a process where it is, and let the others work."""
        self.judge.excused = self.judge.excused or point.startswith(("slack", "commit", "unit", "first"))
        self.passes(self.dice.seconds(1, 1200))
        self.says(f" {process.number} was stopped at {point}")
        for _ in range(3):
            self.meanwhile(process)

    def committed(self, touched: set[int]) -> None:
        self.judge.committed(self.store.new_audit(), touched)

    def says(self, line: str) -> None:
        self.trace.add(line)

    # ------------------------------------------------------------ time

    def jump(self, by: timedelta) -> None:
        self.jumped += by
        self.furthest = max(self.furthest, self.jumped)

    def passes(self, time: timedelta) -> None:
        self.now += time
        self.cloud.goes_on()

    # ------------------------------------------------------------ events

    def event(self, name: str, process: Process, act: Callable[[], object]) -> str:
        """Let one thing happen in a process; what it meets is an outcome like any other, unless it is a bug."""
        self.events += 1
        self.says(f"{self.events} {self.now.isoformat()} {process.number} {name}")
        self.frames.append(Frame(process))
        outcome = "ok"
        try:
            if not process.booted:
                process.boot()
            act()
        except Died as death:
            if any(frame.process is death.process for frame in self.frames[:-1]):
                raise
            self._bury(death.process)
            outcome = "died"
        except Bug as bug:
            raise Violation(f"BUG: {bug}") from bug
        except RunbookError as refusal:
            outcome = refusal.code
        finally:
            self.frames.pop()
        self.outcomes[outcome] += 1
        self.says(f"  = {outcome}")
        return outcome

    def _bury(self, dead: Process) -> None:
        place = self.processes.index(dead)
        self.processes[place] = Process(self, dead.number)
