"""The long campaign: ``python -m tests.crash.campaign.deep --sqlite 10000 --postgres 2000 --minutes 55 --jobs 2``.

Every crash point of every scenario once, in an order drawn by the seed, and among them rows of deaths: a process
dies, and the ones that come after it die too, up to six. Then rows of deaths only, until the number of kills is
reached or the time is over. It ends with what the documentation quotes, as lines of Markdown, and with what broke.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field

from tests.crash.campaign.campaign import MOST_DEATHS, Campaign, Case, Outcome, postgres_campaign, sqlite_campaign
from tests.crash.campaign.points import every_point
from tests.crash.campaign.scenarios import SCENARIOS
from tests.postgres import server_for

STOPPED = 0.4  #: of the cases on a server, other than single deaths, in which it is stopped
SHOWN = 20  #: failed cases that are printed in full


@dataclass
class Tally:
    """What the campaigns on one kind of database have come to, over all threads."""

    name: str
    wanted: int
    ends_at: float
    kills: int = 0
    cases: int = 0
    stops: int = 0
    places: int = 0  #: crash points of all scenarios together
    singles: set[tuple[str, int]] = field(default_factory=set)  #: which of them killed a process that was the first
    rows: int = 0  #: cases in which more than one process died
    hits: Counter[str] = field(default_factory=Counter)
    failed: list[Outcome] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    began: float = field(default_factory=time.monotonic)

    def open(self) -> bool:
        return self.kills < self.wanted and time.monotonic() < self.ends_at

    def add(self, outcome: Outcome, died: Counter[str]) -> None:
        case = outcome.case
        with self.lock:
            self.cases += 1
            self.kills += died.total()
            self.hits += died
            self.stops += sum("stop" in death.values() for death in case.deaths)
            self.rows += died.total() > 1
            self.singles |= {(case.scenario, point) for point in case.deaths[0] if died}
            if outcome.problems:
                self.failed.append(outcome)

    def report(self) -> str:
        """Return the figures as lines of Markdown, and what failed."""
        seconds = time.monotonic() - self.began
        kinds = {name: self.hits[name] for name in every_point()}
        rare = sorted(name for name, count in kinds.items() if count < 20)
        lines = [
            f"### {self.name}",
            "",
            f"- kills: {self.kills} of {self.wanted} in {self.cases} cases, {self.rows} with more than one death",
            f"- scenarios: {len(SCENARIOS)}; crash points in them: {self.places}, visited: {len(self.singles)}",
            f"- kinds of crash point: {len(kinds)}, each hit {min(kinds.values())} times or more, {len(rare)} under 20",
            f"- immediate stops of the server: {self.stops}",
            f"- time: {seconds / 60:.1f} minutes, {1000 * seconds / max(1, self.kills):.0f} ms per kill",
            f"- problems: {len(self.failed)}",
            *(["- rarest: " + ", ".join(f"`{name}` {kinds[name]}" for name in rare[:SHOWN])] if rare else []),
            *(f"- failed: {outcome}" for outcome in self.failed[:SHOWN]),
            "",
        ]
        return "\n".join(lines)


class Supply:
    """Cases for any number of threads: all single deaths, and among them rows of deaths and stops of the server."""

    def __init__(self, points: dict[str, list[str]], seed: int, *, stops: bool) -> None:
        """``points``: of each scenario, in their order."""
        self._kinds: dict[str, list[tuple[str, int]]] = {}
        for scenario, names in points.items():
            for number, kind in enumerate(names, start=1):
                self._kinds.setdefault(kind, []).append((scenario, number))
        counts = {scenario: len(names) for scenario, names in points.items()}
        self._cases = self._make(counts, random.Random(seed), stops=stops)
        self._lock = threading.Lock()

    def next(self) -> Case:
        with self._lock:
            return next(self._cases)

    def _make(self, counts: dict[str, int], dice: random.Random, *, stops: bool) -> Iterator[Case]:
        singles = [(name, number) for name, count in counts.items() for number in range(1, count + 1)]
        dice.shuffle(singles)  # so that a run cut short by its time has still seen something of everything
        for index, (name, number) in enumerate(singles):
            yield Case.killed(name, number)
            if index % 4 == 3:
                yield self._harder(counts, dice, stops=stops)
        while True:
            yield self._harder(counts, dice, stops=stops)

    def _harder(self, counts: dict[str, int], dice: random.Random, *, stops: bool) -> Case:
        """Make a case with several deaths or, on a server, one in which the server is stopped.

        Every kind of point begins as many rows, however rare it is. A later life does what is left, so its points
        are drawn low; one that is not reached kills nobody.
        """
        name, first = dice.choice(self._kinds[dice.choice(sorted(self._kinds))])
        if stops and dice.random() < STOPPED:
            return Case(name, ({first: "stop"},))
        left = max(8, counts[name] - first)
        later = [dice.randint(1, max(2, left // 2)) for _ in range(dice.randint(1, MOST_DEATHS - 1))]
        return Case.killed(name, first, *later)


def run_on(tally: Tally, campaigns: list[Campaign], seed: int, *, stops: bool) -> None:
    """Let campaigns work off cases until the tally is full."""
    points = {name: list(campaigns[0].count(name)) for name in SCENARIOS}
    tally.places = sum(map(len, points.values()))
    supply = Supply(points, seed, stops=stops)
    threads = [threading.Thread(target=_work, args=(tally, each, supply)) for each in campaigns]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _work(tally: Tally, campaign: Campaign, supply: Supply) -> None:
    while tally.open():
        before = Counter(campaign.hits)
        outcome = campaign.run(supply.next())
        tally.add(outcome, Counter(campaign.hits) - before)
        if outcome.problems:
            sys.stderr.write(f"{outcome}\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Kill the product many times.")
    parser.add_argument("--sqlite", type=int, default=10_000, help="kills on SQLite")
    parser.add_argument("--postgres", type=int, default=2_000, help="kills on PostgreSQL")
    parser.add_argument("--minutes", type=float, default=55, help="in all, shared by the number of kills")
    parser.add_argument("--jobs", type=int, default=2, help="campaigns side by side")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def main() -> int:
    """Run both campaigns one after the other; return 1 when a case failed or the time was too short for all kills."""
    wanted = _arguments()
    share = 60 * wanted.minutes / max(1, wanted.sqlite + wanted.postgres)
    tallies = []
    with ExitStack() as stack:
        for name, kills in (("SQLite", wanted.sqlite), ("PostgreSQL", wanted.postgres)):
            if not kills:
                continue
            make = _campaigns(stack, name)
            campaigns = [stack.enter_context(make()) for _ in range(wanted.jobs if name == "SQLite" else 1)]
            tally = Tally(name, kills, time.monotonic() + share * kills)
            run_on(tally, campaigns, wanted.seed, stops=name != "SQLite")
            tallies.append(tally)
            sys.stdout.write(f"{tally.report()}\n")
            sys.stdout.flush()
    return 1 if any(tally.failed or tally.kills < tally.wanted for tally in tallies) else 0


def _campaigns(stack: ExitStack, name: str) -> Callable[[], AbstractContextManager[Campaign]]:
    if name == "SQLite":
        return sqlite_campaign
    server = stack.enter_context(server_for(os.environ))
    return lambda: postgres_campaign(server)


if __name__ == "__main__":
    sys.exit(main())
