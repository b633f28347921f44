"""One suite of scenarios, run by every official client: what people do, what the app answers, what they see.

The clients and Bolt are untouched; whatever holds here holds for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from slack_sdk.errors import SlackApiError

from playground.slack import FaultKind, SlackWorkspace
from playground.slack.model import Message
from playground.slack.people import Person
from playground.slack.results import Outcome, Refused
from tests.conformance.apps import WAYS, Bot, Handler, Steps, Tools
from tests.conformance.blocks import Json, actions, button, home, modal, section, select

pytestmark = pytest.mark.parametrize("way", WAYS)


def acknowledge(tools: Tools) -> Steps:
    yield tools.ack()


def acking(*words: Any, **more: Any) -> Handler:
    """A handler that only acknowledges, with this."""

    def handler(tools: Tools) -> Steps:
        yield tools.ack(*words, **more)

    return handler


def noting(seen: list[Any], *more: Callable[[Tools], Any]) -> Handler:
    """A handler that acknowledges, does more and keeps the payload."""

    def handler(tools: Tools) -> Steps:
        yield tools.ack()
        for each in more:
            yield each(tools)
        seen.append(tools.body)

    return handler


def posted(ws: SlackWorkspace, bot: Bot, *blocks: Json, **more: Any) -> Message:
    bot.call("chat_postMessage", channel="C0OPS", text="Ready?", blocks=list(blocks) or [actions(button())], **more)
    return ws.channel("ops").all()[-1]


def opening(*views: Json) -> Handler:
    """A handler that opens the first view by its trigger."""

    def handler(tools: Tools) -> Steps:
        yield tools.ack()
        yield tools.client.views_open(trigger_id=tools.body["trigger_id"], view=views[0])

    return handler


def types(ws: SlackWorkspace, line: str = "/runbook x") -> Any:
    return ws.person("alice").types(line, channel="ops")


def shown(person: Person) -> Any:
    """The modal on top."""
    view = person.modal()
    assert view
    return view


def other_than(person: Person, known: str) -> Any:
    """The modal on top, once it is another one."""
    view = person.modal()
    return view if view and view.id != known else None


def once(ws: SlackWorkspace, look: Callable[[], Any]) -> Any:
    """What there is to see, as soon as it is there."""
    return ws.wait_for(look)


def unanswered(ws: SlackWorkspace, act: Callable[[], Outcome], name: str) -> Any:
    """Let the three seconds of a delivery pass as soon as it is under way; nobody answers it."""

    def pass_time() -> Any:
        ws.wait_for(lambda: ws.clock.timers)
        ws.clock.advance(3)

    result, _ = ws.at_once(act, pass_time)
    assert ws.journal.deliveries(name)
    return result


# commands


def test_command_is_acknowledged_to_one_person_and_answered_to_all(ws: SlackWorkspace, bot: Bot) -> None:
    def start(tools: Tools) -> Steps:
        yield tools.ack(f"{tools.body['command']} {tools.body['text']}", blocks=[section("Only you see this")])
        yield tools.client.chat_postMessage(channel=tools.body["channel_id"], text="For everybody")

    bot.on("command", "/runbook", start)
    result = types(ws, "/runbook execute  restart-web")

    assert result.acked
    assert (result.text, result.message.ephemeral_to) == ("/runbook execute  restart-web", "U0ALICE")
    [message] = once(ws, ws.channel("ops").messages)
    assert (message.text, message.bot_id) == ("For everybody", "B0RUNBOOKBOT")


def test_command_may_be_answered_in_public_on_its_acknowledgement(ws: SlackWorkspace, bot: Bot) -> None:
    bot.on("command", "/runbook", acking("Hello all", response_type="in_channel"))

    result = types(ws)

    assert result.message.ephemeral_to is None
    assert [message.text for message in ws.channel("ops").messages()] == ["Hello all"]


def test_command_without_an_acknowledgement_fails_after_three_seconds(ws: SlackWorkspace, bot: Bot) -> None:
    def silent(tools: Tools) -> Steps:
        yield tools.client.auth_test()

    bot.on("command", "/runbook", silent)

    result = unanswered(ws, lambda: types(ws), "/runbook")

    assert (result.acked, result.timed_out) == (False, True)
    assert result.error == '/runbook failed with the error "operation_timeout"'


def test_command_in_a_thread_never_reaches_the_app(ws: SlackWorkspace, bot: Bot) -> None:
    bot.on("command", "/runbook", acking("Hello"))
    parent = posted(ws, bot)

    result = ws.person("alice").types("/runbook x", channel="ops", thread=parent)

    assert "not supported in threads" in result.error
    assert ws.journal.deliveries() == []


# messages and clicks


def test_click_is_acknowledged_and_the_message_updated(ws: SlackWorkspace, bot: Bot) -> None:
    def approve(tools: Tools) -> Steps:
        yield tools.ack()
        body = tools.body
        assert (body["container"]["message_ts"], body["actions"][0]["value"]) == (body["message"]["ts"], "7")
        yield tools.client.chat_update(
            channel=body["channel"]["id"], ts=body["message"]["ts"], text="Approved", blocks=[section("Approved")]
        )

    bot.on("action", "go", approve)
    before = posted(ws, bot, actions(button(value="7", style="primary")))

    assert ws.person("bob").clicks(before, "Go").acked

    after = once(ws, lambda: [each for each in ws.channel("ops").messages() if each.text == "Approved"])[0]
    assert (after.ts, after.buttons(), after.edited) == (before.ts, [], None)


def test_two_people_who_click_at_once_are_two_payloads(ws: SlackWorkspace, bot: Bot) -> None:
    seen: list[Json] = []
    bot.on("action", "go", noting(seen))
    message = posted(ws, bot)

    results = ws.at_once(*(lambda name=name: ws.person(name).clicks(message, "Go") for name in ("bob", "carol")))

    ws.wait_for(lambda: len(ws.journal.deliveries("block_actions")) == 2)
    assert [result.acked for result in results] == [True, True]
    payloads = [entry.request for entry in ws.journal.deliveries("block_actions")]
    assert {payload["user"]["id"] for payload in payloads} == {"U0BOB", "U0CAROL"}
    assert len({payload["trigger_id"] for payload in payloads}) == 2


def test_click_that_nobody_handles_shows_a_warning(ws: SlackWorkspace, bot: Bot) -> None:
    message = posted(ws, bot)

    result = (
        unanswered(ws, lambda: ws.person("bob").clicks(message, "Go"), "block_actions")
        if ws.open_sockets
        else ws.person("bob").clicks(message, "Go")  # Bolt answers 404
    )

    assert (result.acked, "did not respond" in result.error) == (False, True)


def test_chosen_option_arrives_in_the_action_and_in_the_state(ws: SlackWorkspace, bot: Bot) -> None:
    seen: list[Json] = []
    bot.on("action", "pick", noting(seen))
    message = posted(ws, bot, actions(select("a", "b"), block_id="choice"))

    assert ws.person("bob").clicks(message, "pick", value="b").acked

    [entry] = ws.journal.deliveries("block_actions")
    assert entry.request["actions"][0]["selected_option"]["value"] == "b"
    assert entry.request["state"]["values"]["choice"]["pick"]["selected_option"]["value"] == "b"


def test_ephemeral_message_is_for_one_person_and_its_click_has_no_message(ws: SlackWorkspace, bot: Bot) -> None:
    bot.on("action", "go", acknowledge)
    bot.call("chat_postEphemeral", channel="C0OPS", user="U0BOB", text="You", blocks=[actions(button())])
    [message] = ws.person("bob").ephemerals("ops")

    assert ws.person("bob").clicks(message, "Go").acked

    payload = ws.journal.deliveries("block_actions")[0].request
    assert (payload["container"]["is_ephemeral"], "message" in payload) == (True, False)
    assert ws.person("alice").ephemerals("ops") == ws.channel("ops").messages() == []


def test_ephemeral_message_for_an_outsider_is_refused(ws: SlackWorkspace, bot: Bot) -> None:
    with pytest.raises(SlackApiError, match="user_not_in_channel"):
        bot.call("chat_postEphemeral", channel="C0OPS", user="U0OSCAR", text="You")


def test_response_url_is_good_for_five_answers(ws: SlackWorkspace, bot: Bot) -> None:
    statuses: list[int] = []

    def answer(tools: Tools) -> Steps:
        yield tools.ack()
        for number in range(6):
            reply = yield tools.respond(f"answer {number}")
            statuses.append(reply.status_code)
        yield tools.client.chat_postMessage(channel="C0OPS", text="done")

    bot.on("command", "/runbook", answer)
    types(ws)
    ws.wait_for(ws.channel("ops").messages)

    assert statuses == [200] * 5 + [404]
    assert [message.text for message in ws.person("alice").ephemerals("ops")] == [f"answer {n}" for n in range(5)]


@pytest.mark.parametrize(("seconds", "status"), [(1800, 200), (1801, 404)])
def test_response_url_is_good_for_thirty_minutes(ws: SlackWorkspace, bot: Bot, seconds: int, status: int) -> None:
    statuses: list[int] = []

    def late(tools: Tools) -> Steps:
        yield tools.ack()
        ws.clock.advance(seconds)
        reply = yield tools.respond("late")
        statuses.append(reply.status_code)
        yield tools.client.chat_postMessage(channel="C0OPS", text="done")

    bot.on("action", "go", late)
    ws.person("bob").clicks(posted(ws, bot), "Go")
    ws.wait_for(lambda: len(ws.channel("ops").messages()) == 2)

    assert statuses == [status]


def test_response_url_replaces_and_deletes_the_message_it_came_from(ws: SlackWorkspace, bot: Bot) -> None:
    def replace(tools: Tools) -> Steps:
        yield tools.ack()
        yield tools.respond("replaced", replace_original=True)
        yield tools.respond("beside it", replace_original=False, response_type="in_channel")
        yield tools.respond("", delete_original=True)

    bot.on("action", "go", replace)
    ws.person("bob").clicks(posted(ws, bot), "Go")

    ws.wait_for(lambda: len(ws.journal.of("response_url")) == 3)
    assert [message.text for message in ws.channel("ops").messages()] == ["beside it"]


# modals


def test_modal_is_refused_by_slack_then_by_the_app_then_taken(ws: SlackWorkspace, bot: Bot) -> None:
    def judge(tools: Tools) -> Steps:
        reason = tools.body["view"]["state"]["values"]["reason"]["text"]["value"]
        good = len(reason) > 3
        yield tools.ack() if good else tools.ack(response_action="errors", errors={"reason": "Too short"})

    alice = ws.person("alice")
    bot.on("command", "/runbook", opening(modal(private_metadata="17")))
    bot.on("view", "ask", judge)
    types(ws)
    view = once(ws, alice.modal)

    empty, short, good = (alice.submits(view, {"reason": typed}) for typed in ("", "no", "because"))

    assert (empty.sent, empty.errors) == (False, {"reason": "Please complete this required field."})
    assert (short.sent, short.closed, short.errors) == (True, False, {"reason": "Too short"})
    assert (good.closed, alice.modal()) == (True, None)
    payload = ws.journal.deliveries("view_submission")[-1].request
    assert (payload["view"]["private_metadata"], payload["view"]["id"]) == ("17", view.id)


def test_errors_for_an_unknown_block_are_no_answer(ws: SlackWorkspace, bot: Bot) -> None:
    bot.on("command", "/runbook", opening(modal()))
    bot.on("view", "ask", acking(response_action="errors", errors={"elsewhere": "Wrong"}))
    types(ws)

    result = ws.person("alice").submits(once(ws, ws.person("alice").modal), {"reason": "because"})

    assert (result.closed, "trouble connecting" in result.error) == (False, True)


def test_submission_may_push_update_and_clear(ws: SlackWorkspace, bot: Bot) -> None:
    alice = ws.person("alice")
    answers: Iterator[Json] = iter(
        [
            {"response_action": "push", "view": modal(title="Second", external_id="second")},
            {"response_action": "update", "view": modal(title="Second again")},
            {"response_action": "clear"},
        ]
    )

    def judge(tools: Tools) -> Steps:
        yield tools.ack(**next(answers))

    bot.on("command", "/runbook", opening(modal(title="First")))
    bot.on("view", "ask", judge)
    types(ws)
    titles = [once(ws, alice.modal).title]
    for _ in range(2):
        alice.submits(shown(alice), {"reason": "because"})
        titles.append(shown(alice).title)
    last = alice.submits(shown(alice), {"reason": "because"})

    assert titles == ["First", "Second", "Second again"]
    assert (last.closed, alice.modal()) == (True, None)


def test_fourth_view_on_the_stack_is_refused(ws: SlackWorkspace, bot: Bot) -> None:
    refused: list[str] = []

    def push(tools: Tools) -> Steps:
        yield tools.ack()
        try:
            yield tools.client.views_push(trigger_id=tools.body["trigger_id"], view=modal(actions(button())))
        except SlackApiError as problem:
            refused.append(problem.response["error"])
            yield tools.client.chat_postMessage(channel="C0OPS", text="done")

    alice = ws.person("alice")
    bot.on("command", "/runbook", opening(modal(actions(button()))))
    bot.on("action", "go", push)
    types(ws)
    top = once(ws, alice.modal)
    for _ in range(2):
        alice.clicks(top, "Go")
        top = once(ws, partial(other_than, alice, top.id))
    alice.clicks(top, "Go")
    ws.wait_for(ws.channel("ops").messages)

    assert refused == ["push_limit_reached"]
    assert top.previous_id != top.root_id


def test_view_is_filled_by_its_hash_and_a_stale_hash_is_refused(ws: SlackWorkspace, bot: Bot) -> None:
    refused: list[str] = []

    def skeleton(tools: Tools) -> Steps:
        yield tools.ack()
        opened = yield tools.client.views_open(trigger_id=tools.body["trigger_id"], view=modal(title="Loading"))
        known = {"view_id": opened["view"]["id"], "hash": opened["view"]["hash"]}
        yield tools.client.views_update(**known, view=modal(title="Loaded"))
        try:
            yield tools.client.views_update(**known, view=modal(title="Stale"))
        except SlackApiError as problem:
            refused.append(problem.response["error"])
        yield tools.client.chat_postMessage(channel="C0OPS", text="done")

    bot.on("command", "/runbook", skeleton)
    types(ws)
    ws.wait_for(ws.channel("ops").messages)

    assert (shown(ws.person("alice")).title, refused) == ("Loaded", ["hash_conflict"])


def test_closing_a_modal_is_told_only_where_asked_for(ws: SlackWorkspace, bot: Bot) -> None:
    bot.on("command", "/runbook", opening(modal(notify_on_close=True)))
    bot.on("view_closed", "ask", acknowledge)
    types(ws)
    ws.wait_for(ws.person("alice").modal)

    told = ws.person("alice").closes()

    assert told
    assert told.acked
    [payload] = [entry.request for entry in ws.journal.deliveries("view_closed")]
    assert (payload["is_cleared"], "trigger_id" in payload) == (False, False)


@pytest.mark.parametrize(
    ("wait", "error"), [(2.9, None), (3, None), (3.1, "expired_trigger_id")], ids=["before", "at", "after"]
)
def test_trigger_opens_a_view_for_three_seconds(ws: SlackWorkspace, bot: Bot, wait: float, error: str | None) -> None:
    outcome: list[str | None] = []

    def slow(tools: Tools) -> Steps:
        yield tools.ack()
        ws.clock.advance(wait)
        try:
            yield tools.client.views_open(trigger_id=tools.body["trigger_id"], view=modal())
            outcome.append(None)
        except SlackApiError as problem:
            outcome.append(problem.response["error"])
        yield tools.client.chat_postMessage(channel="C0OPS", text="done")

    bot.on("shortcut", "start", slow)
    ws.person("alice").shortcut("start")
    ws.wait_for(ws.channel("ops").messages)

    assert outcome == [error]


def test_trigger_opens_one_view_only_and_cannot_be_made_up(ws: SlackWorkspace, bot: Bot) -> None:
    errors: list[str] = []

    def twice(tools: Tools) -> Steps:
        yield tools.ack()
        yield tools.client.views_open(trigger_id=tools.body["trigger_id"], view=modal())
        for trigger in (tools.body["trigger_id"], "1.2.made-up"):
            try:
                yield tools.client.views_open(trigger_id=trigger, view=modal())
            except SlackApiError as problem:
                errors.append(problem.response["error"])
        yield tools.client.chat_postMessage(channel="C0OPS", text="done")

    bot.on("command", "/runbook", twice)
    types(ws)
    ws.wait_for(ws.channel("ops").messages)

    assert errors == ["exchanged_trigger_id", "invalid_trigger_id"]


# shortcuts, App Home, files, workflow steps, events


def test_global_shortcut_has_neither_channel_nor_response_url(ws: SlackWorkspace, bot: Bot) -> None:
    bot.on("shortcut", "start", opening(modal()))

    assert ws.person("alice").shortcut("start").acked

    ws.wait_for(ws.person("alice").modal)
    [payload] = [entry.request for entry in ws.journal.deliveries("shortcut")]
    assert not payload.keys() & {"channel", "response_url", "message"}


def test_message_shortcut_carries_its_message(ws: SlackWorkspace, bot: Bot) -> None:
    bot.on("shortcut", "inspect", acknowledge)
    message = posted(ws, bot)

    assert ws.person("alice").message_shortcut("inspect", message).acked

    [payload] = [entry.request for entry in ws.journal.deliveries("message_action")]
    assert payload["message"]["ts"] == payload["message_ts"] == message.ts
    assert payload["channel"]["id"] == "C0OPS"


def test_app_home_is_published_for_who_opens_it(ws: SlackWorkspace, bot: Bot) -> None:
    def publish(tools: Tools) -> Steps:
        event = tools.body["event"]
        known = {"hash": event["view"]["hash"]} if "view" in event else {}
        yield tools.client.views_publish(user_id=event["user"], view=home(section(f"hash {bool(known)}")), **known)

    bot.on("event", "app_home_opened", publish)
    bob = ws.person("bob")

    assert bob.opens_home().acked
    first = once(ws, bob.home)
    assert bob.opens_home().acked
    second = once(ws, lambda: (seen := bob.home()) and seen.hash != first.hash and seen)

    assert (first.plain(), second.plain(), ws.person("alice").home()) == ("hash False", "hash True", None)
    with pytest.raises(SlackApiError, match="hash_conflict"):
        bot.call("views_publish", user_id=bob.id, view=home(), hash=first.hash)


def test_file_goes_into_a_thread_in_three_steps(ws: SlackWorkspace, bot: Bot) -> None:
    parent = posted(ws, bot)

    reply = bot.call(
        "files_upload_v2",
        content="line 1\nline 2",
        filename="out.txt",
        title="Output",
        channel="C0OPS",
        thread_ts=parent.ts,
        initial_comment="All of it",
    )

    assert reply["files"][0]["title"] == "Output"
    _, shared = ws.channel("ops").thread(parent.ts)
    assert (shared.text, shared.files[0].text()) == ("All of it", "line 1\nline 2")
    methods = [entry.name for entry in ws.journal if entry.kind in {"call", "upload"}]
    assert methods[-3:] == ["files.getUploadURLExternal", reply["files"][0]["id"], "files.completeUploadExternal"]


def test_workflow_step_ends_as_the_app_says(ws: SlackWorkspace, bot: Bot) -> None:
    def run(tools: Tools) -> Steps:
        good = tools.body["event"]["inputs"]["good"]
        yield tools.complete({"result": "done"}) if good else tools.fail("did not work")

    def ended(good: bool) -> Any:
        execution = ws.person("alice").runs_step("run_runbook", {"good": good})
        ws.wait_for(lambda: execution.state != "running")
        return execution

    bot.on("event", "function_executed", run)

    done, failed = ended(good=True), ended(good=False)

    assert (done.state, done.outputs) == ("completed", {"result": "done"})
    assert (failed.state, failed.error) == ("failed", "did not work")


def test_mention_of_the_bot_is_an_event(ws: SlackWorkspace, bot: Bot) -> None:
    def answer(tools: Tools) -> Steps:
        event = tools.body["event"]
        yield tools.client.chat_postMessage(channel=event["channel"], thread_ts=event["ts"], text="Yes?")

    bot.on("event", "app_mention", answer)
    asked = ws.person("alice").says("<@U0RUNBOOKBOT> status", channel="ops")

    [_, reply] = once(ws, lambda: len(found := ws.channel("ops").thread(asked.ts)) == 2 and found)
    assert (reply.text, reply.is_reply) == ("Yes?", True)


def test_event_comes_again_with_its_id_until_it_is_acknowledged(ws: SlackWorkspace, bot: Bot) -> None:
    retries: list[Any] = []

    def note(tools: Tools) -> Steps:
        retries.append(tools.retry)
        yield tools.client.chat_postMessage(channel="C0OPS", text="done")

    bot.on("event", "app_home_opened", note)
    over_sockets = bool(ws.open_sockets)
    lost = FaultKind.SILENT_SOCKET if over_sockets else FaultKind.BAD_SIGNATURE
    ws.faults.switch_on(lost, on="events_api", times=2)

    opens = ws.person("bob").opens_home
    first = unanswered(ws, opens, "app_home_opened") if over_sockets else opens()
    if over_sockets:
        ws.wait_for(lambda: ws.faults.count(lost) == 2 and ws.clock.timers)
        ws.clock.advance(3)  # the retry at once is lost as well
    ws.wait_for(lambda: len(ws.journal.deliveries()) == 2 and ws.clock.timers)
    ws.clock.advance(60)
    ws.wait_for(lambda: len(ws.journal.deliveries()) == 3 and ws.channel("ops").messages())

    assert not first.acked
    assert retries == [("2", "timeout" if over_sockets else "http_error")]
    assert len({entry.request["event_id"] for entry in ws.journal.deliveries()}) == 1


@pytest.mark.parametrize("fault", [FaultKind.DUPLICATE_SAME_ENVELOPE, FaultKind.DUPLICATE_NEW_ENVELOPE])
def test_duplicate_delivery_reaches_the_app_twice(ws: SlackWorkspace, bot: Bot, fault: FaultKind) -> None:
    def count(tools: Tools) -> Steps:
        yield tools.ack()
        yield tools.client.chat_postMessage(channel="C0OPS", text=tools.body["trigger_id"])

    bot.on("command", "/runbook", count)
    ws.faults.switch_on(fault, on="slash_commands")

    assert types(ws).acked

    twins = once(ws, lambda: len(found := ws.channel("ops").messages()) == 2 and found)
    assert len({message.text for message in twins}) == 1


def test_revoked_token_is_told_and_refused(ws: SlackWorkspace, bot: Bot) -> None:
    told: list[Json] = []
    bot.on("event", "tokens_revoked", noting(told))

    ws.revoke_token()

    ws.wait_for(lambda: ws.journal.deliveries("tokens_revoked"))
    with pytest.raises(SlackApiError, match="token_revoked"):
        bot.call("chat_postMessage", channel="C0OPS", text="x")


def test_rate_limit_is_raised_to_the_app_with_its_waiting_time(ws: SlackWorkspace, bot: Bot) -> None:
    ws.faults.switch_on(FaultKind.RATE_LIMITED, on="chat.postMessage", seconds=7)

    with pytest.raises(SlackApiError) as refused:
        bot.call("chat_postMessage", channel="C0OPS", text="x")

    assert (refused.value.response.status_code, refused.value.response.headers["Retry-After"]) == (429, "7")
    assert ws.channel("ops").messages() == []


def test_person_cannot_click_what_is_no_longer_there(ws: SlackWorkspace, bot: Bot) -> None:
    message = posted(ws, bot)
    bot.call("chat_delete", channel="C0OPS", ts=message.ts)

    with pytest.raises(Refused, match="deleted"):
        ws.person("bob").clicks(message, "Go")
