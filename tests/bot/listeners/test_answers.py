"""Slack's three seconds, whatever the database does; and nobody gets in who is not of our workspace."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from slack_bolt import Ack, BoltRequest
from structlog.testing import capture_logs

from bot import payloads, replies
from bot.listeners.answer import Answer, Watchdog
from bot.listeners.visit import Desk, Visit, attend
from engine.model import StepStatus
from tests.bot.listeners.office import Office

PAYLOADS = Path(__file__).parents[2] / "payloads"


def recorded(name: str) -> dict[str, Any]:
    return json.loads((PAYLOADS / f"{name}.json").read_text(encoding="utf-8"))


@contextmanager
def stalled(path: Path) -> Iterator[None]:
    """Hold the database's write lock, as a stuck writer would."""
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        holder.execute("ROLLBACK")
        holder.close()


@pytest.fixture
def told() -> list[str]:
    return []


def an_answer(name: str, told: list[str]) -> tuple[Answer, Ack]:
    ack = Ack()
    return Answer(ack, payloads.read(recorded(name)), told.append), ack


def a_click(told: list[str]) -> tuple[Answer, Ack, list[str]]:
    """A click's answer, and what is said past the database."""
    ack, whispered = Ack(), list[str]()

    def whisper(text: str) -> bool:
        whispered.append(text)
        return True

    return Answer(ack, payloads.read(recorded("click")), told.append, whisper), ack, whispered


# ---------------------------------------------------------------- the clock


def test_command_that_takes_too_long_is_answered_as_not_confirmed(told: list[str]):
    answer, ack = an_answer("command", told)

    answer.expire()

    assert json.loads(ack.response.body)["text"] == replies.NOT_CONFIRMED


def test_outcome_that_comes_after_the_clock_is_told_later(told: list[str]):
    answer, ack = an_answer("command", told)
    answer.expire()

    answer.text("Session 1 is paused.")

    assert told == ["Session 1 is paused."]
    assert replies.NOT_CONFIRMED in json.loads(ack.response.body)["text"]


def test_clock_that_comes_after_the_answer_changes_nothing(told: list[str]):
    answer, ack = an_answer("command", told)
    answer.text("done")

    answer.expire()

    assert json.loads(ack.response.body)["text"] == "done"


def test_slow_click_is_acknowledged_by_the_clock_and_told_that_nothing_is_confirmed(told: list[str]):
    answer, ack, whispered = a_click(told)

    say = answer.expire()
    assert say
    say()

    assert ack.response.body == ""
    assert whispered == [replies.NOT_CONFIRMED]


def test_slow_click_that_is_recorded_after_all_is_told_so(told: list[str]):
    answer, _, whispered = a_click(told)
    say = answer.expire()

    answer.recorded()
    assert say
    say()

    assert told == [replies.RECORDED_LATE]
    assert whispered == []  # it would be wrong by now


def test_click_in_time_is_told_nothing(told: list[str]):
    answer, _, whispered = a_click(told)

    answer.recorded()

    assert told == whispered == []
    assert answer.expire() is None


def test_slow_click_that_nobody_can_answer_is_not_acknowledged(told: list[str]):
    """A click in App Home brings no address for the answer: Slack's own warning is the honest one."""
    click = payloads.read(recorded("click") | {"response_url": ""})
    ack = Ack()

    say = Answer(ack, click, told.append).expire()

    assert ack.response is None
    assert say is None


def test_slow_dialog_stays_open_and_says_that_nothing_is_confirmed(told: list[str]):
    answer, ack = an_answer("submission", told)

    answer.expire()

    assert json.loads(ack.response.body)["errors"] == {"reason": replies.NOT_CONFIRMED}


def test_watchdog_answers_in_time_and_in_order(told: list[str]):
    watchdog = Watchdog(0.01)
    done = threading.Event()
    answer, ack = an_answer("command", told)
    last, _ = an_answer("command", told)
    last._ack = lambda **_: done.set()

    watchdog.watch(answer)
    watchdog.watch(last)
    arrived = done.wait(30)
    watchdog.close()

    assert arrived
    assert ack.response is not None


@pytest.mark.parametrize("budget", [0.1])
def test_command_whose_listener_hangs_is_answered_and_corrected_later(office: Office):
    office.members.answers.clear()

    answer = office.workspace.person("alice").types("/runbook pause 99", channel="ops")
    office.members.answers.set()
    office.settle()
    office.show()

    assert "Not confirmed yet" in answer.text
    assert "There is no session 99" in office.told[0][2]


@pytest.mark.parametrize("budget", [0.1])
def test_late_acknowledgement_does_not_hide_the_workers_refusal(office: Office):
    office.members.answers.clear()
    office.workspace.person("alice").types("/runbook execute restart-web vm=elsewhere", channel="ops")
    office.members.answers.set()
    office.settle()

    office.work()
    office.show()

    assert ["Preparing" in text or "elsewhere" in text for _, _, text in office.told] == [True, True]


# ---------------------------------------------------------------- the database


def test_command_is_answered_while_the_database_stalls(office: Office, database_file: Path):
    alice = office.workspace.person("alice")

    with stalled(database_file):
        answer = alice.types("/runbook execute restart-web vm=web-01", channel="ops")

    assert answer.latency_ms < 2800
    assert "busy" in answer.text
    assert office.jobs.keys == []


def test_click_is_told_that_it_did_not_count_while_the_database_stalls(office: Office, database_file: Path):
    office.waiting_session()
    bob, gate = office.workspace.person("bob"), office.gate()

    with stalled(database_file):
        click = bob.clicks(gate, "Approve & Continue")

    assert click.acked
    assert ["busy" in message.text for message in bob.ephemerals("ops")] == [True]
    assert office.session().steps[0].status is StepStatus.WAITING_APPROVAL


def test_click_counts_when_it_is_repeated_after_the_stall(office: Office, database_file: Path):
    office.waiting_session()
    bob, gate = office.workspace.person("bob"), office.gate()
    with stalled(database_file):
        bob.clicks(gate, "Approve & Continue")

    bob.clicks(gate, "Approve & Continue")

    assert office.session().steps[0].status is StepStatus.APPROVED


def test_unexpected_error_is_told_with_a_reference_that_the_log_has(office: Office, told: list[str]):
    answer, ack = an_answer("command", told)
    payload = payloads.read(recorded("command"))
    visit = Visit(payload=payload, caller=payloads.caller_of(payload), answer=answer, client=office.client)

    with capture_logs() as lines:
        attend(office.desk, broken, visit)

    text = json.loads(ack.response.body)["text"]
    assert lines[0]["reference"] in text
    assert "password" not in text


def broken(_desk: Desk, _visit: Visit) -> None:
    raise KeyError("password")


# ---------------------------------------------------------------- who gets in


def dispatch(office: Office, body: dict[str, Any]) -> Any:
    return office.app.dispatch(BoltRequest(mode="socket_mode", body=body))


def changed(body: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return a copy with one value replaced, or removed when it is ``...``."""
    copy = json.loads(json.dumps(body))
    *way, last = path.split(".")
    place = copy
    for key in way:
        place = place[key]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return copy


MISMATCHES = [
    ("command", "team_id", "T0OTHER"),
    ("command", "team_id", ...),
    ("command", "enterprise_id", "E0OTHER"),
    ("command", "api_app_id", "A0OTHER"),
    ("command", "api_app_id", ...),
    ("command", "user_id", ...),
    ("click", "user.team_id", "T0OTHER"),
    ("click", "user.team_id", ...),
    ("click", "team.id", "T0OTHER"),
    ("click", "team", None),
    ("click", "enterprise", {"id": "E0OTHER"}),
    ("click", "api_app_id", "A0OTHER"),
    ("submission", "user.team_id", "T0OTHER"),
    ("shortcut", "team.id", "T0OTHER"),
    ("message_action", "user.team_id", "T0OTHER"),
    ("app_home_opened", "team_id", "T0OTHER"),
]


@pytest.mark.parametrize(("kind", "path", "value"), MISMATCHES)
def test_whoever_is_not_of_our_workspace_and_app_is_refused_and_audited(kind, path, value, office: Office):
    body = changed(recorded(kind), path, value)

    dispatch(office, body)

    assert len(office.audit("request_refused")) == 1
    assert office.service.recent() == ()


def test_member_of_our_workspace_gets_in(office: Office):
    answer = dispatch(office, recorded("command"))

    assert answer.status == 200
    assert office.audit("request_refused") == []


@pytest.mark.parametrize("kind", ["view_closed", "block_suggestion"])
def test_kinds_that_we_do_not_read_are_acknowledged(kind: str, office: Office):
    body = changed(recorded("submission"), "type", kind) | {"action_id": "x", "block_id": "y", "value": ""}

    assert dispatch(office, body).status == 200
