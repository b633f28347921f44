"""The parts of the cloud in one place, and the two values that pass between the front door and its handlers.

Everything here is used on the server's loop only; other threads go through the driver.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from playground.azure.buckets import Buckets, Class
from playground.azure.clock import Clock, Timings
from playground.azure.faults import Faults
from playground.azure.ledger import Ledger
from playground.azure.model import Estate
from playground.azure.operations import Operations
from playground.azure.rbac import AccessTable, Governance, Principal

_ENDING_SECONDS = 10.0


@dataclass(kw_only=True)
class Switches:
    """Behaviours on which sources disagree. The defaults are the ones that hurt."""

    identical_put_reruns: bool = True
    delete_kills: bool = False
    delete_forgets_sequence: bool = False


class Platform:
    """What every handler may use."""

    def __init__(self, *, speed: float, bucket_speed: float, timings: Timings, changed: Callable[[], None]) -> None:
        self.clock = Clock(speed)
        self.timings = timings
        self.changed = changed
        self.ledger = Ledger(changed)
        self.faults = Faults()
        self.operations = Operations(self.clock, timings, changed)
        self.buckets = Buckets(self.clock, bucket_speed)
        self.access = AccessTable()
        self.governance = Governance()
        self.estate = Estate()
        self.switches = Switches()
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def later(self, platform_seconds: float, act: Callable[[], None]) -> None:
        async def wait() -> None:
            await self.clock.sleep(platform_seconds)
            act()
            self.changed()

        self.spawn(wait())

    async def stop(self) -> None:
        """End every task. One that is ending already is let be for a while: cut twice, it would leave its process."""
        if ending := [task for task in self._tasks if task.cancelling()]:
            await asyncio.wait(ending, timeout=_ENDING_SECONDS)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@dataclass(kw_only=True)
class Call:
    """One authenticated, routed request. `names` are the path's variables."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    names: dict[str, str]
    principal: Principal
    invisible_for: float = 0.0

    @property
    def expands_instance_view(self) -> bool:
        return "instanceview" in self.query.get("$expand", "").lower()


@dataclass(kw_only=True)
class Answer:
    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


Handler = Callable[[Platform, Call], Answer]


@dataclass(frozen=True, kw_only=True)
class Route:
    """`action` and `scope` are checked against the access table before the handler sees the call."""

    method: str
    template: str
    handler: Handler
    action: str | None
    scope: str
    bucket: Class | None = None
