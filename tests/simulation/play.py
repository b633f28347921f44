"""Plays one seed: a stormy part with everything that the seed has armed, then an hour of calm, then the last look.

``play`` is the only thing that others call. It gives back what was seen, never an opinion; a violation is raised.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from engine.errors import RunbookError
from engine.model import FINAL_SESSIONS
from tests.simulation.chance import Fault
from tests.simulation.crowd import Crowd
from tests.simulation.installation import MEMBERS
from tests.simulation.judge import Violation, require
from tests.simulation.world import Process, World

SHORTEST, LONGEST = 40, 110  #: events of the storm
SOON = timedelta(minutes=4)
CALM = timedelta(hours=1)
SWEEP = timedelta(minutes=1)  #: some rows are due after a time that is nowhere written down


@dataclass
class Report:
    """What one seed came to."""

    seed: int
    digest: str
    events: int
    commits: int
    injected: Counter[str] = field(default_factory=Counter)
    crashes: Counter[str] = field(default_factory=Counter)
    points: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    submits: int = 0
    effects: int = 0
    refused: int = 0
    posts: int = 0
    violation: str = ""
    armed: tuple[str, ...] = ()
    last: tuple[str, ...] = ()


class Storm:
    """Chooses what happens next."""

    def __init__(self, world: World) -> None:
        self.world, self.dice = world, world.dice
        self.crowd = Crowd(world)
        world.meanwhile = self.meanwhile

    def step(self) -> None:
        """One event of whatever kind."""
        process = self.dice.pick(self.world.processes)
        act = self.dice.weighted(
            (
                (self.crowd.act, 3.0),
                (self.work, 5.0),
                (self.deliver, 3.0),
                (self.time, 4.0),
                (self.trouble, 1.0),
            )
        )
        act(process)

    def meanwhile(self, process: Process) -> None:
        """What another thread or another process does in between."""
        other = self.dice.pick(self.world.processes)
        act = self.dice.weighted(((self.crowd.act, 4.0), (self.work, 4.0), (self.deliver, 2.0), (self.trouble, 1.0)))
        act(other if self.dice.chance(0.7) else process)

    def work(self, process: Process) -> None:
        """Carry out a hint or something that the rows say is due."""

        def act() -> None:
            hints = process.hints
            if hints and self.dice.chance(0.6):
                job = self.dice.pick(hints)
                if not self.dice.chance(0.1):
                    hints.remove(job)
                process.does(job)
                return
            due = [job for job in process.due() if job.task in process.tasks]
            if due:
                process.does(self.dice.pick(due))

        self.world.event("work", process, act)

    def deliver(self, process: Process) -> None:
        """Take messages for sending, or send one that was taken."""
        courier = process.courier
        if courier.bag:
            message = self.dice.pick(courier.bag)
            self.world.event(f"send {message.key}", process, lambda: courier.carry(message))
        else:
            self.world.event("deliver", process, courier.turn)

    def time(self, process: Process) -> None:
        """Let time pass, mostly until the next thing is due. What is on its way to Slack goes out first."""
        for one in list(self.world.processes):
            while one.courier.bag and one in self.world.processes:
                self.deliver(one)
        world = self.world
        if self.dice.strikes(Fault.CLOCK_JUMP):
            seconds = self.dice.pick((1, 300, 3600, 86_400)) * self.dice.pick((1, -1))
            world.jump(timedelta(seconds=seconds))
            world.judge.excused = True
            world.says(f"clocks jump by {seconds} s")
        world.passes(self._pause(process))

    def _pause(self, process: Process) -> timedelta:
        if self.dice.chance(0.3):
            return self.dice.seconds(0.1, 20)
        if self.dice.chance(0.05):
            return self.dice.seconds(300, 4000)
        wait = until_next(self.world, process)
        if wait is None or (wait > SOON and self.dice.chance(0.8)):
            return self.dice.seconds(1, 60)
        return wait

    def trouble(self, _: Process) -> None:
        """Something goes wrong outside, or is mended."""
        world, dice = self.world, self.dice
        if dice.strikes(Fault.REVOKED):
            world.members.symmetric_difference_update({dice.pick(MEMBERS)})
        world.directory_away = dice.strikes(Fault.DIRECTORY_AWAY)
        world.slack.away = dice.strikes(Fault.SLACK_AWAY)
        world.slack.blind = dice.strikes(Fault.SLACK_BLIND)
        world.slack.closed = world.slack.closed or (dice.chance(0.2) and dice.strikes(Fault.SLACK_CLOSED))
        world.shelf.edited = dice.strikes(Fault.RUNBOOK_EDITED)
        machines = sorted(world.cloud.targets)
        world.cloud.stopped = {dice.pick(machines)} if dice.strikes(Fault.AZURE_STOPPED) else set()
        if dice.strikes(Fault.AZURE_RECREATED):
            world.cloud.recreate(world.cloud.targets[dice.pick(machines)])
        if dice.strikes(Fault.AZURE_VANISHED):
            world.cloud.vanish(world.store.is_followed)
        if dice.strikes(Fault.AZURE_REPEATED):
            world.cloud.force()
        open_sessions = [one for one in world.store.sessions() if one.status not in FINAL_SESSIONS]
        if open_sessions and dice.strikes(Fault.PLAN_TAMPERED):
            world.store.tamper(dice.pick(open_sessions).id)
        world.says("trouble")


def until_next(world: World, process: Process) -> timedelta | None:
    """Return how long it is until a row, a machine or a message has its time."""
    ours = process.clock.now()
    due, outside = world.store.next_moment(ours), world.cloud.next()
    waits = [due - ours] if due else []
    waits += [outside - world.now] if outside else []
    return max(min(waits), timedelta(milliseconds=1)) if waits else None


def calm_down(world: World) -> None:
    """Switch every fault off; whoever was revoked stays so, and whatever has happened has happened."""
    world.dice.calm = True
    world.directory_away = world.slack.away = world.slack.blind = world.slack.closed = False
    world.cloud.heal()
    world.jumped = world.furthest  # rows hold times of the clock as it was; the next look at them comes then
    world.says("calm")


def rest(world: World) -> None:
    """Let the rows' own times come, until nothing more happens or the hour is over."""
    end = world.now + CALM
    while True:
        for process in list(world.processes):
            _round(world, process)
        wait = until_next(world, world.processes[0])
        if not world.store.is_busy():
            return
        wait = min(wait or SWEEP, SWEEP)
        if world.now + wait > end:
            return
        world.passes(wait)


def _round(world: World, process: Process) -> None:
    """Everything that is due in one process now."""
    for turn in range(200):
        jobs: list[object] = []

        def work(found: list[object] = jobs) -> None:
            for job in process.due():
                found.append(job)
                process.does(job)
            for message in list(process.courier.bag):
                found.append(message)
                process.courier.carry(message)
            if process.courier.turn():
                found.append("messages")

        world.event("rest", process, work)
        process.hints.clear()
        if not jobs:
            return
        require(turn < 199, "I14", f"something stays due: {jobs}")


@contextmanager
def silence() -> Iterator[None]:
    """Have nothing logged; what the product logs is not what is judged here."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    try:
        yield
    finally:
        structlog.configure(**before)


def play(seed: int, *, without: frozenset[Fault] = frozenset(), store: str = "memory", keep: bool = False) -> Report:
    """Play one seed to its end. With ``keep``, the report holds every line of what happened."""
    world = World(seed, without=without, store=store)
    if keep:
        world.trace.last = deque()
    violation = ""
    try:
        with silence():
            _play(world)
    except Violation as found:
        violation = str(found)
    except (RunbookError, ArithmeticError, LookupError, AssertionError, TypeError, ValueError, AttributeError) as error:
        violation = f"BROKE: {type(error).__name__}: {error}"
    finally:
        world.store.close()
    return _report(world, violation, keep=keep)


def _play(world: World) -> None:
    storm = Storm(world)
    for _ in range(world.dice.pick(range(SHORTEST, LONGEST))):
        storm.step()
    calm_down(world)
    rest(world)
    world.judge.at_rest()


def _report(world: World, violation: str, *, keep: bool) -> Report:
    ledger = world.cloud.ledger
    return Report(
        seed=world.seed,
        digest=world.trace.digest(),
        events=world.events,
        commits=world.points["commit after"],
        injected=Counter({fault.value: times for fault, times in world.dice.injected.items()}),
        crashes=world.crashes,
        points=world.points,
        statuses=world.judge.statuses,
        submits=ledger.submitted.total(),
        effects=ledger.effects.total(),
        refused=ledger.refused.total(),
        posts=len(world.slack.posts),
        violation=violation,
        armed=tuple(sorted(fault.value for fault in world.dice.armed)),
        last=tuple(world.trace.last) if violation or keep else (),
    )
