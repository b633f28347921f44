"""Modals and Home: triggers, the stack, hashes, what survives an update, what a submission's answer does."""

from collections.abc import Callable
from typing import Any

import pytest
from slack_bolt import App
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from playground.slack import SlackWorkspace
from playground.slack.modals import REQUIRED
from playground.slack.results import Refused

Json = dict[str, Any]
Connect = Callable[[App], Any]


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def text_input(block_id: str = "reason", **more: Any) -> Json:
    element = {"type": "plain_text_input", "action_id": "text"} | more
    return {"type": "input", "block_id": block_id, "label": plain("Why?"), "element": element}


def modal(*blocks: Json, **more: Any) -> Json:
    content = {"type": "modal", "callback_id": "ask", "title": plain("Ask"), "submit": plain("Send")}
    return content | {"blocks": list(blocks) or [text_input()]} | more


def trigger(ws: SlackWorkspace, view_id: str | None = None) -> str:
    return ws.world.new_trigger("U0ALICE", view_id=view_id).id


def code(call: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(SlackApiError) as caught:
        call(**arguments)
    return str(caught.value.response["error"])


@pytest.fixture
def opens(app: App) -> App:
    """An app that opens the modal on `/runbook`."""

    @app.command("/runbook")
    def start(ack: Any, command: Json, client: Any):
        ack()
        client.views_open(trigger_id=command["trigger_id"], view=modal())

    return app


def answers(app: App, **answer: Any):
    @app.view("ask")
    def submitted(ack: Any):
        ack(**answer)


def opened(ws: SlackWorkspace) -> Any:
    ws.person("alice").types("/runbook", channel="ops")
    return ws.wait_for(ws.person("alice").modal)


def test_errors_leave_the_modal_open_and_a_good_answer_closes_it(ws: SlackWorkspace, opens: App, connect: Connect):
    @opens.view("ask")
    def submitted(ack: Any, view: Json):
        typed = view["state"]["values"]["reason"]["text"]["value"]
        if typed == "because":
            ack(response_action="errors", errors={"reason": "Say more."})
        else:
            ack()

    connect(opens)
    alice, view = ws.person("alice"), opened(ws)

    refused = alice.submits(view, {"reason.text": "because"})
    accepted = alice.submits(view, {"reason": "because it hangs"})

    assert refused.errors == {"reason": "Say more."}
    assert not refused.closed
    assert accepted.closed
    assert alice.modal() is None


def test_slack_itself_refuses_an_empty_required_field(ws: SlackWorkspace, opens: App, connect: Connect):
    connect(opens)

    result = ws.person("alice").submits(opened(ws))

    assert (result.sent, result.errors) == (False, {"reason": REQUIRED})
    assert ws.journal.deliveries("view_submission") == []


def test_submission_can_update_the_modal(ws: SlackWorkspace, opens: App, connect: Connect):
    answers(opens, response_action="update", view=modal(text_input("other")))
    connect(opens)
    view = opened(ws)

    result = ws.person("alice").submits(view, {"reason": "x"})

    assert result.update is not None
    assert result.update.blocks[0]["block_id"] == "other"
    assert result.update.hash != view.hash


def test_submission_can_push_and_clear(ws: SlackWorkspace, opens: App, connect: Connect):
    answers(opens, response_action="push", view=modal(callback_id="second"))
    opens.view("second")(lambda ack: ack(response_action="clear"))
    connect(opens)
    alice = ws.person("alice")

    pushed = alice.submits(opened(ws), {"reason": "x"}).pushed
    assert pushed is not None
    assert pushed.previous_id is not None

    assert alice.submits(pushed, {"reason": "y"}).closed
    assert alice.modal() is None


@pytest.mark.parametrize(
    "answer",
    [
        {"response_action": "errors", "errors": {"no such block": "x"}},
        {"response_action": "update", "view": modal(title=plain("x" * 25))},
    ],
    ids=["unknown block", "invalid view"],
)
def test_invalid_answer_shows_trouble_and_leaves_the_modal(
    ws: SlackWorkspace, opens: App, connect: Connect, answer: Json
):
    answers(opens, **answer)
    connect(opens)

    result = ws.person("alice").submits(opened(ws), {"reason": "x"})

    assert "trouble connecting" in result.error
    assert ws.person("alice").modal() is not None


def test_closing_is_told_only_when_asked_for(ws: SlackWorkspace, app: App, connect: Connect):
    closed: list[bool] = []

    @app.view_closed("ask")
    def told(ack: Any, body: Json):
        closed.append(body["is_cleared"])
        ack()

    connect(app)
    app.client.views_open(trigger_id=trigger(ws), view=modal())
    assert ws.person("alice").closes() is None
    app.client.views_open(trigger_id=trigger(ws), view=modal(notify_on_close=True))
    result = ws.person("alice").closes()

    assert result is not None
    assert result.acked
    assert closed == [False]


def test_button_in_a_modal_carries_the_view_and_its_state(ws: SlackWorkspace, app: App, connect: Connect):
    seen: list[Json] = []
    app.action("more")(lambda ack, body: (seen.append(body), ack()))
    connect(app)
    button = {"type": "button", "action_id": "more", "text": plain("More")}
    view = modal(text_input(), {"type": "actions", "elements": [button]})
    app.client.views_open(trigger_id=trigger(ws), view=view)
    alice = ws.person("alice")
    shown = alice.modal()
    assert shown is not None
    alice.fills(shown, {"reason": "half"})

    assert alice.clicks(shown, "More").acked

    assert seen[0]["view"]["state"]["values"]["reason"]["text"]["value"] == "half"
    assert "channel" not in seen[0]
    assert "response_url" not in seen[0]


def test_trigger_expires_after_three_seconds(ws: SlackWorkspace, client: WebClient):
    late, exact = trigger(ws), trigger(ws)
    ws.world.triggers[exact].created = ws.clock.now() + 1.5
    ws.clock.advance(4)

    assert code(client.views_open, trigger_id=late, view=modal()) == "expired_trigger_id"
    client.views_open(trigger_id=exact, view=modal())


def test_trigger_is_good_for_one_view(ws: SlackWorkspace, client: WebClient):
    once = trigger(ws)
    client.views_open(trigger_id=once, view=modal())

    assert code(client.views_open, trigger_id=once, view=modal()) == "exchanged_trigger_id"
    assert code(client.views_open, trigger_id="1.2.3", view=modal()) == "invalid_trigger_id"


def test_invalid_view_does_not_cost_the_trigger(ws: SlackWorkspace, client: WebClient):
    once = trigger(ws)

    assert code(client.views_open, trigger_id=once, view={"type": "modal"}) == "invalid_arguments"
    client.views_open(trigger_id=once, view=modal())


def test_fourth_view_does_not_fit_on_the_stack(ws: SlackWorkspace, client: WebClient):
    view_id = client.views_open(trigger_id=trigger(ws), view=modal())["view"]["id"]
    for _ in range(2):
        client.views_push(trigger_id=trigger(ws, view_id), view=modal())

    assert code(client.views_push, trigger_id=trigger(ws, view_id), view=modal()) == "push_limit_reached"
    assert len(ws.world.stack("U0ALICE")) == 3


def test_push_needs_a_trigger_from_within_a_modal(ws: SlackWorkspace, client: WebClient):
    client.views_open(trigger_id=trigger(ws), view=modal())

    assert code(client.views_push, trigger_id=trigger(ws), view=modal()) == "not_found"


def test_stale_hash_is_a_conflict(ws: SlackWorkspace, client: WebClient):
    view = client.views_open(trigger_id=trigger(ws), view=modal())["view"]
    client.views_update(view_id=view["id"], hash=view["hash"], view=modal())

    again = {"view_id": view["id"], "hash": view["hash"], "view": modal()}
    assert code(client.views_update, **again) == "hash_conflict"


def test_home_has_a_hash_too(client: WebClient):
    home = {"type": "home", "blocks": [{"type": "divider"}]}
    first = client.views_publish(user_id="U0BOB", view=home)["view"]["hash"]
    client.views_publish(user_id="U0BOB", view=home, hash=first)

    assert code(client.views_publish, user_id="U0BOB", view=home, hash=first) == "hash_conflict"


def test_view_is_found_by_its_external_id_which_is_unique(ws: SlackWorkspace, client: WebClient):
    client.views_open(trigger_id=trigger(ws), view=modal(external_id="e1"))

    client.views_update(external_id="e1", view=modal(external_id="e1", title=plain("New")))

    other = ws.world.new_trigger("U0BOB").id
    assert ws.person("alice").modal().title == "New"  # type: ignore[union-attr]
    same = modal(external_id="e1")
    assert code(client.views_open, trigger_id=other, view=same) == "duplicate_external_id"


@pytest.mark.parametrize(("block_id", "kept"), [("reason", "typed"), ("renamed", None)])
def test_input_survives_an_update_only_under_the_same_ids(
    ws: SlackWorkspace, client: WebClient, block_id: str, kept: str | None
):
    view = client.views_open(trigger_id=trigger(ws), view=modal())["view"]
    alice = ws.person("alice")
    alice.fills(alice.modal(), {"reason": "typed"})  # type: ignore[arg-type]

    updated = client.views_update(view_id=view["id"], view=modal(text_input(block_id)))["view"]

    assert updated["state"]["values"][block_id]["text"]["value"] == kept


def test_closed_view_cannot_be_updated(ws: SlackWorkspace, client: WebClient):
    view = client.views_open(trigger_id=trigger(ws), view=modal())["view"]
    ws.person("alice").closes()

    assert code(client.views_update, view_id=view["id"], view=modal()) == "not_found"


def test_choices_and_presets_end_up_in_the_state(ws: SlackWorkspace, client: WebClient):
    options = [{"text": plain(name), "value": name.lower()} for name in ("One", "Two")]

    def field(block_id: str, kind: str, **more: Any) -> Json:
        element = {"type": kind, "action_id": "a", "options": options} | more
        return {"type": "input", "block_id": block_id, "label": plain("?"), "element": element}

    preset = field("preset", "static_select", initial_option=options[0])
    blocks = [preset, field("one", "radio_buttons"), field("many", "checkboxes")]
    client.views_open(trigger_id=trigger(ws), view=modal(*blocks))
    alice = ws.person("alice")
    shown = alice.modal()
    assert shown is not None

    values = alice.fills(shown, {"one": "Two", "many": ["one", "two"]}).as_json()["state"]["values"]

    assert values["preset"]["a"]["selected_option"]["value"] == "one"
    assert values["one"]["a"]["selected_option"]["value"] == "two"
    assert len(values["many"]["a"]["selected_options"]) == 2
    with pytest.raises(ValueError, match="choose one of 'one', 'two'"):
        alice.fills(shown, {"one": "Three"})
    with pytest.raises(Refused, match="no input 'missing'"):
        alice.fills(shown, {"missing": "x"})


@pytest.mark.parametrize(
    ("element", "typed", "problem"),
    [
        ({"type": "plain_text_input", "max_length": 3}, "four", "Must be at most 3 characters."),
        ({"type": "plain_text_input", "min_length": 3}, "no", "Must be at least 3 characters."),
        ({"type": "number_input", "is_decimal_allowed": False}, "1.5", "Must be a whole number."),
        ({"type": "number_input", "is_decimal_allowed": False}, "many", "Must be a number."),
        ({"type": "number_input", "is_decimal_allowed": True, "min_value": "2"}, 1, "Must be at least 2."),
        ({"type": "number_input", "is_decimal_allowed": True, "max_value": "2"}, 3, "Must be at most 2."),
    ],
)
def test_slack_itself_refuses_input_out_of_bounds(
    ws: SlackWorkspace, client: WebClient, element: Json, typed: Any, problem: str
):
    block = text_input() | {"element": {"action_id": "text"} | element}
    client.views_open(trigger_id=trigger(ws), view=modal(block))
    alice = ws.person("alice")

    result = alice.submits(alice.modal(), {"reason": typed})  # type: ignore[arg-type]

    assert result.errors == {"reason": problem}


def test_modal_reads_as_text(ws: SlackWorkspace, client: WebClient):
    client.views_open(trigger_id=trigger(ws), view=modal(close=plain("Cancel")))

    assert ws.person("alice").modal().plain() == "Ask\nWhy?: <text>\n[ Cancel ]  [ Send ]"  # type: ignore[union-attr]
