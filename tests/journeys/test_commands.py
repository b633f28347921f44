"""What can be asked: every command answers the person who typed it, at once or soon after."""

from __future__ import annotations

import pytest

from playground.slack.model import View
from playground.stories import APPROVE, Scene
from tests.journeys.rows import Rows


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("/runbook", ("execute", "pending", "why", "doctor")),
        ("/runbook help", ("execute", "pending", "why", "doctor")),
        ("/runbook list", ("one-change", "needs-two")),
        ("/runbook show waits-for-go", ("flag", "Wait for the word", "risk low")),
        ("/runbook status", ("Sessions that are not over",)),
        ("/runbook pending", ("Waiting for approval",)),
        ("/runbook history", ("Newest sessions",)),
    ],
)
def test_command_answers_at_once_and_only_to_who_typed_it(scene: Scene, line: str, words: tuple[str, ...]):
    scene.asks("alice", line)

    shown = scene.person("alice").ephemerals(scene.channel)[-1]
    seen = f"{shown.text}\n{shown.plain()}"
    for word in words:
        assert word in seen
    assert not scene.stage.slack.channel(scene.channel).messages()
    assert not scene.person("bob").ephemerals(scene.channel)


def test_plan_shows_every_byte_and_starts_nothing(scene: Scene, rows: Rows):
    before = rows.count("execution_sessions")

    scene.asks("alice", "/runbook plan one-change vm=rg-prod/web-01 word=planned")
    told = scene.told("alice", "Nothing has been started")

    assert 'effect "changed $word"' in told
    assert "needs approval" in told
    assert rows.count("execution_sessions") == before


def test_doctor_names_what_it_looked_at(scene: Scene):
    """Predecessor A6: its diagnosis ran a command on the machine and caused the conflict that it looked for."""
    puts = len(scene.stage.cloud.ledger.requests(method="PUT"))

    scene.asks("alice", "/runbook doctor")
    everything = scene.told("alice", "slack", "azure")
    scene.asks("alice", "/runbook doctor web-01")
    machine = scene.told("alice", "heartbeat", "rights")

    assert "workspace T0DEMO" in everything
    assert "running" in machine
    assert len(scene.stage.cloud.ledger.requests(method="PUT")) == puts


def test_doctor_of_an_ambiguous_name_looks_at_all_of_them(scene: Scene):
    scene.asks("alice", "/runbook doctor web-02")

    told = scene.told("alice", "heartbeat")

    assert told.count("same machine") == 2


def test_history_of_a_ticket_lists_its_sessions_only(scene: Scene, other_scene: Scene):
    scene.executes("alice", "/runbook execute one-change vm=rg-prod/web-01 ticket=INC-7 word=a")
    mine = scene.session
    other_scene.executes("alice", "/runbook execute one-change vm=rg-prod/web-02 ticket=INC-8 word=b")

    told = scene.asks("bob", "/runbook history ticket=INC-7")
    status = scene.asks("bob", f"/runbook status {mine}")

    assert f"{mine} " in told
    assert f"{other_scene.session} Change" not in told
    assert "waiting" in told
    assert f"Session {mine}" in status
    assert "web-01" in status


def test_guest_and_outsider_may_not_even_look(scene: Scene):
    for person, word in (("gina", "guest"), ("oscar", "workspace")):
        answer = scene.asks(person, "/runbook pending")

        assert word in answer.lower()


def test_dialog_starts_a_session_in_the_channel_that_is_chosen(scene: Scene, rows: Rows):
    """The global shortcut knows no channel, so the dialog asks for it, and for what the runbook needs."""
    alice = scene.person("alice")
    before = rows.count("execution_sessions")

    alice.shortcut("run_runbook")
    first = scene.wait_for(lambda: with_input(alice.modal(), "runbook"), "the choice of runbooks")
    alice.clicks(first, "launch_runbook", value="one-change")
    second = scene.wait_for(lambda: with_input(alice.modal(), "vm"), "the choice of machines")
    channel = scene.stage.slack.channel(scene.channel).id
    vm = next(value for value in options(second, "vm") if value.endswith("web-01"))
    sent = alice.submits(second, {"vm": vm, "parameter:word": "from-dialog", "ticket": "INC-9", "channel": channel})
    card = scene.wait_for(
        lambda: next(iter(scene.stage.slack.channel(scene.channel).messages()), None), "the session's card"
    )
    scene.root_ts = card.ts
    scene.clicks("bob", scene.gate(), APPROVE)
    scene.wait_for_words("is over", "completed")

    assert sent.closed
    assert rows.count("execution_sessions") == before + 1
    assert rows.session(scene.session).ticket == "INC-9"
    assert [line for line in scene.stage.cloud.vm("rg-prod/web-01").effects() if line.endswith("from-dialog")]


def with_input(view: View | None, block: str) -> View | None:
    return view if view and any(one.get("block_id") == block for one in view.blocks) else None


def options(view: View, block: str) -> list[str]:
    element = next(one["element"] for one in view.blocks if one.get("block_id") == block)
    groups = element.get("option_groups") or [{"options": element.get("options", [])}]
    return [option["value"] for group in groups for option in group["options"]]


def test_wrong_value_in_the_dialog_is_refused_at_its_field(scene: Scene, rows: Rows):
    alice = scene.person("alice")
    before = rows.count("execution_sessions")
    alice.shortcut("run_runbook")
    first = scene.wait_for(lambda: with_input(alice.modal(), "runbook"), "the choice of runbooks")
    alice.clicks(first, "launch_runbook", value="waits-for-go")
    second = scene.wait_for(lambda: with_input(alice.modal(), "parameter:flag"), "the parameter")
    channel = scene.stage.slack.channel(scene.channel).id

    sent = alice.submits(second, {"vm": options(second, "vm")[0], "parameter:flag": "$(id)", "channel": channel})

    assert not sent.closed
    assert sent.errors
    assert rows.count("execution_sessions") == before
    alice.closes(clear=True)


def test_shortcut_on_a_message_answers_what_its_thread_waits_for(scene: Scene, rows: Rows):
    scene.executes("alice", "/runbook execute one-change vm=rg-prod/web-02 word=thread")
    gate = scene.gate()
    alice = scene.person("alice")

    alice.message_shortcut("runbook_actions", gate)
    dialog = scene.wait_for(alice.modal, "the dialog of the thread")
    alice.submits(dialog, {"reason": "Not needed any more."})
    scene.wait_for_words("is over", "cancelled")

    assert "Waiting for" in dialog.plain()
    assert "Not needed any more." in rows.session(scene.session).reason
