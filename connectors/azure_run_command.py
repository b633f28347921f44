"""Azure managed run commands: one named resource per attempt, sent once, found again by name after any crash.

The durable handle is machine, name and attempt id; never an operation's address or a continuation token. A name is
never used twice, and nothing here sends a command a second time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

from connectors import guest
from connectors.azure_client import AzureClient, Json
from connectors.azure_doctor import ECHO, doctor
from connectors.azure_errors import is_concurrent, is_full
from connectors.azure_inventory import Inventory
from connectors.azure_observe import observation_of
from connectors.azure_preflight import preflight
from connectors.azure_settings import AzureSettings, VmId
from connectors.azure_side import PREFIX, SideCommands, body_of, is_expired, is_ours, tags_for
from connectors.envelope import (
    envelope_for,
    kill_script,
    parse_reply,
    platform_timeout,
    probe_script,
    read_script,
)
from connectors.outcome import cancel_answer, probe_answer
from engine.errors import Bug, ConnectorError, Indeterminate, Permanent, Transient
from engine.model import Shell, Target
from engine.ports import (
    CancelAnswer,
    Capabilities,
    Check,
    Clock,
    Command,
    Connector,
    Handle,
    Ids,
    Observation,
    RawResult,
)

_NAME_LIMIT: Final = 36
_KEEP_SECONDS: Final = 24 * 3600  #: after its end, an attempt's resource may be swept
_REMOVING, _BUSY, _STOPPED, _REFUSED = 20.0, 60.0, 900.0, 3600.0


class AzureConnector(Connector):
    """Managed run commands on the machines of some subscriptions."""

    def __init__(self, settings: AzureSettings, clock: Clock, ids: Ids) -> None:
        self._settings = settings
        self._clock = clock
        self._client = AzureClient(settings)
        self._inventory = Inventory(self._client, clock)
        self._side = SideCommands(self._client, clock, ids)

    def close(self) -> None:
        """Close connections."""
        self._client.close()

    def describe(self) -> Capabilities:
        return Capabilities(
            name="azure",
            label="Azure managed Run Command",
            cancel="confirmed",
            shells=(Shell.BASH, Shell.POWERSHELL),
            poll_seconds=self._settings.poll_seconds,
            max_timeout_seconds=24 * 3600,
        )

    def resolve(self, selector: str) -> tuple[Target, ...]:
        return self._inventory.resolve(selector)

    def inventory(self) -> tuple[tuple[Target, str], ...]:
        return self._inventory.listed()

    def preflight(self, target: Target, shell: Shell) -> tuple[Check, ...]:
        return preflight(self._client, self._clock, target, shell)

    def doctor(self, target: Target | None, *, live: bool = False) -> tuple[Check, ...]:
        return doctor(self._client, self._clock, target, echo=self._echo if live else None)

    # ------------------------------------------------------------ one attempt

    def submit(self, command: Command) -> Handle:
        vm, name = VmId.parse(command.target.id), name_of(command)
        body = self._body(command)
        self._require_same_machine(vm, command.target)
        try:
            self._client.put_run_command(vm, name, body)
        except Transient as error:
            return self._refused_for_now(command, error)
        return self._handle(command, name)

    def reconcile(self, command: Command) -> Handle | None:
        """One look. The caller repeats it, because a command that was accepted may stay invisible for a while."""
        vm, name = VmId.parse(command.target.id), name_of(command)
        try:
            found = self._client.run_command(vm, name)
            if found is None:
                self._require_same_machine(vm, command.target)  # that another one lacks it proves nothing
        except ConnectorError as error:
            raise _unknown(error) from error
        return self._handle(command, name) if found is not None else None

    def observe(self, target: Target, handles: Sequence[Handle]) -> Mapping[str, Observation]:
        vm, wanted = VmId.parse(target.id), {handle["name"]: handle for handle in handles}
        found = self._look(vm, list(wanted))
        return {
            wanted[name]["attempt"]: observation_of(command, wanted[name]["attempt"], int(wanted[name]["limit"]))
            for name, command in found.items()
            if command is not None
        }

    def probe(self, handle: Handle) -> RawResult | None:
        _bash_only(handle)
        try:
            out, err = self._ask(handle, probe_script(handle["attempt"]))
        except Permanent as error:
            raise _unknown(error) from error
        return probe_answer(handle, out, err)

    def cancel(self, handle: Handle) -> CancelAnswer:
        """Kill on the machine; without proof, remove the resource too: documented to stop it, but it often does not."""
        if self._has_ended(handle):
            return CancelAnswer.CONFIRMED
        answer = self._kill(handle) if handle["os"] == "linux" else CancelAnswer.REQUESTED
        if answer is not CancelAnswer.CONFIRMED:
            self._remove_quietly(handle)
        return answer

    def fetch(self, handle: Handle, stream: str, offset: int, limit: int) -> tuple[bytes, int]:
        """May return fewer bytes than asked for: only some kilobytes fit into an answer."""
        _bash_only(handle)
        out, _ = self._ask(handle, read_script(handle["attempt"], stream, offset, min(limit, guest.TAIL_BYTES)))
        reply = parse_reply(out, handle["attempt"], "read")
        if reply is None or reply.state == guest.ABSENT:
            raise Permanent("The output is no longer on the machine.")
        return reply.data, reply.total

    def cleanup(self, handle: Handle) -> float | None:
        vm, name = VmId.parse(handle["target"]), handle["name"]
        try:
            found = self._client.run_command(vm, name)
            if found is None:
                return None
            if _provisioning(found) != "deleting":
                self._client.delete_run_command(vm, name)
        except ConnectorError as error:
            return _wait_after(error)
        return _REMOVING

    def sweep(self, target: Target) -> int:
        """Ask for the removal of this bot's expired run commands on a machine; returns how many there were."""
        vm, now = VmId.parse(target.id), self._clock.now().timestamp()
        old = [one for one in self._client.run_commands(vm) if is_ours(self._client, one) and is_expired(one, now)]
        for one in old:
            if _provisioning(one) != "deleting":
                self._client.delete_run_command(vm, str(one["name"]))
        return len(old)

    # ------------------------------------------------------------ inside

    def _body(self, command: Command) -> Json:
        timeout = platform_timeout(command)
        expires = int(command.not_after.timestamp()) + timeout + _KEEP_SECONDS
        tags = tags_for(self._client, command.attempt_id, expires)
        return body_of(command.target.location, tags, envelope_for(command), timeout)

    def _require_same_machine(self, vm: VmId, target: Target) -> None:
        machine = self._client.vm(vm)
        if machine is None:
            raise Permanent(
                f"{target.name} does not exist any more.", hint="Start a new session for a machine that exists."
            )
        seen = str((machine.get("properties") or {}).get("vmId") or "").lower()
        if target.fingerprint and seen != target.fingerprint:
            raise Permanent(
                f"{target.name} was deleted and made again since it was approved.",
                hint="Start a new session, so that the new machine is approved.",
            )

    def _refused_for_now(self, command: Command, error: Transient) -> Handle:
        """Refused for another change: look whether it is there all the same. Full: make room for the next try."""
        if is_concurrent(error):
            handle = self.reconcile(command)
            if handle is not None:
                return handle
        if is_full(error):
            try:
                self.sweep(command.target)
            except ConnectorError as also:
                error.add_note(f"making room failed: {also}")
        raise error

    def _look(self, vm: VmId, names: list[str]) -> dict[str, Json | None]:
        """One request for a machine, however many commands are asked for."""
        if len(names) == 1:
            return {names[0]: self._client.run_command(vm, names[0])}
        found = {str(one.get("name", "")): one for one in self._client.run_commands(vm)}
        return {name: found.get(name) for name in names}

    def _has_ended(self, handle: Handle) -> bool:
        try:
            found = self._client.run_command(VmId.parse(handle["target"]), handle["name"])
        except ConnectorError:
            return False
        if found is None:
            return False
        return observation_of(found, handle["attempt"], int(handle["limit"])).result is not None

    def _kill(self, handle: Handle) -> CancelAnswer:
        try:
            out, _ = self._ask(handle, kill_script(handle["attempt"]), urgent=True)
        except ConnectorError:
            return CancelAnswer.REQUESTED
        return cancel_answer(parse_reply(out, handle["attempt"], "kill"))

    def _remove_quietly(self, handle: Handle) -> None:
        try:
            self._client.delete_run_command(VmId.parse(handle["target"]), handle["name"], urgent=True)
        except ConnectorError:
            return  # the clean-up tries again; what counts is that nothing is claimed to have stopped

    def _echo(self, target: Target) -> bytes:
        place: Handle = {"target": target.id, "location": target.location}
        return self._ask(place, ECHO)[0]

    def _ask(self, handle: Handle, script: str, *, urgent: bool = False) -> tuple[bytes, bytes]:
        return self._side.run(VmId.parse(handle["target"]), handle["location"], script, urgent=urgent)

    def _handle(self, command: Command, name: str) -> Handle:
        return {
            "v": "1",
            "connector": "azure",
            "kind": "managed",
            "target": command.target.id,
            "location": command.target.location,
            "os": command.target.os,
            "fingerprint": command.target.fingerprint,
            "attempt": command.attempt_id,
            "name": name,
            "digest": hashlib.sha256(command.script.encode()).hexdigest(),
            "limit": str(command.timeout_seconds),
            "submitted_at": self._clock.now().isoformat(),
            "not_after": str(int(command.not_after.timestamp())),
        }


def name_of(command: Command) -> str:
    """Return the name of an attempt's run command, never used for another. No dots: the handler skips them."""
    name = f"{PREFIX}{command.attempt_id}-{command.attempt_number}"
    if len(name) > _NAME_LIMIT or "." in name:
        raise Bug(f"Not a usable run command name: {name}")
    return name


def _wait_after(error: ConnectorError) -> float:
    if isinstance(error, Transient):
        return max(_BUSY, error.retry_after or 0.0)
    if isinstance(error, Indeterminate):
        return _BUSY
    return _STOPPED if "not running" in error.message else _REFUSED


def _provisioning(command: Json) -> str:
    return str((command.get("properties") or {}).get("provisioningState") or "").lower()


def _unknown(error: ConnectorError) -> Indeterminate:
    return Indeterminate(error.message, hint=error.hint, request_id=error.request_id)


def _bash_only(handle: Handle) -> None:
    if handle["os"] != "linux":
        raise Indeterminate("A Windows machine cannot be asked in this way yet.", hint="Look at the machine itself.")
