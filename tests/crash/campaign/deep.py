"""The long campaign: ``python -m tests.crash.campaign.deep --sqlite 10000 --postgres 2000 --minutes 80``.

Every crash point of every scenario once, in an order drawn by the seed, and among them pairs of deaths; then pairs
only, until the number of kills is reached or the time is over. It ends with what the documentation quotes, and fails
with what broke.
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

from tests.crash.campaign.campaign import Campaign, Case, Outcome, postgres_campaign, sqlite_campaign
from tests.crash.campaign.points import every_point
from tests.crash.campaign.scenarios import SCENARIOS
from tests.postgres import server_for

LONGEST = 700  #: a second life has at most about so many points; one that is not reached kills nobody
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
    hits: Counter[str] = field(default_factory=Counter)
    failed: list[Outcome] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    began: float = field(default_factory=time.monotonic)

    def open(self) -> bool:
        return self.kills < self.wanted and time.monotonic() < self.ends_at

    def add(self, outcome: Outcome, died: Counter[str]) -> None:
        with self.lock:
            self.cases += 1
            self.kills += died.total()
            self.hits += died
            self.stops += sum("stop" in death.values() for death in outcome.case.deaths)
            if outcome.problems:
                self.failed.append(outcome)

    def report(self) -> str:
        seconds = time.monotonic() - self.began
        rare = sorted(name for name in every_point() if self.hits[name] < 20)
        deaths = f"{self.kills} kills in {self.cases} cases, {self.stops} stops of the server"
        pace = f"{seconds / 60:.1f} minutes, {1000 * seconds / max(1, self.kills):.0f} ms per kill"
        lines = [
            f"{self.name}: {deaths}, {len(self.failed)} cases failed, {pace}",
            f"  {len(rare)} of {len(every_point())} kinds of point were hit less than 20 times: {', '.join(rare)}",
        ]
        return "\n".join([*lines, *(f"  {outcome}" for outcome in self.failed[:SHOWN])])


class Supply:
    """Cases for any number of threads: all single deaths, and among them double ones and stops of the server."""

    def __init__(self, counts: dict[str, int], seed: int, *, stops: bool) -> None:
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
                yield self._harder(singles, counts, dice, stops=stops)
        while True:
            yield self._harder(singles, counts, dice, stops=stops)

    def _harder(
        self, singles: list[tuple[str, int]], counts: dict[str, int], dice: random.Random, *, stops: bool
    ) -> Case:
        """Make a case with two deaths or, on a server, one in which the server is stopped."""
        name, first = dice.choice(singles)
        if stops and dice.random() < 0.25:
            return Case(name, ({first: "stop"},))
        return Case.killed(name, first, dice.randint(1, min(LONGEST, counts[name])))


def run_on(tally: Tally, campaigns: list[Campaign], seed: int, *, stops: bool) -> None:
    """Let campaigns work off cases until the tally is full."""
    counts = {name: len(campaigns[0].count(name)) for name in SCENARIOS}
    supply = Supply(counts, seed, stops=stops)
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
    parser.add_argument("--minutes", type=float, default=80, help="in all, shared by the number of kills")
    parser.add_argument("--jobs", type=int, default=2, help="campaigns side by side")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def main() -> int:
    """Run both campaigns one after the other; return 1 when a case failed."""
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
    return 1 if any(tally.failed for tally in tallies) else 0


def _campaigns(stack: ExitStack, name: str) -> Callable[[], AbstractContextManager[Campaign]]:
    if name == "SQLite":
        return sqlite_campaign
    server = stack.enter_context(server_for(os.environ))
    return lambda: postgres_campaign(server)


if __name__ == "__main__":
    sys.exit(main())
