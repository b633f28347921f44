"""Time of the playground's cloud: how long things take, and what the calendar says.

The calendar is the real one (plus what a test added), because clients compare it with their own. Only
durations are shortened: `speed=50` lets an agent poll every 0.12 s instead of every 6 s. Never used by the product.
"""

import asyncio
import contextlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True, kw_only=True)
class Timings:
    """Platform seconds; the clock's speed divides them."""

    agent_poll: float = 6.0
    handler_refresh: float = 15.0
    start: float = 40.0
    restart: float = 30.0
    power_off: float = 25.0
    deallocate: float = 45.0
    agent_boot: float = 10.0
    action_minimum: float = 20.0
    action_maximum: float = 90 * 60.0
    provisioning_timeout: float = 90 * 60.0
    retry_after: float = 15.0
    operation_life: float = 24 * 3600.0
    graph_lag: float = 60.0


class Clock:
    """Platform seconds run `speed` times faster than the wall; `advance` jumps both forward."""

    def __init__(self, speed: float) -> None:
        self.speed = speed
        self._origin = time.monotonic()
        self._advanced = 0.0
        self._jumped = asyncio.Event()

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self._advanced)

    def platform(self) -> float:
        return (time.monotonic() - self._origin) * self.speed + self._advanced

    def retry_after(self, platform_seconds: float) -> int:
        """What to tell a client, whose own seconds are real ones."""
        return max(1, math.ceil(platform_seconds / self.speed))

    def advance(self, seconds: float) -> None:
        """Called on the server's loop only."""
        self._advanced += seconds
        woken, self._jumped = self._jumped, asyncio.Event()
        woken.set()

    async def sleep(self, platform_seconds: float) -> None:
        await self.until(lambda: False, platform_seconds)

    async def until(self, done: Callable[[], bool], platform_seconds: float) -> None:
        """Sleep until the platform time has passed, waking early only when time jumped and `done` says so."""
        end = self.platform() + platform_seconds
        while not done() and (left := end - self.platform()) > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._jumped.wait(), left / self.speed)


def stamp(moment: datetime) -> str:
    """A time as Compute prints it."""
    return moment.isoformat(timespec="microseconds")
