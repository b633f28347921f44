"""Managed run commands: the child resources of a VM through which scripts are started, watched and removed.

Accepting a change only alters the goal of the VM; what happens then is up to its agent.
"""

import re
from typing import Any

from playground.azure import errors
from playground.azure.buckets import LOW_COST_GET, UPDATE
from playground.azure.model import MAX_RUN_COMMANDS, RunCommand, Vm, pending_view
from playground.azure.operations import Operation
from playground.azure.platform import Answer, Call, Platform, Route

VM = "/subscriptions/{sub}/resourceGroups/{rg}/providers/Microsoft.Compute/virtualMachines/{vm}"
_LIST = f"{VM}/runCommands"
_ONE = f"{VM}/runCommands/{{name}}"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_SOURCES = ("script", "scriptUri", "commandId", "galleryScriptReferenceId")
_WORKING = frozenset({"Creating", "Updating"})


def put(platform: Platform, call: Call) -> Answer:
    vm = platform.estate.vm(call.names, as_parent=True)
    _check_modifiable(vm)
    _check_body(vm, call)
    existing = vm.run_commands.get(call.names["name"].lower())
    if existing is None:
        return _create(platform, vm, call)
    return _update(platform, vm, existing, call)


def _create(platform: Platform, vm: Vm, call: Call) -> Answer:
    if len(vm.run_commands) >= MAX_RUN_COMMANDS:
        raise errors.too_many_run_commands(len(vm.run_commands))
    name = call.names["name"]
    created = RunCommand(name=name, location=vm.location, properties={}, protected=[])
    created.visible_from = platform.clock.platform() + call.invisible_for
    _take_over(created, call.body)
    vm.run_commands[name.lower()] = created
    return _begin(platform, vm, created, status=201)


def _update(platform: Platform, vm: Vm, existing: RunCommand, call: Call) -> Answer:
    _check_idle(existing)
    before = _content(existing)
    _take_over(existing, call.body)
    if _content(existing) != before or platform.switches.identical_put_reruns:
        existing.seq += 1
        existing.view = pending_view()
    existing.provisioning = "Updating"
    return _begin(platform, vm, existing, status=200)


def patch(platform: Platform, call: Call) -> Answer:
    vm = platform.estate.vm(call.names, as_parent=True)
    existing = _find(platform, vm, call)
    _check_modifiable(vm)
    _check_idle(existing)
    change = _object(call.body)
    properties = {**existing.properties, **existing_secrets(existing), **change.get("properties", {})}
    merged = {
        "location": existing.location,
        "tags": change.get("tags", existing.tags),
        "properties": properties,
    }
    return put(platform, Call(**{**vars(call), "body": merged}))


def existing_secrets(one: RunCommand) -> dict[str, Any]:
    return {"protectedParameters": one.protected} if one.protected else {}


def get(platform: Platform, call: Call) -> Answer:
    vm = platform.estate.vm(call.names)
    return Answer(body=shape(vm, _find(platform, vm, call), expand=call.expands_instance_view))


def list_all(platform: Platform, call: Call) -> Answer:
    vm = platform.estate.vm(call.names)
    visible = [one for one in vm.run_commands.values() if one.visible_from <= platform.clock.platform()]
    return Answer(body={"value": [shape(vm, one, expand=call.expands_instance_view) for one in visible]})


def delete(platform: Platform, call: Call) -> Answer:
    vm = platform.estate.vm(call.names, as_parent=True)
    _check_modifiable(vm)
    found = vm.run_commands.get(call.names["name"].lower())
    if found is None:
        return Answer(status=204)
    if not found.deleting:
        _begin_deletion(platform, vm, found)
    operation = found.delete_operation
    return Answer(status=202, headers=platform.operations.headers(operation) if operation else {})


def _begin_deletion(platform: Platform, vm: Vm, found: RunCommand) -> None:
    message = "The operation has been preempted by a more recent operation."
    platform.operations.fail(found.operation, "OperationPreempted", message)
    vm.change_goal(platform.clock.platform())
    found.deleting, found.delete_incarnation, found.provisioning = True, vm.incarnation, "Deleting"
    found.delete_operation = operation = _operation(platform, vm)

    def give_up() -> None:
        if not operation.finished:
            found.deleting, found.provisioning = False, "Failed"
            _fail_on_timeout(platform, vm, operation)

    platform.later(platform.timings.provisioning_timeout, give_up)


def _begin(platform: Platform, vm: Vm, one: RunCommand, *, status: int) -> Answer:
    """The goal changes here; from now on the script may run, whatever the client hears."""
    one.operation = operation = _operation(platform, vm)
    vm.change_goal(platform.clock.platform())

    def give_up() -> None:
        if not operation.finished:
            one.provisioning = "Failed"
            _fail_on_timeout(platform, vm, operation)

    platform.later(platform.timings.provisioning_timeout, give_up)
    body = shape(vm, one, expand=False)
    return Answer(status=status, body=body, headers=platform.operations.headers(operation))


def _fail_on_timeout(platform: Platform, vm: Vm, operation: Operation) -> None:
    if vm.quirks.agent_broken:
        code = "VMAgentStatusCommunicationError"
        message = f"VM '{vm.name}' has not reported status for VM agent or extensions."
    else:
        code = "VMExtensionProvisioningTimeout"
        message = "Provisioning of VM extension has timed out: it has taken too long to complete."
    platform.operations.fail(operation, code, message)


def _operation(platform: Platform, vm: Vm) -> Operation:
    return platform.operations.start(subscription=vm.subscription, location=vm.location, resource=vm.id)


def preempt(platform: Platform, vm: Vm) -> None:
    """A machine going down ends what was being provisioned on it."""
    message = "The operation has been preempted by a more recent operation."
    for one in vm.run_commands.values():
        if one.provisioning in _WORKING:
            one.provisioning = "Failed"
        platform.operations.fail(one.operation, "OperationPreempted", message)


def _find(platform: Platform, vm: Vm, call: Call) -> RunCommand:
    found = vm.run_commands.get(call.names["name"].lower())
    if found is None or found.visible_from > platform.clock.platform():
        kind = f"Microsoft.Compute/virtualMachines/{vm.name}/runCommands/{call.names['name']}"
        raise errors.resource_not_found(kind, vm.group)
    return found


def _check_modifiable(vm: Vm) -> None:
    if vm.busy:
        raise errors.concurrent_change()
    if vm.power != "running":
        raise errors.vm_not_running_for_extensions()
    if not vm.allow_extensions:
        raise errors.extensions_disallowed()


def _check_idle(one: RunCommand) -> None:
    if one.deleting or one.provisioning in _WORKING:
        raise errors.concurrent_change()


def _object(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise errors.ArmError(400, "InvalidRequestContent", "The request content was invalid: an object is required.")
    return body


def _check_body(vm: Vm, call: Call) -> None:
    body = _object(call.body)
    if not body.get("location"):
        raise errors.ArmError(400, "LocationRequired", "The location property is required for this definition.")
    if str(body["location"]).replace(" ", "").lower() != vm.location.lower():
        raise errors.parent_not_found(vm.name)
    if not _NAME.fullmatch(call.names["name"]):
        raise errors.invalid_parameter("runCommandName", "The entity name 'runCommandName' is invalid.")
    _check_source(body.get("properties") or {})


def _check_source(properties: dict[str, Any]) -> None:
    source = properties.get("source") or {}
    if sum(1 for key in _SOURCES if source.get(key)) != 1:
        wanted = "Exactly one of script, scriptUri, commandId, galleryScriptReferenceId must be specified."
        raise errors.invalid_parameter("runCommand.properties.source", wanted)
    timeout = properties.get("timeoutInSeconds")
    if timeout is not None and (not isinstance(timeout, int) or timeout < 0):
        raise errors.invalid_parameter("timeoutInSeconds", "The value of parameter timeoutInSeconds is invalid.")
    if source.get("commandId"):
        raise errors.not_in_location(str(source["commandId"]))


def _take_over(one: RunCommand, body: dict[str, Any]) -> None:
    properties = dict(body.get("properties") or {})
    for read_only in ("instanceView", "provisioningState"):
        properties.pop(read_only, None)
    one.protected = list(properties.pop("protectedParameters", None) or [])
    one.run_as_password = properties.pop("runAsPassword", None)
    one.properties = properties
    one.tags = body.get("tags")


def _content(one: RunCommand) -> tuple[object, ...]:
    return (one.properties, one.protected, one.run_as_password)


def shape(vm: Vm, one: RunCommand, *, expand: bool) -> dict[str, Any]:
    """What a read returns: never a secret, and execution data only when asked for."""
    properties = {**one.properties, "provisioningState": one.provisioning}
    if expand:
        properties["instanceView"] = one.view
    found: dict[str, Any] = {
        "name": one.name,
        "id": f"{vm.id}/runCommands/{one.name}",
        "type": "Microsoft.Compute/virtualMachines/runCommands",
        "location": one.location,
        "properties": properties,
    }
    return found if one.tags is None else {**found, "tags": one.tags}


def _route(method: str, template: str, verb: str) -> Route:
    handler = {"PUT": put, "PATCH": patch, "GET": get, "DELETE": delete}[method]
    bucket = LOW_COST_GET if method == "GET" else UPDATE
    action = f"Microsoft.Compute/virtualMachines/runCommands/{verb}"
    return Route(method=method, template=template, handler=handler, action=action, scope=template, bucket=bucket)


ROUTES = (
    _route("PUT", _ONE, "write"),
    _route("PATCH", _ONE, "write"),
    _route("GET", _ONE, "read"),
    _route("DELETE", _ONE, "delete"),
    Route(
        method="GET",
        template=_LIST,
        handler=list_all,
        action="Microsoft.Compute/virtualMachines/runCommands/read",
        scope=VM,
        bucket=LOW_COST_GET,
    ),
)
