"""The estate: subscriptions, resource groups, VMs and their run commands, as the platform sees them.

Only data lives here. What is inside a VM (files, processes) belongs to the guest, never to this module.
"""

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from playground.azure import errors

if TYPE_CHECKING:
    from playground.azure.guest import Guest
    from playground.azure.operations import Operation

MAX_RUN_COMMANDS = 25


def machine_id(subscription: str, group: str, name: str) -> str:
    where = f"/subscriptions/{subscription}/resourceGroups/{group}"
    return f"{where}/providers/Microsoft.Compute/virtualMachines/{name}"


def pending_view() -> dict[str, Any]:
    """The view before the guest has spoken: an exit code of 0 that means nothing."""
    return {"executionState": "Pending", "executionMessage": "", "exitCode": 0, "output": "", "error": ""}


@dataclass(kw_only=True)
class RunCommand:
    """A managed run command resource. `seq` is what the guest's run-once file is compared with."""

    name: str
    location: str
    properties: dict[str, Any]
    protected: list[dict[str, str]]
    tags: dict[str, str] | None = None
    run_as_password: str | None = None
    seq: int = 0
    provisioning: str = "Creating"
    visible_from: float = 0.0
    deleting: bool = False
    delete_incarnation: int = 0
    provisioned_tick: bool = False
    view: dict[str, Any] = field(default_factory=pending_view)
    operation: "Operation | None" = None
    delete_operation: "Operation | None" = None


@dataclass(kw_only=True)
class ActionRun:
    """The one action command a VM can hold. It has no name and no way to be asked about."""

    script: str
    parameters: list[dict[str, str]]
    seq: int
    operation: "Operation"


@dataclass(kw_only=True)
class Quirks:
    """Ways in which one VM misbehaves; a test switches them while the cloud runs."""

    agent_broken: bool = False
    agent_delay: float = 0.0
    outbound_blocked: bool = False
    pending_forever: bool = False
    running_after_exit: bool = False
    delete_stuck: bool = False
    agent_hidden: bool = False
    action_wedged: bool = False


@dataclass(kw_only=True)
class Vm:
    """`power` is the suffix of the PowerState code; `busy` means a power operation is under way."""

    subscription: str
    group: str
    name: str
    location: str = "westeurope"
    os_type: str = "Linux"
    tags: dict[str, str] = field(default_factory=dict)
    power: str = "running"
    busy: bool = False
    provisioning: str = "Succeeded"
    allow_extensions: bool = True
    vm_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    power_changed: datetime | None = None
    heartbeat: datetime | None = None
    incarnation: int = 0
    goal_at: float = 0.0
    action_seq: int = 0
    run_commands: dict[str, RunCommand] = field(default_factory=dict)
    action: ActionRun | None = None
    quirks: Quirks = field(default_factory=Quirks)
    guest: "Guest | None" = None

    @property
    def id(self) -> str:
        return machine_id(self.subscription, self.group, self.name)

    def change_goal(self, at: float) -> None:
        """The agent compares incarnations; any difference makes it call enable on all."""
        self.incarnation += 1
        self.goal_at = at

    @property
    def key(self) -> str:
        return self.id.lower()


@dataclass(kw_only=True)
class Subscription:
    id: str
    name: str
    groups: dict[str, str] = field(default_factory=dict)
    registered: set[str] = field(default_factory=lambda: {"microsoft.compute"})


class Estate:
    """Look-ups with the cloud's own 404 answers; every id is compared without regard to case."""

    def __init__(self) -> None:
        self.subscriptions: dict[str, Subscription] = {}
        self.vms: dict[str, Vm] = {}

    def subscription(self, name: str) -> Subscription:
        found = self.subscriptions.get(name.lower())
        if found is None:
            raise errors.subscription_not_found(name)
        return found

    def group(self, subscription: str, group: str) -> str:
        found = self.subscription(subscription).groups.get(group.lower())
        if found is None:
            raise errors.group_not_found(group)
        return found

    def find(self, subscription: str, group: str, name: str) -> Vm | None:
        return self.vms.get(machine_id(subscription, group, name).lower())

    def vm(self, names: dict[str, str], *, as_parent: bool = False) -> Vm:
        found = self.find(names["sub"], names["rg"], names["vm"])
        if found is None:
            if as_parent:
                raise errors.parent_not_found(names["vm"])
            raise errors.resource_not_found(f"Microsoft.Compute/virtualMachines/{names['vm']}", names["rg"])
        return found

    def add(self, vm: Vm) -> Vm:
        self.vms[vm.key] = vm
        return vm
