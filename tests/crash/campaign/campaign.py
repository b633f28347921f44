"""The parent of all lives: gives each case a world and a database, lets processes live and die in it, and judges.

A case is a scenario and, for each life, the number of the crash point at which it is killed. After the last ordered
death one more life must settle everything.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from storage.migrate import upgrade
from tests.crash.campaign.judges import Evidence, gather, judge
from tests.crash.campaign.life import Plan
from tests.crash.campaign.points import ROOT, Order
from tests.crash.campaign.rows import PostgresRows, Rows, SqliteRows
from tests.crash.campaign.scenarios import SCENARIOS
from tests.crash.campaign.world import World
from tests.postgres import Server
from tests.scratch import in_memory

MOST_DEATHS = 6  #: in one case
MOST_LIVES = MOST_DEATHS + 4  #: a scenario may cut the power twice, and in the end somebody must settle everything


@dataclass(frozen=True)
class Case:
    """One scenario with its deaths: for each life, the points at which it is killed or halted."""

    scenario: str
    deaths: tuple[Mapping[int, Order], ...] = ()

    @classmethod
    def killed(cls, scenario: str, *points: int) -> Case:
        return cls(scenario, tuple({point: "kill"} for point in points))

    @property
    def turn(self) -> int:
        """A number that differs between neighbouring cases, for what alternates."""
        return sum(self.deaths[0]) if self.deaths else 0

    def __str__(self) -> str:
        return f"{self.scenario} killed at {', then '.join(str(sorted(death)) for death in self.deaths) or 'nothing'}"


@dataclass
class Outcome:
    """What a case has shown."""

    case: Case
    reached: tuple[list[str], ...]  #: for each life, the points in order
    kills: int
    problems: list[str]
    evidence: Evidence

    def __str__(self) -> str:
        at = " / ".join(reached[-1] for reached in self.reached[: self.kills] if reached)
        return f"{self.case} ({at}):\n    " + "\n    ".join(self.problems)


@dataclass
class Databases:
    """Where the databases of the cases come from and go to."""

    make: Callable[[Path], str]
    drop: Callable[[str], None]
    read: Callable[[str], Rows]
    server: Server | None = None


def sqlite_databases(template: Path) -> Databases:
    """Copies of one migrated file."""

    def make(folder: Path) -> str:
        shutil.copy(template, folder / "runbook.db")
        return f"sqlite:///{folder / 'runbook.db'}"

    return Databases(make, lambda _: None, SqliteRows)


def postgres_databases(server: Server) -> Databases:
    """Copies of one migrated database on a server."""
    template = server.create_template("crash", upgrade)
    return Databases(lambda _: server.create_database(template=template), server.drop_database, PostgresRows, server)


class Forks:
    """A fork server and the conversation with it."""

    def __init__(self, url: str, template: Path, folder: Path) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("SLACK_", "RUNBOOK_", "DATABASE_"))}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.campaign.forkserver", url, str(template), str(folder)],
            cwd=ROOT,
            env=environment | {"PYTHONHASHSEED": "0"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answer()

    def say(self, line: str) -> str:
        """Give an order and return how the life ended: ``ended N``, ``killed N`` or ``stopped PID``."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line:
            raise RuntimeError("the fork server has ended")
        return line

    def close(self) -> None:
        self._process.communicate()


@dataclass
class Campaign:
    """Runs cases, one after the other."""

    folder: Path
    databases: Databases
    forks: Forks
    kills: int = 0
    hits: dict[str, int] = field(default_factory=dict)  #: how often a process died at a point
    untroubled: dict[str, Outcome] = field(default_factory=dict)

    def count(self, scenario: str) -> list[str]:
        """Return a scenario's points in order."""
        return self._untroubled(scenario).reached[0]

    def evidence(self, scenario: str) -> Evidence:
        """Return what a scenario leaves behind when nobody dies."""
        return self._untroubled(scenario).evidence

    def _untroubled(self, scenario: str) -> Outcome:
        """Play a scenario without a crash, once."""
        if scenario not in self.untroubled:
            outcome = self.run(Case(scenario))
            if outcome.problems:
                raise AssertionError(str(outcome))
            self.untroubled[scenario] = outcome
        return self.untroubled[scenario]

    def run(self, case: Case) -> Outcome:
        """Play a case to its end and judge it."""
        world = World(Path(tempfile.mkdtemp(dir=self.folder)))
        url = self.databases.make(world.folder)
        try:
            lives, problems = self._live(case, world, url)
            reached = tuple(world.reached(life) for life in range(lives))
            self._note(case, reached)
            evidence = gather(SCENARIOS[case.scenario], world, self.databases.read(url))
            return Outcome(case, reached, len(case.deaths), problems or judge(evidence), evidence)
        finally:
            self.databases.drop(url)
            shutil.rmtree(world.folder)

    def _note(self, case: Case, reached: tuple[list[str], ...]) -> None:
        for death, points in zip(case.deaths, reached, strict=False):
            if points and len(points) in death:
                self.kills += 1
                self.hits[points[-1]] = self.hits.get(points[-1], 0) + 1

    def _live(self, case: Case, world: World, url: str) -> tuple[int, list[str]]:
        """Let one process after the other live in this world until one has settled everything."""
        asleep = SCENARIOS[case.scenario].asleep
        for life in range(MOST_LIVES):
            orders = dict(case.deaths[life]) if life < len(case.deaths) else {}
            plan = Plan(
                folder=str(world.folder),
                url=url,
                scenario=case.scenario,
                life=life,
                asleep=asleep[(case.turn + life) % len(asleep)] if life else 0.0,
                redelivers=case.turn % 2 == 1,
                orders=orders,
            )
            ended = self._through_stops(self.forks.say(plan.to_line()))
            if ended == "ended 0":
                return life + 1, self._troubles(case, world)
            if ended != "killed 9":
                return life + 1, [f"life {life} {ended}", *self._troubles(Case(case.scenario), world)]
        return MOST_LIVES, [f"it never settled in {MOST_LIVES} lives"]

    def _through_stops(self, ended: str) -> str:
        """Where a life is halted, take the database away from under it, bring it back and let the life go on."""
        while ended.startswith("stopped"):
            assert self.databases.server is not None
            try:
                self.databases.server.stop_immediate()
                self.databases.server.start()
            finally:  # also when the server is not ours to stop: nobody may stay halted
                ended = self.forks.say(f"continue {ended.split()[1]}")
        return ended

    def _troubles(self, case: Case, world: World) -> list[str]:
        """Return the errors that the product did not expect; while its database is away it may stumble."""
        stopped = any("stop" in death.values() for death in case.deaths)
        if stopped or not world.trouble.exists():
            return []
        return [world.trouble.read_text(encoding="utf-8").strip()]


@contextmanager
def sqlite_campaign() -> Iterator[Campaign]:
    """A campaign on SQLite files."""
    with _folder() as folder:
        template = folder / "template.db"
        upgrade(f"sqlite:///{template}")
        with _served(f"sqlite:///{template}", template, folder) as forks:
            yield Campaign(folder, sqlite_databases(template), forks)


@contextmanager
def postgres_campaign(server: Server) -> Iterator[Campaign]:
    """A campaign on databases of a PostgreSQL server."""
    databases = postgres_databases(server)
    with _folder() as folder:
        url = databases.make(folder)
        with _served(url, folder, folder) as forks:
            yield Campaign(folder, databases, forks)
        databases.drop(url)


@contextmanager
def _served(url: str, template: Path, folder: Path) -> Iterator[Forks]:
    (folder / "runbooks").mkdir()
    forks = Forks(url, template, folder / "runbooks")
    try:
        yield forks
    finally:
        forks.close()


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="runbook-crash-", dir=in_memory()) as name:
        yield Path(name)
