"""Virtual machines as a client reads them: one, many, and the instance view with its gaps."""

from typing import Any

from playground.azure.buckets import HIGH_COST_GET, LOW_COST_GET
from playground.azure.clock import stamp
from playground.azure.model import Vm
from playground.azure.platform import Answer, Call, Platform, Route
from playground.azure.run_commands import VM

_READ = "Microsoft.Compute/virtualMachines/read"
_GROUP = "/subscriptions/{sub}/resourceGroups/{rg}"
_NAMES = {"deallocated": "VM deallocated", "running": "VM running", "stopped": "VM stopped"}


def get(platform: Platform, call: Call) -> Answer:
    vm = platform.estate.vm(call.names)
    return Answer(body=shape(platform, vm, expand=call.expands_instance_view))


def instance_view(platform: Platform, call: Call) -> Answer:
    return Answer(body=view(platform, platform.estate.vm(call.names)))


def list_group(platform: Platform, call: Call) -> Answer:
    group = platform.estate.group(call.names["sub"], call.names["rg"]).lower()
    return _many(platform, call, [vm for vm in _in_subscription(platform, call) if vm.group.lower() == group])


def list_subscription(platform: Platform, call: Call) -> Answer:
    return _many(platform, call, _in_subscription(platform, call))


def _in_subscription(platform: Platform, call: Call) -> list[Vm]:
    return [vm for vm in platform.estate.vms.values() if vm.subscription.lower() == call.names["sub"].lower()]


def _many(platform: Platform, call: Call, vms: list[Vm]) -> Answer:
    status_only = call.query.get("statusOnly", "").lower() == "true"
    expand = call.expands_instance_view or status_only
    return Answer(body={"value": [shape(platform, vm, expand=expand) for vm in vms]})


def shape(platform: Platform, vm: Vm, *, expand: bool) -> dict[str, Any]:
    properties = {
        "vmId": vm.vm_id,
        "hardwareProfile": {"vmSize": "Standard_B2s"},
        "storageProfile": {"osDisk": {"osType": vm.os_type, "name": f"{vm.name}_os", "createOption": "FromImage"}},
        "osProfile": {
            "computerName": vm.name,
            "adminUsername": "azureuser",
            "allowExtensionOperations": vm.allow_extensions,
        },
        "networkProfile": {"networkInterfaces": []},
        "provisioningState": vm.provisioning,
    }
    if expand:
        properties["instanceView"] = view(platform, vm)
    return {
        "name": vm.name,
        "id": vm.id,
        "type": "Microsoft.Compute/virtualMachines",
        "location": vm.location,
        "tags": vm.tags,
        "properties": properties,
    }


def view(platform: Platform, vm: Vm) -> dict[str, Any]:
    """As wide as the real one where a client looks: statuses, agent, operating system."""
    moment = stamp(vm.power_changed or platform.clock.now())
    body: dict[str, Any] = {"statuses": [_provisioning(vm, moment), _power(vm)]}
    if vm.power in {"running", "starting"}:
        body |= {"computerName": vm.name, "osName": _os_name(vm), "osVersion": "22.04"}
    body["vmAgent"] = None if vm.quirks.agent_hidden else _agent(platform, vm)
    return body


def _provisioning(vm: Vm, moment: str) -> dict[str, str]:
    display = {"Succeeded": "Provisioning succeeded", "Failed": "Provisioning failed"}.get(vm.provisioning, "Updating")
    code = f"ProvisioningState/{vm.provisioning.lower()}"
    return {"code": code, "level": "Info", "displayStatus": display, "time": moment}


def _power(vm: Vm) -> dict[str, str]:
    display = _NAMES.get(vm.power, f"VM {vm.power}")
    return {"code": f"PowerState/{vm.power}", "level": "Info", "displayStatus": display}


def _os_name(vm: Vm) -> str:
    return "ubuntu" if vm.os_type == "Linux" else "Windows Server 2022 Datacenter"


def _agent(platform: Platform, vm: Vm) -> dict[str, Any]:
    """Ready while heartbeats are fresh; the time is that of the last one, so its age can be told."""
    silence = None
    if vm.heartbeat is not None:
        silence = (platform.clock.now() - vm.heartbeat).total_seconds() * platform.clock.speed
    if vm.power != "running" or silence is None or silence > 300:
        moment = stamp(vm.heartbeat or platform.clock.now())
        message = "VM status blob is found but not yet populated."
        return {
            "vmAgentVersion": "Unknown",
            "statuses": [_agent_status("Unavailable", "Not Ready", message, moment)],
        }
    version = "2.14.0.1" if vm.os_type == "Linux" else "2.7.41491.1172"
    ready = _agent_status("succeeded", "Ready", "Guest Agent is running", stamp(vm.heartbeat or platform.clock.now()))
    return {"vmAgentVersion": version, "statuses": [ready], "extensionHandlers": []}


def _agent_status(state: str, display: str, message: str, moment: str) -> dict[str, str]:
    level = "Info" if display == "Ready" else "Warning"
    code = f"ProvisioningState/{state}"
    return {"code": code, "level": level, "displayStatus": display, "message": message, "time": moment}


ROUTES = (
    Route(method="GET", template=VM, handler=get, action=_READ, scope=VM, bucket=LOW_COST_GET),
    Route(
        method="GET",
        template=f"{VM}/instanceView",
        handler=instance_view,
        action="Microsoft.Compute/virtualMachines/instanceView/read",
        scope=VM,
        bucket=LOW_COST_GET,
    ),
    Route(
        method="GET",
        template=f"{_GROUP}/providers/Microsoft.Compute/virtualMachines",
        handler=list_group,
        action=_READ,
        scope=_GROUP,
        bucket=HIGH_COST_GET,
    ),
    Route(
        method="GET",
        template="/subscriptions/{sub}/providers/Microsoft.Compute/virtualMachines",
        handler=list_subscription,
        action=_READ,
        scope="/subscriptions/{sub}",
        bucket=HIGH_COST_GET,
    ),
)
