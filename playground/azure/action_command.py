"""The action run command: one nameless slot per VM, a POST that answers late, without exit code or cancel.

A slot that is taken stays taken until its run ends, and a wedged one until someone removes the extension.
"""

from typing import Any

from playground.azure import errors
from playground.azure.buckets import UPDATE
from playground.azure.model import ActionRun, Vm
from playground.azure.platform import Answer, Call, Platform, Route
from playground.azure.run_commands import VM

_BUILT_IN: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "RunShellScript": ("Linux", "Executes a Linux shell script", ()),
    "RunPowerShellScript": ("Windows", "Executes a PowerShell script", ()),
    "ifconfig": ("Linux", "Get the configuration of all network interfaces.", ("ifconfig",)),
    "RemoveRunCommandLinuxExtension": ("Linux", "Removes the Linux run command extension.", ()),
    "RemoveRunCommandWindowsExtension": ("Windows", "Removes the Windows run command extension.", ()),
}
_LOCATION = "/subscriptions/{sub}/providers/Microsoft.Compute/locations/{location}"


def post(platform: Platform, call: Call) -> Answer:
    vm = platform.estate.vm(call.names)
    body = call.body if isinstance(call.body, dict) else {}
    command = _built_in(vm, str(body.get("commandId", "")))
    if vm.busy:
        raise errors.concurrent_change()
    if vm.power != "running":
        raise errors.vm_not_running()
    if not vm.allow_extensions:
        raise errors.extensions_disallowed()
    if command.startswith("RemoveRunCommand"):
        return _remove_extension(platform, vm)
    if vm.action is not None and (vm.quirks.action_wedged or not vm.action.operation.finished):
        raise errors.action_in_progress()
    return _accept(platform, vm, command, body)


def _accept(platform: Platform, vm: Vm, command: str, body: dict[str, Any]) -> Answer:
    operation = platform.operations.start(subscription=vm.subscription, location=vm.location, resource=vm.id)
    lines = body.get("script") or list(_BUILT_IN[command][2])
    parameters = list(body.get("parameters") or [])
    vm.action_seq += 1
    vm.action = ActionRun(
        script=_with_parameters(lines, parameters),
        parameters=parameters,
        seq=vm.action_seq,
        operation=operation,
    )
    vm.change_goal(platform.clock.platform())

    def give_up() -> None:
        message = "Provisioning of VM extension 'RunCommand' has timed out."
        platform.operations.fail(operation, "VMExtensionProvisioningTimeout", message)

    platform.later(platform.timings.action_maximum, give_up)
    return Answer(status=202, headers=platform.operations.headers(operation))


def _with_parameters(lines: list[str], parameters: list[dict[str, str]]) -> str:
    """Parameters become lines above the script, above even its shebang, and nothing is quoted."""
    named = [f"export {p['name']}={p.get('value', '')}" for p in parameters if p.get("name")]
    plain = [str(p.get("value", "")) for p in parameters if not p.get("name")]
    return "\n".join([*named, *([f"set -- {' '.join(plain)}"] if plain else []), *lines]) + "\n"


def _remove_extension(platform: Platform, vm: Vm) -> Answer:
    """The published remedy for a wedged slot."""
    if vm.action is not None:
        platform.operations.fail(vm.action.operation, "OperationPreempted", "The extension was removed.")
    vm.action, vm.quirks.action_wedged = None, False
    operation = platform.operations.start(subscription=vm.subscription, location=vm.location, resource=vm.id)
    platform.operations.succeed(operation, {"value": []})
    return Answer(status=202, headers=platform.operations.headers(operation))


def _built_in(vm: Vm, command: str) -> str:
    found = next((name for name in _BUILT_IN if name.lower() == command.lower()), None)
    if found is None or _BUILT_IN[found][0] != vm.os_type:
        raise errors.not_in_location(command)
    return found


def list_built_in(platform: Platform, call: Call) -> Answer:
    del platform, call
    return Answer(body={"value": [_document(name) for name in _BUILT_IN]})


def get_built_in(platform: Platform, call: Call) -> Answer:
    del platform
    found = next((name for name in _BUILT_IN if name.lower() == call.names["command"].lower()), None)
    if found is None:
        raise errors.not_in_location(call.names["command"])
    return Answer(body={**_document(found), "script": list(_BUILT_IN[found][2])})


def _document(name: str) -> dict[str, Any]:
    os_type, label, _ = _BUILT_IN[name]
    return {
        "$schema": "https://schema.management.azure.com/schemas/2016-11-17/runcommands.json",
        "id": name,
        "osType": os_type,
        "label": label,
        "description": label,
    }


ROUTES = (
    Route(
        method="POST",
        template=f"{VM}/runCommand",
        handler=post,
        action="Microsoft.Compute/virtualMachines/runCommand/action",
        scope=VM,
        bucket=UPDATE,
    ),
    Route(
        method="GET",
        template=f"{_LOCATION}/runCommands",
        handler=list_built_in,
        action="Microsoft.Compute/locations/runCommands/read",
        scope="/subscriptions/{sub}",
    ),
    Route(
        method="GET",
        template=f"{_LOCATION}/runCommands/{{command}}",
        handler=get_built_in,
        action="Microsoft.Compute/locations/runCommands/read",
        scope="/subscriptions/{sub}",
    ),
)
