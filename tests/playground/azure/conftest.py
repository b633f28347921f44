"""A running cloud, and a desk from which the unmodified Azure libraries talk to it."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from azure.identity import ManagedIdentityCredential
from azure.mgmt.compute import ComputeManagementClient

from playground.azure import AzureCloud

ENDED = {"Succeeded", "Failed", "TimedOut", "Canceled"}
GROUP, VM = "rg-prod", "web-01"


@dataclass
class Desk:
    """What a person with the SDK and with curl can do."""

    cloud: AzureCloud
    client: ComputeManagementClient

    def body(self, script: str, **properties: Any) -> dict[str, Any]:
        wanted = {"source": {"script": script}, "asyncExecution": True, "timeoutInSeconds": 30, **properties}
        return {"location": "westeurope", "properties": wanted}

    def put(self, name: str, script: str, *, vm: str = VM, **properties: Any) -> None:
        self.client.virtual_machine_run_commands.begin_create_or_update(
            GROUP, vm, name, self.body(script, **properties), polling=False, retry_total=0
        )

    def get(self, name: str, *, vm: str = VM) -> Any:
        return self.client.virtual_machine_run_commands.get_by_virtual_machine(
            GROUP, vm, name, expand="instanceView", retry_total=0
        )

    def delete(self, name: str, *, vm: str = VM) -> None:
        self.client.virtual_machine_run_commands.begin_delete(GROUP, vm, name, polling=False, retry_total=0)

    def view(self, name: str, *, vm: str = VM) -> dict[str, Any]:
        """The platform's view, read behind the API so that waiting costs no tokens."""
        found = [one for one in self.cloud.vm(vm).run_commands() if one["name"] == name]
        return dict(found[0]["properties"]["instanceView"]) if found else {}

    def ended(self, name: str, *, vm: str = VM, timeout: float = 60) -> dict[str, Any]:
        self.cloud.wait_for(lambda: self.view(name, vm=vm).get("executionState") in ENDED, timeout)
        return self.view(name, vm=vm)

    def run(self, name: str, script: str, **properties: Any) -> dict[str, Any]:
        self.put(name, script, **properties)
        return self.ended(name)

    def settled(self, name: str, *, vm: str = VM) -> None:
        """Provisioning is over, so that the resource may be changed again."""

        def seen() -> bool:
            found = [one for one in self.cloud.vm(vm).run_commands() if one["name"] == name]
            return bool(found) and found[0]["properties"]["provisioningState"] in {"Succeeded", "Failed"}

        self.cloud.wait_for(seen)

    def gone(self, name: str, *, vm: str = VM) -> None:
        self.cloud.wait_for(lambda: not self.view(name, vm=vm))

    def raw(self, method: str, path: str, **options: Any) -> requests.Response:
        """One bare request; the token and a fitting api-version are added unless told otherwise."""
        headers = {"Authorization": f"Bearer {self.token()}", **options.pop("headers", {})}
        params = {"api-version": "2024-07-01", **options.pop("params", {})}
        wanted = {key: value for key, value in params.items() if value is not None}
        return requests.request(
            method,
            f"{self.cloud.url}{path}",
            headers=headers,
            params=wanted,
            verify=str(self.cloud.ca_file),
            timeout=60,
            **options,
        )

    def token(self) -> str:
        return self.cloud.identity.issue(self.cloud.identity.system, self.cloud.url)[0]

    def raw_json(self, method: str, path: str, **options: Any) -> Any:
        return json.loads(self.raw(method, path, **options).content)


@pytest.fixture
def cloud() -> Iterator[AzureCloud]:
    with AzureCloud.start(speed=100) as running:
        yield running


@pytest.fixture
def desk(cloud: AzureCloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    for name, value in cloud.environment().items():
        monkeypatch.setenv(name, value)
    with (
        ManagedIdentityCredential() as credential,
        ComputeManagementClient(credential, cloud.subscription, base_url=cloud.url) as client,
    ):
        yield Desk(cloud, client)


@pytest.fixture
def in_thread() -> Iterator[Callable[[Callable[[], Any]], threading.Thread]]:
    """Start something beside the test; it is joined at the end."""
    started: list[threading.Thread] = []

    def start(act: Callable[[], Any]) -> threading.Thread:
        thread = threading.Thread(target=act)
        thread.start()
        started.append(thread)
        return thread

    yield start
    for thread in started:
        thread.join(10)
