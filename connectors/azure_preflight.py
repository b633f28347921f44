"""Looks whether a command could run on a machine now. Only reads; runs nothing on the machine."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime

from connectors.azure_client import AzureClient, Json
from connectors.azure_inventory import power_of, provisioning_of, target_of, view_of
from connectors.azure_settings import VmId
from engine.errors import Permanent, Transient
from engine.model import Shell, Target
from engine.ports import Check, Clock, Level

RUNNER_ACTIONS = (
    "Microsoft.Compute/virtualMachines/read",
    "Microsoft.Compute/virtualMachines/instanceView/read",
    "Microsoft.Compute/virtualMachines/runCommands/read",
    "Microsoft.Compute/virtualMachines/runCommands/write",
    "Microsoft.Compute/virtualMachines/runCommands/delete",
)
ACTION_ACTIONS = (*RUNNER_ACTIONS[:2], "Microsoft.Compute/virtualMachines/runCommand/action")
SLOTS = 25
_SLOTS_WARN = 15
_SHELL_OF = {"linux": Shell.BASH, "windows": Shell.POWERSHELL}


def preflight(
    client: AzureClient, clock: Clock, target: Target, shell: Shell, *, actions: tuple[str, ...] = RUNNER_ACTIONS
) -> tuple[Check, ...]:
    """Return every check, the good ones too; the machine itself is read first."""
    vm = VmId.parse(target.id)
    machine = client.vm(vm)
    if machine is None:
        return (_block("machine", "it does not exist any more", "Choose a machine that exists."),)
    return (
        *machine_checks(machine, target, shell, clock.now(), stale=client.settings.stale_heartbeat_seconds),
        _advisory("slots", lambda: slots(client.run_commands(vm, expand=False))),
        _advisory("rights", lambda: _rights(client, str(vm), actions)),
        _advisory("locks", lambda: locks(client.locks(str(vm)))),
    )


def machine_checks(machine: Json, target: Target, shell: Shell, now: datetime, *, stale: float) -> tuple[Check, ...]:
    """Judge what was read of the machine."""
    seen = target_of(machine)
    return (
        _same(seen, target),
        _power(power_of(machine)),
        _provisioning(provisioning_of(machine)),
        *_agent(machine, now, stale),
        _extensions(machine),
        _shell(seen.os, shell),
    )


def slots(commands: list[Json]) -> Check:
    """Count the run commands of a machine; Azure allows 25."""
    used = len(commands)
    evidence = f"{used} of {SLOTS} run commands in use"
    remedy = "Remove run commands that are no longer needed."
    if used >= SLOTS:
        return _block("slots", evidence, remedy)
    return _warn("slots", evidence, remedy) if used >= _SLOTS_WARN else _ok("slots", evidence)


def rights(grants: list[Json], actions: Iterable[str], scope: str) -> Check:
    """Match the wanted actions against the granted patterns; deny assignments are not in them."""
    missing = [action for action in actions if not _granted(grants, action)]
    if not missing:
        return _ok("rights", "every needed action is granted")
    remedy = f"Give the bot's role {', '.join(missing)} on {scope}."
    return _block("rights", f"the bot's role lacks {', '.join(missing)}", remedy)


def _rights(client: AzureClient, scope: str, actions: Iterable[str]) -> Check:
    """Judge the rights, and if one is missing say whose."""
    check = rights(client.permissions(scope), actions, scope)
    if check.level is not Level.BLOCK:
        return check
    who = client.principal()
    name = f"the bot's principal (client {who['appid']}, object {who['oid']})"
    return replace(check, evidence=check.evidence.replace("the bot's role", name))


def locks(found: list[Json]) -> Check:
    """Look for locks, with which finished run commands pile up until there is no room for another."""
    names = sorted(f"{one.get('name', '')} ({(one.get('properties') or {}).get('level', '')})" for one in found)
    if not names:
        return _ok("locks", "none")
    return _warn("locks", ", ".join(names), "Remove the lock, or finished run commands fill the 25 places.")


def _granted(grants: list[Json], action: str) -> bool:
    return any(
        any(_fits(pattern, action) for pattern in grant.get("actions") or ())
        and not any(_fits(pattern, action) for pattern in grant.get("notActions") or ())
        for grant in grants
    )


def _fits(pattern: str, action: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), action, re.IGNORECASE) is not None


def _same(seen: Target, target: Target) -> Check:
    if not target.fingerprint or seen.fingerprint == target.fingerprint:
        return _ok("same machine", f"vmId {seen.fingerprint}")
    evidence = "the machine was deleted and made again under the same name"
    return _block("same machine", evidence, "Start a new session, so that the new machine is approved.")


def _power(state: str) -> Check:
    if state == "running":
        return _ok("power", "running")
    return _block("power", f"the machine is {state}", "Start the machine, then try again.")


def _provisioning(state: str) -> Check:
    if state == "succeeded":
        return _ok("provisioning", "succeeded")
    return _warn("provisioning", state, "Another change may be under way; Azure may ask for patience.")


def _agent(machine: Json, now: datetime, stale: float) -> tuple[Check, ...]:
    agent = view_of(machine).get("vmAgent")
    if power_of(machine) != "running":
        return ()
    statuses = (agent or {}).get("statuses") or ()
    if not statuses:
        return (_warn("agent", "Azure does not know the agent's state just now", "Look again in a minute."),)
    status = statuses[0]
    if str(status.get("displayStatus", "")).lower() != "ready":
        remedy = "Restart the VM agent (walinuxagent) on the machine."
        return (_block("agent", f"{status.get('displayStatus')}: {status.get('message', '')}".strip(": "), remedy),)
    version = (agent or {}).get("vmAgentVersion", "unknown")
    return (_ok("agent", f"ready, version {version}"), _heartbeat(status, now, stale))


def _heartbeat(status: Json, now: datetime, stale: float) -> Check:
    try:
        age = (now - datetime.fromisoformat(str(status.get("time", "")))).total_seconds()
    except (ValueError, TypeError):
        return _warn("heartbeat", "no time of the last heartbeat", "Look again in a minute.")
    if age > stale:
        return _warn("heartbeat", f"last heard of {age:.0f} s ago", "The agent may be busy or cut off from Azure.")
    return _ok("heartbeat", f"{max(0.0, age):.0f} s ago")


def _extensions(machine: Json) -> Check:
    profile = (machine.get("properties") or {}).get("osProfile") or {}
    if profile.get("allowExtensionOperations") is False:
        return _block("extensions", "not allowed on this machine", "Set osProfile.allowExtensionOperations to true.")
    return _ok("extensions", "allowed")


def _shell(system: str, shell: Shell) -> Check:
    if _SHELL_OF[system] is shell:
        return _ok("shell", f"{shell} on {system}")
    return _block("shell", f"{shell} does not run on {system}", f"Use a runbook for {system}.")


def _advisory(name: str, look: Callable[[], Check]) -> Check:
    """A check that may fail without blocking anything: the command itself will show."""
    try:
        return look()
    except (Permanent, Transient) as error:
        return _warn(name, f"could not be read: {error.message}", error.hint)


def _ok(name: str, evidence: str) -> Check:
    return Check(name=name, level=Level.OK, evidence=evidence)


def _warn(name: str, evidence: str, remedy: str) -> Check:
    return Check(name=name, level=Level.WARN, evidence=evidence, remedy=remedy)


def _block(name: str, evidence: str, remedy: str) -> Check:
    return Check(name=name, level=Level.BLOCK, evidence=evidence, remedy=remedy)
