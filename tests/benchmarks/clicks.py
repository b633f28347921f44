"""How long a click takes: until it is acknowledged, and until the command is handed to the machine's connector.

Each click is preceded by one sample of every floor, so that a busy machine slows both alike. Clicks beside many
waiting sessions take turns with clicks beside none, for the same reason.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from engine.model import Session
from tests.benchmarks.filling import copy_session
from tests.benchmarks.floors import BoltFloor, CommitFloor
from tests.benchmarks.installation import Installation
from tests.benchmarks.measuring import Result, Samples, Sizes, resident_megabytes

WARM_UP = 5
CALM_SECONDS = 0.015  #: that the process must rest before the next sample
CALM_LOOKS = 4000
SLOWER = 1.2  #: how much slower a decision may be beside many waiting sessions
MEGABYTES = 20.0  #: that the waiting sessions may cost
CROWDS = ("some", "many")


@dataclass
class Timed:
    """Samples of one database."""

    commit: Samples = field(default_factory=Samples)
    bolt: Samples = field(default_factory=Samples)
    decided: Samples = field(default_factory=Samples)
    acknowledged: Samples = field(default_factory=Samples)
    submitted: Samples = field(default_factory=Samples)


@contextmanager
def floors(url: str) -> Iterator[tuple[CommitFloor, BoltFloor]]:
    """The floors of one database, closed again afterwards."""
    commit, bolt = CommitFloor(url), BoltFloor()
    try:
        yield commit, bolt
    finally:
        bolt.close()
        commit.close()


def clicks(database: str, url: str, folder: Path, sizes: Sizes) -> list[Result]:
    """The two floors, and a click from Slack with nothing else going on."""
    it = Timed()
    with Installation(url, folder) as product, floors(url) as (commit, bolt):
        for number in range(sizes.samples + WARM_UP):
            session = product.starts()
            calm(product)
            into = it if number >= WARM_UP else Timed()
            body = product.click_on(session)
            into.commit.take(commit)
            into.bolt.take(lambda body=body: bolt(body))  # type: ignore[misc]
            click(product, session, into)
    floor, dispatch = it.commit.median, it.bolt.median
    return [
        _row("floor-commit", database, it.commit, floor=floor),
        _row("floor-bolt", database, it.bolt, floor=floor),
        _row("click-decided", database, it.decided, floor=floor, aim=3 * floor),
        _row("click-acknowledged", database, it.acknowledged, floor=floor, aim=3 * floor + dispatch),
        _row("click-submitted", database, it.submitted, floor=floor, aim=4 * floor + dispatch),
    ]


def many_wait(url: str, folder: Path, number: int) -> None:
    """Have this many sessions wait for their approval."""
    with Installation(url, folder) as it:
        first = it.starts()
        calm(it)
    copy_session(url, first.id, number)


def memory(url: str, folder: Path, samples: int) -> float:
    """Return the megabytes that a process holds after it has looked at the rows and taken some clicks."""
    with Installation(url, folder) as it:
        it.wakes.queue.wake()
        for _ in range(samples):
            session = it.starts()
            calm(it)
            click(it, session, Timed())
        calm(it)
        return resident_megabytes()


def decisions(crowded: str, empty: str, folder: Path, samples: int) -> tuple[Samples, Samples]:
    """Time decisions beside many waiting sessions and beside none, in turn."""
    timed = Timed(), Timed()
    with ExitStack() as stack:
        both = [stack.enter_context(Installation(url, folder)) for url in (crowded, empty)]
        for number in range(samples + WARM_UP):
            for it, into in zip(both, timed, strict=True):
                session = it.starts()
                calm(it)
                click(it, session, into if number >= WARM_UP else Timed())
    return timed[0].decided, timed[1].decided


def crowd_results(
    name: str, database: str, *, waiting: int, megabytes: float, beside: Samples, alone: Samples
) -> list[Result]:
    """Return the rows about one number of waiting sessions."""
    note = f"{waiting:,} waiting"
    slower = beside.median / alone.median
    return [
        Result(
            benchmark=f"{name}-waiting-decision",
            database=database,
            median=beside.median * 1000,
            p99=beside.p99 * 1000,
            unit="ms",
            ratio=slower,
            holds=slower <= SLOWER,
            note=note,
        ),
        Result(
            benchmark=f"{name}-waiting-memory",
            database=database,
            median=megabytes,
            unit="MB",
            holds=megabytes <= MEGABYTES,
            note=note,
        ),
    ]


def click(it: Installation, session: Session, into: Timed) -> None:
    """Click once and wait for the command; time both."""
    body, before = it.click_on(session), it.machines.submitted.count
    began = time.perf_counter()
    it.clicks(body)
    into.acknowledged.seconds.append(time.perf_counter() - began)
    it.machines.submitted.wait_for(before + 1)
    into.submitted.seconds.append(it.machines.last_submit - began)
    into.decided.seconds.append(it.decided[-1])


def calm(it: Installation) -> None:
    """Wait until nothing moves any more: no message is under way, and the process has used no time for a moment."""
    pause = threading.Event()
    for _ in range(CALM_LOOKS):
        it.deliverer.settle()
        used = time.process_time()
        pause.wait(CALM_SECONDS)
        if time.process_time() - used < CALM_SECONDS / 10:
            return
    raise TimeoutError("The process never comes to rest.")


def _row(name: str, database: str, samples: Samples, *, floor: float, aim: float | None = None) -> Result:
    return Result(
        benchmark=name,
        database=database,
        median=samples.median * 1000,
        p99=samples.p99 * 1000,
        unit="ms",
        ratio=samples.median / floor,
        holds=None if aim is None else samples.median <= aim,
    )
