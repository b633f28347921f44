"""The differences from the real Slack that docs/playground.md lists are all there are known, and are really there.

Each row of the list has an id; here the id names what shows the difference, or the test that does.
"""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from playground.slack import SlackWorkspace
from playground.slack.limits import RateRules
from playground.slack.results import Refused
from tests.conformance.blocks import Json, actions, field, modal, plain, section

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/playground.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## What it was checked against")[2].partition("\n## ")[0]
LISTED = re.findall(r"^\| `(slack-[a-z-]+)` \|", SECTION, re.MULTILINE)
Show = Callable[[SlackWorkspace, WebClient], None]


def error(client: WebClient, method: str, **arguments: object) -> str:
    with pytest.raises(SlackApiError) as refused:
        client.api_call(method, json=arguments)
    return str(refused.value.response["error"])


def bursts(_ws: SlackWorkspace, _client: WebClient) -> None:
    rules = RateRules()

    assert (rules.posts_burst, rules.workspace_posts_burst) == (3, 100)


def young_blocks(ws: SlackWorkspace, client: WebClient) -> None:
    vote = {"text": plain(), "value": "v"}
    element = {"type": "feedback_buttons", "action_id": "vote", "positive_button": vote, "negative_button": vote}
    client.chat_postMessage(channel="C0OPS", text="x", blocks=[{"type": "context_actions", "elements": [element]}])
    [message] = ws.channel("ops").messages()

    assert '"type": "context_actions"' in message.plain()
    with pytest.raises(Refused, match="nobody can use here"):
        ws.person("bob").clicks(message, "vote")


def other_blocks(_ws: SlackWorkspace, client: WebClient) -> None:
    picker = {"type": "datetimepicker", "action_id": "when"}
    blocks: list[Json] = [{"type": "video"}, {"type": "file"}, {"type": "data_table"}, actions(picker)]

    for block in blocks:
        assert error(client, "chat.postMessage", channel="C0OPS", text="x", blocks=[block]) == "invalid_blocks"


def text_objects(_ws: SlackWorkspace, client: WebClient) -> None:
    [stored] = client.chat_postMessage(channel="C0OPS", text="x", blocks=[section()])["message"]["blocks"]

    assert stored["text"] == section()["text"]


def fewer_keys(_ws: SlackWorkspace, client: WebClient) -> None:
    parent = client.chat_postMessage(channel="C0OPS", text="x")["ts"]
    reply = client.chat_postMessage(channel="C0OPS", text="x", thread_ts=parent)["message"]

    assert not reply.keys() & {"bot_profile", "client_msg_id", "parent_user_id"}


def unpublished_sizes(_ws: SlackWorkspace, client: WebClient) -> None:
    metadata = {"event_type": "large", "event_payload": {"text": "x" * 100_000}}
    client.chat_postMessage(channel="C0OPS", text="x", blocks=[section("x" * 3000)] * 50, metadata=metadata)


def client_msg_id(ws: SlackWorkspace, client: WebClient) -> None:
    for _ in range(2):
        client.chat_postMessage(channel="C0OPS", text="x", client_msg_id="one")

    assert len(ws.channel("ops").messages()) == 2


def delivered_once(ws: SlackWorkspace, _client: WebClient) -> None:
    ws.person("alice").types("/runbook x", channel="ops")

    assert (len(ws.journal.deliveries()), ws.clock.timers) == (1, 0)


def upload_length(ws: SlackWorkspace, client: WebClient) -> None:
    step = client.files_getUploadURLExternal(filename="a", length=1)
    with urllib.request.urlopen(urllib.request.Request(step["upload_url"], data=b"three", method="POST")) as reply:
        assert reply.status == 200

    client.files_completeUploadExternal(files=[{"id": step["file_id"]}], channel_id="C0OPS")
    assert ws.channel("ops").files()[0].content == b"three"


def view_response_urls(ws: SlackWorkspace, client: WebClient) -> None:
    select = {"type": "conversations_select", "action_id": "where", "response_url_enabled": True}
    with ws.world.lock:
        trigger = ws.world.new_trigger("U0ALICE")
    client.views_open(trigger_id=trigger.id, view=modal(field("place", select)))
    view = ws.person("alice").modal()
    assert view

    ws.person("alice").submits(view, {"place": "C0OPS"})

    assert ws.journal.deliveries("view_submission")[0].request["response_urls"] == []


def group_messages(ws: SlackWorkspace, client: WebClient) -> None:
    assert error(client, "conversations.open", users="U0ALICE,U0BOB") == "method_not_supported_for_channel_type"


def not_there(_ws: SlackWorkspace, client: WebClient) -> None:
    for method in ("oauth.v2.access", "tooling.tokens.rotate", "chat.startStream", "chat.unfurl", "admin.apps.approve"):
        assert error(client, method) == "unknown_method"


SHOWN: dict[str, Show | str] = {
    "slack-bursts": bursts,
    "slack-young-blocks": young_blocks,
    "slack-other-blocks": other_blocks,
    "slack-text-objects": text_objects,
    "slack-fewer-keys": fewer_keys,
    "slack-unpublished-sizes": unpublished_sizes,
    "slack-client-msg-id": client_msg_id,
    "slack-delivered-once": delivered_once,
    "slack-ack-on-any-socket": "playground/slack/test_sockets.py::test_acknowledgement_is_accepted_on_another_socket",
    "slack-upload-length": upload_length,
    "slack-view-response-urls": view_response_urls,
    "slack-group-messages": group_messages,
    "slack-not-there": not_there,
}


def test_every_listed_difference_is_shown_and_no_other() -> None:
    assert sorted(LISTED) == sorted(SHOWN)


@pytest.mark.parametrize("name", SHOWN)
def test_difference_from_the_real_slack_is_there(ws: SlackWorkspace, name: str) -> None:
    show = SHOWN[name]

    if isinstance(show, str):
        place, _, test = show.partition("::")
        assert f"def {test}(" in (ROOT / "tests" / place).read_text(encoding="utf-8")
    else:
        show(ws, WebClient(ws.bot_token, base_url=ws.base_url, retry_handlers=[]))
