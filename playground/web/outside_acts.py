"""What the page does to the outside world: machines, faults, clocks, connections, and the bot's process.

These are the hands of chance and of an operator with a mouse. They must never change anything inside the bot.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from playground.azure.faults import Fault
from playground.azure.machine import Machine
from playground.azure.model import Quirks
from playground.slack.faults import FaultKind
from playground.stage import Stage
from playground.web.catalogue import AZURE_FAULTS, SLACK_FAULTS
from playground.web.people_acts import Act

Json = dict[str, Any]
DONE: Json = {"error": ""}
QUIRKS = frozenset(field.name for field in fields(Quirks) if isinstance(field.default, bool))
LATE_SECONDS = 3600.0  #: of the cloud's time
SKEW_SECONDS = -86_400.0
VM_DEEDS: Mapping[str, Callable[[Machine], None]] = {
    "start": Machine.start,
    "stop": Machine.stop,
    "deallocate": Machine.deallocate,
    "reboot": Machine.reboot,
    "recreate": Machine.recreate,
    "break_agent": Machine.break_agent,
    "repair_agent": Machine.repair_agent,
    "forgetful_upgrade": lambda machine: machine.upgrade_extension(forget=True),
}


class VmDeed(Act):
    vm: str
    deed: Literal[
        "start",
        "stop",
        "deallocate",
        "reboot",
        "recreate",
        "break_agent",
        "repair_agent",
        "forgetful_upgrade",
        "take_snapshot",
        "restore_snapshot",
    ]


class VmQuirk(Act):
    vm: str
    quirk: str
    on: bool


class SlackFaultOn(Act):
    kind: FaultKind
    place: str = "*"
    times: int | None = Field(default=1, ge=1, le=1000)
    seconds: float = Field(default=1.0, ge=0, le=600)


class SlackFaultOff(Act):
    kind: FaultKind


class AzureFaultOn(Act):
    name: str
    times: int = Field(default=1, ge=1, le=1000)
    seconds: float = Field(default=1.0, ge=0, le=600)


class AzureFaultOff(Act):
    name: str


class AzureDeed(Act):
    deed: Literal["expire_tokens", "skew_clock", "mend_clock"]


class Advance(Act):
    clock: Literal["slack", "azure", "both"]
    seconds: float = Field(gt=0, le=30 * 86_400)


class Bot(Act):
    deed: Literal["kill", "stop", "start"]


class Sockets(Act):
    deed: Literal["cut", "refresh"]


class Machines:
    """What is done to machines; it knows the copy that was made of each disk."""

    def __init__(self) -> None:
        self._snapshots: dict[str, Path] = {}

    def does(self, stage: Stage, act: VmDeed) -> Json:
        machine = stage.cloud.vm(act.vm)
        if act.deed == "take_snapshot":
            self._snapshots[machine.id] = machine.take_snapshot()
        elif act.deed == "restore_snapshot":
            if machine.id not in self._snapshots:
                raise LookupError(f"no copy of the disk of {act.vm} has been made yet")
            machine.restore_snapshot(self._snapshots[machine.id])
        else:
            VM_DEEDS[act.deed](machine)
        return DONE


def switches_quirk(stage: Stage, act: VmQuirk) -> Json:
    """Let one machine misbehave, or stop it from doing so."""
    machine = stage.cloud.vm(act.vm)
    if act.quirk == "agent_late":
        machine.delay_agent(LATE_SECONDS if act.on else 0.0)
        return DONE
    if act.quirk not in QUIRKS:
        raise LookupError(f"a machine has no switch {act.quirk!r}")
    stage.cloud.on_loop(lambda: setattr(machine.quirks, act.quirk, act.on))
    return DONE


def does_to_azure(stage: Stage, act: AzureDeed) -> Json:
    """Let every token be too old, or let the clock in Azure's answers be a day behind."""
    if act.deed == "expire_tokens":
        stage.cloud.expire_tokens()
    else:
        stage.cloud.faults.clock_skew = SKEW_SECONDS if act.deed == "skew_clock" else 0.0
    return DONE


def moves_clock(stage: Stage, act: Advance) -> Json:
    if act.clock in {"slack", "both"}:
        stage.slack.clock.advance(act.seconds)
    if act.clock in {"azure", "both"}:
        stage.cloud.advance(act.seconds)
    return DONE


def handles_bot(stage: Stage, act: Bot) -> Json:
    """Kill it as a power cut would, ask it to end, or start it again and wait until it serves."""
    if act.deed == "kill":
        stage.bot.kill()
    elif act.deed == "stop":
        stage.bot.stop()
    elif not stage.bot.running:
        stage.start_bot()
    return DONE


def handles_sockets(stage: Stage, act: Sockets) -> Json:
    """Break the connections without a word, or ask for new ones as Slack does every few hours."""
    if act.deed == "cut":
        stage.slack.cut_sockets()
    else:
        stage.slack.refresh_sockets()
    return DONE


def switches_slack_fault_on(stage: Stage, act: SlackFaultOn) -> Json:
    stage.slack.faults.switch_on(act.kind, on=act.place, times=act.times, seconds=act.seconds)
    stage.slack.world.touch()
    return DONE


def switches_slack_fault_off(stage: Stage, act: SlackFaultOff) -> Json:
    stage.slack.faults.clear(act.kind)
    stage.slack.world.touch()
    return DONE


class AzureSwitches:
    """The cloud's faults that were armed here, so that each can be taken back alone."""

    def __init__(self) -> None:
        self._armed: list[tuple[str, Fault]] = []

    def switch_on(self, stage: Stage, act: AzureFaultOn) -> Json:
        known = AZURE_FAULTS.get(act.name)
        if known is None:
            raise LookupError(f"the page knows no fault {act.name!r}; it knows {', '.join(AZURE_FAULTS)}")
        self._armed.append((act.name, stage.cloud.faults.add(known.armed(act.times, act.seconds))))
        return DONE

    def switch_off(self, stage: Stage, act: AzureFaultOff) -> Json:  # noqa: ARG002 - every act is given the stage
        for name, fault in self._armed:
            if name == act.name:
                fault.times = fault.used
        return DONE

    def records(self) -> dict[str, Json]:
        """Every known fault, with how often it will still strike and has struck."""
        return {f"azure_fault:{name}": self._record(name) for name in AZURE_FAULTS}

    def _record(self, name: str) -> Json:
        known = AZURE_FAULTS[name]
        armed = [fault for each, fault in self._armed if each == name]
        left = sum(max(0, (fault.times or 0) - fault.used) for fault in armed)
        struck = sum(fault.used for fault in armed)
        told = {"name": name, "title": known.title, "about": known.about, "seconds": known.seconds}
        return told | {"on": left > 0, "left": left, "struck": struck}


def slack_fault_records(stage: Stage) -> dict[str, Json]:
    """Every known fault of Slack, whether it is on, and how often it has struck."""
    faults = stage.slack.faults
    return {
        f"slack_fault:{kind}": {
            "kind": kind,
            "title": known.title,
            "about": known.about,
            "places": list(known.places),
            "seconds": known.seconds,
            "on": any(faults.is_on(kind, place) for place in known.places),
            "struck": faults.count(kind),
        }
        for kind, known in SLACK_FAULTS.items()
    }
