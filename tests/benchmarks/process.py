"""The product as a process of its own, between the simulated Slack and the simulated Azure: start and idleness.

Byte code is compiled beforehand, as in the image. Processor time and memory are what the kernel says of the process.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from playground.stage import Setting, Stage
from playground.stories import STORIES, Scene
from tests.benchmarks.measuring import Result, Samples, Sizes, processor_seconds, resident_megabytes

BOOT_SECONDS = 2.0
IDLE_MEGABYTES = 100.0
IDLE_PER_CENT = 1.0  #: of one core
SETTLE_SECONDS = 3.0  #: after the start, before idleness begins


@contextmanager
def compiled_stage(database: str, url: str, folder: Path) -> Iterator[Stage]:
    """A stage whose bot has run one session, so that all its byte code is compiled and its tables are there."""
    with Stage(Setting(database_url=url if database == "postgresql" else "")) as stage:
        stage.bot.environment.pop("PYTHONDONTWRITEBYTECODE", None)
        stage.bot.environment["PYTHONPYCACHEPREFIX"] = str(folder.parent / "bytecode")  # one for both databases
        stage.start_bot()
        plays(stage)
        stage.bot.stop()
        yield stage


def process(database: str, url: str, folder: Path, sizes: Sizes) -> list[Result]:
    """Start and stop the process some times, then leave it alone, then let it run one session and leave it alone."""
    boots = Samples()
    with compiled_stage(database, url, folder) as stage:
        for _ in range(sizes.boots):
            boots.take(stage.start_bot)
            stage.bot.stop()
        stage.start_bot()
        threading.Event().wait(min(SETTLE_SECONDS, sizes.idle_seconds))
        idle = resident_megabytes(stage.bot.pid)
        share = busy_per_cent(stage.bot.pid, sizes.idle_seconds)
        plays(stage)
        used = resident_megabytes(stage.bot.pid)
    return [
        Result(
            benchmark="boot",
            database=database,
            median=boots.median,
            p99=boots.p99,
            unit="s",
            holds=boots.median <= BOOT_SECONDS,
        ),
        Result(benchmark="idle-cpu", database=database, median=share, unit="%", holds=share <= IDLE_PER_CENT),
        Result(benchmark="idle-memory", database=database, median=idle, unit="MB", holds=idle <= IDLE_MEGABYTES),
        Result(benchmark="used-memory", database=database, median=used, unit="MB"),
    ]


def plays(stage: Stage) -> None:
    """Let people run one session to its end."""
    STORIES["restart-web"].play(Scene(stage, Console(quiet=True)))


def busy_per_cent(pid: int, seconds: float) -> float:
    """Return the share of one core that a process uses over a while."""
    before = processor_seconds(pid)
    threading.Event().wait(seconds)
    return (processor_seconds(pid) - before) / seconds * 100
