"""Judges a soak by its samples: what may grow, by how much, and what must stay as it is.

Slopes are those of the straight line that fits best. Nothing here may look at the product or at the machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

MB = 1_000_000
ENOUGH = 5  #: samples, to judge anything
WARM_UP = 0.2  #: of the samples: caches fill, pools open
FILLING = 0.5  #: of the samples: the allocator's pools reach their largest size late; what leaks never stops growing
MEMORY_PER_10_000 = 1 * MB  #: what 10,000 sessions may leave behind in memory
STRAIGHT = 0.05  #: of the whole growth: how far the database may be from growing in a straight line


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What was measured after so many sessions."""

    sessions: int
    seconds: float  #: of CPU, since the beginning
    memory: int  #: bytes of RSS
    objects: int  #: that the garbage collector knows
    threads: int
    files: int
    database: int  #: bytes that the database's pages take


def verdicts(samples: Sequence[Sample]) -> list[str]:
    """Return what is wrong, one sentence each; empty when all is well."""
    if len(samples) < ENOUGH:
        return [f"{len(samples)} samples say nothing; at least {ENOUGH} are needed."]
    steady = samples[_first(samples, WARM_UP) :]
    return [*_memory(samples), *_constant(steady, "threads"), *_constant(steady, "files"), *_straight(steady)]


def filled(samples: Sequence[Sample]) -> Sequence[Sample]:
    """Return the samples after memory has filled up."""
    return samples[_first(samples, FILLING) :]


def _first(samples: Sequence[Sample], share: float) -> int:
    return max(1, int(len(samples) * share))


def slope(samples: Sequence[Sample], value: Callable[[Sample], float]) -> float:
    """Return by how much a value grows per session, as the least squares have it."""
    xs, ys = [float(one.sessions) for one in samples], [value(one) for one in samples]
    middle_x, middle_y = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - middle_x) ** 2 for x in xs)
    return sum((x - middle_x) * (y - middle_y) for x, y in zip(xs, ys, strict=True)) / spread if spread else 0.0


def memory_per_10_000(samples: Sequence[Sample]) -> float:
    """Return how many bytes of memory 10,000 sessions leave behind once it has filled up."""
    return slope(filled(samples), lambda one: one.memory) * 10_000


def _memory(samples: Sequence[Sample]) -> list[str]:
    left = memory_per_10_000(samples)
    if left <= MEMORY_PER_10_000:
        return []
    return [f"10,000 sessions leave {left / MB:.2f} MB in memory; at most {MEMORY_PER_10_000 / MB:.0f} MB may stay."]


def _constant(steady: Sequence[Sample], name: str) -> list[str]:
    seen = sorted({getattr(one, name) for one in steady})
    return [] if len(seen) == 1 else [f"The number of {name} changes: {seen[0]} to {seen[-1]}."]


def _straight(steady: Sequence[Sample]) -> list[str]:
    """The database may grow, but a session late in life must cost as much room as an early one."""
    per_session = slope(steady, lambda one: one.database)
    first = steady[0]
    offset = sum(one.database - per_session * one.sessions for one in steady) / len(steady)
    whole = steady[-1].database - first.database
    furthest = max(abs(one.database - (offset + per_session * one.sessions)) for one in steady)
    if whole <= 0 or furthest <= STRAIGHT * whole:
        return []
    return [f"The database does not grow in a straight line: {100 * furthest / whole:.1f} % off, 5 % at most."]


def table(samples: Sequence[Sample]) -> str:
    """Write the samples down, one line each."""
    lines = [f"{'sessions':>9}{'CPU s':>9}{'RSS MB':>9}{'objects':>10}{'threads':>9}{'files':>7}{'database MB':>13}"]
    for one in samples:
        counts = f"{one.objects:>10}{one.threads:>9}{one.files:>7}{one.database / MB:>13.2f}"
        lines.append(f"{one.sessions:>9}{one.seconds:>9.1f}{one.memory / MB:>9.2f}{counts}")
    return "\n".join(lines)
