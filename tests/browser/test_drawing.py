"""Block Kit on the page: what is known is drawn, what is not is a visible card, and text is never markup."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

import pytest

from playground.slack.model import BOT_USER_ID, File
from playground.stage import Stage
from tests.browser.conftest import Open

HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
RANDOM = "&channel=C0RANDOM"
_numbers = count(1)


def post(stage: Stage, *blocks: Any, text: str = "text", **rest: Any) -> str:
    """Let a message stand in #random that no validator has seen; return its ts."""
    world = stage.slack.world
    with world.lock:
        named = [block | {"block_id": f"B{next(_numbers)}"} if isinstance(block, dict) else block for block in blocks]
        return world.post(world.channel_named("random"), user=BOT_USER_ID, text=text, blocks=named, **rest).ts


def plain(text: str) -> dict[str, str]:
    return {"type": "plain_text", "text": text}


def rich(*elements: Any, kind: str = "rich_text_section") -> dict[str, Any]:
    return {"type": "rich_text", "elements": [{"type": kind, "elements": list(elements)}]}


@pytest.mark.parametrize(
    "block",
    [
        {"type": "hologram", "depth": 3},
        {"type": "video", "title": plain("x"), "video_url": "https://example.com"},
        {"type": "section", "text": None, "fields": 7},
        {"type": "actions", "elements": [{"type": "telepathy", "action_id": "think"}]},
        {"type": "actions", "elements": [{"type": "timepicker", "action_id": "when"}]},
        {"type": "rich_text", "elements": [{"type": "rich_text_smell", "elements": []}]},
        rich({"type": "sparkle", "level": 11}),
        {"type": "table", "rows": [[{"type": "raw_text", "text": "a"}], [{"type": "moving_picture"}]]},
        {"type": "constructor"},
        {"type": "header"},
    ],
    ids=[
        "unknown block",
        "video",
        "broken section",
        "unknown element",
        "unsupported element",
        "unknown rich part",
        "unknown inline",
        "unknown cell",
        "name of the language",
        "empty header",
    ],
)
def test_what_cannot_be_drawn_is_a_card_with_its_json(open_tab: Open, stage: Stage, block: dict[str, Any]) -> None:
    ts = post(stage, block, {"type": "divider"})

    card = open_tab(place=RANDOM).page.locator(f'[data-ts="{ts}"] .unknown')

    card.wait_for()
    shown = json.loads(card.locator("pre").inner_text())
    shown.pop("block_id", None)
    assert json.dumps(shown, sort_keys=True) in json.dumps(block, sort_keys=True)


def test_a_block_that_is_no_object_is_a_card_too(open_tab: Open, stage: Stage) -> None:
    ts = post(stage, None)

    open_tab(place=RANDOM).page.locator(f'[data-ts="{ts}"] .unknown pre', has_text="null").wait_for()


@pytest.mark.parametrize(
    ("block", "selector", "shown"),
    [
        ({"type": "header", "text": plain("Title")}, "h3", "Title"),
        ({"type": "section", "text": {"type": "mrkdwn", "text": "a *b* c"}}, "strong", "b"),
        ({"type": "section", "text": {"type": "mrkdwn", "text": "a_b_c _d_"}}, "em", "d"),
        ({"type": "section", "text": {"type": "mrkdwn", "text": "`x &lt;y&gt;`"}}, "code", "x <y>"),
        ({"type": "section", "text": {"type": "mrkdwn", "text": "```a\n*b*```"}}, "pre", "a\n*b*"),
        ({"type": "section", "text": {"type": "mrkdwn", "text": "by <@U0BOB>"}}, ".mention", "@Bob Baker"),
        ({"type": "section", "text": {"type": "mrkdwn", "text": "<!subteam^S0APPROVERS>"}}, ".mention", "@approvers"),
        ({"type": "section", "text": {"type": "mrkdwn", "text": "<https://example.com|site>"}}, "a", "site"),
        ({"type": "section", "fields": [{"type": "mrkdwn", "text": "*F*"}]}, ".fields strong", "F"),
        ({"type": "context", "elements": [{"type": "mrkdwn", "text": "small"}]}, ".context", "small"),
        ({"type": "image", "image_url": "https://example.com/a.png", "alt_text": "a pie"}, ".no-image", "Image: a pie"),
        ({"type": "markdown", "text": "# Head\n\n- one\n- two"}, "li:nth-child(2)", "two"),
        ({"type": "markdown", "text": "**x** and `y`"}, "code", "y"),
        (rich({"type": "text", "text": "kept  two\nlines"}), ".rich-section", "kept  two\nlines"),
        (rich({"type": "text", "text": "b", "style": {"bold": True, "code": True}}), "strong, code", "b"),
        (rich({"type": "user", "user_id": "U0CAROL"}), ".mention", "@Carol Cook"),
        (rich({"type": "channel", "channel_id": "C0OPS"}), ".mention", "#ops"),
        (rich({"type": "broadcast", "range": "here"}), ".mention", "@here"),
        (rich({"type": "emoji", "name": "x", "unicode": "2714"}), ".rich-section", "✔"),
        (rich({"type": "date", "timestamp": 1700000000, "format": "{date_num} {time}"}), "time", "14/11/2023 22:13"),
        (rich({"type": "text", "text": "rm -rf *x*"}, kind="rich_text_preformatted"), "pre", "rm -rf *x*"),
        (rich({"type": "text", "text": "said"}, kind="rich_text_quote"), "blockquote", "said"),
        (
            {"type": "table", "rows": [[{"type": "raw_text", "text": "H"}], [{"type": "raw_text", "text": "v"}]]},
            "td",
            "v",
        ),
    ],
    ids=[
        "header",
        "bold",
        "italic",
        "code",
        "fence",
        "mention",
        "group",
        "link",
        "field",
        "context",
        "image",
        "markdown list",
        "markdown code",
        "literal text",
        "styled text",
        "user",
        "channel",
        "broadcast",
        "emoji",
        "date",
        "preformatted",
        "quote",
        "table",
    ],
)
def test_what_is_known_is_drawn(open_tab: Open, stage: Stage, block: dict[str, Any], selector: str, shown: str) -> None:
    ts = post(stage, block)

    message = open_tab(place=RANDOM).page.locator(f'[data-ts="{ts}"]')

    message.locator(f".block :is({selector})").first.wait_for()
    assert message.locator(f".block :is({selector})").first.inner_text().startswith(shown)
    assert message.locator(".unknown").count() == 0


@pytest.mark.parametrize(
    "block",
    [
        {"type": "header", "text": plain(HOSTILE)},
        {"type": "section", "text": {"type": "mrkdwn", "text": HOSTILE}},
        {"type": "markdown", "text": HOSTILE},
        rich({"type": "text", "text": HOSTILE}, kind="rich_text_preformatted"),
        rich({"type": "link", "url": "javascript:document.title='owned'", "text": "click"}),
        {"type": "image", "image_url": "x", "alt_text": HOSTILE},
        {"type": HOSTILE},
    ],
    ids=["header", "section", "markdown", "preformatted", "link", "image", "type"],
)
def test_text_never_becomes_markup(open_tab: Open, stage: Stage, block: dict[str, Any]) -> None:
    ts = post(stage, block, text=HOSTILE)
    page = open_tab(place=RANDOM).page
    message = page.locator(f'[data-ts="{ts}"]')
    message.wait_for()

    assert message.locator("img, script, [onerror], a[href^=javascript]").count() == 0
    assert "owned" not in page.title()


def test_a_confirm_dialog_can_be_declined(open_tab: Open, stage: Stage) -> None:
    question = {"title": plain("Sure?"), "text": plain("Really?"), "confirm": plain("Yes"), "deny": plain("No")}
    button = {"type": "button", "action_id": "go", "text": plain("Go"), "confirm": question}
    ts = post(stage, {"type": "actions", "elements": [button]})
    page = open_tab(place=RANDOM).page
    clicks = len(stage.slack.journal.deliveries("block_actions"))

    page.locator(f'[data-ts="{ts}"]').get_by_role("button", name="Go").click()
    page.get_by_role("dialog").get_by_role("button", name="No").click()

    page.get_by_role("dialog").wait_for(state="detached")
    assert len(stage.slack.journal.deliveries("block_actions")) == clicks


def test_selects_and_overflow_menus_reach_the_bot_with_what_was_chosen(open_tab: Open, stage: Stage) -> None:
    options = [{"text": plain(name), "value": name} for name in ("red", "blue")]
    ts = post(
        stage,
        {"type": "actions", "elements": [{"type": "static_select", "action_id": "pick", "options": options}]},
        {"type": "actions", "elements": [{"type": "overflow", "action_id": "more", "options": options}]},
        {"type": "actions", "elements": [{"type": "checkboxes", "action_id": "some", "options": options}]},
    )
    page = open_tab(place=RANDOM).page
    message = page.locator(f'[data-ts="{ts}"]')

    message.get_by_role("combobox").select_option("blue")
    message.get_by_role("button", name="More options").click()
    page.get_by_role("menuitem", name="red").click()
    message.get_by_label("red").check()

    sent = stage.slack.wait_for(lambda: found if len(found := actions(stage, ts)) == 3 else [])
    assert {action["action_id"]: chosen(action) for action in sent} == {"pick": "blue", "more": "red", "some": ["red"]}


def actions(stage: Stage, ts: str) -> list[dict[str, Any]]:
    sent = [entry.request for entry in stage.slack.journal.deliveries("block_actions")]
    return [request["actions"][0] for request in sent if request["container"].get("message_ts") == ts]


def chosen(action: dict[str, Any]) -> Any:
    if "selected_options" in action:
        return [option["value"] for option in action["selected_options"]]
    return action["selected_option"]["value"]


def test_a_file_shows_its_beginning_and_opens_whole(open_tab: Open, stage: Stage) -> None:
    content = "\n".join(f"line {number} {HOSTILE}" for number in range(200)).encode()
    file = File(id="F0LONG", name="output.txt", length=len(content), content=content, completed=True)
    with stage.slack.world.lock:
        stage.slack.world.files[file.id] = file
    ts = post(stage, files=[file])
    page = open_tab(place=RANDOM).page

    message = page.locator(f'[data-ts="{ts}"]')
    assert "line 0 " in message.locator("pre").inner_text()
    assert "line 199 " not in message.locator("pre").inner_text()
    message.get_by_role("button", name="Open the whole file").click()

    page.locator("dialog pre", has_text="line 199 ").wait_for()


def test_of_five_hundred_messages_only_the_newest_are_drawn_until_more_are_wanted(open_tab: Open, stage: Stage) -> None:
    for number in range(500):
        post(stage, {"type": "header", "text": plain(f"Number {number}")}, rich({"type": "text", "text": "x " * 200}))
    page = open_tab(place=RANDOM).page
    page.locator("li.message").last.wait_for()

    ts = post(stage, text="the newest")
    page.locator(f'[data-ts="{ts}"]').wait_for()
    assert page.locator("li.message").count() == 100
    page.get_by_role("button", name="Show earlier messages").click()
    page.locator("li.message").nth(150).wait_for(state="attached")
