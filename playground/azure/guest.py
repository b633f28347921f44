"""The inside of a VM: its disk, its processes and the agent that carries goals in and statuses out.

The agent polls; on any change it calls enable for everything that is still present. It decides nothing about
running a script twice: that is the handler's sequence file.
"""

import asyncio
import shutil
import threading
from pathlib import Path

from playground.azure.handler import LinuxHandler, Settings
from playground.azure.model import Vm
from playground.azure.platform import Platform
from playground.azure.reports import Report, absorb
from playground.azure.sandbox import Sandbox
from playground.azure.windows import WindowsHandler

ACTION = "action"


class Guest:
    """Lives as long as the VM's disk; the agent task lives from boot to shutdown."""

    def __init__(self, vm: Vm, platform: Platform, sandbox: Sandbox) -> None:
        self._vm = vm
        self._platform = platform
        self.sandbox = sandbox
        self._agent: asyncio.Task[None] | None = None
        self._seen = -1
        self._unpacked = False
        self._unpacking = threading.Lock()
        self._make_handlers()

    def unpack(self) -> None:
        """Lay out the disk when someone first looks at it: most machines of a test are never touched."""
        with self._unpacking:
            if not self._unpacked:
                self.sandbox.create()
                self._unpacked = True

    def _make_handlers(self) -> None:
        self.managed = self._handler("RunCommandHandlerLinux")
        self.action = self._handler("RunCommandLinux")

    def _handler(self, extension: str) -> LinuxHandler | WindowsHandler:
        if self._vm.os_type == "Windows":
            return WindowsHandler(self._vm.id, self._platform)
        return LinuxHandler(self._vm.id, self._platform, self.sandbox, extension=extension)

    def renew(self) -> None:
        """An empty disk, and handlers that remember nothing."""
        self.sandbox.wipe()
        self.sandbox.create()
        self._make_handlers()

    def boot(self, *, delay: float = 0.0) -> None:
        """Start the agent; what a crash left unfinished stays unfinished."""
        self._seen = -1
        self._agent = self._platform.spawn(self._run_agent(delay))

    def shutdown(self) -> None:
        if self._agent is not None:
            self._agent.cancel()
            self._agent = None
        self.managed.abandon()
        self.action.abandon()
        self.sandbox.kill_all()

    async def _run_agent(self, delay: float) -> None:
        await self._platform.clock.sleep(delay)
        while True:
            if not self._vm.quirks.agent_broken:
                await self._poll()
            await self._platform.clock.sleep(self._platform.timings.agent_poll)

    async def _poll(self) -> None:
        wanted = self._vm.incarnation
        if wanted != self._seen:
            due = self._vm.goal_at + self._vm.quirks.agent_delay
            await self._platform.clock.sleep(due - self._platform.clock.platform())
            self._apply_goal()
            self._seen = wanted
        if not self._vm.quirks.outbound_blocked:
            absorb(self._platform, self._vm, self._report())
            self._platform.changed()

    def _apply_goal(self) -> None:
        if self._vm.run_commands or self._vm.action is not None:
            self.unpack()
        for one in list(self._vm.run_commands.values()):
            if one.deleting:
                self.managed.disable(one.name)
            else:
                self.managed.enable(
                    Settings(name=one.name, seq=one.seq, properties=one.properties, protected=tuple(one.protected))
                )
        if self._vm.action is not None:
            self.action.enable(
                Settings(
                    name=ACTION,
                    seq=self._vm.action.seq,
                    properties={"source": {"script": self._vm.action.script}},
                )
            )

    def _report(self) -> Report:
        present = self._vm.run_commands.values()
        action = self._vm.action
        return Report(
            incarnation=self._seen,
            statuses={one.name: self.managed.status(one.name, one.seq) for one in present},
            action=None if action is None else self.action.status(ACTION, action.seq),
        )

    def upgrade_extension(self, *, forget: bool) -> None:
        """A new handler version is installed, and the agent calls enable on all."""
        self.managed.upgrade(forget=forget)
        self._vm.change_goal(self._platform.clock.platform())

    def take_snapshot(self, into: Path) -> None:
        shutil.rmtree(into, ignore_errors=True)
        shutil.copytree(self.sandbox.folder, into, symlinks=True)

    def restore_snapshot(self, source: Path) -> None:
        """The disk as it was: files, sequence files and effects go back in time."""
        shutil.rmtree(self.sandbox.folder)
        shutil.copytree(source, self.sandbox.folder, symlinks=True)
        self.sandbox.create()
