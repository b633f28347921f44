"""The Azure roles grant exactly what the bot calls, and the set-up page tells the truth about them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "azure-roles"
SETUP = (ROOT / "docs" / "azure-setup.md").read_text(encoding="utf-8")

VM = "Microsoft.Compute/virtualMachines/"
LOOKING = {
    f"{VM}read",
    f"{VM}instanceView/read",
    "Microsoft.Compute/locations/operations/read",
    "Microsoft.Authorization/permissions/read",
    "Microsoft.Authorization/locks/read",
}
RUNNING = {
    f"{VM}runCommands/read",
    f"{VM}runCommands/write",
    f"{VM}runCommands/delete",
    f"{VM}runCommand/action",
    "Microsoft.Compute/locations/runCommands/read",
}
SWITCHING = {f"{VM}{verb}/action" for verb in ("start", "restart", "deallocate", "powerOff")}
ROLES = {
    "runner.json": ("Runbook Bot Runner", LOOKING | RUNNING),
    "power-operator.json": ("Runbook Bot Power Operator", LOOKING | SWITCHING),
}


def role(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    return loaded


@pytest.mark.parametrize("name", ROLES)
def test_role_grants_exactly_what_the_bot_calls(name: str) -> None:
    title, actions = ROLES[name]

    found = role(name)

    assert found["Name"] == title
    assert found["IsCustom"] is True
    assert len(found["Actions"]) == len(set(found["Actions"]))
    assert set(found["Actions"]) == actions


@pytest.mark.parametrize("name", ROLES)
def test_role_has_no_wildcard_and_nothing_but_plain_actions(name: str) -> None:
    found = role(name)

    assert "*" not in json.dumps(found)
    assert (found["NotActions"], found["DataActions"], found["NotDataActions"]) == ([], [], [])


@pytest.mark.parametrize("name", ROLES)
def test_role_is_assignable_only_where_its_owner_says(name: str) -> None:
    [scope] = role(name)["AssignableScopes"]

    assert scope == "/subscriptions/00000000-0000-0000-0000-000000000000"
    assert scope.rpartition("/")[2] in SETUP  # the page says how to put the real one in


def test_power_operator_runs_nothing_inside_a_vm() -> None:
    assert not [action for action in role("power-operator.json")["Actions"] if "runcommand" in action.lower()]


def test_no_role_can_change_a_vm_or_grant_rights() -> None:
    granted = {action for name in ROLES for action in role(name)["Actions"]}

    changing = {action for action in granted if not action.endswith(("/read", "/action"))}

    assert changing == {f"{VM}runCommands/write", f"{VM}runCommands/delete"}


def test_setup_page_names_every_role_file_and_every_action() -> None:
    for name, (title, actions) in ROLES.items():
        assert f"azure-roles/{name}" in SETUP
        assert title in SETUP
        assert [action for action in actions if f"`{action}`" not in SETUP] == []


def test_setup_page_names_no_action_that_no_role_grants() -> None:
    granted = set().union(*(actions for _, actions in ROLES.values()))

    named = set(re.findall(r"`(Microsoft\.[A-Za-z]+/[A-Za-z/]+)`", SETUP))

    assert named - granted == set()


def test_folder_holds_the_two_roles_and_nothing_else() -> None:
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(ROLES)
