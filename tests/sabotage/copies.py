"""A copy of the tree that may be broken, and a run of tests inside it.

The tree itself is never touched. Python writes no compiled files here, so that a mistake of the same size in the same
second cannot be hidden behind the compiled form of the right code.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.sabotage.variants import Variant

ROOT = Path(__file__).parents[2]
COPIED = ("bot", "connectors", "engine", "playground", "runbooks", "storage", "tests")
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", "*.db", "*.db-*")
BY_ASSERTION = frozenset({"AssertionError", "Failed"})  #: the latter is pytest's own: "did not raise"
QUIET = ("-q", "--tb=short", "-p", "no:cacheprovider", "-p", "tests.sabotage.witness")


@dataclass(frozen=True, kw_only=True)
class Phase:
    """How the setup, the call or the teardown of a test went."""

    test: str
    phase: str
    outcome: str
    error: str
    words: str


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a run of tests came to."""

    code: int
    said: str
    phases: tuple[Phase, ...] = ()
    files: tuple[str, ...] = ()  #: where our code was loaded from

    def of(self, test: str) -> list[Phase]:
        return [phase for phase in self.phases if phase.test == test]

    def passed(self, test: str) -> bool:
        return [(one.phase, one.outcome) for one in self.of(test)] == [
            ("setup", "passed"),
            ("call", "passed"),
            ("teardown", "passed"),
        ]

    def failed_by_assertion(self, test: str) -> bool:
        bad = [phase for phase in self.of(test) if phase.outcome != "passed"]
        return [one.phase for one in bad] == ["call"] and bad[0].outcome == "failed" and bad[0].error in BY_ASSERTION


class Copy:
    """One copy, right again after each sabotage. ``close`` it at the end."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "tree"
        self._report = folder / "report.json"
        self._said = folder / "said.txt"
        self._preload: tuple[str, ...] = ()
        for name in COPIED:
            shutil.copytree(ROOT / name, self.root / name, ignore=LEFT_OUT)
        for file in ROOT.iterdir():
            if file.is_file() and file.suffix in {".md", ".toml", ".yaml", ".yml"}:
                shutil.copyfile(file, self.root / file.name)
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.sabotage.forkserver"],
            cwd=self.root,
            env=self._environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        with self._server as server:  # closes its input, which ends it
            assert server.stdin is not None
            server.stdin.close()

    @contextmanager
    def sabotaged(self, variant: Variant) -> Iterator[None]:
        """Break the product for a while."""
        was = {place: (self.root / place).read_text(encoding="utf-8") for place in variant.places}
        broken = dict(was)
        for hunk in variant.hunks:
            broken[hunk.place] = hunk.applied(broken[hunk.place])
        try:
            self._write(broken)
            yield
        finally:
            self._write(was)

    def run(self, tests: Sequence[str]) -> Report:
        """Run tests in a process of their own, in the copy and on nothing but the copy."""
        self._report.unlink(missing_ok=True)
        only = [f"--sabotage-test={test}" for test in tests]
        files = sorted({test.partition("::")[0] for test in tests})
        code = self._order([*QUIET, f"--sabotage-report={self._report}", *only, *files])
        said = self._said.read_text(encoding="utf-8", errors="replace")[-3000:]
        if not self._report.exists():
            return Report(code=code, said=said)
        facts = json.loads(self._report.read_text(encoding="utf-8"))
        self._preload = self._preload or tuple(facts["others"])
        phases = tuple(Phase(**record) for record in facts["records"])
        return Report(code=code, said=said, phases=phases, files=tuple(facts["files"]))

    def strangers(self, report: Report) -> list[str]:
        """Return files of ours that were loaded from anywhere but the copy."""
        return [file for file in report.files if not Path(file).resolve().is_relative_to(self.root.resolve())]

    def _order(self, arguments: list[str]) -> int:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        order = {"arguments": arguments, "said": str(self._said), "preload": self._preload}
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        answer = self._server.stdout.readline()
        assert answer, "the fork server is gone"
        return int(answer)

    def _write(self, texts: dict[str, str]) -> None:
        for place, text in texts.items():
            (self.root / place).write_text(text, encoding="utf-8")

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
        ours = {"PYTHONPATH": str(self.root), "PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        return kept | ours


def survivals(variant: Variant, report: Report, copy: Copy) -> list[str]:
    """Say what is wrong with the evidence that a sabotage was noticed; nothing when it was, for the right reason."""
    problems = [f"loaded from elsewhere: {file}" for file in copy.strangers(report)]
    if report.code != 1:
        problems.append(f"pytest ended with {report.code} instead of 1")
    for test in variant.red:
        if report.passed(test):
            problems.append(f"stayed green although {variant.broken[0].lower()}{variant.broken[1:]} {test}")
        elif not report.failed_by_assertion(test):
            how = [f"{one.phase} {one.outcome} {one.words}".strip() for one in report.of(test)] or ["did not run"]
            problems.append(f"did not fail by an assertion of its own: {test}: {'; '.join(how)}")
    return problems
