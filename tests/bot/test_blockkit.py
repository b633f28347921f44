"""Block Kit limits at N and N+1, nested ones included, and the rules that concern a whole payload."""

from collections.abc import Callable
from typing import Any

import pytest

from bot.blockkit import validate_blocks, validate_message, validate_view

Json = dict[str, Any]


def plain(length: int = 1) -> Json:
    return {"type": "plain_text", "text": "x" * length}


def mrkdwn(length: int = 1) -> Json:
    return {"type": "mrkdwn", "text": "x" * length}


def section(**more: Any) -> Json:
    return {"type": "section", "text": mrkdwn()} | more


def actions(*elements: Json) -> Json:
    return {"type": "actions", "elements": list(elements)}


def button(**more: Any) -> Json:
    return {"type": "button", "action_id": "go", "text": plain()} | more


def confirm(**more: Any) -> Json:
    return {"title": plain(), "text": plain(), "confirm": plain(), "deny": plain()} | more


def option(number: int = 0, **more: Any) -> Json:
    return {"text": plain(), "value": f"v{number}"} | more


def options(count: int) -> list[Json]:
    return [option(number) for number in range(count)]


def select(**more: Any) -> Json:
    return {"type": "static_select", "action_id": "pick", "options": options(1)} | more


def field(element: Json | None = None, **more: Any) -> Json:
    chosen = element or {"type": "plain_text_input", "action_id": "text"}
    return {"type": "input", "label": plain(), "element": chosen} | more


def rich(*parts: Json) -> Json:
    return {"type": "rich_text", "elements": list(parts)}


def rich_part(kind: str, *elements: Json, **more: Any) -> Json:
    return {"type": kind, "elements": list(elements)} | more


def words(length: int = 1) -> Json:
    return {"type": "text", "text": "x" * length}


def table(rows: int = 1, columns: int = 1) -> Json:
    cell = {"type": "raw_text", "text": "x"}
    return {"type": "table", "rows": [[cell] * columns for _ in range(rows)]}


def image(**more: Any) -> Json:
    return {"type": "image", "image_url": "https://example.com/a.png", "alt_text": "a"} | more


def typed_input(**more: Any) -> Json:
    return field({"type": "plain_text_input", "action_id": "text"} | more)


LIMITS: list[tuple[str, int, Callable[[int], Json]]] = [
    ("section text", 3000, lambda n: section(text=mrkdwn(n))),
    ("section fields", 10, lambda n: section(fields=[mrkdwn()] * n)),
    ("section field text", 2000, lambda n: section(fields=[mrkdwn(n)])),
    ("header text", 150, lambda n: {"type": "header", "text": plain(n)}),
    ("context elements", 10, lambda n: {"type": "context", "elements": [mrkdwn()] * n}),
    ("context text", 3000, lambda n: {"type": "context", "elements": [mrkdwn(n)]}),
    ("actions elements", 25, lambda n: actions(*(button(action_id=f"a{i}") for i in range(n)))),
    ("button text", 75, lambda n: actions(button(text=plain(n)))),
    ("button value", 2000, lambda n: actions(button(value="x" * n))),
    ("button url", 3000, lambda n: actions(button(url="x" * n))),
    ("button accessibility label", 75, lambda n: actions(button(accessibility_label="x" * n))),
    ("confirm title", 100, lambda n: actions(button(confirm=confirm(title=plain(n))))),
    ("confirm text", 300, lambda n: actions(button(confirm=confirm(text=mrkdwn(n))))),
    ("confirm confirm", 30, lambda n: actions(button(confirm=confirm(confirm=plain(n))))),
    ("confirm deny", 30, lambda n: actions(button(confirm=confirm(deny=plain(n))))),
    ("action_id", 255, lambda n: actions(button(action_id="x" * n))),
    ("block_id", 255, lambda n: section(block_id="x" * n)),
    ("accessory button text", 75, lambda n: section(accessory=button(text=plain(n)))),
    ("option text", 75, lambda n: actions(select(options=[option(text=plain(n))]))),
    ("option value", 150, lambda n: actions(select(options=[option(value="x" * n)]))),
    ("option description", 75, lambda n: actions(select(options=[option(description=plain(n))]))),
    ("select options", 100, lambda n: actions(select(options=options(n)))),
    ("select placeholder", 150, lambda n: actions(select(placeholder=plain(n)))),
    ("multi select options", 100, lambda n: field(select(type="multi_static_select", options=options(n)))),
    ("overflow options", 5, lambda n: actions(select(type="overflow", options=options(n)))),
    ("checkboxes options", 10, lambda n: actions(select(type="checkboxes", options=options(n)))),
    ("radio options", 10, lambda n: actions(select(type="radio_buttons", options=options(n)))),
    ("input label", 2000, lambda n: field(label=plain(n))),
    ("input hint", 2000, lambda n: field(hint=plain(n))),
    ("plain_text_input max_length", 3000, lambda n: typed_input(max_length=n)),
    ("plain_text_input initial_value", 3000, lambda n: typed_input(initial_value="x" * n)),
    ("image url", 3000, lambda n: image(image_url="x" * n)),
    ("image alt text", 2000, lambda n: image(alt_text="x" * n)),
    ("image title", 2000, lambda n: image(title=plain(n))),
    ("preformatted length", 3000, lambda n: rich(rich_part("rich_text_preformatted", words(n)))),
    ("markdown text", 12_000, lambda n: {"type": "markdown", "text": "x" * n}),
    ("table rows", 100, lambda n: table(rows=n)),
    ("table columns", 20, lambda n: table(columns=n)),
]
LIMIT_IDS = [name for name, _, _ in LIMITS]


@pytest.mark.parametrize(("_name", "most", "build"), LIMITS, ids=LIMIT_IDS)
def test_block_at_the_limit_is_valid(_name: str, most: int, build: Callable[[int], Json]):
    assert validate_blocks([build(most)], "message") == []


@pytest.mark.parametrize(("_name", "most", "build"), LIMITS, ids=LIMIT_IDS)
def test_block_one_over_the_limit_is_refused_with_its_place(_name: str, most: int, build: Callable[[int], Json]):
    problems = validate_blocks([build(most + 1)], "message")

    assert problems
    assert all("[json-pointer:/blocks" in problem for problem in problems)


def group(count: int) -> Json:
    return select() | {"option_groups": [{"label": plain(), "options": options(1)}] * count}


def test_select_takes_a_hundred_option_groups_and_no_more():
    grouped = [{key: value for key, value in group(n).items() if key != "options"} for n in (100, 101)]

    assert validate_blocks([actions(grouped[0])], "message") == []
    assert "no more than 100 items" in validate_blocks([actions(grouped[1])], "message")[0]


REFUSED: list[tuple[str, Json, str]] = [
    ("unknown block", {"type": "mystery"}, "unsupported type here: 'mystery'"),
    ("block without type", {}, "unsupported type here: None"),
    ("unknown key", section(colour="red"), "unknown field: colour"),
    ("unknown key in a button", actions(button(disabled=True)), "unknown field: disabled"),
    ("empty section", {"type": "section"}, "needs one of: text, fields"),
    ("empty text", section(text=mrkdwn(0)), "must be more than 0 characters"),
    ("text that is a string", section(text="hello"), "must be an object"),
    ("mrkdwn header", {"type": "header", "text": mrkdwn()}, "unsupported type here: 'mrkdwn'"),
    ("mrkdwn button", actions(button(text=mrkdwn())), "unsupported type here: 'mrkdwn'"),
    ("mrkdwn confirm title", actions(button(confirm=confirm(title=mrkdwn()))), "confirm/title/type"),
    ("bad style", actions(button(style="warning")), "must be one of primary, danger"),
    ("empty actions", actions(), "no fewer than 1 items"),
    ("empty context", {"type": "context", "elements": []}, "no fewer than 1 items"),
    ("empty button value", actions(button(value="")), "must be more than 0 characters"),
    ("number as button value", actions(button(value=7)), "must be a string, not int"),
    ("button without action_id", actions({"type": "button", "text": plain()}), "field: action_id"),
    ("text input in actions", actions(typed_input()["element"]), "unsupported type here"),
    ("multi select in actions", actions(select(type="multi_static_select")), "unsupported type here"),
    ("button in input", field(button()), "unsupported type here: 'button'"),
    ("overflow without options", actions(select(type="overflow", options=[])), "no fewer than 1"),
    ("select without options", actions({"type": "static_select", "action_id": "a"}), "exactly one of"),
    ("select with both kinds", actions(group(1)), "exactly one of: options, option_groups"),
    ("stray initial option", actions(select(initial_option=option(9))), "exactly one of the options"),
    ("half a confirm", actions(button(confirm={"title": plain()})), "missing required field"),
    ("input without label", {"type": "input", "element": select()}, "missing required field: label"),
    ("number input without its flag", field({"type": "number_input", "action_id": "n"}), "is_decimal"),
    ("image without alt text", {"type": "image", "image_url": "u"}, "missing required field: alt_text"),
    ("flag that is text", field(optional="yes"), "must be of type bool"),
    ("user in preformatted", rich(rich_part("rich_text_preformatted", {"type": "user"})), "'user'"),
    ("bad broadcast", rich(rich_part("rich_text_section", {"type": "broadcast", "range": "all"})), "range"),
    ("bad list style", rich(rich_part("rich_text_list", style="roman")), "must be one of bullet, ordered"),
    ("empty rich text", rich(), "no fewer than 1 items"),
    ("elements that are no list", {"type": "rich_text", "elements": 5}, "must be a list"),
    ("blank preformatted elements", rich({"type": "rich_text_preformatted", "elements": 5}), "a list"),
    ("ragged table", {"type": "table", "rows": [[]]}, "no fewer than 1 items"),
]


@pytest.mark.parametrize(("_name", "block", "words"), REFUSED, ids=[row[0] for row in REFUSED])
def test_malformed_block_is_refused_with_a_reason(_name: str, block: Json, words: str):
    problems = validate_blocks([block], "message")

    assert any(words in problem for problem in problems), problems


def everything() -> list[Json]:
    inline = [
        words(),
        {"type": "text", "text": "b", "style": {"bold": True, "code": True}},
        {"type": "link", "url": "https://example.com", "text": "there"},
        {"type": "user", "user_id": "U1"},
        {"type": "channel", "channel_id": "C1"},
        {"type": "emoji", "name": "wave"},
        {"type": "broadcast", "range": "here"},
        {"type": "date", "timestamp": 1, "format": "{date}", "fallback": "then"},
    ]
    return [
        {"type": "header", "text": plain()},
        section(accessory=image()),
        section(fields=[mrkdwn(), plain()], accessory=select(type="overflow")),
        {"type": "divider"},
        {"type": "context", "elements": [mrkdwn(), image()]},
        actions(
            button(style="danger", confirm=confirm(style="danger")),
            {"type": "users_select", "action_id": "who"},
            {"type": "datepicker", "action_id": "when", "initial_date": "2030-01-02"},
            select(type="radio_buttons", action_id="radio", initial_option=option()),
        ),
        rich(
            rich_part("rich_text_section", *inline),
            rich_part("rich_text_quote", words()),
            rich_part("rich_text_preformatted", words(), border=1),
            rich_part("rich_text_list", rich_part("rich_text_section", words()), style="bullet", indent=1),
        ),
        {"type": "markdown", "text": "**x**"},
        table() | {"column_settings": [{"align": "right"}]},
    ]


def test_everything_a_bot_sends_is_valid():
    assert validate_blocks(everything(), "message") == []


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container with a key or index in it, from the outside in."""
    keys = value.keys() if isinstance(value, dict) else range(len(value))
    below = [place for key in keys if isinstance(value[key], dict | list) for place in places(value[key])]
    return [(value, key) for key in keys] + below


@pytest.mark.parametrize("junk", [None, 5, "", [], {}, [None], {"type": []}], ids=repr)
def test_junk_anywhere_is_reported_and_never_raises(junk: Any):
    for number in range(len(places(everything()))):
        blocks = everything()
        container, key = places(blocks)[number]
        container[key] = junk

        assert isinstance(validate_blocks(blocks, "message"), list)


def test_every_input_element_is_valid_in_a_modal():
    elements: list[Json] = [
        {"type": "plain_text_input", "action_id": "a", "multiline": True, "min_length": 0},
        {"type": "number_input", "action_id": "a", "is_decimal_allowed": False, "min_value": "1"},
        {"type": "datepicker", "action_id": "a"},
        {"type": "users_select", "action_id": "a", "placeholder": plain()},
        {"type": "conversations_select", "action_id": "a", "response_url_enabled": True},
        select(initial_option=option()),
        select(type="multi_static_select", initial_options=options(1), max_selected_items=1),
        select(type="checkboxes", options=[option(text=mrkdwn())]),
        select(type="radio_buttons"),
    ]

    assert validate_blocks([field(element, optional=True) for element in elements], "modal") == []


@pytest.mark.parametrize(("surface", "most"), [("message", 50), ("modal", 100), ("home", 100)])
def test_number_of_blocks_is_limited_per_surface(surface: Any, most: int):
    divider = {"type": "divider"}

    assert validate_blocks([divider] * most, surface) == []
    assert f"no more than {most} items" in validate_blocks([divider] * (most + 1), surface)[0]


@pytest.mark.parametrize("surface", ["modal", "home"])
@pytest.mark.parametrize("block", [table(), {"type": "markdown", "text": "x"}], ids=["table", "markdown"])
def test_tables_and_markdown_are_for_messages_only(surface: Any, block: Json):
    assert "blocks are for messages" in validate_blocks([block], surface)[0]


def test_second_table_is_refused():
    assert "only_one_table_allowed" in validate_blocks([table(), table()], "message")[0]


def test_markdown_is_summed_over_all_blocks():
    half, rest = {"type": "markdown", "text": "x" * 6000}, {"type": "markdown", "text": "x" * 6001}

    assert validate_blocks([half, half], "message") == []
    assert "12000 characters, not 12001" in validate_blocks([half, rest], "message")[0]


def test_block_id_must_be_unique_in_the_payload():
    problems = validate_blocks([section(block_id="a"), section(block_id="a")], "message")

    assert problems == ["block_id 'a' is used 2 times; make each unique [json-pointer:/blocks]"]


def test_action_id_must_be_unique_within_its_block_only():
    assert validate_blocks([actions(button()), actions(button())], "message") == []
    assert "action_id 'go' is used 2 times" in validate_blocks([actions(button(), button())], "message")[0]


@pytest.mark.parametrize(("update", "most"), [(True, 4000), (False, 40_000)])
def test_message_text_limit_is_stricter_for_updates(update: bool, most: int):
    assert validate_message("x" * most, None, update=update) == []
    assert f"at most {most}" in validate_message("x" * (most + 1), None, update=update)[0]


def test_message_with_blocks_still_needs_text():
    assert "screen readers" in validate_message("", [section()], update=False)[0]


def modal(**more: Any) -> Json:
    return {"type": "modal", "title": plain(), "blocks": [section()]} | more


VIEW_LIMITS: list[tuple[str, int, Callable[[int], Json]]] = [
    ("title", 24, lambda n: modal(title=plain(n))),
    ("submit", 24, lambda n: modal(submit=plain(n))),
    ("close", 24, lambda n: modal(close=plain(n))),
    ("private_metadata", 3000, lambda n: modal(private_metadata="x" * n)),
    ("callback_id", 255, lambda n: modal(callback_id="x" * n)),
    ("external_id", 255, lambda n: modal(external_id="x" * n)),
    ("blocks", 100, lambda n: modal(blocks=[{"type": "divider"}] * n)),
    ("home blocks", 100, lambda n: {"type": "home", "blocks": [{"type": "divider"}] * n}),
]


@pytest.mark.parametrize(("_name", "most", "build"), VIEW_LIMITS, ids=[row[0] for row in VIEW_LIMITS])
def test_view_is_valid_at_the_limit_and_refused_above(_name: str, most: int, build: Callable[[int], Json]):
    assert validate_view(build(most)) == []
    assert len(validate_view(build(most + 1))) == 1


@pytest.mark.parametrize(
    ("view", "words"),
    [
        (modal(blocks=[]), "no fewer than 1 items"),
        (modal(blocks=[field()]), "is required when there is an input block"),
        (modal(type="dialog"), "must be modal or home"),
        (modal(colour="red"), "unknown field: colour"),
        ({"type": "modal", "blocks": [section()]}, "missing required field: title"),
        ({"type": "home"}, "missing required field: blocks"),
        ({"type": "home", "blocks": [section()], "title": plain()}, "unknown field: title"),
        (modal(blocks=[section(text=mrkdwn(3000))] * 90), "larger than 250000 bytes"),
        (modal(blocks=[{"type": "mystery"}]), "unsupported type here"),
    ],
)
def test_malformed_view_is_refused_with_a_reason(view: Json, words: str):
    assert any(words in problem for problem in validate_view(view)), validate_view(view)
