"""What a benchmark measures and how it is told: samples, results, and the machine that they were taken on.

Times are ratios to a floor first, because machines differ: the floor is taken in the same run, on the same database.
Nothing here may decide whether a test passes: no test is ever timed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much of everything a run does."""

    samples: int = 300  #: clicks that are timed one by one
    sessions: int = 400  #: sessions started and run to their end
    waiting: tuple[int, int] = (10_000, 100_000)  #: sessions that wait for approval
    history: int = 1_000_000  #: historic steps
    recovered: int = 1000  #: steps that run when the process is replaced
    messages: int = 1000
    boots: int = 5
    idle_seconds: float = 20.0


FULL = Sizes()
QUICK = Sizes(
    samples=100,
    sessions=100,
    waiting=(1_000, 10_000),
    history=100_000,
    recovered=200,
    messages=200,
    boots=2,
    idle_seconds=5.0,
)
TINY = Sizes(samples=3, sessions=3, waiting=(5, 20), history=40, recovered=3, messages=3, boots=1, idle_seconds=0.2)


@dataclass(frozen=True, kw_only=True)
class Result:
    """One row of the table. A ratio is to the floor named by the benchmark."""

    benchmark: str
    database: str
    median: float
    unit: str
    p99: float | None = None
    ratio: float | None = None
    holds: bool | None = None  #: whether the aim is met; None where there is none
    note: str = ""


@dataclass
class Samples:
    """Seconds, as they were taken."""

    seconds: list[float] = field(default_factory=list)

    def take(self, work: Callable[[], object]) -> None:
        """Time one piece of work."""
        began = time.perf_counter()
        work()
        self.seconds.append(time.perf_counter() - began)

    @property
    def median(self) -> float:
        return median(self.seconds)

    @property
    def p99(self) -> float:
        return percentile(self.seconds, 0.99)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that this share of all does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that a piece of work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def resident_megabytes(pid: int | None = None) -> float:
    """Return the memory that a process holds now."""
    status = Path(f"/proc/{pid or os.getpid()}/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has used so far, its own and the kernel's for it."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
