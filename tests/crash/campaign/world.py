"""What survives the death of a process: the time, what was written to files, and what people saw acknowledged.

Ledgers are files that are only ever appended to, one write per line, so that what was written by a process that was
killed is there, whole.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Any

from bot.world import SystemClock

BEGIN = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
TICK = 1000  #: microseconds that pass by looking at the clock, so that no two moments are the same
Line = dict[str, Any]


class StoredClock(SystemClock):
    """A clock in a file: only a look at it and ``advance`` move it, and no death sets it back."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(struct.pack("q", 0))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 8)
        self._lock = Lock()

    def now(self) -> datetime:
        return BEGIN + timedelta(microseconds=self._move(TICK))

    def advance(self, seconds: float) -> None:
        self._move(int(seconds * 1_000_000))

    def _move(self, by: int) -> int:
        with self._lock:
            moved: int = struct.unpack("q", self._memory[:])[0] + by
            self._memory[:] = struct.pack("q", moved)
            return moved


class Ledger:
    """Lines of JSON in a file; everything from earlier lives is there when it is opened."""

    def __init__(self, path: Path) -> None:
        self.lines: list[Line] = read_lines(path)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def add(self, **facts: Any) -> None:
        os.write(self._file, (json.dumps(facts, default=str) + "\n").encode())
        self.lines.append(facts)


def read_lines(path: Path) -> list[Line]:
    """Return what was written so far; nothing when nobody wrote."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@dataclass(frozen=True)
class World:
    """The folder of one case."""

    folder: Path

    @property
    def clock(self) -> Path:
        return self.folder / "clock"

    @property
    def machine(self) -> Path:
        return self.folder / "machine.jsonl"

    @property
    def slack(self) -> Path:
        return self.folder / "slack.jsonl"

    @property
    def people(self) -> Path:
        return self.folder / "people.jsonl"

    @property
    def audit(self) -> Path:
        return self.folder / "audit.jsonl"

    @property
    def trouble(self) -> Path:
        return self.folder / "trouble.txt"

    def points(self, life: int) -> Path:
        return self.folder / f"points-{life}.log"

    def lives(self) -> int:
        """Return how many processes have lived here."""
        return len(list(self.folder.glob("points-*.log")))

    def reached(self, life: int) -> list[str]:
        """Return the points that a life has reached, in order."""
        path = self.points(life)
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []
