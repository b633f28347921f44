"""Blocks as text: every block shows up, known ones readably, unknown ones as JSON."""

from typing import Any

import pytest

from playground.slack.render import plain_text, readable

Json = dict[str, Any]


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def rich(kind: str, *elements: Json, **more: Any) -> Json:
    return {"type": "rich_text", "elements": [{"type": kind, "elements": list(elements)} | more]}


def item(text: str) -> Json:
    return {"type": "rich_text_section", "elements": [{"type": "text", "text": text}]}


BUTTON = {"type": "button", "action_id": "go", "text": plain("Approve & Continue")}
SELECT = {
    "type": "static_select",
    "action_id": "pick",
    "placeholder": plain("Runbook"),
    "options": [{"text": plain("One"), "value": "1"}],
    "initial_option": {"text": plain("One"), "value": "1"},
}
TICKS = {"type": "checkboxes", "action_id": "t", "options": [{"text": plain("Sure"), "value": "1"}]}
WORDS = {"type": "text", "text": "two\nlines"}
INLINE: list[Json] = [
    {"type": "text", "text": "see "},
    {"type": "link", "url": "https://example.com", "text": "docs"},
    {"type": "user", "user_id": "U1"},
    {"type": "usergroup", "usergroup_id": "S1"},
    {"type": "channel", "channel_id": "C1"},
    {"type": "emoji", "name": "wave"},
    {"type": "broadcast", "range": "here"},
    {"type": "date", "timestamp": 0, "format": "{date}", "fallback": "then"},
    {"type": "colour", "value": "red"},
]


@pytest.mark.parametrize(
    ("block", "text"),
    [
        ({"type": "header", "text": plain("Step 2")}, "== Step 2 =="),
        ({"type": "divider"}, "-" * 40),
        (
            {"type": "section", "text": plain("a"), "fields": [plain("b"), plain("c")], "accessory": BUTTON},
            "a\n  b\n  c\n  [ Approve & Continue ]",
        ),
        ({"type": "context", "elements": [plain("a"), {"type": "image", "alt_text": "b"}]}, "a · (image: b)"),
        ({"type": "actions", "elements": [BUTTON, SELECT]}, "[ Approve & Continue ]  <Runbook = One>"),
        (
            {"type": "input", "label": plain("Why?"), "element": TICKS, "optional": True, "hint": plain("h")},
            "Why? (optional): ( ) Sure\n  h",
        ),
        ({"type": "image", "alt_text": "a chart", "image_url": "u"}, "(image: a chart)"),
        ({"type": "markdown", "text": "**x**"}, "**x**"),
        ({"type": "table", "rows": [[{"type": "raw_text", "text": "a"}, rich("rich_text_section")]]}, "a | "),
        (rich("rich_text_preformatted", WORDS), "    two\n    lines"),
        (rich("rich_text_quote", WORDS), "> two\n> lines"),
        (rich("rich_text_list", item("a"), item("b"), style="ordered", indent=1), "  1. a\n  2. b"),
        (rich("rich_text_list", item("a"), style="bullet"), "- a"),
        (rich("rich_text_section", *INLINE[:3]), "see docs@U1"),
        (rich("rich_text_section", *INLINE[3:8]), "@S1#C1:wave:@herethen"),
        (rich("rich_text_section", INLINE[8]), '{"type": "colour", "value": "red"}'),
        (rich("rich_text_chart", WORDS), '{"elements": [{"text": "two\\nlines", "type": "text"}]'),
        ({"type": "mystery", "payload": 1}, '{"payload": 1, "type": "mystery"}'),
        ({"type": "actions", "elements": [{"type": "dial", "action_id": "d"}]}, '"type": "dial"'),
    ],
)
def test_block_reads_as_text(block: Json, text: str):
    assert text in plain_text([block])


@pytest.mark.parametrize(
    ("marked_up", "text"),
    [
        ("<@U1> ran it", "@U1 ran it"),
        ("<#C1|ops> and <!here>", "#ops and @here"),
        ("<!subteam^S1|@approvers>", "@approvers"),
        ("<!subteam^S1>", "@S1"),
        ("<!date^1^{date}|1 May>", "1 May"),
        ("<https://example.com|the docs>", "the docs"),
        ("<https://example.com>", "https://example.com"),
        ("a &lt; b &amp;&amp; c &gt; d", "a < b && c > d"),
        ("&lt;!channel&gt; is no mention", "<!channel> is no mention"),
    ],
)
def test_markup_reads_as_people_see_it(marked_up: str, text: str):
    assert readable(marked_up) == text
