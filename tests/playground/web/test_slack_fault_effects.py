"""Every switch of Slack's bad days does what it says, seen from the bot's side of the wire or from the person's."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any

import pytest

from playground.slack.faults import FaultKind
from playground.slack.journal import Entry
from playground.slack.results import CommandResult
from playground.stage import Setting, Stage
from playground.web import Page
from tests.playground.web.conftest import Client, Reply

BROKEN = (OSError, HTTPException)
LIST = "/runbook list"


@dataclass
class Bench:
    """A stage with the real bot, and a client that switches, and that calls as the bot would."""

    stage: Stage
    client: Client

    def switch(self, kind: FaultKind, place: str, *, times: int = 1, seconds: float = 1.0) -> None:
        assert self.client.act("slack-fault", kind=kind, place=place, times=times, seconds=seconds).json["error"] == ""

    def call(self, method: str, **arguments: str) -> Reply:
        headers = {"Content_Type": "application/json", "Authorization": f"Bearer {self.stage.slack.bot_token}"}
        return self.client.ask("POST", f"/api/{method}", json.dumps(arguments).encode(), **headers)

    def post(self, text: str) -> Reply:
        return self.call("chat.postMessage", channel="C0RANDOM", text=text)

    def posted(self, text: str) -> int:
        return sum(message.text == text for message in self.stage.slack.channel("random").messages())

    def types(self, name: str, line: str = LIST) -> CommandResult:
        return self.stage.slack.person(name).types(line, channel="ops")

    def sent_since(self, number: int, name: str = "/runbook") -> list[Entry]:
        """What was delivered to the bot since then."""
        return [e for e in self.stage.slack.journal.since(number) if (e.kind, e.name) == ("delivery", name)]


def bench(setting: Setting) -> Iterator[Bench]:
    page = Page()
    with Stage(setting, routes=page.routes()) as stage:
        page.open(stage)
        stage.start_bot()
        yield Bench(stage, Client(int(stage.slack.base_url.split(":")[2].split("/")[0]), page.guard.token))
        page.close()


@pytest.fixture(scope="module")
def by_socket() -> Iterator[Bench]:
    yield from bench(Setting())


@pytest.fixture(scope="module")
def by_http() -> Iterator[Bench]:
    yield from bench(Setting(door="http"))


def rate_limited(it: Bench) -> None:
    it.switch(FaultKind.RATE_LIMITED, "chat.postMessage", seconds=7)

    refused, later = it.post("limited"), it.post("limited")

    assert (refused.status, refused.headers["Retry-After"], refused.json["error"]) == (429, "7", "ratelimited")
    assert (later.json["ok"], it.posted("limited")) == (True, 1)


def rate_limited_empty(it: Bench) -> None:
    it.switch(FaultKind.RATE_LIMITED_EMPTY, "chat.postMessage", seconds=3)

    refused = it.post("limited, no words")

    assert (refused.status, refused.headers["Retry-After"], refused.text) == (429, "3", "")
    assert it.posted("limited, no words") == 0


def server_error(it: Bench) -> None:
    it.switch(FaultKind.SERVER_ERROR, "chat.postMessage")

    failed = it.post("failed")

    assert (failed.status, it.posted("failed")) == (500, 0)


def drop_after_work(it: Bench) -> None:
    it.switch(FaultKind.DROP_AFTER_WORK, "chat.postMessage")

    with pytest.raises(BROKEN):
        it.post("dropped")

    assert it.posted("dropped") == 1


def reset_before_work(it: Bench) -> None:
    it.switch(FaultKind.RESET_BEFORE_WORK, "chat.postMessage")

    with pytest.raises(BROKEN):
        it.post("reset")

    assert it.posted("reset") == 0


def slow_reply(it: Bench) -> None:
    it.switch(FaultKind.SLOW_REPLY, "users.info", seconds=0.6)
    began = time.monotonic()

    answer = it.call("users.info", user="U0BOB")

    assert answer.json["ok"]
    assert time.monotonic() - began >= 0.6


def token_revoked(it: Bench) -> None:
    it.switch(FaultKind.TOKEN_REVOKED, "users.info")

    refused, later = it.call("users.info", user="U0BOB"), it.call("users.info", user="U0BOB")

    assert refused.json == {"ok": False, "error": "token_revoked"}
    assert later.json["ok"]


def silent_socket(it: Bench) -> None:
    it.switch(FaultKind.SILENT_SOCKET, "slash_commands")
    with ThreadPoolExecutor(1) as pool:
        typed = pool.submit(it.types, "alice")
        it.stage.slack.wait_for(lambda: it.stage.slack.faults.count(FaultKind.SILENT_SOCKET))
        it.client.act("advance", clock="slack", seconds=3)

    assert "operation_timeout" in typed.result().error
    assert it.types("alice").acked


def duplicate_same_envelope(it: Bench) -> None:
    it.switch(FaultKind.DUPLICATE_SAME_ENVELOPE, "slash_commands")
    number = len(it.stage.slack.journal)

    it.types("alice")
    it.stage.slack.wait_for(lambda: len(it.sent_since(number)) == 2)

    assert len({entry.headers["envelope_id"] for entry in it.sent_since(number)}) == 1


def duplicate_new_envelope(it: Bench) -> None:
    it.switch(FaultKind.DUPLICATE_NEW_ENVELOPE, "slash_commands")
    number = len(it.stage.slack.journal)

    it.types("alice")
    it.stage.slack.wait_for(lambda: len(it.sent_since(number)) == 2)

    first, second = it.sent_since(number)
    assert first.headers["envelope_id"] != second.headers["envelope_id"]
    assert first.request == second.request


def out_of_order(it: Bench) -> None:
    it.switch(FaultKind.OUT_OF_ORDER, "slash_commands")
    number = len(it.stage.slack.journal)
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(it.types, "alice")
        it.stage.slack.wait_for(lambda: it.stage.slack.journal.since(number))  # the fault has struck
        it.types("bob")
        held.result()

    assert [entry.request["user_name"] for entry in it.sent_since(number)] == ["bob", "alice"]


def forged(it: Bench) -> None:
    refused_once(it, FaultKind.BAD_SIGNATURE)


def replayed(it: Bench) -> None:
    refused_once(it, FaultKind.STALE_TIMESTAMP)


def refused_once(it: Bench, kind: FaultKind) -> None:
    it.switch(kind, "slash_commands")
    number = len(it.stage.slack.journal)

    refused, later = it.types("alice"), it.types("alice")

    first, _ = it.sent_since(number)
    assert (refused.acked, first.reply["status"], later.acked) == (False, 401, True)


EFFECTS: Mapping[FaultKind, Callable[[Bench], None]] = {
    FaultKind.RATE_LIMITED: rate_limited,
    FaultKind.RATE_LIMITED_EMPTY: rate_limited_empty,
    FaultKind.SERVER_ERROR: server_error,
    FaultKind.DROP_AFTER_WORK: drop_after_work,
    FaultKind.RESET_BEFORE_WORK: reset_before_work,
    FaultKind.SLOW_REPLY: slow_reply,
    FaultKind.TOKEN_REVOKED: token_revoked,
    FaultKind.SILENT_SOCKET: silent_socket,
    FaultKind.DUPLICATE_SAME_ENVELOPE: duplicate_same_envelope,
    FaultKind.DUPLICATE_NEW_ENVELOPE: duplicate_new_envelope,
    FaultKind.OUT_OF_ORDER: out_of_order,
    FaultKind.BAD_SIGNATURE: forged,
    FaultKind.STALE_TIMESTAMP: replayed,
}
OVER_HTTP = {FaultKind.BAD_SIGNATURE, FaultKind.STALE_TIMESTAMP}


@pytest.mark.parametrize("kind", list(FaultKind))
def test_a_switched_on_fault_of_slack_has_its_effect(kind: FaultKind, request: pytest.FixtureRequest) -> None:
    it: Bench = request.getfixturevalue("by_http" if kind in OVER_HTTP else "by_socket")
    struck = it.stage.slack.faults.count(kind)

    EFFECTS[kind](it)

    assert it.stage.slack.faults.count(kind) == struck + 1


@pytest.mark.parametrize("deed", ["cut", "refresh"])
def test_sockets_that_were_cut_or_asked_to_leave_are_opened_again(by_socket: Bench, deed: str) -> None:
    slack = by_socket.stage.slack
    opened = len(slack.journal.of("socket", "open"))

    by_socket.client.act("sockets", deed=deed)
    slack.wait_for(lambda: len(slack.journal.of("socket", "open")) >= opened + 2, 60)
    slack.wait_until_connected(2)

    assert by_socket.types("alice").acked


@pytest.mark.parametrize("deed", ["kill", "stop"])
def test_a_bot_that_is_gone_is_missed_and_answers_again_once_started(by_socket: Bench, deed: str) -> None:
    by_socket.client.act("bot", deed=deed)
    by_socket.stage.slack.wait_for(lambda: not by_socket.stage.slack.open_sockets)
    alone = by_socket.types("alice")

    started = by_socket.client.act("bot", deed="start")

    assert "dispatch_failed" in alone.error
    assert started.json["error"] == ""
    assert by_socket.types("alice").acked


def test_the_inspector_shows_headers_and_envelopes_without_secrets(by_socket: Bench, by_http: Bench) -> None:
    shown: dict[str, Any] = {}
    for name, it in {"socket": by_socket, "http": by_http}.items():
        number = len(it.stage.slack.journal)
        it.types("alice")
        it.post(f"a call by {name}")
        for entry in it.stage.slack.journal.since(number):
            shown[f"{name} {entry.name}"] = it.client.ask("GET", f"/page/entry/{entry.number}").json

    assert shown["socket /runbook"]["headers"]["type"] == "slash_commands"
    assert shown["http /runbook"]["headers"]["X-Slack-Request-Timestamp"].isdecimal()
    assert shown["http /runbook"]["headers"]["X-Slack-Signature"].endswith("***")
    assert shown["http /runbook"]["reply_headers"]
    assert shown["http chat.postMessage"]["headers"]["Authorization"] == "Bearer ***"
    assert "X-OAuth-Scopes" in shown["http chat.postMessage"]["reply_headers"]
    secrets = [it.stage.slack.bot_token for it in (by_socket, by_http)] + [
        it.client.token for it in (by_socket, by_http)
    ]
    assert not [secret for secret in secrets if secret in json.dumps(shown)]
