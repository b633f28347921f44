"""Look for inputs that break a promise: ``python -m tests.fuzz slash --minutes 10``, or ``all``.

Coverage-guided where ``atheris`` is installed (``requirements/fuzz.lock``). Findings are saved with the command that
replays them; the exit code is 1 when there is one. ``--replay FILE`` runs one input and shows what happens.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fuzz.corpus import CORPUS
from tests.fuzz.guided import HANG_SECONDS
from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS

FOLDER = Path("artifacts/fuzz")
_COVERAGE = re.compile(r"\bcov: (\d+)")
_RUNS = re.compile(r"stat::number_of_executed_units:\s*(\d+)")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one run of one target came to."""

    name: str
    seconds: float
    runs: int = 0
    coverage: tuple[int, int] = (0, 0)  #: after the corpus was replayed, and at the end
    crashes: dict[str, str] = field(default_factory=dict)
    hangs: list[str] = field(default_factory=list)
    failed: str = ""

    @property
    def clean(self) -> bool:
        return not (self.crashes or self.hangs or self.failed)


def fuzz(name: str, *, seconds: int, folder: Path) -> Outcome:
    """Run one target in a process of its own and read what came of it."""
    found, words = folder / "corpus" / name, folder / f"{name}.dict"
    found.mkdir(parents=True, exist_ok=True)
    words.write_text("".join(f"{entry}\n" for entry in map(quoted, TARGETS[name].words)), encoding="utf-8")
    limits = [f"-max_total_time={seconds}", f"-max_len={TARGETS[name].longest}", "-timeout=60", "-print_final_stats=1"]
    dictionary = [f"-dict={words}"] if TARGETS[name].words else []  # libFuzzer refuses an empty one
    options = [*limits, *dictionary, f"-artifact_prefix={folder}/{name}-", str(found), str(CORPUS / name)]
    began = time.monotonic()
    command = [sys.executable, "-m", "tests.fuzz.guided", name, str(folder), *options]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    log = folder / f"{name}.log"
    log.write_text(done.stdout + done.stderr, encoding="utf-8")
    failed = f"it ended with {done.returncode}; see {log}" if done.returncode else ""
    return read(name, done.stderr, folder=folder, seconds=time.monotonic() - began, failed=failed)


def read(name: str, log: str, *, folder: Path, seconds: float, failed: str) -> Outcome:
    """Put together what libFuzzer printed and what the run wrote down."""
    seen = [int(number) for number in _COVERAGE.findall(log)]
    inited = next(
        (int(found[1]) for line in log.splitlines() if "INITED" in line and (found := _COVERAGE.search(line))), 0
    )
    runs = _RUNS.search(log)
    path = folder / f"{name}.json"
    notes: dict[str, Any] = {"crashes": {}, "slow": [], "runs": 0}
    if path.exists():
        notes = json.loads(path.read_text(encoding="utf-8"))
    return Outcome(
        name=name,
        seconds=seconds,
        runs=int(runs[1]) if runs else notes["runs"],
        coverage=(inited, max(seen, default=0)),
        crashes=notes["crashes"],
        hangs=[file for file in notes["slow"] if hangs(TARGETS[name], Path(file).read_bytes())],
        failed=failed,
    )


def hangs(target: Target, data: bytes) -> bool:
    """Say whether an input costs too much CPU time without instrumentation, three times in a row."""
    return min(cost(target, data) for _ in range(3)) > HANG_SECONDS


def cost(target: Target, data: bytes) -> float:
    began = time.process_time()
    with contextlib.suppress(Exception):  # what it raises is another finding
        target(data)
    return time.process_time() - began


def quoted(word: str) -> str:
    """Write a word as libFuzzer's dictionaries have it."""
    return '"' + "".join(chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\x{b:02x}" for b in word.encode()) + '"'


def table(outcomes: list[Outcome]) -> str:
    """Sum up, one line for each target and one for each finding."""
    lines = [f"{'target':<10}{'runs':>10}{'runs/s':>8}{'coverage':>10}{'new':>6}{'crashes':>9}{'hangs':>7}"]
    for one in outcomes:
        rate = one.runs / max(one.seconds, 0.001)
        before, after = one.coverage
        new = f"{one.runs:>10}{rate:>8.0f}{after:>10}{after - before:>6}"
        lines.append(f"{one.name:<10}{new}{len(one.crashes):>9}{len(one.hangs):>7}")
    for one in outcomes:
        lines += [f"{one.name}: {one.failed}"] if one.failed else []
        lines += [f"{one.name}: {place}\n  {replay(one.name, file)}" for place, file in one.crashes.items()]
        lines += [f"{one.name}: more than {HANG_SECONDS} s of CPU\n  {replay(one.name, file)}" for file in one.hangs]
    return "\n".join(lines)


def replay(name: str, file: str) -> str:
    return f"python -m tests.fuzz {name} --replay {file}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=[*TARGETS, "all"])
    parser.add_argument("--minutes", type=float, default=10.0, help="for each target")
    parser.add_argument("--jobs", type=int, default=1, help="targets at the same time")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where findings and new inputs are kept")
    parser.add_argument("--replay", type=Path, help="run this input once instead")
    options = parser.parse_args()
    if options.replay:
        target = TARGETS[options.target]
        target(options.replay.read_bytes())
        print(f"{target.name} holds; {cost(target, options.replay.read_bytes()):.3f} s of CPU")  # noqa: T201
        return 0
    if importlib.util.find_spec("atheris") is None:
        print("atheris is missing: pip install --require-hashes -r requirements/fuzz.lock (CPython 3.11, Linux).")  # noqa: T201
        return 2
    names = list(TARGETS) if options.target == "all" else [options.target]
    with ThreadPoolExecutor(options.jobs) as pool:
        seconds, folder = max(1, int(options.minutes * 60)), options.folder
        outcomes = list(pool.map(lambda name: fuzz(name, seconds=seconds, folder=folder), names))
    print(table(outcomes))  # noqa: T201
    return 0 if all(one.clean for one in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
