"""``make bench``: run every benchmark on both databases, print the table, and write it into the document.

Each benchmark runs in a process of its own, so that none inherits the memory or the threads of another.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol, TypeVar

import psycopg

from storage.migrate import upgrade
from tests.benchmarks import clicks, history, page, process, throughput
from tests.benchmarks.measuring import FULL, QUICK, Result, Sizes
from tests.benchmarks.table import DATABASES, Run, number, table, write
from tests.postgres import Server, server_for

T = TypeVar("T")
DOCUMENT = Path(__file__).parents[2] / "docs" / "benchmarks.md"
SHORT_HISTORY = 300  #: steps: enough for every list to be full
_numbers = count(1)


class Apart(Protocol):
    """Calls a function somewhere and returns what it returns."""

    def __call__(self, work: Callable[..., T], *arguments: Any) -> T: ...


def in_another_process(work: Callable[..., T], *arguments: Any) -> T:
    """Call a function in a new process and return what it returns."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_quiet) as pool:
        return pool.submit(work, *arguments).result()


@dataclass(frozen=True, kw_only=True)
class Ground:
    """Where the benchmarks of one database run."""

    database: str
    server: Server
    folder: Path
    sizes: Sizes
    apart: Apart

    def place(self) -> tuple[str, Path]:
        """Return a fresh, migrated database and an empty folder."""
        folder = self.folder / f"{self.database}-{next(_numbers)}"
        folder.mkdir()
        url = f"sqlite:///{folder}/runbook.db" if self.database == "sqlite" else self.server.create_database()
        upgrade(url)
        return url, folder


def _quiet() -> None:
    """What libraries would log is no part of a benchmark."""
    logging.disable(logging.CRITICAL)


Program = Callable[[Ground], list[Result]]


def simple(work: Callable[[str, str, Path, Sizes], list[Result]]) -> Program:
    """A benchmark that needs nothing but a fresh database."""
    return lambda ground: ground.apart(work, ground.database, *ground.place(), ground.sizes)


def once(work: Callable[[str, str, Path, Sizes], list[Result]]) -> Program:
    """A benchmark that has nothing to do with the database."""
    return lambda ground: simple(work)(ground) if ground.database == DATABASES[0] else []


def recovery(ground: Ground) -> list[Result]:
    """One process leaves running steps behind, the next one is timed."""
    url, folder = ground.place()
    ground.apart(throughput.running_steps, url, folder, ground.sizes.recovered)
    return ground.apart(throughput.recovery, ground.database, url, folder, ground.sizes)


def waiting(ground: Ground) -> list[Result]:
    """Memory in a fresh process beside each number of waiting sessions, then decisions beside many and beside none."""
    results: list[Result] = []
    sizes, few = ground.sizes, max(3, ground.sizes.samples // 5)
    empty = ground.place()
    ground.apart(clicks.many_wait, *empty, 1)
    base = ground.apart(clicks.memory, *empty, few)
    for name, many in zip(clicks.CROWDS, sizes.waiting, strict=True):
        crowded = ground.place()
        ground.apart(clicks.many_wait, *crowded, many)
        megabytes = ground.apart(clicks.memory, *crowded, few)
        beside, alone = ground.apart(clicks.decisions, crowded[0], empty[0], crowded[1], sizes.samples)
        cost = megabytes - base
        results += clicks.crowd_results(name, ground.database, waiting=many, megabytes=cost, beside=beside, alone=alone)
    return results


def past(ground: Ground) -> list[Result]:
    """A database with a long history and one with a short one, then the looks at both."""
    long, short = ground.place(), ground.place()
    ground.apart(history.a_past, *long, ground.sizes.history)
    ground.apart(history.a_past, *short, SHORT_HISTORY)
    return ground.apart(history.history, ground.database, long[0], short[0], long[1], ground.sizes)


PROGRAMS: tuple[Program, ...] = (
    simple(clicks.clicks),
    simple(throughput.sessions),
    simple(throughput.steps),
    simple(throughput.outbox),
    recovery,
    waiting,
    past,
    simple(process.process),
    once(page.page),
)


def measure(server: Server, folder: Path, sizes: Sizes, apart: Apart = in_another_process) -> list[Result]:
    """Run everything; what is found is printed as it comes."""
    results: list[Result] = []
    for database in DATABASES:
        ground = Ground(database=database, server=server, folder=folder, sizes=sizes, apart=apart)
        for program in PROGRAMS:
            found = program(ground)
            for result in found:
                tell(progress(result))
            results += found
    return results


def tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def progress(result: Result) -> str:
    """Return a line for who waits at the terminal."""
    ratio = "" if result.ratio is None else f"{result.ratio:8.1f} x"
    return f"{result.database:11}{result.benchmark:24}{number(result.median):>10} {result.unit:6}{ratio}"


def postgres_version(server: Server) -> str:
    address = server.create_database().replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(address) as connection:
        return connection.info.parameter_status("server_version") or "unknown"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few minutes; the numbers are rougher")
    parser.add_argument("--dry", action="store_true", help="print the table, leave the document alone")
    chosen = parser.parse_args(arguments)
    with server_for(os.environ, durable=True) as server, tempfile.TemporaryDirectory(prefix="bench-") as folder:
        run = Run(
            at=datetime.now(UTC),
            size="quick" if chosen.quick else "full",
            postgres=postgres_version(server),
            results=measure(server, Path(folder), QUICK if chosen.quick else FULL),
        )
    tell(table(run))
    if not chosen.dry:
        write(DOCUMENT, run)
    return 0
