"""Power operations: transitions that take time, during which the VM refuses every other change."""

from collections.abc import Callable

from playground.azure import errors
from playground.azure.buckets import DELETE, UPDATE, Class
from playground.azure.model import Vm
from playground.azure.operations import Operation
from playground.azure.platform import Answer, Call, Platform, Route
from playground.azure.run_commands import VM, preempt


def start(platform: Platform, call: Call) -> Answer:
    vm, operation = _begin(platform, call)
    if vm.power == "running":
        return _end_soon(platform, vm, operation)
    vm.power = "starting"
    return _transition(platform, vm, operation, after=(platform.timings.start, lambda: boot(platform, vm)))


def restart(platform: Platform, call: Call) -> Answer:
    vm = platform.estate.vm(call.names)
    if not vm.busy and vm.power != "running":
        raise errors.vm_not_running()
    vm, operation = _begin(platform, call)
    halt(platform, vm, "starting")
    return _transition(platform, vm, operation, after=(platform.timings.restart, lambda: boot(platform, vm)))


def power_off(platform: Platform, call: Call) -> Answer:
    vm, operation = _begin(platform, call)
    if vm.power in {"stopped", "deallocated"}:
        return _end_soon(platform, vm, operation)
    halt(platform, vm, "stopping")
    return _transition(
        platform, vm, operation, after=(platform.timings.power_off, lambda: settle(platform, vm, "stopped"))
    )


def deallocate(platform: Platform, call: Call) -> Answer:
    vm, operation = _begin(platform, call)
    if vm.power == "deallocated":
        return _end_soon(platform, vm, operation)
    halt(platform, vm, "deallocating")
    ending = (platform.timings.deallocate, lambda: settle(platform, vm, "deallocated"))
    return _transition(platform, vm, operation, after=ending)


def _begin(platform: Platform, call: Call) -> tuple[Vm, Operation]:
    vm = platform.estate.vm(call.names)
    if vm.busy:
        raise errors.concurrent_change()
    vm.busy, vm.provisioning = True, "Updating"
    return vm, platform.operations.start(subscription=vm.subscription, location=vm.location, resource=vm.id)


def _end_soon(platform: Platform, vm: Vm, operation: Operation) -> Answer:
    return _transition(platform, vm, operation, after=(1.0, lambda: settle(platform, vm, vm.power)))


def _transition(platform: Platform, vm: Vm, operation: Operation, *, after: tuple[float, Callable[[], None]]) -> Answer:
    seconds, finish = after
    vm_id = vm.vm_id

    def end() -> None:
        if vm.vm_id == vm_id and vm.busy:
            finish()
        platform.operations.succeed(operation)

    platform.later(seconds, end)
    return Answer(status=202, headers=platform.operations.headers(operation))


def halt(platform: Platform, vm: Vm, power: str) -> None:
    """Everything inside dies now; nothing gets to write a last status."""
    if vm.guest is not None:
        vm.guest.shutdown()
    preempt(platform, vm)
    if vm.action is not None and not vm.action.operation.finished:
        vm.quirks.action_wedged = True
    settle(platform, vm, power, busy=True)


def settle(platform: Platform, vm: Vm, power: str, *, busy: bool = False) -> None:
    if vm.power != power:
        vm.power_changed = platform.clock.now()
    vm.power, vm.busy = power, busy
    vm.provisioning = "Updating" if busy else "Succeeded"
    platform.changed()


def boot(platform: Platform, vm: Vm) -> None:
    settle(platform, vm, "running")
    if vm.guest is not None:
        vm.guest.boot(delay=platform.timings.agent_boot)


def _route(verb: str, handler: Callable[[Platform, Call], Answer], bucket: Class) -> Route:
    action = f"Microsoft.Compute/virtualMachines/{verb}/action"
    return Route(method="POST", template=f"{VM}/{verb}", handler=handler, action=action, scope=VM, bucket=bucket)


ROUTES = (
    _route("start", start, UPDATE),
    _route("restart", restart, UPDATE),
    _route("powerOff", power_off, UPDATE),
    _route("deallocate", deallocate, DELETE),
)
