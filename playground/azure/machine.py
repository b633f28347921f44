"""One VM as a test holds it: what its owner, its operator and bad luck can do to it from outside the API.

Every method is synchronous and safe from any thread; reads of the disk see what scripts really left there.
"""

import uuid
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from playground.azure import power
from playground.azure.model import Quirks, Vm
from playground.azure.platform import Platform
from playground.azure.run_commands import shape
from playground.azure.sandbox import GuestProcess

if TYPE_CHECKING:
    from playground.azure.guest import Guest

T = TypeVar("T")
Runner = Callable[[Callable[[], Any]], Any]


class Machine:
    """The changes here are immediate: the portal's clicks with their waiting cut out."""

    def __init__(self, vm: Vm, platform: Platform, run: Runner) -> None:
        self._vm = vm
        self._platform = platform
        self._run = run

    @property
    def id(self) -> str:
        return self._vm.id

    @property
    def name(self) -> str:
        return self._vm.name

    @property
    def vm_id(self) -> str:
        return self._vm.vm_id

    @property
    def power_state(self) -> str:
        """running, starting, stopping, stopped, deallocating or deallocated."""
        return self._vm.power

    @property
    def heartbeat(self) -> datetime | None:
        """When its agent was last heard of."""
        return self._vm.heartbeat

    @property
    def quirks(self) -> Quirks:
        """Switches for misbehaviour: pending_forever, outbound_blocked, delete_stuck, agent_hidden."""
        return self._vm.quirks

    @property
    def root(self) -> Path:
        """The folder its scripts call home."""
        return self._guest.sandbox.root

    @property
    def _guest(self) -> "Guest":
        guest = self._vm.guest
        if guest is None:
            raise LookupError(f"{self._vm.name} has no disk: it was never started by a running cloud")
        guest.unpack()
        return guest

    def effects(self) -> list[str]:
        """What scripts did, one line per change."""
        # on the loop: a machine that is being made again has no disk for a moment
        return list(self._run(lambda: (self.root / "effects.log").read_text(errors="replace").splitlines()))

    def processes(self) -> list[GuestProcess]:
        return self._guest.sandbox.processes()

    def run_commands(self) -> list[dict[str, Any]]:
        """The resources with their views, as a client with all rights would list them."""
        vm = self._vm
        return list(self._run(lambda: [shape(vm, one, expand=True) for one in vm.run_commands.values()]))

    def set_unit(self, unit: str, state: str, *, broken: bool = False) -> None:
        """Put a service into a state; a broken one fails to start."""
        (self.root / "units" / unit).write_text(f"{state}\n")
        self._guest.sandbox.own(self.root / "units" / unit)
        marker = self.root / "units" / f"{unit}.broken"
        if broken:
            marker.touch()
        else:
            marker.unlink(missing_ok=True)

    def set_disk_used(self, percent: int) -> None:
        (self.root / "etc" / "disk_used_percent").write_text(f"{percent}\n")

    def set_connections_used(self, percent: int) -> None:
        """How many connections of its database are taken."""
        file = self.root / "etc" / "connections_used_percent"
        file.write_text(f"{percent}\n")
        self._guest.sandbox.own(file)

    def stop(self) -> None:
        self._go_down("stopped")

    def deallocate(self) -> None:
        self._go_down("deallocated")

    def _go_down(self, state: str) -> None:
        def act() -> None:
            power.halt(self._platform, self._vm, state)
            power.settle(self._platform, self._vm, state)

        self._run(act)

    def start(self) -> None:
        self._run(lambda: power.boot(self._platform, self._vm))

    def reboot(self) -> None:
        """Everything inside dies mid-step and nothing reports; the agent comes back by itself."""
        self._go_down("stopped")
        self.start()

    def recreate(self) -> None:
        """Deleted and made again under the same name: another vmId, an empty disk, no run commands."""

        def act() -> None:
            vm = self._vm
            power.halt(self._platform, vm, "stopped")
            vm.run_commands.clear()
            vm.action, vm.vm_id, vm.quirks = None, str(uuid.uuid4()), Quirks()
            self._guest.renew()
            power.boot(self._platform, vm)

        self._run(act)

    def break_agent(self) -> None:
        """Scripts in flight go on; nobody hears of them. An action command in flight wedges its slot."""

        def act() -> None:
            self._vm.quirks.agent_broken = True
            if self._vm.action is not None and not self._vm.action.operation.finished:
                self._vm.quirks.action_wedged = True

        self._run(act)

    def repair_agent(self) -> None:
        self._run(lambda: setattr(self._vm.quirks, "agent_broken", False))

    def delay_agent(self, platform_seconds: float) -> None:
        """New goals are carried out this much later."""
        self._run(lambda: setattr(self._vm.quirks, "agent_delay", platform_seconds))

    def wedge_action(self) -> None:
        self._run(lambda: setattr(self._vm.quirks, "action_wedged", True))

    def upgrade_extension(self, *, forget: bool = False) -> None:
        """A new handler version; with `forget` it loses what already ran."""
        self._run(lambda: self._guest.upgrade_extension(forget=forget))

    def take_snapshot(self) -> Path:
        into = self._guest.sandbox.folder.with_name(
            f"{self._guest.sandbox.folder.name}.snapshot-{uuid.uuid4().hex[:8]}"
        )
        self._run(lambda: self._guest.take_snapshot(into))
        return into

    def restore_snapshot(self, snapshot: Path) -> None:
        """The OS disk is swapped for an earlier copy of itself, and the machine boots from it."""

        def act() -> None:
            power.halt(self._platform, self._vm, "stopped")
            self._guest.restore_snapshot(snapshot)
            power.boot(self._platform, self._vm)

        self._run(act)
