"""Finding machines in Azure and judging whether they are ready: nothing guessed, everything with its cure."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.azure_inventory import target_of
from connectors.azure_preflight import RUNNER_ACTIONS, locks, machine_checks, rights, slots
from connectors.azure_run_command import AzureConnector
from connectors.azure_settings import VmId
from engine.errors import ConnectorError, InvalidInput
from engine.model import Shell, Target
from engine.ports import Check, Level
from playground.azure import AzureCloud, Vm
from tests.connectors.azure import connected, writes

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


def _blocked(checks: tuple[Check, ...]) -> dict[str, Check]:
    return {check.name: check for check in checks if check.level is Level.BLOCK}


# ---------------------------------------------------------------- finding


def test_a_name_that_fits_twice_gives_both(azure: AzureConnector) -> None:
    found = azure.resolve("web-02")

    assert [target.group for target in found] == ["rg-prod", "rg-staging"]


def test_a_group_and_name_give_one(azure: AzureConnector) -> None:
    [found] = azure.resolve("rg-staging/web-02")

    assert found.group == "rg-staging"


def test_an_id_in_any_case_gives_the_canonical_one(cloud: AzureCloud, azure: AzureConnector) -> None:
    [found] = azure.resolve(cloud.vm("rg-prod/web-01").id.upper())

    assert found.id == cloud.vm("rg-prod/web-01").id.lower()
    assert found.fingerprint == cloud.vm("rg-prod/web-01").vm_id


def test_the_operating_system_is_read_from_the_machine(azure: AzureConnector) -> None:
    assert [target.os for target in azure.resolve("win-01")] == ["windows"]


def test_a_machine_that_the_graph_does_not_know_yet_is_found(cloud: AzureCloud, azure: AzureConnector) -> None:
    azure.resolve("web-01")
    cloud.add_vm(Vm(subscription=cloud.subscription, group="rg-prod", name="fresh-01"))

    assert [target.name for target in azure.resolve("fresh-01")] == ["fresh-01"]


def test_a_machine_that_only_the_graph_still_knows_is_not_found(cloud: AzureCloud, azure: AzureConnector) -> None:
    azure.resolve("db-01")
    cloud.on_loop(lambda: cloud.platform.estate.vms.pop(cloud_key(cloud, "db-01")))

    assert azure.resolve("db-01") == ()


def cloud_key(cloud: AzureCloud, name: str) -> str:
    return (
        f"/subscriptions/{cloud.subscription}/resourcegroups/rg-prod/providers/microsoft.compute/virtualmachines/{name}"
    )


def test_rights_on_one_group_only_are_enough_to_find_its_machines(cloud: AzureCloud) -> None:
    scope = f"/subscriptions/{cloud.subscription}"
    cloud.revoke("Microsoft.Compute/virtualMachines/read", scope=scope)
    cloud.grant(["Microsoft.Compute/virtualMachines/read"], scope=f"{scope}/resourceGroups/rg-prod")

    with connected(cloud) as azure:
        found = azure.resolve("web-01")
        listed = azure.inventory()

    assert [target.group for target in found] == ["rg-prod"]
    assert {target.group for target, _ in listed} == {"rg-prod"}


@pytest.mark.parametrize(
    "selector",
    [
        "",
        " ",
        "a b",
        "web'01",
        "x' or name != '",
        "a/b/c",
        "../web-01",
        "rg-prod/..",
        "..",
        "/subscriptions/x",
        "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg/providers/Microsoft.Compute/disks/d",
        "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/a/b",
    ],
)
def test_a_selector_outside_the_grammar_is_refused(azure: AzureConnector, selector: str) -> None:
    with pytest.raises(InvalidInput):
        azure.resolve(selector)


def test_the_inventory_is_asked_for_once_a_minute(cloud: AzureCloud, azure: AzureConnector) -> None:
    first, second = azure.inventory(), azure.inventory()

    lists = [one for one in cloud.ledger.requests() if one.path.lower().endswith("/virtualmachines")]
    assert first == second
    assert len(lists) == 1
    assert ("batch-01", "deallocated") in {(target.name, power) for target, power in first}


def test_a_machine_without_an_operating_system_is_not_guessed() -> None:
    machine = {"id": str(VmId("0" * 8 + "-0000-0000-0000-" + "0" * 12, "rg", "vm")), "name": "vm", "properties": {}}

    with pytest.raises(ConnectorError, match="operating system"):
        target_of(machine)


# ---------------------------------------------------------------- preflight against the cloud


def test_a_stopped_machine_is_blocked_and_nothing_is_run(
    cloud: AzureCloud, azure: AzureConnector, target: Target
) -> None:
    cloud.vm("rg-prod/web-01").deallocate()

    blocked = _blocked(azure.preflight(target, Shell.BASH))

    assert "deallocated" in blocked["power"].evidence
    assert "Start" in blocked["power"].remedy
    assert writes(cloud) == []


def test_a_machine_made_again_is_blocked(cloud: AzureCloud, azure: AzureConnector, target: Target) -> None:
    cloud.vm("rg-prod/web-01").recreate()

    assert "same machine" in _blocked(azure.preflight(target, Shell.BASH))


def test_a_missing_machine_is_blocked(azure: AzureConnector, target: Target) -> None:
    gone = dataclasses.replace(target, id=target.id.replace("web-01", "web-99"))

    assert "machine" in _blocked(azure.preflight(gone, Shell.BASH))


def test_a_hidden_agent_is_unknown_and_not_broken(cloud: AzureCloud, azure: AzureConnector, target: Target) -> None:
    cloud.vm("rg-prod/web-01").quirks.agent_hidden = True

    checks = azure.preflight(target, Shell.BASH)

    assert _blocked(checks) == {}
    assert [check.level for check in checks if check.name == "agent"] == [Level.WARN]


def test_a_missing_right_blocks_and_a_lock_is_warned_of(
    cloud: AzureCloud, azure: AzureConnector, target: Target
) -> None:
    cloud.revoke("Microsoft.Compute/virtualMachines/runCommands/delete")
    cloud.lock(f"/subscriptions/{cloud.subscription}/resourceGroups/rg-prod")

    checks = {check.name: check for check in azure.preflight(target, Shell.BASH)}

    assert checks["rights"].level is Level.BLOCK
    assert "runCommands/delete" in checks["rights"].remedy
    assert checks["locks"].level is Level.WARN


def test_rights_that_cannot_be_read_do_not_block(cloud: AzureCloud, azure: AzureConnector, target: Target) -> None:
    cloud.revoke("Microsoft.Authorization/permissions/read")
    cloud.revoke("Microsoft.Authorization/locks/read")

    checks = azure.preflight(target, Shell.BASH)

    assert _blocked(checks) == {}
    assert {check.name for check in checks if check.level is Level.WARN} == {"rights", "locks"}


# ---------------------------------------------------------------- judging what was read


def _machine(**changes: Any) -> dict[str, Any]:
    place = VmId("00000000-0000-0000-0000-000000000001", "rg", "vm")
    ready = {
        "code": "ProvisioningState/succeeded",
        "displayStatus": "Ready",
        "time": (NOW - timedelta(seconds=20)).isoformat(),
    }
    view = {
        "statuses": [{"code": f"PowerState/{changes.get('power', 'running')}"}],
        "vmAgent": {"vmAgentVersion": "2.9", "statuses": [ready | changes.get("agent", {})]},
    }
    properties = {
        "vmId": "one",
        "storageProfile": {"osDisk": {"osType": "Linux"}},
        "osProfile": {"allowExtensionOperations": changes.get("extensions", True)},
        "provisioningState": changes.get("provisioning", "Succeeded"),
        "instanceView": view,
    }
    return {"id": str(place), "name": "vm", "location": "here", "properties": properties}


@pytest.mark.parametrize(
    ("changes", "name", "level"),
    [
        ({"power": "stopped"}, "power", Level.BLOCK),
        ({"power": "starting"}, "power", Level.BLOCK),
        ({"power": ""}, "power", Level.BLOCK),
        ({"provisioning": "Updating"}, "provisioning", Level.WARN),
        ({"provisioning": "Failed"}, "provisioning", Level.WARN),
        ({"extensions": False}, "extensions", Level.BLOCK),
        ({"agent": {"displayStatus": "Not Ready"}}, "agent", Level.BLOCK),
        ({"agent": {"time": (NOW - timedelta(minutes=20)).isoformat()}}, "heartbeat", Level.WARN),
        ({"agent": {"time": "yesterday"}}, "heartbeat", Level.WARN),
    ],
)
def test_each_trouble_of_a_machine_is_told_apart(changes: dict[str, Any], name: str, level: Level) -> None:
    machine = _machine(**changes)

    checks = machine_checks(machine, target_of(machine), Shell.BASH, NOW, stale=300)

    found = [check for check in checks if check.level is not Level.OK]
    assert [(check.name, check.level) for check in found] == [(name, level)]
    assert found[0].remedy


@pytest.mark.parametrize(("used", "level"), [(0, Level.OK), (14, Level.OK), (15, Level.WARN), (25, Level.BLOCK)])
def test_the_places_for_run_commands_are_counted(used: int, level: Level) -> None:
    assert slots([{}] * used).level is level


@pytest.mark.parametrize(
    ("grants", "level"),
    [
        ([{"actions": ["*"], "notActions": []}], Level.OK),
        ([{"actions": ["Microsoft.Compute/virtualMachines/*"], "notActions": []}], Level.OK),
        ([{"actions": ["microsoft.compute/VIRTUALMACHINES/*"]}], Level.OK),
        ([{"actions": ["*/read"]}, {"actions": ["*/runCommands/write", "*/runCommands/delete"]}], Level.OK),
        ([{"actions": ["*/read"], "notActions": []}], Level.BLOCK),
        ([{"actions": ["*"], "notActions": ["Microsoft.Compute/virtualMachines/runCommands/*"]}], Level.BLOCK),
        ([{"actions": ["Microsoft.Compute/virtualMachinesX/*"]}], Level.BLOCK),
        ([], Level.BLOCK),
    ],
)
def test_granted_patterns_are_matched_as_azure_does(grants: list[dict[str, Any]], level: Level) -> None:
    assert rights(grants, RUNNER_ACTIONS, "/scope").level is level


def test_a_lock_is_named_with_its_level() -> None:
    check = locks([{"name": "keep", "properties": {"level": "CanNotDelete"}}])

    assert "keep (CanNotDelete)" in check.evidence
