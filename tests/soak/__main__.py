"""Live through many sessions and say whether anything stays behind: ``python -m tests.soak --sessions 50000``.

One process, one SQLite file, time that jumps. Exit code 1 when memory, threads, files or the database grow in a way
that they must not.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.scratch import in_memory
from tests.soak.judge import ENOUGH, MB, Sample, filled, memory_per_10_000, table, verdicts
from tests.soak.run import soak
from tests.soak.world import Installation


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--sessions", type=int, default=50_000)
    parser.add_argument("--every", type=int, default=1000, help="sessions between two samples")
    options = parser.parse_args()
    began = time.process_time()
    print(table([]))  # noqa: T201
    with tempfile.TemporaryDirectory(prefix="runbook-soak-", dir=in_memory()) as folder:
        samples, it = soak(Path(folder), sessions=options.sessions, every=options.every, tell=_show)
    wrong = verdicts(samples)
    print("\n" + "\n".join(f"- {line}" for line in [*_figures(samples, it, time.process_time() - began), *wrong]))  # noqa: T201
    return 1 if wrong else 0


def _figures(samples: list[Sample], it: Installation, seconds: float) -> list[str]:
    """Say what the run came to."""
    ended = sum(it.ended.values())
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(it.ended.items()))
    lines = [
        f"{ended} sessions ({kinds}), {it.slack.calls} calls of Slack, {it.slack.files} files",
        f"{seconds / 60:.1f} core-minutes, {ended / seconds:.1f} sessions per core-second",
    ]
    if len(samples) >= ENOUGH:
        first, middle, last = samples[0], filled(samples)[0], samples[-1]
        lines += [
            f"10,000 sessions of the second half leave {memory_per_10_000(samples) / MB:.2f} MB in memory",
            (
                f"after {first.sessions}, {middle.sessions} and {last.sessions} sessions: memory"
                f" {first.memory / MB:.1f}, {middle.memory / MB:.1f}, {last.memory / MB:.1f} MB;"
                f" threads {first.threads}, {middle.threads}, {last.threads};"
                f" files {first.files}, {middle.files}, {last.files}; objects"
                f" {first.objects}, {middle.objects}, {last.objects}; database {first.database / MB:.0f},"
                f" {middle.database / MB:.0f}, {last.database / MB:.0f} MB"
            ),
        ]
    return lines


def _show(sample: Sample) -> None:
    print(table([sample]).splitlines()[1], flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
