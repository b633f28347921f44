"""The one place that speaks to Azure Resource Manager: sends requests, counts them, translates errors.

A write is sent once: no retry, no redirect, no poller. Nothing here registers a provider, logs a body or keeps a
continuation token. The SDK is imported at the first request, because it weighs more than the rest of the bot.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

from connectors.azure_buckets import Buckets, Kind
from connectors.azure_build import arm_address, new_compute_client, new_credential, new_transport, scopes
from connectors.azure_errors import is_missing, retry_after, status_of, translate
from connectors.azure_settings import AzureSettings, VmId
from engine.errors import ConnectorError, Indeterminate, Transient

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.core.pipeline import PipelineResponse
    from azure.core.pipeline.transport import RequestsTransport
    from azure.mgmt.compute import ComputeManagementClient

T = TypeVar("T")
Json = dict[str, Any]
_READ_TRIES: Final = 3
START_RESERVE: Final = 4.0  #: changes of a machine that clean-up leaves for the next steps
_NOT_FOUND: Final = 404
_PERMISSIONS: Final = "2022-04-01"
_LOCKS: Final = "2020-05-01"
_GRAPH: Final = "2022-10-01"
_PROVIDERS: Final = "2021-04-01"


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One request: what for, which bucket it takes from, and whether it may change something."""

    doing: str
    kind: Kind
    place: str
    write: bool = False
    urgent: bool = False
    reserve: float = 0.0  #: tokens to leave for others


class AzureClient:
    """Requests against some subscriptions with one credential. Safe for threads; ``close`` it at the end."""

    def __init__(self, settings: AzureSettings) -> None:
        self.settings = settings
        self._buckets = Buckets(time.monotonic, share=settings.bucket_share)
        self._lock = threading.Lock()
        self._clients: dict[str, ComputeManagementClient] = {}
        self._credential: TokenCredential | None = None
        self._transport: RequestsTransport | None = None
        self._azure_time: datetime | None = None

    # ------------------------------------------------------------ machines

    def vm(self, vm: VmId) -> Json | None:
        """Read a machine with its instance view; None when there is none."""
        ask = Ask(doing=f"reading {vm.name}", kind=Kind.READ, place=str(vm))
        operations = self._compute(vm.subscription).virtual_machines
        found = self._read(ask, lambda o: operations.get(vm.group, vm.name, expand="instanceView", **o))
        return None if found is None else _json(found)

    def vms(self, subscription: str) -> list[Json]:
        """List all machines of a subscription with their power state."""
        ask = Ask(doing="listing machines", kind=Kind.LIST, place=subscription)
        operations = self._compute(subscription).virtual_machines
        found = self._read(ask, lambda o: list(operations.list_all(expand="instanceView", **o)))
        return [_json(one) for one in found or ()]

    def graph(self, query: str) -> list[Json]:
        """Ask Resource Graph, which knows every machine that the bot may read, some seconds or minutes late."""
        body = {"subscriptions": list(self.settings.subscription_ids), "query": query}
        path = f"/providers/Microsoft.ResourceGraph/resources?api-version={_GRAPH}"
        answer = self._raw("POST", path, doing="searching machines", body=body)
        return [row for row in answer.get("data", ()) if isinstance(row, dict)]

    # ------------------------------------------------------------ run commands

    def put_run_command(self, vm: VmId, name: str, body: Json, *, urgent: bool = False) -> None:
        """Create a run command: exactly one request. An answer that is not about it does not count as acceptance."""
        answers: list[PipelineResponse[Any, Any]] = []
        ask = Ask(doing=f"starting {name} on {vm.name}", kind=Kind.UPDATE, place=str(vm), write=True, urgent=urgent)
        operations = self._compute(vm.subscription).virtual_machine_run_commands
        self._once(
            ask,
            lambda o: operations.begin_create_or_update(vm.group, vm.name, name, body, polling=False, **o),  # type: ignore[call-overload]
            also=answers.append,
        )
        if not answers or not _is_about(answers[-1].http_response, name):
            raise Indeterminate(f"Something else than Azure answered: {ask.doing}.")

    def run_command(self, vm: VmId, name: str) -> Json | None:
        """Read a run command with its instance view; None when there is none."""
        ask = Ask(doing=f"reading {name} on {vm.name}", kind=Kind.READ, place=str(vm))
        operations = self._compute(vm.subscription).virtual_machine_run_commands
        found = self._read(
            ask, lambda o: operations.get_by_virtual_machine(vm.group, vm.name, name, expand="instanceView", **o)
        )
        return None if found is None else _json(found)

    def run_commands(self, vm: VmId, *, expand: bool = True) -> list[Json]:
        """List a machine's run commands; none when the machine is gone."""
        ask = Ask(doing=f"listing run commands of {vm.name}", kind=Kind.READ, place=str(vm))
        operations = self._compute(vm.subscription).virtual_machine_run_commands
        view = "instanceView" if expand else None
        found = self._read(ask, lambda o: list(operations.list_by_virtual_machine(vm.group, vm.name, expand=view, **o)))
        return [_json(one) for one in found or ()]

    def delete_run_command(self, vm: VmId, name: str, *, urgent: bool = False) -> None:
        """Ask for the removal of a run command; a missing one is no error. Waits behind what is to be started."""
        ask = Ask(
            doing=f"removing {name} from {vm.name}",
            kind=Kind.UPDATE,
            place=str(vm),
            write=True,
            urgent=urgent,
            reserve=START_RESERVE,
        )
        operations = self._compute(vm.subscription).virtual_machine_run_commands
        self._once(ask, lambda o: operations.begin_delete(vm.group, vm.name, name, polling=False, **o), missing_ok=True)

    def run_action(self, vm: VmId, body: Json) -> str:
        """Start an action run command: exactly one request. Returns the address of its operation."""
        seen: list[str] = []

        def keep(response: PipelineResponse[Any, Any]) -> None:
            headers = response.http_response.headers
            seen.append(headers.get("Location") or headers.get("Azure-AsyncOperation") or "")

        ask = Ask(doing=f"starting a command on {vm.name}", kind=Kind.UPDATE, place=str(vm), write=True)
        operations = self._compute(vm.subscription).virtual_machines
        self._once(
            ask,
            lambda o: operations.begin_run_command(vm.group, vm.name, body, polling=False, **o),  # type: ignore[call-overload]
            also=keep,
        )
        return seen[-1] if seen else ""

    # ------------------------------------------------------------ the rest

    def operation(self, url: str) -> tuple[int, Json]:
        """Read a long-running operation of ours: status and body."""
        return self._send("GET", url, doing="reading an operation", body=None)

    def permissions(self, scope: str) -> list[Json]:
        """Return the allow and deny patterns of the bot's identity at a scope; advisory."""
        path = f"{quote(scope)}/providers/Microsoft.Authorization/permissions?api-version={_PERMISSIONS}"
        return list(self._raw("GET", path, doing="reading the bot's rights").get("value", ()))

    def locks(self, scope: str) -> list[Json]:
        """Return the locks that act on a scope."""
        path = f"{quote(scope)}/providers/Microsoft.Authorization/locks?api-version={_LOCKS}"
        return list(self._raw("GET", path, doing="reading locks").get("value", ()))

    def provider_state(self, subscription: str) -> str:
        """Say whether Microsoft.Compute is registered in a subscription; never registers it."""
        path = f"/subscriptions/{subscription}/providers/Microsoft.Compute?api-version={_PROVIDERS}"
        return str(self._raw("GET", path, doing="reading the provider").get("registrationState", ""))

    def principal(self) -> dict[str, str]:
        """Say who the bot is: application, object and tenant id as its token names them, for people only."""
        from azure.core.exceptions import AzureError  # noqa: PLC0415

        self._compute(self.settings.subscription_ids[0])
        assert self._credential is not None
        try:
            token = self._credential.get_token(*scopes(self.settings)).token
        except AzureError as error:
            raise translate(error, write=False, doing="asking for a token") from error
        return claims_of(token)

    def azure_time(self) -> datetime | None:
        """Return Azure's clock as of the newest answer."""
        return self._azure_time

    def close(self) -> None:
        """Close connections."""
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()
            close = getattr(self._credential, "close", None)
            if close:
                close()
            self._credential = self._transport = None

    # ------------------------------------------------------------ sending

    def _raw(self, method: str, path: str, *, doing: str, body: Json | None = None) -> Json:
        return self._send(method, path, doing=doing, body=body)[1]

    def _send(self, method: str, path: str, *, doing: str, body: Json | None) -> tuple[int, Json]:
        from azure.core.rest import HttpRequest  # noqa: PLC0415

        base = arm_address(self.settings).rstrip("/")
        request = HttpRequest(method, path if "://" in path else base + path, json=body)
        client = self._compute(self.settings.subscription_ids[0])

        def send(options: Json) -> tuple[int, Json]:
            response = client.send_request(request, **options)
            response.raise_for_status()
            answer = response.json() if response.text() else {}
            return response.status_code, answer if isinstance(answer, dict) else {}

        found = self._read(Ask(doing=doing, kind=Kind.OTHER, place=path.split("?", maxsplit=1)[0]), send)
        return found if found is not None else (_NOT_FOUND, {})

    def _once(
        self,
        ask: Ask,
        send: Callable[[Json], object],
        *,
        missing_ok: bool = False,
        also: Callable[[PipelineResponse[Any, Any]], None] | None = None,
    ) -> None:
        self._reserve(ask)
        try:
            send(self._options(ask, also))
        except self._sdk_errors() as error:
            if missing_ok and is_missing(error):
                return
            raise self._translated(error, ask) from error

    def _read(self, ask: Ask, send: Callable[[Json], T]) -> T | None:
        """Read, a few times when the network fails; None when there is no such thing."""
        for again in range(_READ_TRIES):
            self._reserve(ask)
            try:
                return send(self._options(ask, None))
            except self._sdk_errors() as error:
                if is_missing(error):
                    return None
                told = self._translated(error, ask)
                last = again == _READ_TRIES - 1
                if last or not isinstance(told, Transient) or told.retry_after is not None or status_of(error) == 429:
                    raise told from error
        return None

    def _reserve(self, ask: Ask) -> None:
        wait = self._buckets.take(ask.kind, ask.place, urgent=ask.urgent, reserve=ask.reserve)
        if wait > 0:
            raise Transient(f"Waiting, so that Azure does not refuse: {ask.doing}.", retry_after=wait)

    def _options(self, ask: Ask, also: Callable[[PipelineResponse[Any, Any]], None] | None) -> Json:
        def learn(response: PipelineResponse[Any, Any]) -> None:
            headers = {key.lower(): value for key, value in response.http_response.headers.items()}
            self._buckets.learn(ask.kind, ask.place, headers)
            self._azure_time = _http_date(headers.get("date", "")) or self._azure_time
            if also:
                also(response)

        return {
            "retry_total": 0,
            "connection_timeout": self.settings.connect_seconds,
            "read_timeout": self.settings.read_seconds,
            "raw_response_hook": learn,
        }

    def _translated(self, error: Exception, ask: Ask) -> ConnectorError:
        told = translate(error, write=ask.write, doing=ask.doing)
        headers = getattr(getattr(error, "response", None), "headers", None) or {}
        seconds = retry_after(headers)
        if seconds and status_of(error) == 429:
            self._buckets.block(ask.kind, ask.place, seconds)
        return told

    @staticmethod
    def _sdk_errors() -> tuple[type[Exception], ...]:
        """An answer that is no JSON is a ValueError; everything else is the SDK's own."""
        from azure.core.exceptions import AzureError  # noqa: PLC0415

        return (AzureError, ValueError)

    def _compute(self, subscription: str) -> ComputeManagementClient:
        with self._lock:
            client = self._clients.get(subscription)
            if client is None:
                client = self._clients[subscription] = self._build(subscription)
            return client

    def _build(self, subscription: str) -> ComputeManagementClient:
        """All clients share one credential, for its tokens, and one transport, for its connections."""
        self._credential = self._credential or new_credential(self.settings)
        self._transport = self._transport or new_transport(self.settings)
        return new_compute_client(self.settings, subscription, self._credential, self._transport)


def claims_of(token: str) -> dict[str, str]:
    """Read who a token is for, without verifying it; unknown parts are question marks."""
    part = token.split(".")[1] if token.count(".") == 2 else ""
    try:
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except ValueError:
        claims = {}
    return {name: str(claims.get(name, "?")) for name in ("appid", "oid", "tid")}


def _http_date(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text)
    except ValueError:
        return None


def _is_about(response: Any, name: str) -> bool:
    """Say whether an answer is Azure's JSON about this resource; a proxy may answer 200 to anything."""
    try:
        body = response.json()
    except ValueError:
        return False
    return isinstance(body, dict) and str(body.get("name", name)).lower() == name.lower()


def _json(model: Any) -> Json:
    return dict(model.as_dict())
