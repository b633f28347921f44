"""Every switch of Azure's and the machines' bad days does what it says, seen by a client and by the machine itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, get_args

import pytest
import requests

from playground.azure.machine import Machine
from playground.stage import Stage
from playground.web.catalogue import AZURE_FAULTS
from playground.web.outside_acts import QUIRKS, VmDeed
from tests.playground.web.conftest import Client

VM = "rg-prod/web-01"
BROKEN = requests.RequestException
_numbers = count(1)


@dataclass
class Bench:
    """The page's switches, and a client of Azure with a token."""

    stage: Stage
    client: Client

    @property
    def vm(self) -> Machine:
        return self.stage.cloud.vm(VM)

    def switch(self, name: str, *, seconds: float = 0) -> None:
        assert self.client.act("azure-fault", name=name, times=1, seconds=seconds).json["error"] == ""

    def deed(self, deed: str) -> None:
        assert self.client.act("vm", vm=VM, deed=deed).json["error"] == ""

    def quirk(self, quirk: str, *, on: bool = True) -> None:
        assert self.client.act("quirk", vm=VM, quirk=quirk, on=on).json["error"] == ""

    def ask(self, method: str, path: str, *, token: str = "", **options: Any) -> requests.Response:
        identity = self.stage.cloud.identity
        known = token or identity.issue(identity.system, self.stage.cloud.url)[0]
        return requests.request(
            method,
            f"{self.stage.cloud.url}{self.vm.id}{path}",
            params={"api-version": "2024-07-01", "$expand": "instanceView"},
            headers={"Authorization": f"Bearer {known}"},
            verify=str(self.stage.cloud.ca_file),
            timeout=30,
            **options,
        )

    def put(self, name: str, script: str = "") -> requests.Response:
        wanted = {"source": {"script": script or f"effect {name}"}, "asyncExecution": True, "timeoutInSeconds": 60}
        return self.ask("PUT", f"/runCommands/{name}", json={"location": "westeurope", "properties": wanted})

    def get(self, name: str) -> requests.Response:
        return self.ask("GET", f"/runCommands/{name}")

    def ran(self, name: str) -> int:
        return len(self.stage.cloud.ledger.executions(vm=VM, name=name))

    def happened(self, name: str) -> bool:
        return any(line.endswith(f" {name}") for line in self.vm.effects())

    def state(self, name: str) -> str:
        known = {one["name"]: one["properties"]["instanceView"] for one in self.vm.run_commands()}
        return str(known[name]["executionState"]) if name in known else ""

    def ended(self, name: str) -> None:
        self.wait(lambda: self.state(name) in {"Succeeded", "Failed"})

    def over(self, name: str) -> None:
        """Wait until the script has ended, whatever is told of it, and the agent has been round once more."""
        self.wait(lambda: any(one.ended for one in self.stage.cloud.ledger.executions(vm=VM, name=name)))
        self.stage.cloud.advance(30)
        before = self.vm.heartbeat
        self.wait(lambda: self.vm.quirks.outbound_blocked or self.vm.heartbeat != before)

    def wait(self, seen: Callable[[], Any]) -> None:
        self.stage.cloud.wait_for(seen, 30)


@pytest.fixture
def it(stage: Stage, client: Client) -> Iterator[Bench]:
    """The machine is a new one afterwards, and nothing is armed."""
    yield Bench(stage, client)
    stage.cloud.faults.clear()
    stage.cloud.vm(VM).recreate()


@pytest.fixture
def name() -> str:
    return f"rb-{next(_numbers)}"


def lost_answer(it: Bench, name: str) -> None:
    with pytest.raises(BROKEN):
        it.put(name)

    it.wait(lambda: it.happened(name))
    assert it.ran(name) == 1


def reset(it: Bench, name: str) -> None:
    with pytest.raises(BROKEN):
        it.put(name)

    assert (it.get(name).status_code, it.ran(name)) == (404, 0)


def invisible(it: Bench, name: str) -> None:
    assert it.put(name).status_code == 201
    hidden = it.get(name).status_code
    it.stage.cloud.advance(3600)

    assert (hidden, it.get(name).status_code) == (404, 200)


def throttled(it: Bench, name: str) -> None:
    refused, later = it.get(name), it.get(name)

    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "600")
    assert later.status_code == 404


def throttled_silent(it: Bench, name: str) -> None:
    refused = it.get(name)

    assert (refused.status_code, "Retry-After" in refused.headers) == (429, False)


def unavailable(it: Bench, name: str) -> None:
    assert (it.put(name).status_code, it.get(name).status_code) == (503, 404)


def conflict(it: Bench, name: str) -> None:
    assert (it.put(name).status_code, it.get(name).status_code) == (409, 404)


def read_fails(it: Bench, name: str) -> None:
    it.put(name)

    assert (it.get(name).status_code, it.get(name).status_code) == (500, 200)


def slow(it: Bench, name: str) -> None:
    began = time.monotonic()

    it.get(name)

    assert time.monotonic() - began >= 0.5


def garbage(it: Bench, name: str) -> None:
    with pytest.raises(requests.JSONDecodeError):
        it.get(name).json()


def half(it: Bench, name: str) -> None:
    with pytest.raises(BROKEN):
        it.get(name)


def no_token(it: Bench, _name: str) -> None:
    cloud = it.stage.cloud
    query = {"api-version": "2019-08-01", "resource": "https://management.azure.com"}
    answers = [
        requests.get(cloud.identity_url, params=query, headers={"X-IDENTITY-HEADER": cloud.identity.header}, timeout=30)
        for _ in range(2)
    ]

    assert [answer.status_code for answer in answers] == [500, 200]


Effect = Callable[[Bench, str], None]
EFFECTS: Mapping[str, Effect] = {
    one.__name__: one
    for one in (
        lost_answer,
        reset,
        invisible,
        throttled,
        throttled_silent,
        unavailable,
        conflict,
        read_fails,
        slow,
        garbage,
        half,
        no_token,
    )
}
SECONDS = {"invisible": 600.0, "throttled": 600.0, "slow": 0.5}


@pytest.mark.parametrize("fault", AZURE_FAULTS)
def test_a_switched_on_fault_of_azure_has_its_effect(it: Bench, name: str, fault: str) -> None:
    it.switch(fault, seconds=SECONDS.get(fault, 0))

    EFFECTS[fault](it, name)


def pending_forever(it: Bench, name: str) -> None:
    it.put(name)
    it.over(name)

    assert (it.happened(name), it.state(name)) == (True, "Pending")


def running_after_exit(it: Bench, name: str) -> None:
    it.put(name)
    it.over(name)

    assert (it.happened(name), it.state(name)) == (True, "Running")


def outbound_blocked(it: Bench, name: str) -> None:
    it.put(name)
    it.over(name)
    silent = it.state(name)
    it.quirk("outbound_blocked", on=False)
    it.ended(name)

    assert silent in {"Pending", "Running"}


def delete_stuck(it: Bench, name: str) -> None:
    it.put(name)
    it.ended(name)
    it.ask("DELETE", f"/runCommands/{name}")
    it.over(name)

    assert it.get(name).json()["properties"]["provisioningState"] == "Deleting"


def agent_hidden(it: Bench, _name: str) -> None:
    hidden = it.ask("GET", "/instanceView").json()
    it.quirk("agent_hidden", on=False)

    assert hidden.get("vmAgent") is None
    assert it.ask("GET", "/instanceView").json()["vmAgent"]


def action_wedged(it: Bench, name: str) -> None:
    action = {"commandId": "RunShellScript", "script": [f"effect {name}"]}
    first = it.ask("POST", "/runCommand", json=action)
    it.wait(lambda: it.happened(name))
    it.over("action")

    assert (first.status_code, it.ask("POST", "/runCommand", json=action).status_code) == (202, 409)


def agent_late(it: Bench, name: str) -> None:
    it.put(name)
    before = it.vm.heartbeat
    it.stage.cloud.advance(600)
    early = it.ran(name)
    it.stage.cloud.advance(3700)
    it.wait(lambda: it.happened(name))

    assert before
    assert early == 0


def agent_broken(it: Bench, name: str) -> None:
    it.put(name)
    it.stage.cloud.advance(600)
    unheard = it.ran(name), it.state(name)
    it.quirk("agent_broken", on=False)
    it.ended(name)

    assert unheard == (0, "Pending")


MISBEHAVIOUR: Mapping[str, Effect] = {
    one.__name__: one
    for one in (
        pending_forever,
        running_after_exit,
        outbound_blocked,
        delete_stuck,
        agent_hidden,
        action_wedged,
        agent_late,
        agent_broken,
    )
}


@pytest.mark.parametrize("quirk", sorted({*QUIRKS, "agent_late"}))
def test_a_misbehaviour_of_a_machine_has_its_effect(it: Bench, name: str, quirk: str) -> None:
    it.quirk(quirk)

    MISBEHAVIOUR[quirk](it, name)


def stop(it: Bench, name: str) -> None:
    it.deed("stop")
    assert it.put(name).status_code == 409


def deallocate(it: Bench, name: str) -> None:
    it.deed("deallocate")
    assert (it.put(name).status_code, it.vm.power_state) == (409, "deallocated")


def start(it: Bench, name: str) -> None:
    it.deed("stop")
    it.deed("start")
    it.put(name)
    it.ended(name)


def reboot(it: Bench, name: str) -> None:
    it.put(name, "sleep 600")
    it.wait(it.vm.processes)
    it.deed("reboot")
    it.wait(lambda: not it.vm.processes())

    assert it.stage.cloud.ledger.executions(vm=VM, name=name)[0].exit_code is None
    assert it.vm.power_state == "running"


def recreate(it: Bench, name: str) -> None:
    it.put(name)
    it.ended(name)
    before = it.vm.vm_id
    it.deed("recreate")

    assert it.vm.vm_id != before
    assert (it.vm.effects(), it.get(name).status_code) == ([], 404)


def break_agent(it: Bench, name: str) -> None:
    it.deed("break_agent")
    it.put(name)
    it.stage.cloud.advance(600)

    assert (it.ran(name), it.state(name)) == (0, "Pending")


def repair_agent(it: Bench, name: str) -> None:
    it.deed("break_agent")
    it.put(name)
    it.deed("repair_agent")
    it.ended(name)


def forgetful_upgrade(it: Bench, name: str) -> None:
    it.put(name)
    it.ended(name)
    it.deed("forgetful_upgrade")
    it.wait(lambda: it.ran(name) == 2)


def take_snapshot(it: Bench, name: str) -> None:
    it.deed("take_snapshot")
    it.put(name)
    it.ended(name)
    it.deed("restore_snapshot")
    it.wait(lambda: it.ran(name) == 2)


DEEDS: Mapping[str, Effect] = {
    one.__name__: one
    for one in (
        start,
        stop,
        deallocate,
        reboot,
        recreate,
        break_agent,
        repair_agent,
        forgetful_upgrade,
        take_snapshot,
    )
} | {"restore_snapshot": take_snapshot}


@pytest.mark.parametrize("deed", get_args(VmDeed.model_fields["deed"].annotation))
def test_a_button_of_a_machine_has_its_effect(it: Bench, name: str, deed: str) -> None:
    DEEDS[deed](it, name)


def test_a_disk_of_which_there_is_no_copy_cannot_be_put_back(client: Client) -> None:
    reply = client.act("vm", vm="rg-prod/db-01", deed="restore_snapshot")

    assert "no copy of the disk" in reply.json["error"]


def test_tokens_that_were_made_too_old_open_nothing(it: Bench) -> None:
    cloud = it.stage.cloud
    token = cloud.identity.issue(cloud.identity.system, cloud.url)[0]
    before = it.ask("GET", "", token=token).status_code

    it.client.act("azure", deed="expire_tokens")

    assert (before, it.ask("GET", "", token=token).status_code) == (200, 401)


def test_the_clock_in_azure_s_answers_goes_back_a_day_and_right_again(it: Bench) -> None:
    days = [it.ask("GET", "").headers["Date"][:16]]
    for deed in ("skew_clock", "mend_clock"):
        it.client.act("azure", deed=deed)
        days.append(it.ask("GET", "").headers["Date"][:16])

    assert days[1] != days[0]
    assert days[2] == days[0]


def test_what_was_sent_as_a_secret_is_not_shown(it: Bench, name: str) -> None:
    secret = {"name": "PASSWORD", "value": "hunter2hunter2"}
    wanted = {"source": {"script": "true"}, "protectedParameters": [secret]}
    it.ask("PUT", f"/runCommands/{name}", json={"location": "westeurope", "properties": wanted})

    shown = it.client.ask("GET", f"/page/request/{len(it.stage.cloud.ledger.requests()) - 1}")

    assert shown.json["headers"]["Authorization"] == "Bearer ***"
    assert shown.json["reply_headers"]["x-ms-request-id"]
    assert shown.json["reply"]["name"] == name
    assert "hunter2" not in shown.text
    assert "PASSWORD" in shown.text
