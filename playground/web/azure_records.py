"""The cloud as records for the page: machines with what runs on them, requests and executions.

It reads what an operator and an auditor of the cloud could read. It must never wait for the bot.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from playground.azure import AzureCloud
from playground.azure.ledger import Execution, RequestRecord
from playground.azure.machine import Machine
from playground.azure.model import MAX_RUN_COMMANDS
from playground.headers import HIDDEN

Json = dict[str, Any]
ROWS_SHOWN = 200
EFFECTS_SHOWN = 12


def machine_names(cloud: AzureCloud) -> list[str]:
    """`group/name` of every machine, sorted."""
    return sorted(cloud.on_loop(lambda: [f"{vm.group}/{vm.name}" for vm in cloud.platform.estate.vms.values()]))


def cloud_records(cloud: AzureCloud) -> dict[str, Json]:
    """Every machine, and the newest rows of the ledger."""
    records = {f"vm:{name}": _machine(cloud, name) for name in machine_names(cloud)}
    executions = list(enumerate(cloud.ledger.executions()))[-ROWS_SHOWN:]
    records |= {f"execution:{number:07d}": _execution(number, one) for number, one in executions}
    requests = list(enumerate(cloud.ledger.requests()))[-ROWS_SHOWN:]
    return records | {f"request:{number:07d}": _request(number, one) for number, one in requests}


def request_details(one: RequestRecord) -> Json:
    """All of one request, but for the values that were sent as secrets."""
    details = dataclasses.asdict(one)
    properties = details["body"].get("properties") if isinstance(details["body"], dict) else None
    if isinstance(properties, dict):
        for secret in properties.get("protectedParameters") or ():
            secret["value"] = HIDDEN
        if properties.get("runAsPassword"):
            properties["runAsPassword"] = HIDDEN
    return details


def _machine(cloud: AzureCloud, name: str) -> Json:
    machine = cloud.vm(name)
    quirks = dataclasses.asdict(machine.quirks)
    commands = machine.run_commands()
    return {
        "name": name,
        "power": machine.power_state,
        "agent": _agent(machine),
        "vm_id": machine.vm_id,
        "processes": [{"pid": one.pid, "command": one.command[:300]} for one in machine.processes()],
        "slots": [_slot(one) for one in commands],
        "slots_max": MAX_RUN_COMMANDS,
        "effects": machine.effects()[-EFFECTS_SHOWN:],
        "quirks": {key: value for key, value in quirks.items() if isinstance(value, bool)}
        | {"agent_late": machine.quirks.agent_delay > 0},
    }


def _agent(machine: Machine) -> str:
    if machine.power_state != "running":
        return "off"
    if machine.quirks.agent_broken:
        return "broken"
    return "cannot report" if machine.quirks.outbound_blocked else "ready"


def _slot(resource: Json) -> Json:
    properties = resource.get("properties", {})
    view = properties.get("instanceView") or {}
    return {
        "name": resource.get("name", ""),
        "provisioning": properties.get("provisioningState", ""),
        "state": view.get("executionState", ""),
        "exit_code": view.get("exitCode"),
    }


def _execution(number: int, one: Execution) -> Json:
    group, name = one.vm.split("/")[4], one.vm.split("/")[-1]
    return dataclasses.asdict(one) | {"number": number, "vm": f"{group}/{name}"}


def _request(number: int, one: RequestRecord) -> Json:
    return {
        "number": number,
        "at": one.at,
        "method": one.method,
        "path": one.path,
        "done": one.done,
        "sent": one.sent,
        "code": one.code,
        "fault": one.fault,
        "seconds": round(one.seconds, 3),
    }
