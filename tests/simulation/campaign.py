"""Many seeds: plays them on some processes, adds up what was seen, keeps the seeds that failed.

``failed_seeds.txt`` beside this file is played again by every run of the tests. Nothing here judges.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

from tests.simulation.chance import Fault
from tests.simulation.play import Report, play

KEPT = Path(__file__).with_name("failed_seeds.txt")
SLICE = 100  #: seeds that one process plays before it reports


@dataclass
class Summary:
    """What all seeds together came to."""

    seeds: int = 0
    events: int = 0
    commits: int = 0
    submits: int = 0
    effects: int = 0
    refused: int = 0
    posts: int = 0
    seconds: float = 0.0  #: of processors
    injected: Counter[str] = field(default_factory=Counter)
    crashes: Counter[str] = field(default_factory=Counter)
    points: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    digests: dict[int, str] = field(default_factory=dict)
    failed: list[Report] = field(default_factory=list)

    def add(self, report: Report) -> None:
        self.seeds += 1
        for name in ("events", "commits", "submits", "effects", "refused", "posts"):
            setattr(self, name, getattr(self, name) + getattr(report, name))
        self.injected += report.injected
        self.crashes += report.crashes
        self.points += report.points
        self.statuses += report.statuses
        self.digests[report.seed] = report.digest
        if report.violation:
            self.failed.append(report)

    def join(self, other: Summary) -> None:
        for name in ("seeds", "events", "commits", "submits", "effects", "refused", "posts", "seconds"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("injected", "crashes", "points", "statuses"):
            getattr(self, name).update(getattr(other, name))
        self.digests |= other.digests
        self.failed += other.failed


def run(seeds: Iterable[int], *, store: str = "memory", without: frozenset[Fault] = frozenset()) -> Summary:
    """Play seeds one after the other."""
    summary, begun = Summary(), time.process_time()
    for seed in seeds:
        summary.add(play(seed, store=store, without=without))
    summary.seconds = time.process_time() - begun
    return summary


def kept_seeds() -> list[int]:
    """Return the seeds that once failed."""
    lines = (line.partition("#")[0].strip() for line in KEPT.read_text(encoding="utf-8").splitlines())
    return [int(line) for line in lines if line]


def told(report: Report) -> str:
    """Say what happened in a seed that failed, and how to play it again."""
    return "\n".join(
        [
            f"seed {report.seed}: {report.violation}",
            f"faults on: {', '.join(report.armed) or 'none'}",
            "the last events:",
            *(f"    {line}" for line in report.last),
            f"again: python -m tests.simulation --seed {report.seed}",
        ]
    )


def closing(summary: Summary) -> str:
    """Say what all seeds came to."""
    rate = summary.seeds / summary.seconds if summary.seconds else 0.0
    lines = [
        f"{summary.seeds} seeds, {summary.events} events, {summary.commits} commits",
        f"{summary.crashes.total()} crashes at {len(summary.crashes)} of {len(summary.points)} kinds of boundary",
        f"{summary.submits} commands sent, {summary.effects} took effect, {summary.refused} second starts refused",
        f"{summary.posts} messages posted",
        "sessions went: " + _counts(summary.statuses),
        "faults: " + _counts(summary.injected),
        "crashes: " + _counts(summary.crashes),
        f"{summary.seconds:.0f} s of processor, {rate:.0f} seeds a second and core",
        f"violations: {len(summary.failed)}",
    ]
    return "\n".join(f"- {line}" for line in lines)


def _counts(counted: Counter[str]) -> str:
    return ", ".join(f"{name} {times}" for name, times in counted.most_common())


def main(words: list[str]) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="play this one and show everything that it did last")
    parser.add_argument("--seeds", type=int, default=5000, help="how many")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first one")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--minutes", type=float, default=0.0, help="stop after so many minutes")
    asked = parser.parse_args(words)
    if asked.seed is not None:
        report = play(asked.seed, keep=True)
        _say(told(report))
        return 1 if report.violation else 0
    end = time.monotonic() + asked.minutes * 60 if asked.minutes else None
    summary = _in_parallel(range(asked.first, asked.first + asked.seeds), asked.jobs, end)
    for report in summary.failed[:10]:
        _say(told(report) + "\n")
    _say(closing(summary))
    if summary.failed:
        _say("failed seeds: " + " ".join(str(report.seed) for report in summary.failed))
    return 1 if summary.failed else 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _in_parallel(seeds: range, jobs: int, end: float | None) -> Summary:
    summary = Summary()
    with ProcessPoolExecutor(jobs) as pool:
        slices = _slices(seeds)
        while chunk := list(islice(slices, jobs * 4)):
            for part in pool.map(partial(run), chunk):
                summary.join(part)
            if end is not None and time.monotonic() > end:
                break
    return summary


def _slices(seeds: range) -> Iterator[range]:
    yield from (seeds[at : at + SLICE] for at in range(0, len(seeds), SLICE))
