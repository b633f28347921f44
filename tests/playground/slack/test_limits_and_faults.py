"""Rates, response URLs, uploads and the faults that strike Web API calls."""

import threading
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_handlers import ConnectionErrorRetryHandler
from slack_sdk.webhook import WebhookClient

from playground.slack import FaultKind, SlackWorkspace
from playground.slack.clock import Clock
from playground.slack.limits import RateRules

Json = dict[str, Any]
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def still() -> Any:
    """A workspace whose time stands still unless it is advanced."""
    with SlackWorkspace.start(clock=Clock(frozen_at=NOON)) as workspace:
        yield workspace


def refusal(call: Callable[..., Any], **arguments: Any) -> Any:
    with pytest.raises(SlackApiError) as caught:
        call(**arguments)
    return caught.value.response


# rates


def test_fourth_message_in_a_burst_is_refused_for_a_second(still: SlackWorkspace):
    client = WebClient(still.bot_token, base_url=still.base_url)
    for _ in range(3):
        client.chat_postMessage(channel="C0OPS", text="x")

    refused = refusal(client.chat_postMessage, channel="C0OPS", text="x")

    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
    assert len(still.channel("ops").messages()) == 3
    client.chat_postMessage(channel="C0RANDOM", text="another channel is free")
    still.clock.advance(1)
    client.chat_postMessage(channel="C0OPS", text="x")


def test_tier_2_method_is_refused_after_twenty_calls(still: SlackWorkspace):
    client = WebClient(still.bot_token, base_url=still.base_url)
    for _ in range(20):
        client.usergroups_list()

    refused = refusal(client.usergroups_list)

    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "3")
    client.users_info(user="U0BOB")
    still.clock.advance(3)
    client.usergroups_list()


def test_rates_can_be_switched_off():
    with SlackWorkspace.start(rates=RateRules(enabled=False)) as ws:
        client = WebClient(ws.bot_token, base_url=ws.base_url)

        for _ in range(25):
            client.usergroups_list()
            client.chat_postMessage(channel="C0OPS", text="x")


# timers


@pytest.mark.parametrize(("seconds", "error"), [(3, None), (3.01, "expired_trigger_id")])
def test_trigger_lives_three_seconds(still: SlackWorkspace, seconds: float, error: str | None):
    client = WebClient(still.bot_token, base_url=still.base_url)
    trigger = still.world.new_trigger("U0ALICE")
    title = {"type": "plain_text", "text": "Ask"}
    view = {"type": "modal", "title": title, "blocks": [{"type": "divider"}]}

    still.clock.advance(seconds)

    if error is None:
        client.views_open(trigger_id=trigger.id, view=view)
    else:
        assert refusal(client.views_open, trigger_id=trigger.id, view=view)["error"] == error


def webhook(ws: SlackWorkspace, message: Any = None) -> WebhookClient:
    token = ws.world.new_response_url(user_id="U0ALICE", channel_id="C0OPS", message=message)
    return WebhookClient(f"{ws.base_url.removesuffix('/api/')}/response/{token}")


def test_response_url_is_good_for_five_uses(ws: SlackWorkspace):
    hook = webhook(ws)

    statuses = [hook.send(text="x") for _ in range(6)]

    assert [reply.status_code for reply in statuses] == [200] * 5 + [404]
    assert statuses[5].body == "used_url"
    assert len(ws.person("alice").ephemerals("ops")) == 5


@pytest.mark.parametrize(("seconds", "status"), [(1800, 200), (1801, 404)])
def test_response_url_lives_half_an_hour(still: SlackWorkspace, seconds: int, status: int):
    hook = webhook(still)

    still.clock.advance(seconds)

    assert hook.send(text="x").status_code == status


def test_response_url_posts_publicly_and_into_a_thread(ws: SlackWorkspace):
    parent = ws.person("alice").says("parent", channel="ops")
    hook = webhook(ws)

    hook.send_dict({"text": "public", "response_type": "in_channel"})
    in_thread = {"text": "deep", "thread_ts": parent.ts, "response_type": "in_channel"}
    hook.send_dict(in_thread)
    hook.send_dict(in_thread | {"replace_original": False})

    assert [message.text for message in ws.channel("ops").thread(parent.ts)] == ["parent", "deep"]
    assert [message.text for message in ws.channel("ops").messages()] == ["parent", "public", "deep"]


def test_response_url_replaces_and_deletes_its_message(ws: SlackWorkspace, client: WebClient):
    client.chat_postMessage(channel="C0OPS", text="old")
    hook = webhook(ws, ws.channel("ops").messages()[0])

    hook.send(text="new", replace_original=True)
    assert [message.text for message in ws.channel("ops").messages()] == ["new"]

    hook.send(delete_original=True)
    assert ws.channel("ops").messages() == []


def test_replacing_an_ephemeral_message_never_makes_it_public(ws: SlackWorkspace, client: WebClient):
    client.chat_postEphemeral(channel="C0OPS", user="U0ALICE", text="old")
    hook = webhook(ws, ws.person("alice").ephemerals()[0])

    hook.send_dict({"text": "new", "replace_original": True, "response_type": "in_channel"})

    assert [message.text for message in ws.person("alice").ephemerals()] == ["new"]
    assert ws.channel("ops").messages() == []


@pytest.mark.parametrize(
    ("body", "error"),
    [({"text": ""}, "no_text"), ({"text": "x", "blocks": [{"type": "mystery"}]}, "invalid_blocks")],
)
def test_response_url_refuses_what_cannot_be_shown(ws: SlackWorkspace, body: Json, error: str):
    reply = webhook(ws).send_dict(body)

    assert (reply.status_code, reply.body) == (400, error)


# files


def test_upload_in_three_steps_shows_a_file_in_the_thread(ws: SlackWorkspace, client: WebClient):
    ts = client.chat_postMessage(channel="C0OPS", text="output follows")["ts"]

    reply = client.files_upload_v2(
        filename="out.txt", title="Output", content="line\n" * 100, channel="C0OPS", thread_ts=ts
    )

    (file,) = ws.channel("ops").files()
    assert (file.title, file.thread_ts, len(file.text())) == ("Output", ts, 500)
    assert "shares" not in reply["file"]
    assert len(ws.channel("ops").messages()) == 1


def test_upload_is_refused_where_the_bot_is_no_member(ws: SlackWorkspace, client: WebClient):
    upload = {"filename": "a.txt", "content": "x"}

    assert refusal(client.files_upload_v2, channel="C0NOBOT", **upload)["error"] == "not_in_channel"
    assert refusal(client.files_upload_v2, channel="C0SECRET", **upload)["error"] == "channel_not_found"


def test_file_is_not_known_before_it_is_uploaded_and_completed_once(ws: SlackWorkspace, client: WebClient):
    ws.world.app.scopes |= {"files:read"}
    started = client.files_getUploadURLExternal(filename="a.txt", length=1)
    wanted = [{"id": started["file_id"], "title": "A"}]

    assert refusal(client.files_completeUploadExternal, files=wanted)["error"] == "file_not_found"
    urllib.request.urlopen(started["upload_url"], data=b"x", timeout=30).close()
    client.files_completeUploadExternal(files=wanted)
    assert refusal(client.files_completeUploadExternal, files=wanted)["error"] == "file_not_found"
    assert client.files_info(file=started["file_id"])["file"]["size"] == 1


def test_file_is_downloaded_with_token_and_scope_only(ws: SlackWorkspace, client: WebClient):
    client.files_upload_v2(filename="a.txt", content="secret output", channel="C0OPS")
    url = ws.channel("ops").files()[0].url
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {ws.bot_token}"})

    with pytest.raises(urllib.error.HTTPError, match="403") as refused:
        urllib.request.urlopen(request, timeout=30)
    refused.value.close()

    ws.world.app.scopes |= {"files:read"}
    with urllib.request.urlopen(request, timeout=30) as reply:
        assert reply.read() == b"secret output"


# faults


def test_accept_then_drop_makes_the_default_client_post_twice(ws: SlackWorkspace):
    default = WebClient(ws.bot_token, base_url=ws.base_url)
    ws.faults.switch_on(FaultKind.DROP_AFTER_WORK, on="chat.postMessage")

    reply = default.chat_postMessage(channel="C0OPS", text="once?")

    assert reply["ok"]
    assert [message.text for message in ws.channel("ops").messages()] == ["once?", "once?"]
    assert ws.faults.count(FaultKind.DROP_AFTER_WORK) == 1


def test_accept_then_drop_without_retries_is_an_error_after_one_post(ws: SlackWorkspace, client: WebClient):
    ws.faults.switch_on(FaultKind.DROP_AFTER_WORK, on="chat.postMessage")

    with pytest.raises(ConnectionError):
        client.chat_postMessage(channel="C0OPS", text="once")

    assert len(ws.channel("ops").messages()) == 1


def test_reset_before_work_does_nothing(ws: SlackWorkspace, client: WebClient):
    ws.faults.switch_on(FaultKind.RESET_BEFORE_WORK, on="chat.postMessage")

    with pytest.raises(OSError, match=r"reset|closed"):
        client.chat_postMessage(channel="C0OPS", text="never")

    assert ws.channel("ops").messages() == []


def test_rate_limit_carries_seconds_and_may_come_with_an_empty_body(ws: SlackWorkspace, client: WebClient):
    ws.faults.switch_on(FaultKind.RATE_LIMITED, on="chat.update", seconds=7)
    ws.faults.switch_on(FaultKind.RATE_LIMITED_EMPTY, on="chat.postMessage", seconds=9)

    limited = refusal(client.chat_update, channel="C0OPS", ts="1.0", text="x")
    empty = refusal(client.chat_postMessage, channel="C0OPS", text="x")

    assert (limited.status_code, limited.headers["Retry-After"]) == (429, "7")
    assert limited["error"] == "ratelimited"
    assert (empty.status_code, empty.headers["retry-after"]) == (429, "9")


def test_server_error_strikes_the_named_method_so_often(ws: SlackWorkspace, client: WebClient):
    ws.faults.switch_on(FaultKind.SERVER_ERROR, on="auth.test", times=2)

    statuses = [refusal(client.auth_test).status_code for _ in range(2)]

    assert statuses == [500, 500]
    client.auth_test()
    assert ws.faults.struck[FaultKind.SERVER_ERROR, "auth.test"] == 2
    assert len(ws.journal.of("fault")) == 2


def test_revoked_token_can_strike_one_method(ws: SlackWorkspace, client: WebClient):
    ws.faults.switch_on(FaultKind.TOKEN_REVOKED, on="chat.postMessage", times=None)

    assert refusal(client.chat_postMessage, channel="C0OPS", text="x")["error"] == "token_revoked"
    client.auth_test()
    ws.faults.clear(FaultKind.TOKEN_REVOKED)
    client.chat_postMessage(channel="C0OPS", text="x")


def test_slow_reply_outlasts_an_impatient_client(ws: SlackWorkspace):
    impatient = WebClient(ws.bot_token, base_url=ws.base_url, timeout=1, retry_handlers=[])
    ws.faults.switch_on(FaultKind.SLOW_REPLY, on="chat.postMessage", seconds=30)

    with pytest.raises(TimeoutError):
        impatient.chat_postMessage(channel="C0OPS", text="x")

    assert len(ws.channel("ops").messages()) == 1


def test_connection_retry_handler_survives_a_reset(ws: SlackWorkspace):
    client = WebClient(ws.bot_token, base_url=ws.base_url, retry_handlers=[ConnectionErrorRetryHandler()])
    ws.faults.switch_on(FaultKind.RESET_BEFORE_WORK, on="chat.postMessage")

    client.chat_postMessage(channel="C0OPS", text="x")

    assert len(ws.channel("ops").messages()) == 1


# life


def test_wait_for_says_what_happened_instead(ws: SlackWorkspace, client: WebClient):
    client.auth_test()

    with pytest.raises(TimeoutError, match=r"(?s)last entries.*auth\.test"):
        ws.wait_for(lambda: ws.channel("ops").messages(), timeout=0.01)


def test_wait_for_wakes_up_when_time_is_moved(ws: SlackWorkspace):
    later = ws.clock.now() + 3600
    mover = threading.Thread(target=ws.clock.advance, args=(3601,))

    mover.start()
    ws.wait_for(lambda: ws.clock.now() > later)
    mover.join()


def test_clock_never_runs_backwards(ws: SlackWorkspace):
    with pytest.raises(ValueError, match="only moves ahead"):
        ws.clock.advance(-1)


def test_port_in_use_is_an_error_and_leaves_nothing_running(ws: SlackWorkspace):
    port = int(ws.base_url.split(":")[2].split("/")[0])
    before = threading.active_count()

    with pytest.raises(OSError, match="Address already in use"):
        SlackWorkspace.start(port=port)

    assert threading.active_count() == before


def test_stopping_twice_is_harmless():
    ws = SlackWorkspace.start()

    ws.stop()
    ws.stop()
