"""What the page can do: as people in the workspace, and to the outside world. No bot runs here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from playground.slack.faults import FaultKind
from playground.slack.model import BOT_USER_ID, Revision
from playground.stage import Stage
from playground.web.azure_records import cloud_records
from playground.web.catalogue import AZURE_FAULTS, SLACK_FAULTS
from playground.web.page import Page
from tests.playground.web.conftest import Client

Live = Callable[[Callable[[dict[str, Any]], bool]], dict[str, Any]]
BUTTON = {"type": "button", "action_id": "go", "text": {"type": "plain_text", "text": "Go"}, "value": "1"}
GO = {"type": "actions", "block_id": "B1", "elements": [BUTTON]}


@pytest.fixture(autouse=True)
def _fair_weather(stage: Stage) -> Iterator[None]:
    yield
    stage.slack.faults.clear()
    stage.cloud.faults.clear()


def messages(records: dict[str, Any], channel: str) -> list[str]:
    return [value["text"] for key, value in records.items() if key.startswith(f"message:{channel}/")]


def test_what_one_tab_types_every_tab_is_told(client: Client, live: Live) -> None:
    reply = client.act("type", actor="alice", channel="C0RANDOM", line="hello <b>there</b>")

    records = live(lambda known: "hello <b>there</b>" in messages(known, "C0RANDOM"))

    assert reply.json == {"error": ""}
    assert records["user:U0ALICE"]["role"] == "requester"


def test_a_command_in_a_thread_is_refused_as_in_slack(client: Client, stage: Stage) -> None:
    root = stage.slack.person("alice").says("root", channel="ops")

    reply = client.act("type", actor="alice", channel="C0OPS", thread=root.ts, line="/runbook list")

    assert reply.json["error"] == "/runbook is not supported in threads. Sorry!"


def test_nobody_acts_in_a_channel_they_are_not_in(client: Client) -> None:
    reply = client.act("type", actor="oscar", channel="C0OPS", line="hello")

    assert reply.json["error"] == "oscar is not in #ops"


def test_a_click_that_no_bot_answers_shows_slack_s_warning(client: Client, stage: Stage) -> None:
    with stage.slack.world.lock:
        message = stage.slack.world.post(
            stage.slack.world.channel_named("ops"), user=BOT_USER_ID, text="go", blocks=[GO]
        )

    reply = client.act("click", actor="bob", channel="C0OPS", ts=message.ts, block_id="B1", action_id="go", value="1")

    assert "did not respond" in reply.json["error"]


def test_a_tab_that_lags_behind_may_click_what_it_still_shows(client: Client, stage: Stage) -> None:
    world = stage.slack.world
    with world.lock:
        message = world.post(world.channel_named("ops"), user=BOT_USER_ID, text="go", blocks=[GO])
        message.edits.append(Revision(text=message.text, blocks=message.blocks))
        message.blocks = []

    reply = client.act("click", actor="bob", channel="C0OPS", ts=message.ts, block_id="B1", action_id="go", value="1")

    assert "did not respond" in reply.json["error"]


@pytest.mark.parametrize(
    ("name", "body", "wrong"),
    [
        ("type", {"actor": "alice"}, "line"),
        ("type", {"actor": "alice", "line": "x", "as_admin": True}, "as_admin"),
        ("vm", {"vm": "web-01", "deed": "explode"}, "deed"),
        ("advance", {"clock": "slack", "seconds": -1}, "seconds"),
    ],
)
def test_what_is_not_understood_is_named(client: Client, name: str, body: dict[str, Any], wrong: str) -> None:
    reply = client.act(name, **body)

    assert reply.status == 400
    assert wrong in reply.json["error"]


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("type", {"actor": "nobody", "channel": "C0OPS", "line": "x"}),
        ("click", {"actor": "bob", "channel": "C0OPS", "ts": "1.0", "block_id": "b", "action_id": "a"}),
        ("submit", {"actor": "bob", "view_id": "V0"}),
        ("close", {"actor": "bob"}),
        ("vm", {"vm": "no-such", "deed": "stop"}),
        ("quirk", {"vm": "web-01", "quirk": "agent_delay", "on": True}),
        ("azure-fault", {"name": "no-such"}),
        ("story", {"name": "no-such"}),
    ],
)
def test_what_is_not_possible_is_told_in_words(client: Client, name: str, body: dict[str, Any]) -> None:
    reply = client.act(name, **body)

    assert reply.status == 200
    assert reply.json["error"]
    assert "Traceback" not in reply.text


def test_an_unknown_act_is_no_act(client: Client) -> None:
    assert client.act("format-disk").status == 404


@pytest.mark.parametrize(("deed", "power"), [("stop", "stopped"), ("deallocate", "deallocated"), ("start", "running")])
def test_a_machine_is_switched_and_the_page_shows_it(client: Client, live: Live, deed: str, power: str) -> None:
    client.act("vm", vm="rg-prod/db-01", deed=deed)

    records = live(lambda known: known.get("vm:rg-prod/db-01", {}).get("power") == power)

    assert records["vm:rg-prod/db-01"]["agent"] == ("ready" if power == "running" else "off")


def test_an_agent_is_broken_and_repaired(client: Client, live: Live) -> None:
    client.act("vm", vm="rg-prod/web-02", deed="break_agent")
    live(lambda known: known.get("vm:rg-prod/web-02", {}).get("agent") == "broken")

    client.act("vm", vm="rg-prod/web-02", deed="repair_agent")

    assert live(lambda known: known["vm:rg-prod/web-02"]["agent"] == "ready")


def test_a_machine_made_again_is_another_machine(client: Client, live: Live) -> None:
    before = live(lambda known: "vm:rg-staging/web-02" in known)["vm:rg-staging/web-02"]["vm_id"]

    answer = client.act("vm", vm="rg-staging/web-02", deed="recreate")

    assert answer.status == 200, answer.text
    assert live(lambda known: known["vm:rg-staging/web-02"]["vm_id"] != before)


def test_the_cloud_is_still_shown_while_a_machine_is_made_again(stage: Stage) -> None:
    machine = stage.cloud.vm("rg-staging/web-02")
    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(lambda: [cloud_records(stage.cloud) for _ in range(20)])
        while not looking.done():
            machine.recreate()

        assert all("vm:rg-staging/web-02" in records for records in looking.result())


def test_the_page_knows_every_fault_of_the_workspace() -> None:
    assert set(SLACK_FAULTS) == set(FaultKind)


@pytest.mark.parametrize("kind", list(FaultKind))
def test_each_fault_of_slack_is_switched_on_and_off(client: Client, stage: Stage, live: Live, kind: FaultKind) -> None:
    place = SLACK_FAULTS[kind].places[-1]
    client.act("slack-fault", kind=kind, place=place, times=3, seconds=2)
    assert stage.slack.faults.is_on(kind, place)
    live(lambda known: known[f"slack_fault:{kind}"]["on"])

    client.act("slack-fault-off", kind=kind)

    assert not stage.slack.faults.is_on(kind, place)
    assert live(lambda known: not known[f"slack_fault:{kind}"]["on"])


@pytest.mark.parametrize("name", AZURE_FAULTS)
def test_each_fault_of_azure_is_switched_on_and_off(client: Client, stage: Stage, live: Live, name: str) -> None:
    known = AZURE_FAULTS[name].template
    where, method, path = known.where, known.method or "GET", f"/x{known.path_contains}y"
    client.act("azure-fault", name=name, times=2, seconds=0)
    live(lambda records: records.get(f"azure_fault:{name}", {}).get("left") == 2)
    struck = stage.cloud.faults.take(where, method, path)
    assert struck is not None
    assert struck.kind == known.kind

    client.act("azure-fault-off", name=name)

    assert stage.cloud.faults.take(where, method, path) is None
    assert live(lambda records: records[f"azure_fault:{name}"]["struck"] == 1)


def test_the_clock_moves_ahead(client: Client, stage: Stage) -> None:
    slack, azure = stage.slack.clock.now(), stage.cloud.platform.clock.now()

    client.act("advance", clock="both", seconds=3600)

    assert stage.slack.clock.now() - slack >= 3600
    assert (stage.cloud.platform.clock.now() - azure).total_seconds() >= 3600


def test_the_journal_is_shown_without_contents_and_whole_when_asked(client: Client, live: Live) -> None:
    client.act("type", actor="carol", channel="C0OPS", line="/runbook list")
    records = live(
        lambda known: any(value.get("name") == "/runbook" for key, value in known.items() if key[:6] == "entry:")
    )
    entry = next(value for key, value in records.items() if key[:6] == "entry:" and value["name"] == "/runbook")

    whole = client.ask("GET", f"/page/entry/{entry['number']}").json

    assert "request" not in entry
    assert entry["about"] == "carol types /runbook list"
    assert whole["request"]["user_id"] == "U0CAROL"


@pytest.mark.parametrize(
    "path", ["/page/entry/0", "/page/entry/999999", "/page/entry/x", "/page/request/999999", "/page/file/F0"]
)
def test_what_is_not_there_is_said_to_be_gone(client: Client, path: str) -> None:
    assert client.ask("GET", path).status == 404


def test_the_stream_holds_no_token(client: Client, stage: Stage, live: Live) -> None:
    records = live(lambda known: "workspace" in known and "status" in known)

    secrets = (stage.slack.bot_token, stage.slack.app_token, stage.slack.signing_secret, client.token)
    assert not [secret for secret in secrets if secret in str(records)]


def test_a_page_without_a_stage_says_that_it_is_starting() -> None:
    with pytest.raises(Exception, match="Service Unavailable"):
        _ = Page().stage
