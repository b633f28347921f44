"""Finds machines: by resource id, by group/name, by name. Ambiguity is an answer, never a guess.

Resource Graph is fast and late, so it only says where to look; every target is read from the machine itself.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from connectors.azure_client import AzureClient, Json
from connectors.azure_settings import PLAIN_NAME, VmId
from engine.errors import ConnectorError, InvalidInput, Permanent, Transient
from engine.model import Target
from engine.ports import Clock

_QUERY = "Resources | where type =~ 'microsoft.compute/virtualmachines'"


class Inventory:
    """What machines there are. The list may be a minute old; a resolved target never is."""

    def __init__(self, client: AzureClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._lock = threading.Lock()
        self._listed: tuple[float, tuple[tuple[Target, str], ...]] = (float("-inf"), ())

    def resolve(self, selector: str) -> tuple[Target, ...]:
        """Return every machine that fits, read just now, sorted by id."""
        places = self._places(selector.strip())
        machines = (self._client.vm(place) for place in places)
        return tuple(sorted((target_of(one) for one in machines if one is not None), key=lambda target: target.id))

    def listed(self) -> tuple[tuple[Target, str], ...]:
        """Return all machines within reach with their power state, from a list that is young enough."""
        with self._lock:
            now = self._clock.now().timestamp()
            taken, rows = self._listed
            if now - taken > self._client.settings.inventory_seconds:
                rows = self._list()
                self._listed = (now, rows)
            return rows

    def _places(self, selector: str) -> Iterable[VmId]:
        if selector.startswith("/"):
            return (VmId.parse(selector),)
        group, _, name = selector.rpartition("/")
        if not PLAIN_NAME.fullmatch(name) or (group and not PLAIN_NAME.fullmatch(group)):
            raise InvalidInput(
                "This is not the name of a machine.", hint="Give a name, a group/name or a full resource id."
            )
        if group:
            return [VmId(s.lower(), group.lower(), name.lower()) for s in self._client.settings.subscription_ids]
        return self._named(name.lower())

    def _named(self, name: str) -> list[VmId]:
        """Ask the graph; look at the full lists when it does not answer or does not know the machine yet."""
        try:
            rows = self._client.graph(f"{_QUERY} and name =~ '{name}' | project id")
        except (Permanent, Transient):
            rows = []
        found = {VmId.parse(str(row.get("id", ""))) for row in rows}
        listed = found or {VmId.parse(one["id"]) for one in self._everything() if one["name"].lower() == name}
        return sorted(listed, key=str)

    def _list(self) -> tuple[tuple[Target, str], ...]:
        rows = [(target_of(one), power_of(one)) for one in self._everything()]
        return tuple(sorted(rows, key=lambda row: row[0].id))

    def _everything(self) -> list[Json]:
        """List each subscription; where only groups may be read, the graph says which machines there are."""
        found: list[Json] = []
        for subscription in self._client.settings.subscription_ids:
            try:
                found += self._client.vms(subscription)
            except Permanent:
                found += self._readable_in(subscription)
        return found

    def _readable_in(self, subscription: str) -> list[Json]:
        places = [VmId.parse(str(row.get("id", ""))) for row in self._client.graph(f"{_QUERY} | project id")]
        machines = (self._client.vm(place) for place in places if place.subscription == subscription.lower())
        return [one for one in machines if one is not None]


def target_of(machine: Json) -> Target:
    """Read the canonical target; a machine without an operating system is refused rather than guessed."""
    place = VmId.parse(str(machine["id"]))
    system = str(_part(machine, "properties", "storageProfile", "osDisk", "osType") or "").lower()
    if system not in {"linux", "windows"}:
        raise ConnectorError(f"Azure does not say which operating system {place.name} has.")
    return Target(
        connector="azure",
        id=str(place),
        name=str(machine.get("name", place.name)),
        group=place.group,
        os=system,
        fingerprint=str(_part(machine, "properties", "vmId") or "").lower(),
        location=str(machine.get("location", "")),
    )


def power_of(machine: Json) -> str:
    """Return running, starting, stopping, stopped, deallocating, deallocated or unknown."""
    return _status(machine, "PowerState/") or "unknown"


def provisioning_of(machine: Json) -> str:
    """Return succeeded, updating, failed and so on, in lower case."""
    told = _part(machine, "properties", "provisioningState") or _status(machine, "ProvisioningState/")
    return str(told or "unknown").lower()


def view_of(machine: Json) -> Json:
    view = _part(machine, "properties", "instanceView")
    return view if isinstance(view, dict) else {}


def _status(machine: Json, prefix: str) -> str:
    codes = [str(status.get("code", "")) for status in view_of(machine).get("statuses") or ()]
    return next((code.removeprefix(prefix).lower() for code in codes if code.startswith(prefix)), "")


def _part(value: Any, *path: str) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value
