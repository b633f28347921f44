"""The handler of a Windows VM: the shape of its answers, and nothing more.

No PowerShell is at hand, so no script runs here and every output says so. A test sets how long it pretends.
"""

import asyncio

from playground.azure.clock import stamp
from playground.azure.handler import Settings, Status
from playground.azure.ledger import Execution
from playground.azure.platform import Platform

NOTICE = "[simulated] no PowerShell in this playground: {size} bytes of script were accepted, nothing was run"


class WindowsHandler:
    """Keeps sequences in memory; a timeout is reported as TimedOut, unlike on Linux."""

    def __init__(self, vm_id: str, platform: Platform) -> None:
        self._vm = vm_id
        self._platform = platform
        self._sequences: dict[str, int] = {}
        self._statuses: dict[tuple[str, int], Status] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self.duration = 0.05

    def enable(self, settings: Settings) -> None:
        if self._sequences.get(settings.name, -1) >= settings.seq:
            return
        self._sequences[settings.name] = settings.seq
        self._tasks.append(self._platform.spawn(self._pretend(settings)))

    def disable(self, name: str) -> None:
        self._sequences.pop(name, None)

    def status(self, name: str, seq: int) -> Status | None:
        return self._statuses.get((name, seq))

    def abandon(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()

    def upgrade(self, *, forget: bool) -> None:
        if forget:
            self._sequences.clear()

    async def _pretend(self, settings: Settings) -> None:
        status = Status(seq=settings.seq, state="Running", start=stamp(self._platform.clock.now()))
        self._statuses[settings.name, settings.seq] = status
        limit = float(settings.properties.get("timeoutInSeconds") or 90 * 60)
        number = self._platform.ledger.begin(
            Execution(vm=self._vm, name=settings.name, seq=settings.seq, pid=0, started=self._platform.clock.now())
        )
        await asyncio.sleep(min(self.duration, limit))
        script = str(settings.properties.get("source", {}).get("script", ""))
        status.output = NOTICE.format(size=len(script.encode()))
        status.state, status.exit_code = ("TimedOut", -1) if self.duration > limit else ("Succeeded", 0)
        status.end = stamp(self._platform.clock.now())
        self._platform.ledger.end(number, at=self._platform.clock.now(), exit_code=status.exit_code, by="simulated")
