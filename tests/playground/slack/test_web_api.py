"""The Web API through the official client: rules for messages, membership, scopes, metadata, argument forms."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from playground.slack import SlackWorkspace
from playground.slack.limits import RateRules
from playground.slack.state import AppConfig

Json = dict[str, Any]
SECTION: Json = {"type": "section", "text": {"type": "mrkdwn", "text": "*hello*"}}
META: Json = {"event_type": "step", "event_payload": {"outbox_id": "1"}}


def refusal(call: Callable[..., Any], **arguments: Any) -> SlackApiError:
    with pytest.raises(SlackApiError) as caught:
        call(**arguments)
    return caught.value


def code(call: Callable[..., Any], **arguments: Any) -> str:
    return str(refusal(call, **arguments).response["error"])


@pytest.fixture
def ts(client: WebClient) -> str:
    return str(client.chat_postMessage(channel="C0OPS", text="hello", blocks=[SECTION])["ts"])


@pytest.mark.parametrize(
    ("channel", "error"),
    [
        ("C0NOBOT", "not_in_channel"),
        ("C0SECRET", "channel_not_found"),
        ("C0NOWHERE", "channel_not_found"),
        ("C0ARCHIVED", "is_archived"),
    ],
)
def test_bot_posts_only_where_it_may(client: WebClient, channel: str, error: str):
    assert code(client.chat_postMessage, channel=channel, text="x") == error


def test_chat_write_public_reaches_public_channels_without_the_bot():
    scopes = AppConfig().scopes | {"chat:write.public"}
    with SlackWorkspace.start(app=AppConfig(scopes=scopes)) as ws:
        client = WebClient(ws.bot_token, base_url=ws.base_url)

        client.chat_postMessage(channel="C0NOBOT", text="x")

        assert code(client.chat_postMessage, channel="C0SECRET", text="x") == "channel_not_found"


@pytest.mark.parametrize("channel", ["C0OPS", "#ops"])
def test_channel_is_named_by_id_or_name(ws: SlackWorkspace, client: WebClient, channel: str):
    assert client.chat_postMessage(channel=channel, text="x")["channel"] == "C0OPS"
    assert len(ws.channel("ops").messages()) == 1


def test_posting_to_a_person_opens_the_direct_conversation(ws: SlackWorkspace, client: WebClient):
    posted = client.chat_postMessage(channel="U0ALICE", text="psst")

    assert posted["channel"].startswith("D")
    assert [message.text for message in ws.direct("alice").messages()] == ["psst"]


def test_timestamps_are_unique_and_increasing(client: WebClient):
    stamps = [client.chat_postMessage(channel=channel, text="x")["ts"] for channel in ("C0OPS", "C0RANDOM")]

    assert stamps == sorted(set(stamps))


def test_reply_goes_into_the_thread_and_a_broadcast_also_into_the_channel(
    ws: SlackWorkspace, client: WebClient, ts: str
):
    client.chat_postMessage(channel="C0OPS", text="quiet", thread_ts=ts)
    client.chat_postMessage(channel="C0OPS", text="loud", thread_ts=ts, reply_broadcast=True)

    assert [message.text for message in ws.channel("ops").thread(ts)] == ["hello", "quiet", "loud"]
    assert [message.text for message in ws.channel("ops").messages()] == ["hello", "loud"]


def test_wrong_thread_ts_lands_in_the_channel(ws: SlackWorkspace, client: WebClient, ts: str):
    client.api_call("chat.postMessage", json={"channel": "C0OPS", "text": "x", "thread_ts": float(ts)})

    assert [message.text for message in ws.channel("ops").messages()] == ["hello", "x"]


def test_update_with_text_alone_removes_the_blocks_and_marks_the_edit(ws: SlackWorkspace, client: WebClient, ts: str):
    client.chat_update(channel="C0OPS", ts=ts, text="bye")

    message = ws.channel("ops").message(ts)
    assert (message.text, message.blocks) == ("bye", [])
    assert message.edited is not None


def test_update_with_blocks_leaves_no_edited_mark(ws: SlackWorkspace, client: WebClient, ts: str):
    client.chat_update(channel="C0OPS", ts=ts, text="bye", blocks=[SECTION, SECTION])

    message = ws.channel("ops").message(ts)
    assert len(message.blocks) == 2
    assert message.edited is None


@pytest.mark.parametrize(("length", "accepted"), [(4000, True), (4001, False)])
def test_update_refuses_more_than_4000_characters(client: WebClient, ts: str, length: int, accepted: bool):
    if accepted:
        client.chat_update(channel="C0OPS", ts=ts, text="x" * length)
    else:
        assert code(client.chat_update, channel="C0OPS", ts=ts, text="x" * length) == "msg_too_long"


def test_posted_text_is_cut_after_40000_characters(ws: SlackWorkspace, client: WebClient):
    client.chat_postMessage(channel="C0OPS", text="x" * 40_001)

    assert len(ws.channel("ops").messages()[0].text) == 40_000


def test_bot_changes_only_its_own_messages(ws: SlackWorkspace, client: WebClient):
    other = ws.person("alice").says("mine", channel="ops")

    assert code(client.chat_update, channel="C0OPS", ts=other.ts, text="x") == "cant_update_message"
    assert code(client.chat_delete, channel="C0OPS", ts=other.ts) == "cant_delete_message"
    assert code(client.chat_update, channel="C0OPS", ts="1.000000", text="x") == "message_not_found"


def test_deleted_message_is_gone(ws: SlackWorkspace, client: WebClient, ts: str):
    client.chat_delete(channel="C0OPS", ts=ts)

    assert ws.channel("ops").messages() == []


def test_broadcasting_an_old_reply_takes_a_call_of_its_own(ws: SlackWorkspace, client: WebClient, ts: str):
    reply = client.chat_postMessage(channel="C0OPS", text="quiet", thread_ts=ts)["ts"]
    both = {"channel": "C0OPS", "ts": reply, "text": "x", "reply_broadcast": True}

    assert code(client.chat_update, **both) == "no_dual_broadcast_content_update"

    client.api_call("chat.update", json={"channel": "C0OPS", "ts": reply, "reply_broadcast": True})
    assert len(ws.channel("ops").messages()) == 2


def test_invalid_blocks_name_every_place(client: WebClient):
    problem = refusal(client.chat_postMessage, channel="C0OPS", text="x", blocks=[{"type": "mystery"}])

    assert problem.response["error"] == "invalid_blocks"
    assert "[json-pointer:/blocks/0/type]" in problem.response["response_metadata"]["messages"][0]


def test_second_table_is_an_invalid_attachment(client: WebClient):
    table = {"type": "table", "rows": [[{"type": "raw_text", "text": "x"}]]}

    assert code(client.chat_postMessage, channel="C0OPS", text="x", blocks=[table] * 2) == "invalid_attachments"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"text": ""}, "no_text"),
        ({"markdown_text": "x" * 12_001}, "msg_too_long"),
        ({"markdown_text": "x", "text": "y"}, "markdown_text_conflict"),
        ({"text": "x", "attachments": [{}] * 101}, "too_many_attachments"),
        ({"text": "x", "metadata": {"event_payload": {}}}, "invalid_metadata_format"),
        ({"text": "x", "blocks": "nonsense"}, "invalid_blocks_format"),
    ],
)
def test_unacceptable_message_is_refused(client: WebClient, arguments: Json, error: str):
    body = {"channel": "C0OPS"} | arguments

    assert code(client.api_call, api_method="chat.postMessage", json=body) == error


def test_metadata_is_read_in_full_only_when_asked_for(client: WebClient):
    client.chat_postMessage(channel="C0OPS", text="x", metadata=META)

    gated = client.conversations_history(channel="C0OPS")["messages"][0]
    full = client.conversations_history(channel="C0OPS", include_all_metadata=True)["messages"][0]

    assert gated["metadata"] == {"event_type": "step"}
    assert full["metadata"] == META


def test_metadata_survives_an_update_and_is_cleared_by_an_empty_object(ws: SlackWorkspace, client: WebClient):
    ts = client.chat_postMessage(channel="C0OPS", text="x", metadata=META)["ts"]

    client.chat_update(channel="C0OPS", ts=ts, text="y")
    assert ws.channel("ops").message(ts).metadata == META

    client.chat_update(channel="C0OPS", ts=ts, text="z", metadata={})
    assert ws.channel("ops").message(ts).metadata is None


def test_unfurl_flags_are_recorded(ws: SlackWorkspace, client: WebClient):
    client.chat_postMessage(channel="C0OPS", text="x", unfurl_links=False, unfurl_media=False)

    assert ws.channel("ops").messages()[0].extras == {"unfurl_links": False, "unfurl_media": False}


def test_ephemeral_reaches_one_member_and_is_lost_on_reload(ws: SlackWorkspace, client: WebClient):
    client.chat_postEphemeral(channel="C0OPS", user="U0BOB", text="psst")

    assert [message.text for message in ws.person("bob").ephemerals("ops")] == ["psst"]
    ws.person("bob").reloads()
    assert ws.person("bob").ephemerals("ops") == []
    outsider = {"channel": "C0OPS", "user": "U0OSCAR", "text": "x"}
    assert code(client.chat_postEphemeral, **outsider) == "user_not_in_channel"


def test_history_is_newest_first_in_pages(client: WebClient):
    stamps = [client.chat_postMessage(channel="C0OPS", text=str(number))["ts"] for number in range(3)]

    first = client.conversations_history(channel="C0OPS", limit=2)
    rest = client.conversations_history(channel="C0OPS", limit=2, cursor=first["response_metadata"]["next_cursor"])

    assert [message["text"] for message in first["messages"]] == ["2", "1"]
    assert [message["text"] for message in rest["messages"]] == ["0"]
    newer = client.conversations_history(channel="C0OPS", oldest=stamps[1])["messages"]
    assert [message["text"] for message in newer] == ["2"]


def test_replies_start_with_the_parent(client: WebClient, ts: str):
    client.chat_postMessage(channel="C0OPS", text="a", thread_ts=ts)

    messages = client.conversations_replies(channel="C0OPS", ts=ts)["messages"]

    assert [message["text"] for message in messages] == ["hello", "a"]
    assert messages[0]["reply_count"] == 1
    assert code(client.conversations_replies, channel="C0OPS", ts="1.0") == "thread_not_found"


def test_private_channel_without_the_bot_does_not_exist_for_it(client: WebClient):
    listed = client.conversations_list(types="public_channel,private_channel")["channels"]

    names = {channel["name"] for channel in listed}
    assert "private" in names
    assert "secret" not in names
    assert code(client.conversations_info, channel="C0SECRET") == "channel_not_found"
    assert code(client.conversations_history, channel="C0NOBOT") == "not_in_channel"
    assert client.conversations_info(channel="C0NOBOT")["channel"]["is_member"] is False


def test_members_and_people(client: WebClient):
    assert "U0GINA" in client.conversations_members(channel="C0OPS")["members"]
    assert client.users_info(user="U0GINA")["user"]["is_ultra_restricted"] is True
    assert client.users_info(user="U0OSCAR")["user"]["team_id"] == "T0OTHER"
    assert "email" not in client.users_info(user="U0BOB")["user"]["profile"]
    assert len(client.users_list(limit=3)["members"]) == 3
    assert code(client.users_info, user="U0NOBODY") == "user_not_found"


def test_group_members_change_and_deactivated_people_drop_out(ws: SlackWorkspace, client: WebClient):
    assert client.usergroups_users_list(usergroup="S0APPROVERS")["users"] == ["U0BOB", "U0CAROL"]

    ws.set_group("approvers", ["carol", "dave"])
    ws.person("dave").deactivate()

    assert client.usergroups_users_list(usergroup="S0APPROVERS")["users"] == ["U0CAROL"]
    assert client.usergroups_list(include_users=True)["usergroups"][0]["handle"] == "approvers"
    assert code(client.usergroups_users_list, usergroup="S0NONE") == "no_such_subteam"


def test_free_plan_has_no_user_groups(ws: SlackWorkspace, client: WebClient):
    ws.world.paid_plan = False

    assert code(client.usergroups_list) == "plan_upgrade_required"


@pytest.mark.parametrize(
    ("method", "arguments", "needed"),
    [
        ("reactions.add", {"channel": "C0OPS", "timestamp": "1.0", "name": "eyes"}, "reactions:write"),
        ("users.lookupByEmail", {"email": "bob@example.com"}, "users:read.email"),
        ("team.info", {}, "team:read"),
        ("files.info", {"file": "F1"}, "files:read"),
        ("conversations.join", {"channel": "C0NOBOT"}, "channels:join"),
        ("conversations.list", {"types": "im"}, "im:read"),
    ],
)
def test_missing_scope_names_what_is_needed_and_provided(client: WebClient, method: str, arguments: Json, needed: str):
    problem = refusal(client.api_call, api_method=method, params=arguments)

    assert problem.response["error"] == "missing_scope"
    assert problem.response["needed"] == needed
    assert "chat:write" in problem.response["provided"]


def test_scoped_methods_work_with_their_scopes():
    extra = {"reactions:write", "users:read.email", "team:read", "channels:join"}
    rates = RateRules(enabled=False)
    with SlackWorkspace.start(app=AppConfig(scopes=AppConfig().scopes | extra), rates=rates) as ws:
        client = WebClient(ws.bot_token, base_url=ws.base_url)
        ts = client.chat_postMessage(channel="C0OPS", text="x")["ts"]

        client.reactions_add(channel="C0OPS", timestamp=ts, name="eyes")

        again = {"channel": "C0OPS", "timestamp": ts, "name": "eyes"}
        assert code(client.reactions_add, **again) == "already_reacted"
        assert ws.channel("ops").message(ts).reactions == {"eyes": ["U0RUNBOOKBOT"]}
        client.reactions_remove(**again)
        assert code(client.reactions_remove, **again) == "no_reaction"
        assert client.users_lookupByEmail(email="bob@example.com")["user"]["id"] == "U0BOB"
        assert client.team_info()["team"]["id"] == "T0DEMO"
        client.conversations_join(channel="C0NOBOT")
        client.chat_postMessage(channel="C0NOBOT", text="now I may")


def test_identity_permalink_bot_and_direct_conversation(client: WebClient, ts: str):
    assert client.auth_test()["team_id"] == "T0DEMO"
    assert client.bots_info(bot="B0RUNBOOKBOT")["bot"]["user_id"] == "U0RUNBOOKBOT"
    link = client.chat_getPermalink(channel="C0OPS", message_ts=ts)["permalink"]
    assert link.endswith(f"/archives/C0OPS/p{ts.replace('.', '')}")
    first = client.conversations_open(users="U0BOB")["channel"]["id"]
    again = client.conversations_open(users="U0BOB")
    assert (again["channel"]["id"], again["already_open"]) == (first, True)


def test_unknown_method_is_named(client: WebClient):
    problem = refusal(client.api_call, api_method="chat.sing")

    assert problem.response["error"] == "unknown_method"


@pytest.mark.parametrize(
    ("token", "error"),
    [("", "not_authed"), ("xoxb-wrong", "invalid_auth"), ("xapp-playground-app", "not_allowed_token_type")],
)
def test_token_is_checked(ws: SlackWorkspace, token: str, error: str):
    assert code(WebClient(token, base_url=ws.base_url).auth_test) == error


def test_revoked_token_is_refused_until_given_back(ws: SlackWorkspace, client: WebClient):
    ws.revoke_token()

    assert code(client.auth_test) == "token_revoked"
    ws.revoke_token(revoked=False)
    client.auth_test()


def post(url: str, body: bytes, content_type: str, token: str | None = None) -> Json:
    headers = {"Content-Type": content_type} | ({"Authorization": f"Bearer {token}"} if token else {})
    request = urllib.request.Request(url, data=body or None, headers=headers)
    with urllib.request.urlopen(request, timeout=30) as reply:
        parsed: Json = json.loads(reply.read())
    return parsed


def test_forms_with_json_inside_are_understood(ws: SlackWorkspace):
    body = (
        b"token=xoxb-playground-bot&channel=C0OPS&text=x&blocks=" + urllib.parse.quote(json.dumps([SECTION])).encode()
    )

    reply = post(ws.base_url + "chat.postMessage", body, "application/x-www-form-urlencoded")

    assert reply["message"]["blocks"][0]["text"] == SECTION["text"]


def test_multipart_and_query_arguments_are_understood(ws: SlackWorkspace):
    part = b'--b\r\nContent-Disposition: form-data; name="user"\r\n\r\nU0BOB\r\n--b--\r\n'

    by_form = post(ws.base_url + "users.info", part, "multipart/form-data; boundary=b", ws.bot_token)
    by_query = post(ws.base_url + "users.info?user=U0BOB", b"", "text/plain", ws.bot_token)

    assert by_form["user"]["id"] == by_query["user"]["id"] == "U0BOB"


@pytest.mark.parametrize(("body", "error"), [(b"{", "invalid_json"), (b"[]", "json_not_object")])
def test_broken_json_is_a_business_error(ws: SlackWorkspace, body: bytes, error: str):
    reply = post(ws.base_url + "auth.test", body, "application/json", ws.bot_token)

    assert reply["error"] == error


def test_journal_holds_every_call_without_tokens(ws: SlackWorkspace, client: WebClient, tmp_path: Any):
    client.chat_postMessage(channel="C0OPS", text="my token is xoxb-1234-secret")

    (entry,) = ws.journal.calls("chat.postMessage")
    assert entry.ok
    assert entry.latency_ms > 0
    ws.journal.export(tmp_path / "journal.jsonl")
    exported = (tmp_path / "journal.jsonl").read_text()
    assert json.loads(exported.splitlines()[0])["name"] == "chat.postMessage"
    assert "secret" not in exported
    assert "xoxb-***" in exported
