"""The workspace's time: it runs like the wall clock and can be moved ahead by hand.

Every expiry, rate limit and message timestamp of the workspace asks this clock, so that half an hour can pass
in a test at once. It must never be used for request signatures: the bot checks those against the real time.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any


class Clock:
    """Never runs backwards; message timestamps it hands out are unique and increasing."""

    def __init__(self, *, frozen_at: datetime | None = None) -> None:
        self._frozen = None if frozen_at is None else frozen_at.timestamp()
        self._ahead = 0.0
        self._last_ts = 0
        self._lock = threading.Lock()
        self._sleepers: set[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = set()
        self.on_change: Callable[[], None] = lambda: None

    def now(self) -> float:
        """Seconds since 1970, as the workspace sees it."""
        return (time.time() if self._frozen is None else self._frozen) + self._ahead

    def today(self) -> datetime:
        return datetime.fromtimestamp(self.now(), UTC)

    def advance(self, seconds: float) -> None:
        """Move time ahead; whatever is due in between happens now."""
        if seconds < 0:
            raise ValueError(f"the clock only moves ahead, not by {seconds} seconds")
        with self._lock:
            self._ahead += seconds
            sleepers, self._sleepers = self._sleepers, set()
        for loop, woken in sleepers:
            loop.call_soon_threadsafe(_wake, woken)
        self.on_change()

    @property
    def timers(self) -> int:
        """How many waits are running: once one shows up, advancing the clock past it ends it."""
        with self._lock:
            return len(self._sleepers)

    def next_ts(self) -> str:
        """A message timestamp: seconds with six decimals, larger than every earlier one."""
        with self._lock:
            self._last_ts = max(int(self.now() * 1_000_000), self._last_ts + 1)
            return f"{self._last_ts // 1_000_000}.{self._last_ts % 1_000_000:06d}"

    async def sleep(self, seconds: float) -> None:
        """Wait until the workspace's time has moved on; advancing the clock ends the wait early."""
        await self.sleep_until(self.now() + seconds)

    async def sleep_until(self, deadline: float) -> None:
        while (left := deadline - self.now()) > 0:
            await self._nap(None if self._frozen is not None else left)

    async def _nap(self, longest: float | None) -> None:
        loop = asyncio.get_running_loop()
        entry = (loop, loop.create_future())
        with self._lock:
            self._sleepers.add(entry)
        self.on_change()
        try:
            await asyncio.wait_for(entry[1], longest)
        except TimeoutError:
            return
        finally:
            with self._lock:
                self._sleepers.discard(entry)

    async def expires(self, answer: asyncio.Future[Any], deadline: float) -> bool:
        """Wait for an answer at most until then; say whether the time ran out first."""
        timer = asyncio.ensure_future(self.sleep_until(deadline))
        try:
            await asyncio.wait({answer, timer}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
        return not answer.done()


def _wake(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)
