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

from tests.soak.judge import MB, Sample, memory_per_10_000, table, verdicts
from tests.soak.run import soak


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--sessions", type=int, default=50_000)
    parser.add_argument("--every", type=int, default=1000, help="sessions between two samples")
    options = parser.parse_args()
    began = time.process_time()
    print(table([]))  # noqa: T201
    with tempfile.TemporaryDirectory(prefix="runbook-soak-") as folder:
        samples, it = soak(Path(folder), sessions=options.sessions, every=options.every, tell=_show)
    seconds = time.process_time() - began
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(it.ended.items()))
    print(f"\n{sum(it.ended.values())} sessions ({kinds}), {it.slack.calls} calls of Slack, {it.slack.files} files")  # noqa: T201
    print(f"{seconds / 60:.1f} core-minutes, {sum(it.ended.values()) / seconds:.1f} sessions per core-second")  # noqa: T201
    wrong = verdicts(samples)
    if len(samples) >= 5:
        print(f"10,000 sessions leave {memory_per_10_000(samples) / MB:.2f} MB in memory after the warm-up")  # noqa: T201
    print("\n".join(wrong) or "Nothing stays behind that should not.")  # noqa: T201
    return 1 if wrong else 0


def _show(sample: Sample) -> None:
    print(table([sample]).splitlines()[1], flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
