"""Every documented limit of Slack: what just fits is taken, one more is refused with Slack's own error.

Each row names the page that documents it; the pages were read in September 2026. All of it goes through the Web API
and the official client, so that it is the simulated workspace that is tested and not its parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.webhook import WebhookClient

from playground.slack import SlackWorkspace
from playground.slack.clock import Clock
from playground.slack.limits import RateRules
from playground.slack.state import Trigger
from tests.bot.test_blockkit import LIMITS as BLOCK_LIMITS
from tests.bot.test_blockkit import VIEW_LIMITS
from tests.conformance.blocks import Json, actions, field, home, modal, plain, section, select
from tests.conformance.conftest import NOON

Build = Callable[[int], Json]
Row = tuple[str, str, int, Build]
BLOCKS = "docs.slack.dev/reference/block-kit/blocks"
RICH = {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": "x"}]}]}


@pytest.fixture(scope="module")
def shared() -> Iterator[SlackWorkspace]:
    """One workspace for all rows: none of them looks at what another has left."""
    with SlackWorkspace.start(clock=Clock(frozen_at=NOON), rates=RateRules(enabled=False)) as workspace:
        yield workspace


@pytest.fixture(scope="module")
def client(shared: SlackWorkspace) -> WebClient:
    return WebClient(shared.bot_token, base_url=shared.base_url, timeout=30, retry_handlers=[])


def refusal(call: Callable[..., Any], **arguments: Any) -> Any:
    with pytest.raises(SlackApiError) as refused:
        call(**arguments)
    return refused.value.response


def status_of(call: Callable[[], Any]) -> int:
    try:
        return int(call().status_code)
    except SlackApiError as refused:
        return int(refused.response.status_code)


def assert_places(response: Any, error: str) -> None:
    messages = response["response_metadata"]["messages"]
    assert response["error"] == error
    assert messages
    assert all(message.startswith("[ERROR]") and "[json-pointer:/" in message for message in messages)


def card(**more: Any) -> Json:
    return {"type": "card", "title": plain()} | more


def feedback(**more: Any) -> Json:
    vote = {"text": plain(), "value": "v"}
    return {"type": "feedback_buttons", "positive_button": vote | more, "negative_button": vote}


def context_actions(*elements: Json) -> Json:
    return {"type": "context_actions", "elements": list(elements)}


def task(**more: Any) -> Json:
    return {"type": "task_card", "task_id": "1", "title": "t", "status": "pending", "output": RICH} | more


def buttons(count: int) -> list[Json]:
    return [{"type": "button", "action_id": f"a{n}", "text": plain()} for n in range(count)]


YOUNG: list[Row] = [
    ("context_actions elements", f"{BLOCKS}/context-actions-block", 5, lambda n: context_actions(*[feedback()] * n)),
    ("feedback text", f"{BLOCKS}/context-actions-block", 75, lambda n: context_actions(feedback(text=plain("x" * n)))),
    ("feedback value", f"{BLOCKS}/context-actions-block", 2000, lambda n: context_actions(feedback(value="x" * n))),
    ("card title", f"{BLOCKS}/card-block", 150, lambda n: card(title=plain("x" * n))),
    ("card subtitle", f"{BLOCKS}/card-block", 150, lambda n: card(subtitle=plain("x" * n))),
    ("card body", f"{BLOCKS}/card-block", 200, lambda n: card(body=plain("x" * n))),
    ("card actions", f"{BLOCKS}/card-block", 3, lambda n: card(actions=buttons(n))),
    ("carousel cards", f"{BLOCKS}/carousel-block", 10, lambda n: {"type": "carousel", "elements": [card()] * n}),
]
MESSAGES: list[Row] = [(name, BLOCKS, most, build) for name, most, build in BLOCK_LIMITS] + YOUNG


@pytest.mark.parametrize(("_name", "_page", "most", "build"), MESSAGES, ids=[row[0] for row in MESSAGES])
def test_block_is_posted_at_its_limit_and_refused_above(
    client: WebClient, _name: str, _page: str, most: int, build: Build
) -> None:
    client.chat_postMessage(channel="C0OPS", text="x", blocks=[build(most)])

    assert_places(
        refusal(client.chat_postMessage, channel="C0OPS", text="x", blocks=[build(most + 1)]), "invalid_blocks"
    )


FLOORS: list[tuple[str, Json]] = [
    ("section text", section("")),
    ("section fields", {"type": "section", "fields": []}),
    ("actions elements", actions()),
    ("context elements", {"type": "context", "elements": []}),
    ("overflow options", actions({"type": "overflow", "action_id": "a", "options": []})),
    ("select options", actions(select())),
    ("checkboxes", actions({"type": "checkboxes", "action_id": "a", "options": []})),
    ("table rows", {"type": "table", "rows": []}),
    ("carousel cards", {"type": "carousel", "elements": []}),
    ("context_actions elements", context_actions()),
    ("card with nothing in it", {"type": "card"}),
    ("task in a state of its own", task(status="running")),
    ("plan of other blocks", {"type": "plan", "title": "p", "tasks": [section()]}),
    ("alert in a message", {"type": "alert", "text": plain()}),
]


@pytest.mark.parametrize(("_name", "block"), FLOORS, ids=[row[0] for row in FLOORS])
def test_block_with_too_little_or_the_wrong_thing_in_it_is_refused(client: WebClient, _name: str, block: Json) -> None:
    assert_places(refusal(client.chat_postMessage, channel="C0OPS", text="x", blocks=[block]), "invalid_blocks")


@pytest.mark.parametrize(
    "block", [task(), {"type": "plan", "title": "p", "tasks": [task(), task()]}], ids=["task", "plan"]
)
def test_task_and_plan_are_for_messages_only(client: WebClient, block: Json) -> None:
    client.chat_postMessage(channel="C0OPS", text="x", blocks=[block])

    assert_places(refusal(client.views_publish, user_id="U0BOB", view=home(block)), "invalid_arguments")


def trigger(ws: SlackWorkspace, *, view_id: str | None = None) -> Trigger:
    with ws.world.lock:
        return ws.world.new_trigger("U0ALICE", view_id=view_id)


VIEWS: list[tuple[str, int, Build]] = [
    *VIEW_LIMITS,
    ("modal with this alert", 200, lambda n: modal(field(), {"type": "alert", "text": plain("x" * n)})),
]


@pytest.mark.parametrize(("_name", "most", "build"), VIEWS, ids=[row[0] for row in VIEWS])
def test_view_is_shown_at_its_limit_and_refused_above(
    shared: SlackWorkspace, client: WebClient, _name: str, most: int, build: Build
) -> None:
    def show(view: Json) -> Any:
        if view["type"] == "home":
            return client.views_publish(user_id="U0BOB", view=view)
        return client.views_open(trigger_id=trigger(shared).id, view=view)

    show(build(most))

    assert_places(refusal(show, view=build(most + 1)), "invalid_arguments")


def test_view_of_250_kilobytes_is_shown_and_one_more_is_too_large(shared: SlackWorkspace, client: WebClient) -> None:
    def view(size: int) -> Json:
        full = modal(*(section("x" * 3000, block_id=f"b{n:02}") for n in range(80)), section("x", block_id="last"))
        missing = size - len(str(full).encode())
        filler = [section("x" * 2500, block_id="filler1"), section("", block_id="filler2")]
        full["blocks"] += filler
        filler[1]["text"]["text"] = "x" * (size - len(str(full).encode()))
        assert missing > 0
        return full

    client.views_open(trigger_id=trigger(shared).id, view=view(250_000))

    assert refusal(client.views_open, trigger_id=trigger(shared).id, view=view(250_001))["error"] == "view_too_large"


@pytest.mark.parametrize(("surface", "most"), [("message", 50), ("modal", 100), ("home", 100)])
def test_so_many_blocks_and_not_one_more(shared: SlackWorkspace, client: WebClient, surface: str, most: int) -> None:
    def show(count: int) -> Any:
        blocks = [{"type": "divider"}] * count
        if surface == "message":
            return client.chat_postMessage(channel="C0OPS", text="x", blocks=blocks)
        if surface == "home":
            return client.views_publish(user_id="U0BOB", view=home(*blocks))
        return client.views_open(trigger_id=trigger(shared).id, view=modal(*blocks))

    show(most)

    assert_places(refusal(show, count=most + 1), "invalid_blocks" if surface == "message" else "invalid_arguments")


def grouped(count: int) -> Json:
    group = {"label": plain(), "options": [{"text": plain(), "value": "v"}]}
    return actions({"type": "static_select", "action_id": "a", "option_groups": [group] * count})


def test_hundred_option_groups_and_not_one_more(client: WebClient) -> None:
    client.chat_postMessage(channel="C0OPS", text="x", blocks=[grouped(100)])

    assert_places(refusal(client.chat_postMessage, channel="C0OPS", text="x", blocks=[grouped(101)]), "invalid_blocks")


def test_markdown_is_summed_over_the_payload_and_loses_its_block_id(client: WebClient) -> None:
    def blocks(*lengths: int) -> list[Json]:
        return [{"type": "markdown", "text": "x" * n, "block_id": f"mine{n}"} for n in lengths]

    posted = client.chat_postMessage(channel="C0OPS", text="x", blocks=blocks(6000, 5999, 1))

    assert not {block["block_id"] for block in posted["message"]["blocks"]} & {"mine6000", "mine5999", "mine1"}
    refused = refusal(client.chat_postMessage, channel="C0OPS", text="x", blocks=blocks(6000, 5999, 2))
    assert_places(refused, "invalid_blocks")


def test_one_table_and_not_a_second(client: WebClient) -> None:
    table = {"type": "table", "rows": [[{"type": "raw_text", "text": "x"}]]}
    client.chat_postMessage(channel="C0OPS", text="x", blocks=[table])

    refused = refusal(client.chat_postMessage, channel="C0OPS", text="x", blocks=[table, table])

    assert (refused["error"], refused["response_metadata"]["messages"]) == (
        "invalid_attachments",
        ["only_one_table_allowed"],
    )


# messages: the pages of chat.postMessage and of chat.update, docs.slack.dev/reference/methods


@pytest.mark.parametrize("blocks", [None, [section()]], ids=["text alone", "text beside blocks"])
def test_posted_text_is_cut_above_40000(client: WebClient, blocks: Any) -> None:
    lengths = [
        len(client.chat_postMessage(channel="C0OPS", text="x" * length, blocks=blocks)["message"]["text"])
        for length in (40_000, 40_001)
    ]

    assert lengths == [40_000, 40_000]


@pytest.mark.parametrize("blocks", [None, [section()]], ids=["text alone", "text beside blocks"])
def test_updated_text_is_refused_above_4000(client: WebClient, blocks: Any) -> None:
    ts = client.chat_postMessage(channel="C0OPS", text="x")["ts"]
    client.chat_update(channel="C0OPS", ts=ts, text="x" * 4000, blocks=blocks)

    refused = refusal(client.chat_update, channel="C0OPS", ts=ts, text="x" * 4001, blocks=blocks)

    assert refused["error"] == "msg_too_long"


def test_markdown_text_holds_12000_and_stands_alone(client: WebClient) -> None:
    client.chat_postMessage(channel="C0OPS", markdown_text="x" * 12_000)

    long = refusal(client.chat_postMessage, channel="C0OPS", markdown_text="x" * 12_001)
    both = refusal(client.chat_postMessage, channel="C0OPS", markdown_text="x", text="y")

    assert (long["error"], both["error"]) == ("msg_too_long", "markdown_text_conflict")


def test_hundred_attachments_and_not_one_more(client: WebClient) -> None:
    client.chat_postMessage(channel="C0OPS", text="x", attachments=[{"text": "a"}] * 100)

    refused = refusal(client.chat_postMessage, channel="C0OPS", text="x", attachments=[{"text": "a"}] * 101)

    assert refused["error"] == "too_many_attachments"


def test_reply_needs_the_parents_ts(client: WebClient, shared: SlackWorkspace) -> None:
    parent = client.chat_postMessage(channel="C0RANDOM", text="parent")["ts"]
    reply = client.chat_postMessage(channel="C0RANDOM", text="reply", thread_ts=parent)["ts"]
    client.chat_postMessage(channel="C0RANDOM", text="astray", thread_ts=reply)

    assert [each.text for each in shared.channel("random").thread(parent)] == ["parent", "reply"]


# files: docs.slack.dev/messaging/working-with-files


def test_file_of_one_gigabyte_is_expected_and_a_larger_one_is_not(client: WebClient) -> None:
    client.files_getUploadURLExternal(filename="a", length=1_000_000_000)

    refused = refusal(client.files_getUploadURLExternal, filename="a", length=1_000_000_001)

    assert refused["error"] == "file_upload_size_restricted"


def test_thread_takes_a_file_in_one_channel_only(client: WebClient, shared: SlackWorkspace) -> None:
    step = client.files_getUploadURLExternal(filename="a", length=1)
    with shared.world.lock:
        shared.world.files[step["file_id"]].content = b"x"
    parent = client.chat_postMessage(channel="C0OPS", text="parent")["ts"]
    files = [{"id": step["file_id"]}]

    refused = refusal(client.files_completeUploadExternal, files=files, channels="C0OPS,C0RANDOM", thread_ts=parent)

    assert refused["error"] == "channels_limit_exceeded"
    client.files_completeUploadExternal(files=files, channel_id="C0OPS", thread_ts=parent)


# rates and timers: docs.slack.dev/apis/web-api/rate-limits, interactivity/handling-user-interaction


@pytest.fixture
def paced() -> Iterator[SlackWorkspace]:
    with SlackWorkspace.start(clock=Clock(frozen_at=NOON)) as workspace:
        yield workspace


@pytest.mark.parametrize(
    ("method", "arguments", "tier"),
    [
        ("usergroups_list", {}, 20),
        ("conversations_info", {"channel": "C0OPS"}, 50),
        ("users_info", {"user": "U0BOB"}, 100),
    ],
)
def test_method_is_limited_per_minute_by_its_tier(
    paced: SlackWorkspace, method: str, arguments: Json, tier: int
) -> None:
    call = getattr(WebClient(paced.bot_token, base_url=paced.base_url), method)
    for _ in range(tier):
        call(**arguments)

    refused = refusal(call, **arguments)

    assert (refused.status_code, refused["error"]) == (429, "ratelimited")
    paced.clock.advance(int(refused.headers["Retry-After"]))
    call(**arguments)


def test_workspace_takes_several_hundred_messages_a_minute_however_many_channels(paced: SlackWorkspace) -> None:
    client = WebClient(paced.bot_token, base_url=paced.base_url)
    channels = ["C0OPS", "C0RANDOM", "C0PARTNERS", "C0PRIVATE", "U0ALICE", "U0BOB", "U0CAROL", "U0DAVE"]

    statuses = []
    for number in range(60 * 8):  # one a second in each of eight channels is within their own limits
        paced.clock.advance(0 if number % 8 else 1)
        sent = partial(client.chat_postMessage, channel=channels[number % 8], text="x")
        statuses.append(status_of(sent))

    assert set(statuses) == {200, 429}
    assert 300 <= statuses.count(200) <= 400


def test_response_url_answers_five_times_within_half_an_hour(shared: SlackWorkspace) -> None:
    def hook() -> WebhookClient:
        with shared.world.lock:
            token = shared.world.new_response_url(user_id="U0ALICE", channel_id="C0OPS")
        return WebhookClient(f"{shared.base_url.removesuffix('/api/')}/response/{token}")

    often, late = hook(), hook()
    statuses = [often.send(text="x").status_code for _ in range(6)]
    shared.clock.advance(1800)
    in_time = late.send(text="x").status_code
    shared.clock.advance(0.1)

    assert (statuses, in_time, late.send(text="x").status_code) == ([200] * 5 + [404], 200, 404)


def test_three_views_are_stacked_and_not_a_fourth(shared: SlackWorkspace, client: WebClient) -> None:
    view = client.views_open(trigger_id=trigger(shared).id, view=modal())["view"]
    for _ in range(2):
        client.views_push(trigger_id=trigger(shared, view_id=view["id"]).id, view=modal())

    refused = refusal(client.views_push, trigger_id=trigger(shared, view_id=view["id"]).id, view=modal())

    assert refused["error"] == "push_limit_reached"


def test_external_id_is_one_views_own(shared: SlackWorkspace, client: WebClient) -> None:
    view = client.views_open(trigger_id=trigger(shared).id, view=modal(external_id="mine"))["view"]

    refused = refusal(
        client.views_push, trigger_id=trigger(shared, view_id=view["id"]).id, view=modal(external_id="mine")
    )

    assert refused["error"] == "duplicate_external_id"
