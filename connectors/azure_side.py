"""Small run commands of the bot's own beside the approved one: probe, kill and read. Never carries an approved script.

Each has a name of its own, is waited for within a time budget and removed afterwards.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Final

from connectors.azure_client import AzureClient, Json
from connectors.azure_settings import VmId
from engine.errors import ConnectorError, Indeterminate, Permanent, Transient
from engine.ports import Clock, Ids

PREFIX: Final = "rb-"
TAG_INSTANCE: Final = "runbook-bot"
TAG_ATTEMPT: Final = "runbook-bot-attempt"
TAG_EXPIRES: Final = "runbook-bot-expires"
ENDED: Final = frozenset({"Succeeded", "Failed", "TimedOut", "Canceled"})
_SIDE_TIMEOUT: Final = 120


def tags_for(client: AzureClient, attempt_id: str, expires: int) -> dict[str, str]:
    """Return the tags by which the bot knows its own run commands, with those that a policy demands."""
    ours = {TAG_INSTANCE: client.settings.instance, TAG_ATTEMPT: attempt_id, TAG_EXPIRES: str(expires)}
    return {**client.settings.tags, **ours}


def body_of(location: str, tags: dict[str, str], script: str, timeout: int) -> Json:
    """Build a managed run command. Inline script only: no parameters, no addresses, no other user."""
    return {
        "location": location,
        "tags": tags,
        "properties": {
            "source": {"script": script},
            "asyncExecution": True,
            "treatFailureAsDeploymentFailure": False,
            "timeoutInSeconds": timeout,
        },
    }


class SideCommands:
    """Runs a small script of ours on a machine and returns what it printed."""

    def __init__(self, client: AzureClient, clock: Clock, ids: Ids) -> None:
        self._client = client
        self._clock = clock
        self._ids = ids

    def run(self, vm: VmId, location: str, script: str, *, urgent: bool = False) -> tuple[bytes, bytes]:
        """Return stdout and stderr; ``Indeterminate`` when the machine did not answer in time."""
        end = time.monotonic() + self._client.settings.side_seconds
        name = f"{PREFIX}{self._ids.ulid()}-s"
        expires = int(self._clock.now().timestamp()) + 3600
        tags = tags_for(self._client, "side", expires)
        with contextlib.suppress(Indeterminate):  # it may have arrived all the same: looking will tell
            self._client.put_run_command(vm, name, body_of(location, tags, script, _SIDE_TIMEOUT), urgent=urgent)
        try:
            return self._answer(vm, name, end)
        finally:
            with contextlib.suppress(ConnectorError):  # the sweep removes what stays behind
                self._client.delete_run_command(vm, name, urgent=urgent)

    def _answer(self, vm: VmId, name: str, end: float) -> tuple[bytes, bytes]:
        pause = threading.Event()
        while time.monotonic() < end:
            wait = self._client.settings.side_poll_seconds
            try:
                view = part(part(self._client.run_command(vm, name), "properties"), "instanceView")
                if view.get("executionState") in ENDED:
                    return text_in(view, "output"), text_in(view, "error")
            except Transient as error:
                wait = max(wait, error.retry_after or 0.0)
            except Permanent as error:
                raise Indeterminate(error.message, hint=error.hint, request_id=error.request_id) from error
            pause.wait(min(wait, max(0.0, end - time.monotonic())))
        raise Indeterminate(
            f"{vm.name} did not answer within {self._client.settings.side_seconds:.0f} s.",
            hint="Look whether the machine and its agent are well.",
        )


def is_ours(client: AzureClient, command: Json) -> bool:
    """Say whether a run command was made by this bot."""
    tags = {str(key).lower(): value for key, value in (command.get("tags") or {}).items()}
    return str(command.get("name", "")).startswith(PREFIX) and tags.get(TAG_INSTANCE) == client.settings.instance


def is_expired(command: Json, now: float) -> bool:
    """Say whether nobody can still want a run command of ours."""
    expires = str((command.get("tags") or {}).get(TAG_EXPIRES, ""))
    return expires.isdecimal() and int(expires) < now


def part(whole: object, key: str) -> Json:
    """Return an object inside an answer; an empty one when there is none, whatever else stands there."""
    found = whole.get(key) if isinstance(whole, dict) else None
    return found if isinstance(found, dict) else {}


def text_in(view: Json, key: str) -> bytes:
    """Return a text of an answer; half a character of UTF-16, which JSON can carry, becomes a question mark."""
    return str(view.get(key) or "").encode(errors="replace")
