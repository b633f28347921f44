"""Crash points: places where a process may die, each with a name, counted as they are reached.

They register themselves: every commit by SQLAlchemy's events, named after the function that commits, and every call
of a port that has an effect outside. Nothing of the product knows about them.
"""

from __future__ import annotations

import ast
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from types import FrameType
from typing import Any, Literal

from sqlalchemy import event
from sqlalchemy.orm import Session as DbSession
from sqlalchemy.orm import sessionmaker

ROOT = Path(__file__).parents[3]
#: What has an effect outside, or reads what an earlier life may have left there.
MACHINE_CALLS = ("submit", "reconcile", "observe", "probe", "cancel", "cleanup")
SLACK_CALLS = (
    "chat.postMessage",
    "chat.update",
    "chat.postEphemeral",
    "conversations.history",
    "conversations.replies",
    "views.publish",
    "files.getUploadURLExternal",
    "files.upload",
    "files.completeUploadExternal",
)
SIDES = ("before", "after")
Order = Literal["kill", "stop"]
_SIGNALS: Mapping[str, signal.Signals] = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


class CrashPoints:
    """Counts the points that one process reaches and, at the ordered ones, ends or halts it."""

    def __init__(self, log: Path, orders: Mapping[int, Order]) -> None:
        self._file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._orders = orders
        self._lock = Lock()
        self._count = 0

    def reach(self, name: str) -> None:
        """Note that the process is here; it may not leave again."""
        with self._lock:
            self._count += 1
            os.write(self._file, f"{name}\n".encode())
            order = self._orders.get(self._count)
        if order:
            os.kill(os.getpid(), _SIGNALS[order])

    @contextmanager
    def watching_commits(self, sessions: sessionmaker[DbSession]) -> Iterator[None]:
        """Put a point before and one after every commit while the block lasts."""
        listeners: list[tuple[str, Callable[[DbSession], None]]] = [
            ("before_commit", lambda _: self.reach(f"{_committer()}:before")),
            ("after_commit", lambda _: self.reach(f"{_committer()}:after")),
        ]
        for name, listener in listeners:
            event.listen(sessions, name, listener)
        yield
        for name, listener in listeners:
            event.remove(sessions, name, listener)


class Watched:
    """A port of which some methods lie between two crash points; an error passes the second one, too."""

    def __init__(self, inner: object, points: CrashPoints, methods: tuple[str, ...]) -> None:
        self._inner, self._points, self._methods = inner, points, methods

    def __getattr__(self, method: str) -> Any:
        call = getattr(self._inner, method)
        if method not in self._methods:
            return call

        def between(*args: Any, **kwargs: Any) -> Any:
            self._points.reach(f"machine.{method}:before")
            try:
                return call(*args, **kwargs)
            finally:
                self._points.reach(f"machine.{method}:after")

        return between


def _committer() -> str:
    """Name the function of the product that commits: the nearest one outside storage."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module.startswith(("engine.", "bot.")):
            return f"commit {module}.{_function(frame.f_code.co_name, frame)}"
        frame = frame.f_back
    return "commit elsewhere"


def _function(name: str, frame: FrameType) -> str:
    """Name a function by its class, as ``commit_sites`` does; a nested one by the function around it."""
    words = [word for word in frame.f_code.co_qualname.split(".") if word != "<locals>"]
    return ".".join(words[:2]) if words[0][:1].isupper() else words[0] or name


def commit_sites(*folders: str) -> set[str]:
    """Find every function in these packages that commits a unit of work."""
    found = set()
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            tree = ast.parse(path.read_text(encoding="utf-8"))
            found |= {f"commit {module}.{name}" for name in _committing(tree.body)}
    return found


def _committing(body: list[ast.stmt], inside: str = "") -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from _committing(node.body, f"{node.name}.")
        elif isinstance(node, ast.FunctionDef) and any(map(_commits, ast.walk(node))):
            yield f"{inside}{node.name}"


def _commits(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "commit"


def every_point() -> set[str]:
    """Return the names of all points there are; a campaign that misses one proves nothing about it."""
    commits = commit_sites("engine", "bot")
    machine = {f"machine.{call}" for call in MACHINE_CALLS}
    slack = {f"slack {call}" for call in SLACK_CALLS}
    return {f"{place}:{side}" for place in commits | machine | slack for side in SIDES}
