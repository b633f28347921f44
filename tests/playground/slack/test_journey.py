"""Whole stories with the official SDK: a real Bolt app over Socket Mode, people who type and click."""

from collections.abc import Callable
from typing import Any

import pytest
from slack_bolt import App

from playground.slack import FaultKind, SlackWorkspace
from playground.slack.results import Refused

Json = dict[str, Any]
Connect = Callable[[App], Any]
GO = {"type": "button", "action_id": "go", "value": "7", "text": {"type": "plain_text", "text": "Go"}}
SURE: Json = {key: {"type": "plain_text", "text": key} for key in ("title", "text", "confirm", "deny")}


def posts_a_button(app: App, **button: Any):
    @app.command("/runbook")
    def start(ack: Any, command: Json, client: Any):
        ack(f"started {command['text']}")
        blocks = [{"type": "actions", "elements": [GO | button]}]
        client.chat_postMessage(channel=command["channel_id"], text="Ready?", blocks=blocks)

    @app.action("go")
    def go(ack: Any, body: Json, client: Any):
        ack()
        text = f"done by {body['user']['id']}"
        client.chat_update(channel=body["channel"]["id"], ts=body["message"]["ts"], text=text)


def test_command_is_answered_to_its_author_only(ws: SlackWorkspace, app: App, connect: Connect):
    posts_a_button(app)
    connect(app)

    result = ws.person("alice").types("/runbook execute restart-web vm=web-01", channel="ops")

    assert result.acked
    assert result.text == "started execute restart-web vm=web-01"
    assert [message.text for message in ws.person("alice").ephemerals("ops")] == [result.text]
    assert ws.person("bob").ephemerals() == []


def test_click_replaces_the_message_for_everybody(ws: SlackWorkspace, app: App, connect: Connect):
    posts_a_button(app)
    connect(app)
    ws.person("alice").types("/runbook x", channel="ops")
    (message,) = ws.wait_for(ws.channel("ops").messages)

    result = ws.person("bob").clicks(message, "Go")

    assert result.acked
    ws.wait_for(lambda: ws.channel("ops").message(message.ts).text == "done by U0BOB")
    assert ws.channel("ops").message(message.ts).buttons() == []
    assert ws.channel("ops").message(message.ts).edits[0].text == "Ready?"


def test_old_picture_of_a_message_can_still_be_clicked(ws: SlackWorkspace, app: App, connect: Connect):
    posts_a_button(app)
    connect(app)
    ws.person("alice").types("/runbook x", channel="ops")
    (stale,) = ws.wait_for(ws.channel("ops").messages)
    ws.person("bob").clicks(stale, "go")
    ws.wait_for(lambda: ws.channel("ops").message(stale.ts).edits)

    assert ws.person("carol").clicks(stale, "go").acked

    with pytest.raises(Refused, match="the buttons are none"):
        ws.person("carol").clicks(ws.channel("ops").message(stale.ts), "go")


def test_answer_no_in_the_confirm_dialog_sends_nothing(ws: SlackWorkspace, app: App, connect: Connect):
    posts_a_button(app, confirm=SURE)
    connect(app)
    ws.person("alice").types("/runbook x", channel="ops")
    (message,) = ws.wait_for(ws.channel("ops").messages)

    result = ws.person("bob").clicks(message, "go", confirms=False)

    assert result.cancelled
    assert not result.warning
    assert ws.journal.deliveries("block_actions") == []


def test_two_people_click_at_the_same_instant(ws: SlackWorkspace, app: App, connect: Connect):
    posts_a_button(app)
    connect(app)
    ws.person("alice").types("/runbook x", channel="ops")
    (message,) = ws.wait_for(ws.channel("ops").messages)
    bob, carol = ws.person("bob"), ws.person("carol")

    results = ws.at_once(lambda: bob.clicks(message, "go"), lambda: carol.clicks(message, "go"))

    assert all(result.acked for result in results)
    assert len(ws.journal.deliveries("block_actions")) == 2


def test_command_without_listener_times_out_visibly(ws: SlackWorkspace, app: App, connect: Connect):
    connect(app)

    outcomes = ws.at_once(lambda: ws.person("alice").types("/runbook x", channel="ops"), lambda: jump_when_sent(ws))

    assert outcomes[0].timed_out
    assert outcomes[0].text == '/runbook failed with the error "operation_timeout"'
    assert ws.person("alice").notices == [outcomes[0].text]


def jump_when_sent(ws: SlackWorkspace) -> Any:
    """Let the three seconds pass once the command is on its way."""
    ws.wait_for(lambda: ws.world.triggers)
    ws.clock.advance(4)


def test_command_without_any_connection_fails_at_once(ws: SlackWorkspace):
    result = ws.person("alice").types("/runbook x", channel="ops")

    assert not result.timed_out
    assert result.text == '/runbook failed with the error "dispatch_failed"'


def test_command_in_a_thread_is_refused(ws: SlackWorkspace):
    parent = ws.person("alice").says("hello", channel="ops")

    result = ws.person("alice").types("/runbook x", channel="ops", thread=parent)

    assert result.text == "/runbook is not supported in threads. Sorry!"
    assert ws.journal.deliveries() == []


def test_unknown_command_is_refused_by_slack(ws: SlackWorkspace):
    assert ws.person("alice").types("/typo", channel="ops").text == "/typo is not a valid command."


def test_nobody_types_where_they_are_not_a_member(ws: SlackWorkspace):
    with pytest.raises(Refused, match="dave is not in #private"):
        ws.person("dave").types("/runbook x", channel="private")


@pytest.mark.parametrize("kind", [FaultKind.DUPLICATE_SAME_ENVELOPE, FaultKind.DUPLICATE_NEW_ENVELOPE])
def test_duplicate_delivery_runs_a_naive_bot_twice(ws: SlackWorkspace, app: App, connect: Connect, kind: FaultKind):
    posts_a_button(app)
    connect(app)
    ws.faults.switch_on(kind, on="slash_commands")

    ws.person("alice").types("/runbook x", channel="ops")

    ws.wait_for(lambda: len(ws.channel("ops").messages()) == 2)
    first, second = ws.journal.deliveries("/runbook")
    assert first.request["trigger_id"] == second.request["trigger_id"]
    assert (first.note == second.note) is (kind is FaultKind.DUPLICATE_SAME_ENVELOPE)
    assert ws.faults.count(kind) == 1


def test_home_is_published_when_opened(ws: SlackWorkspace, app: App, connect: Connect):
    @app.event("app_home_opened")
    def opened(event: Json, client: Any):
        section = {"type": "section", "text": {"type": "mrkdwn", "text": f"Hi <@{event['user']}>"}}
        client.views_publish(user_id=event["user"], view={"type": "home", "blocks": [section]})

    connect(app)

    assert ws.person("bob").opens_home().acked

    home = ws.wait_for(ws.person("bob").home)
    assert home.plain() == "Hi @U0BOB"
    assert ws.person("carol").home() is None


def test_mention_reaches_the_bot_as_an_event(ws: SlackWorkspace, app: App, connect: Connect):
    @app.event("app_mention")
    def mentioned(event: Json, say: Any):
        say(text="here", thread_ts=event["ts"])

    connect(app)

    asked = ws.person("alice").says("<@U0RUNBOOKBOT> status", channel="ops")

    ws.wait_for(lambda: len(ws.channel("ops").thread(asked.ts)) == 2)
    assert ws.channel("ops").thread(asked.ts)[1].text == "here"


def test_workflow_step_is_run_and_completed(ws: SlackWorkspace, app: App, connect: Connect):
    @app.function("run_runbook")
    def step(inputs: Json, complete: Any):
        complete({"session": inputs["runbook"]})

    connect(app)

    execution = ws.person("alice").runs_step("run_runbook", {"runbook": "restart-web"})

    ws.wait_for(lambda: execution.state == "completed")
    assert execution.outputs == {"session": "restart-web"}


def test_shortcuts_reach_the_bot(ws: SlackWorkspace, app: App, connect: Connect):
    seen: list[str] = []

    @app.shortcut("actions")
    def either(ack: Any, body: Json):
        seen.append(f"{body['type']} {body.get('message', {}).get('text', '')}".strip())
        ack()

    connect(app)
    message = ws.person("bob").says("look", channel="ops")

    assert ws.person("alice").shortcut("actions").acked
    assert ws.person("alice").message_shortcut("actions", message).acked
    assert seen == ["shortcut", "message_action look"]


def test_mentions_are_escaped_where_the_command_asks_for_it(ws: SlackWorkspace, app: App, connect: Connect):
    app.command("/runbook")(lambda ack, command: ack(command["text"]))
    ws.world.app.commands["/runbook"] = True
    connect(app)

    result = ws.person("alice").types("/runbook ask @bob in #ops or #private", channel="ops")

    assert result.text == "ask <@U0BOB|bob> in <#C0OPS|ops> or <#C0PRIVATE|>"
