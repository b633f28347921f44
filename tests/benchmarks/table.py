"""Every benchmark by name, what it measures and what is aimed at; and the Markdown table that a run leaves behind.

The table stands in ``docs/benchmarks.md`` between two markers and is written by ``make bench`` alone. A benchmark
without a row, or a row without a benchmark, is an error.
"""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from tests.benchmarks.measuring import Result

BEGIN, END = "<!-- benchmarks: begin -->", "<!-- benchmarks: end -->"
DATABASES = ("sqlite", "postgresql")
HEADER = "| benchmark | database | median | p99 | x floor | aim | holds |"
RULE = "| --- | --- | --- | --- | --- | --- | --- |"
VERSIONS = ("sqlalchemy", "psycopg", "slack-bolt", "pydantic")


@dataclass(frozen=True)
class Benchmark:
    """What a row is about."""

    name: str
    what: str
    aim: str = ""
    databases: tuple[str, ...] = DATABASES


BENCHMARKS: tuple[Benchmark, ...] = (
    Benchmark("floor-commit", "floor: one durable commit"),
    Benchmark("floor-bolt", "floor: Bolt dispatches to a listener that only acknowledges"),
    Benchmark("click-decided", "click → decision committed, inside the listener", "≤ 3 x floor"),
    Benchmark("click-acknowledged", "click → acknowledged, as Slack sees it", "≤ 3 x floor + Bolt"),
    Benchmark("click-submitted", "click → command handed to the connector", "≤ 4 x floor + Bolt"),
    Benchmark("sessions-started", "sessions started, one after the other"),
    Benchmark("steps", "steps run to their end, with a connector that does nothing"),
    Benchmark("outbox", "messages sent, with a Slack that takes no time"),
    Benchmark("recovery", "restart with running steps → all of them over", "≤ 10 s"),
    Benchmark("some-waiting-decision", "decision beside some waiting sessions, to one beside none", "≤ 1.2 x"),
    Benchmark("some-waiting-memory", "memory that some waiting sessions cost", "≤ 20 MB"),
    Benchmark("many-waiting-decision", "decision beside many waiting sessions, to one beside none", "≤ 1.2 x"),
    Benchmark("many-waiting-memory", "memory that many waiting sessions cost", "≤ 20 MB"),
    Benchmark("history-pending", "pending, beside a long history, to a short one", "≤ 1.2 x"),
    Benchmark("history-status", "status, beside a long history, to a short one", "≤ 1.2 x"),
    Benchmark("history-completed", "status of completed ones, likewise", "≤ 1.2 x"),
    Benchmark("history-of-one", "status of one person's sessions, likewise", "≤ 1.2 x"),
    Benchmark("history-page", "the page after that, likewise", "≤ 1.2 x"),
    Benchmark("history-why", "why one session waits, likewise", "≤ 1.2 x"),
    Benchmark("history-home", "App Home, likewise", "≤ 1.2 x"),
    Benchmark("boot", "process started → ready, connected to Slack", "≤ 2 s"),
    Benchmark("idle-cpu", "idle: share of one core", "≤ 1 %"),
    Benchmark("idle-memory", "idle: memory of the process", "≤ 100 MB"),
    Benchmark("used-memory", "memory of the process once a session has run in Azure"),
    Benchmark("page-first-message", "playground: page opened → first message seen, of 500", "≤ 1 s", ("sqlite",)),
    Benchmark("page-new-message", "playground: message posted → seen, beside 500", "≤ 100 ms", ("sqlite",)),
)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of all benchmarks, and where it happened."""

    at: datetime
    size: str  #: full or quick
    postgres: str  #: the server's version
    results: Sequence[Result]


def table(run: Run) -> str:
    """Return the section of the document, markers included."""
    rows = [_line(benchmark, found) for benchmark, found in _paired(run.results)]
    return "\n".join([BEGIN, "", _where(run), "", HEADER, RULE, *rows, "", END])


def write(document: Path, run: Run) -> None:
    """Put the table of a run between the markers."""
    text = document.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    document.write_text(before + table(run) + after, encoding="utf-8")


def _paired(results: Iterable[Result]) -> list[tuple[Benchmark, Result]]:
    """Return each benchmark's result for each database, in the order of the benchmarks; refuse gaps and strays."""
    found = {(result.benchmark, result.database): result for result in results}
    wanted = [(benchmark, database) for benchmark in BENCHMARKS for database in benchmark.databases]
    names = {(benchmark.name, database) for benchmark, database in wanted}
    if names != set(found):
        raise ValueError(f"rows and benchmarks differ: {sorted(names ^ set(found))}")
    return [(benchmark, found[benchmark.name, database]) for benchmark, database in wanted]


def _line(benchmark: Benchmark, result: Result) -> str:
    holds = {None: "", True: "yes", False: "no"}[result.holds]
    ratio = "" if result.ratio is None else f"{result.ratio:.1f}"
    p99 = "" if result.p99 is None else f"{number(result.p99)} {result.unit}"
    note = f" ({result.note})" if result.note else ""
    value = f"{number(result.median)} {result.unit}{note}"
    return f"| {benchmark.what} | {result.database} | {value} | {p99} | {ratio} | {benchmark.aim} | {holds} |"


def number(value: float) -> str:
    """Three digits that mean something."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _where(run: Run) -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    libraries = ", ".join(f"{name} {version(name)}" for name in VERSIONS)
    return (
        f"Measured {run.at:%Y-%m-%d %H:%M} UTC ({run.size} run) on {os.cpu_count()} cores, {memory:.0f} GB, "
        f"{platform.system()} {platform.machine()}; Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}, PostgreSQL {run.postgres}, {libraries}."
    )
