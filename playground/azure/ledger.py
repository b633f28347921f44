"""What really happened: every request the cloud received and every script a VM started.

The ledger is written by the cloud and read by tests. It never forgets and never influences an answer.
"""

import dataclasses
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, kw_only=True)
class RequestRecord:
    """One request. `done` is the status of the work, `sent` what left on the wire (None: nothing, or cut)."""

    at: datetime
    method: str
    path: str
    query: dict[str, str]
    principal: str | None
    body: Any
    script: str | None
    done: int | None
    sent: int | None
    code: str | None
    fault: str | None
    correlation_id: str
    request_id: str
    seconds: float
    headers: dict[str, str] = field(default_factory=dict)
    reply: Any = None
    reply_headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Execution:
    """One start of a script on a VM. `exit_code` stays None until the direct child ended."""

    vm: str
    name: str
    seq: int
    pid: int
    started: datetime
    ended: datetime | None = None
    exit_code: int | None = None
    ended_by: str | None = None


class Ledger:
    """Append-only; every reader gets a copy. Listeners are told after each change."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._lock = threading.Lock()
        self._changed = changed
        self._requests: list[RequestRecord] = []
        self._executions: list[Execution] = []

    def record(self, request: RequestRecord) -> None:
        with self._lock:
            self._requests.append(request)
        self._changed()

    def begin(self, execution: Execution) -> int:
        with self._lock:
            self._executions.append(execution)
            number = len(self._executions) - 1
        self._changed()
        return number

    def end(self, number: int, *, at: datetime, exit_code: int | None, by: str) -> None:
        with self._lock:
            ended = dataclasses.replace(self._executions[number], ended=at, exit_code=exit_code, ended_by=by)
            self._executions[number] = ended
        self._changed()

    def requests(
        self, *, method: str | None = None, path_contains: str | None = None, sent: int | None = None
    ) -> list[RequestRecord]:
        with self._lock:
            found = list(self._requests)
        if method is not None:
            found = [r for r in found if r.method == method.upper()]
        if path_contains is not None:
            found = [r for r in found if path_contains.lower() in r.path.lower()]
        return found if sent is None else [r for r in found if r.sent == sent]

    def executions(self, *, vm: str | None = None, name: str | None = None) -> list[Execution]:
        """`vm` is a full id, `group/name` or a name; ids compare without regard to case."""
        with self._lock:
            found = list(self._executions)
        if vm is not None:
            found = [e for e in found if _is_vm(e.vm, vm)]
        return found if name is None else [e for e in found if e.name.lower() == name.lower()]


def _is_vm(full_id: str, wanted: str) -> bool:
    parts = full_id.lower().split("/")
    return wanted.lower() in {full_id.lower(), parts[-1], f"{parts[4]}/{parts[-1]}"}
