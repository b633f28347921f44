"""What the platform makes of an agent's report: provisioning ends, views change, deletions complete.

The only way from the inside of a VM to what a client can read. A VM that does not report changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from playground.azure.handler import FINAL, Status, decode
from playground.azure.model import ActionRun, RunCommand, Vm
from playground.azure.platform import Platform

ACTION_TAIL = 4096


@dataclass(frozen=True, kw_only=True)
class Report:
    incarnation: int
    statuses: Mapping[str, Status | None]
    action: Status | None


def absorb(platform: Platform, vm: Vm, report: Report) -> None:
    vm.heartbeat = platform.clock.now()
    for one in list(vm.run_commands.values()):
        status = report.statuses.get(one.name)
        if one.deleting:
            _complete_deletion(platform, vm, one, report.incarnation)
        elif status is not None and status.seq == one.seq:
            _absorb_status(platform, vm, one, status)
    if vm.action is not None and report.action is not None and not vm.quirks.action_wedged:
        _absorb_action(platform, vm, vm.action, report.action)


def _complete_deletion(platform: Platform, vm: Vm, one: RunCommand, incarnation: int) -> None:
    if incarnation >= one.delete_incarnation and not vm.quirks.delete_stuck:
        vm.run_commands.pop(one.name.lower(), None)
        platform.operations.succeed(one.delete_operation)


def _absorb_status(platform: Platform, vm: Vm, one: RunCommand, status: Status) -> None:
    asynchronous = bool(one.properties.get("asyncExecution"))
    if one.provisioning in {"Creating", "Updating"}:
        if asynchronous or status.state in FINAL:
            _end_provisioning(platform, one, status)
        if asynchronous:
            return  # the view follows one report later: provisioning succeeded, but a first read says Pending
    one.view = _seen_through_quirks(vm, view(status))


def _end_provisioning(platform: Platform, one: RunCommand, status: Status) -> None:
    failed = status.state in {"Failed", "TimedOut"} and bool(one.properties.get("treatFailureAsDeploymentFailure"))
    one.provisioning = "Failed" if failed else "Succeeded"
    if failed:
        message = f"VM has reported a failure when processing extension '{one.name}'. Error: {status.message}"
        platform.operations.fail(one.operation, "VMExtensionProvisioningError", message)
    else:
        platform.operations.succeed(one.operation)


def view(status: Status) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "executionState": status.state,
        "executionMessage": status.message,
        "exitCode": status.exit_code,
        "output": status.output,
        "error": status.error,
        "startTime": status.start,
    }
    return shown if status.end is None else {**shown, "endTime": status.end}


def _seen_through_quirks(vm: Vm, shown: dict[str, Any]) -> dict[str, Any]:
    if vm.quirks.pending_forever:
        return {"executionState": "Pending", "executionMessage": "", "exitCode": 0, "output": "", "error": ""}
    if vm.quirks.running_after_exit and shown["executionState"] in FINAL:
        without_end = {key: value for key, value in shown.items() if key != "endTime"}
        return {**without_end, "executionState": "Running", "executionMessage": "", "exitCode": 0}
    return shown


def _absorb_action(platform: Platform, vm: Vm, action: ActionRun, status: Status) -> None:
    early = platform.clock.platform() - action.operation.created < platform.timings.action_minimum
    if status.state in FINAL and not early:
        value = _windows_result(status) if vm.os_type == "Windows" else _linux_result(status)
        platform.operations.succeed(action.operation, {"value": value})


def _linux_result(status: Status) -> list[dict[str, Any]]:
    """One message for both streams, cut to its last bytes; a non-zero exit looks just like success."""
    whole = f"Enable succeeded: \n[stdout]\n{status.output}\n[stderr]\n{status.error}".encode()
    return [_element("ProvisioningState/succeeded", "Provisioning succeeded", decode(whole[-ACTION_TAIL:]))]


def _windows_result(status: Status) -> list[dict[str, Any]]:
    return [
        _element("ComponentStatus/StdOut/succeeded", "Provisioning succeeded", status.output),
        _element("ComponentStatus/StdErr/succeeded", "Provisioning succeeded", status.error),
    ]


def _element(code: str, display: str, message: str) -> dict[str, Any]:
    return {"code": code, "level": "Info", "displayStatus": display, "message": message}
