"""The fallback by setting: Azure action Run Command, for identities that may not write managed run commands.

It has no name, so after a crash only the machine can say what happened; it cannot be cancelled; a machine runs one
at a time. A request is sent once, and any doubt about it is an unknown outcome.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Final

from connectors.azure_client import Json
from connectors.azure_preflight import ACTION_ACTIONS, preflight
from connectors.azure_run_command import AzureConnector
from connectors.azure_settings import AzureSettings, VmId
from connectors.azure_side import part, text_in
from connectors.envelope import envelope_for, parse_trailer, probe_script, result_of
from connectors.outcome import probe_answer
from engine.errors import ConnectorError, Indeterminate, Permanent, Transient
from engine.model import AttemptStatus, Shell, Target
from engine.ports import (
    CancelAnswer,
    Capabilities,
    Check,
    Clock,
    Command,
    Handle,
    Ids,
    Observation,
    RawResult,
)

_OUT_ROOM, _ERR_ROOM = 2600, 1100  #: both reports share one message of 4,096 bytes
_ACCEPTED: Final = 202
_LONGEST: Final = 80 * 60  #: Azure ends an action command after 90 minutes


class AzureActionConnector(AzureConnector):
    """Action run commands. Addresses of operations are kept in memory only, as a short cut that may be lost."""

    def __init__(self, settings: AzureSettings, clock: Clock, ids: Ids) -> None:
        super().__init__(settings, clock, ids)
        self._operations: dict[str, str] = {}
        self._guard = threading.Lock()

    def describe(self) -> Capabilities:
        return Capabilities(
            name="azure",
            label="Azure action Run Command (cannot be cancelled; one at a time; no look-up after a restart)",
            cancel="none",
            shells=(Shell.BASH,),
            poll_seconds=self._settings.poll_seconds,
            max_timeout_seconds=_LONGEST,
        )

    def preflight(self, target: Target, shell: Shell) -> tuple[Check, ...]:
        return preflight(self._client, self._clock, target, shell, actions=ACTION_ACTIONS)

    def submit(self, command: Command) -> Handle:
        if command.shell is not Shell.BASH or command.timeout_seconds > _LONGEST:
            raise Permanent(
                f"Action Run Command takes bash scripts of at most {_LONGEST // 60} minutes.",
                hint="Give the bot the right runCommands/write and use managed run commands.",
            )
        vm = VmId.parse(command.target.id)
        script = envelope_for(command, out_room=_OUT_ROOM, err_room=_ERR_ROOM)
        self._require_same_machine(vm, command.target)
        address = self._client.run_action(vm, _body(script))
        with self._guard:
            self._operations[command.attempt_id] = address
        return self._action_handle(command)

    def reconcile(self, command: Command) -> Handle | None:
        """Ask the machine, because Azure cannot tell: only the guard's folder knows whether it arrived."""
        handle = self._action_handle(command)
        try:
            result = self.probe(handle)
        except ConnectorError as error:
            raise Indeterminate(error.message, hint=error.hint, request_id=error.request_id) from error
        if result is not None and result.status is AttemptStatus.NOT_STARTED:
            return None
        return handle

    def observe(self, target: Target, handles: Sequence[Handle]) -> Mapping[str, Observation]:
        del target  # an operation is found by its own address
        seen = {handle["attempt"]: self._observe_one(handle) for handle in handles}
        return {attempt: observation for attempt, observation in seen.items() if observation is not None}

    def probe(self, handle: Handle) -> RawResult | None:
        out = self._run_and_wait(VmId.parse(handle["target"]), probe_script(handle["attempt"]))
        return probe_answer(handle, out, out)

    def cancel(self, handle: Handle) -> CancelAnswer:
        return CancelAnswer.CONFIRMED if self._has_ended(handle) else CancelAnswer.NOT_POSSIBLE

    def cleanup(self, handle: Handle) -> float | None:
        with self._guard:
            self._operations.pop(handle["attempt"], None)
        return None

    # ------------------------------------------------------------ inside

    def _ask(self, handle: Handle, script: str, *, urgent: bool = False) -> tuple[bytes, bytes]:
        del urgent
        out = self._run_and_wait(VmId.parse(handle["target"]), script)
        return out, out

    def _has_ended(self, handle: Handle) -> bool:
        try:
            seen = self._observe_one(handle)
        except ConnectorError:
            return False
        return seen is not None and seen.result is not None

    def _observe_one(self, handle: Handle) -> Observation | None:
        """None when the address is lost, as after a restart: then the machine has to be probed."""
        with self._guard:
            address = self._operations.get(handle["attempt"])
        if not address:
            return None
        status, body = self._client.operation(address)
        if not _finished(status, body):
            return Observation(running=False)
        text = _message(body)
        trailer = parse_trailer(text, text, handle["attempt"])
        return Observation(running=trailer is None, result=result_of(trailer) if trailer else None)

    def _run_and_wait(self, vm: VmId, script: str) -> bytes:
        address = self._client.run_action(vm, _body(script))
        pause, left = threading.Event(), self._settings.side_seconds
        while left > 0:
            pause.wait(self._settings.side_poll_seconds)
            left -= self._settings.side_poll_seconds
            try:
                status, body = self._client.operation(address)
            except Transient:
                continue
            if _finished(status, body):
                return _message(body)
        raise Indeterminate(f"{vm.name} did not answer within {self._settings.side_seconds:.0f} s.")

    def _action_handle(self, command: Command) -> Handle:
        return {**self._handle(command, ""), "kind": "action"}


def azure_connector(settings: AzureSettings, clock: Clock, ids: Ids) -> AzureConnector:
    """Return the connector that the settings ask for: managed, or the action fallback."""
    kind = AzureActionConnector if settings.use_action_fallback else AzureConnector
    return kind(settings, clock, ids)


def _body(script: str) -> Json:
    return {"commandId": "RunShellScript", "script": script.split("\n")}


def _finished(status: int, body: Json) -> bool:
    return status != _ACCEPTED and str(body.get("status", "Succeeded")) not in {"InProgress", "Running", "Accepted"}


def _message(body: Json) -> bytes:
    """Both streams of a finished command, in one text."""
    value = body.get("value") or part(part(body, "properties"), "output").get("value")
    told = [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
    return b"\n".join(text_in(one, "message") for one in told)
