"""What connector tests share: a clock, ids, commands, and a patient look at the world."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from engine.model import Shell, Target
from engine.ports import Command, Connector, Handle, RawResult

T = TypeVar("T")
_numbers = itertools.count(1)


class RealClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


class CountingIds:
    def ulid(self) -> str:
        return new_attempt()

    def token(self) -> str:
        return f"{next(_numbers):032x}"


def new_attempt() -> str:
    """As long as a ULID, and never the same twice."""
    return f"01test{next(_numbers):020d}"


LOCAL = Target(connector="local", id="local", name="local")


def a_command(script: str = "echo hello\n", *, target: Target = LOCAL, **changes: object) -> Command:
    """A command that may start within two minutes and run for 20 s."""
    given: dict[str, object] = {
        "attempt_id": new_attempt(),
        "session_id": 12,
        "step_number": 1,
        "attempt_number": 1,
        "shell": Shell.BASH,
        "timeout_seconds": 20,
        "not_after": datetime.now(UTC) + timedelta(seconds=120),
    }
    return Command(target=target, script=script, **(given | changes))  # type: ignore[arg-type]


def until(look: Callable[[], T | None], *, seconds: float = 20.0) -> T:
    """Look again and again until there is something, and return it."""
    end, pause = time.monotonic() + seconds, threading.Event()
    while time.monotonic() < end:
        if found := look():
            return found
        pause.wait(0.02)
    raise TimeoutError("not seen in time")


def result_from(connector: Connector, target: Target, handle: Handle) -> RawResult:
    """Observe one command until it has ended."""

    def look() -> RawResult | None:
        seen = connector.observe(target, [handle]).get(handle["attempt"])
        return seen.result if seen else None

    return until(look)


def has_begun(connector: Connector, target: Target, handle: Handle) -> bool:
    seen = connector.observe(target, [handle]).get(handle["attempt"])
    return bool(seen and seen.running)
