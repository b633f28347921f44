"""The rules of Block Kit, object by object: keys, lengths, counts, and which element may stand where.

The numbers are Slack's. A rule must never look beyond the object it checks: what concerns a whole payload is
in `bot.blockkit`.
"""

from collections.abc import Iterator

from bot.blockkit_checks import (
    Check,
    Json,
    anything,
    at,
    either,
    initial_is_offered,
    items,
    listed,
    of_type,
    one_of,
    shape,
    string,
    too_long,
    typed,
)

TEXT_MAX = 3000
PREFORMATTED_MAX = 3000  # Slack publishes none; ours
MARKDOWN_MAX = 12_000

# texts, options, confirm dialogs

FLAG = of_type(bool)
ID = string(255)
URL = string(3000)


def _text_shapes(most: int) -> dict[str, Check]:
    return {
        "plain_text": shape({"text": string(most)}, {"emoji": FLAG}),
        "mrkdwn": shape({"text": string(most)}, {"verbatim": FLAG}),
    }


TEXT_SHAPES = _text_shapes(TEXT_MAX)


def text(most: int = TEXT_MAX, *, plain: bool = False) -> Check:
    return typed(_text_shapes(most), *(["plain_text"] if plain else []))


def option(*, plain: bool = True, url: bool = False) -> Check:
    optional: dict[str, Check] = {"description": text(75, plain=plain)}
    return shape({"text": text(75, plain=plain), "value": string(150)}, optional | ({"url": URL} if url else {}))


def _plain(most: int) -> Check:
    return text(most, plain=True)


CONFIRM = shape(
    {"title": _plain(100), "text": text(300), "confirm": _plain(30), "deny": _plain(30)},
    {"style": one_of("primary", "danger")},
)
GROUP = shape({"label": _plain(75), "options": items(option(), 100)})
IMAGE = {"image_url": URL, "alt_text": string(2000)}

# interactive elements

_COMMON: dict[str, Check] = {"confirm": CONFIRM, "focus_on_load": FLAG}
_HINTED: dict[str, Check] = _COMMON | {"placeholder": _plain(150)}
_CHOICE: dict[str, Check] = {"options": items(option(), 100), "option_groups": items(GROUP, 100)}
_TICKS = {"action_id": ID, "options": items(option(plain=False), 10)}
_SELECT_RULES = (either("options", "option_groups", exactly_one=True), initial_is_offered)

ELEMENTS: dict[str, Check] = {
    "button": shape(
        {"text": _plain(75), "action_id": ID},
        {
            "value": string(2000),
            "url": URL,
            "style": one_of("primary", "danger"),
            "confirm": CONFIRM,
            "accessibility_label": string(75),
        },
    ),
    "static_select": shape({"action_id": ID}, _HINTED | _CHOICE | {"initial_option": option()}, *_SELECT_RULES),
    "multi_static_select": shape(
        {"action_id": ID},
        _HINTED | _CHOICE | {"initial_options": items(option(), 100), "max_selected_items": of_type(int)},
        *_SELECT_RULES,
    ),
    "users_select": shape({"action_id": ID}, _HINTED | {"initial_user": string()}),
    "conversations_select": shape(
        {"action_id": ID},
        _HINTED
        | {
            "initial_conversation": string(),
            "default_to_current_conversation": FLAG,
            "response_url_enabled": FLAG,
            "filter": shape(
                {},
                {
                    "include": items(one_of("im", "mpim", "private", "public"), 4),
                    "exclude_external_shared_channels": FLAG,
                    "exclude_bot_users": FLAG,
                },
            ),
        },
    ),
    "overflow": shape({"action_id": ID, "options": items(option(url=True), 5)}, {"confirm": CONFIRM}),
    "checkboxes": shape(_TICKS, _COMMON | {"initial_options": items(option(plain=False), 10)}, initial_is_offered),
    "radio_buttons": shape(_TICKS, _COMMON | {"initial_option": option(plain=False)}, initial_is_offered),
    "datepicker": shape({"action_id": ID}, _HINTED | {"initial_date": string(10, least=10)}),
    "plain_text_input": shape(
        {"action_id": ID},
        {
            "initial_value": string(3000, least=0),
            "multiline": FLAG,
            "min_length": one_of(*range(3001)),
            "max_length": one_of(*range(1, 3001)),
            "dispatch_action_config": shape({"trigger_actions_on": items(string(), 2)}),
            "focus_on_load": FLAG,
            "placeholder": _plain(150),
        },
    ),
    "number_input": shape(
        {"action_id": ID, "is_decimal_allowed": FLAG},
        {
            "initial_value": string(),
            "min_value": string(),
            "max_value": string(),
            "focus_on_load": FLAG,
            "placeholder": _plain(150),
        },
    ),
    "image": shape(IMAGE),
}

# rich text

_STYLE: dict[str, Check] = {"style": shape({}, dict.fromkeys(("bold", "italic", "strike", "code", "underline"), FLAG))}
_LINK = shape({"url": URL}, _STYLE | {"text": string(least=0), "unsafe": FLAG})
_INLINE: dict[str, Check] = {
    "text": shape({"text": string()}, _STYLE),
    "link": _LINK,
    "user": shape({"user_id": string()}, _STYLE),
    "usergroup": shape({"usergroup_id": string()}, _STYLE),
    "channel": shape({"channel_id": string()}, _STYLE),
    "emoji": shape({"name": string()}, _STYLE | {"unicode": string(), "skin_tone": of_type(int)}),
    "broadcast": shape({"range": one_of("here", "channel", "everyone")}, _STYLE),
    "date": shape({"timestamp": of_type(int), "format": string()}, _STYLE | {"url": URL, "fallback": string()}),
}
_BORDER: dict[str, Check] = {"border": one_of(0, 1)}


def _preformatted_length(value: Json, place: str) -> Iterator[str]:
    parts = [part for part in listed(value.get("elements")) if isinstance(part, dict)]
    length = sum(len(str(part.get("text", ""))) for part in parts)
    if length > PREFORMATTED_MAX:
        yield at(place, too_long(length, PREFORMATTED_MAX))


SECTION_TEXT = shape({"elements": items(typed(_INLINE))})
RICH_PARTS: dict[str, Check] = {
    "rich_text_section": SECTION_TEXT,
    "rich_text_quote": shape({"elements": items(typed(_INLINE))}, _BORDER),
    "rich_text_preformatted": shape({"elements": items(typed(_INLINE, "text", "link"))}, _BORDER, _preformatted_length),
    "rich_text_list": shape(
        {"elements": items(typed({"rich_text_section": SECTION_TEXT})), "style": one_of("bullet", "ordered")},
        _BORDER | {"indent": one_of(*range(9)), "offset": of_type(int)},
    ),
}
RICH_TEXT = shape({"elements": items(typed(RICH_PARTS))}, {"block_id": ID})

# blocks

_BLOCK_ID: dict[str, Check] = {"block_id": ID}
_PICKS = ("static_select", "multi_static_select", "users_select", "conversations_select", "datepicker")
_TICKED = ("checkboxes", "radio_buttons")
_CELL = typed({"raw_text": shape({"text": string()}), "rich_text": RICH_TEXT})
_COLUMN = shape({}, {"align": one_of("left", "center", "right"), "is_wrapped": FLAG})

BLOCKS: dict[str, Check] = {
    "section": shape(
        {},
        _BLOCK_ID
        | {
            "text": text(),
            "fields": items(text(2000), 10),
            "expand": FLAG,
            "accessory": typed(ELEMENTS, "button", "overflow", "image", *_PICKS, *_TICKED),
        },
        either("text", "fields"),
    ),
    "header": shape({"text": _plain(150)}, _BLOCK_ID),
    "divider": shape({}, _BLOCK_ID),
    "context": shape({"elements": items(typed({"image": ELEMENTS["image"]} | TEXT_SHAPES), 10)}, _BLOCK_ID),
    "actions": shape(
        {"elements": items(typed(ELEMENTS, "button", "overflow", *_PICKS[:1], *_PICKS[2:], *_TICKED), 25)},
        _BLOCK_ID,
    ),
    "input": shape(
        {
            "label": _plain(2000),
            "element": typed(ELEMENTS, "plain_text_input", "number_input", *_PICKS, *_TICKED),
        },
        _BLOCK_ID | {"hint": _plain(2000), "optional": FLAG, "dispatch_action": FLAG},
    ),
    "image": shape(IMAGE, _BLOCK_ID | {"title": _plain(2000)}),
    "rich_text": RICH_TEXT,
    "markdown": shape({"text": string(MARKDOWN_MAX)}, _BLOCK_ID),
    "table": shape({"rows": items(items(_CELL, 20), 100)}, _BLOCK_ID | {"column_settings": items(_COLUMN, 20)}),
}
BLOCK = typed(BLOCKS)

# views

_VIEW: dict[str, Check] = {
    "blocks": items(anything),
    "private_metadata": string(3000, least=0),
    "callback_id": ID,
    "external_id": string(255, least=0),
}
MODAL = shape(
    {"title": _plain(24), "blocks": _VIEW["blocks"]},
    _VIEW
    | {
        "submit": _plain(24),
        "close": _plain(24),
        "clear_on_close": FLAG,
        "notify_on_close": FLAG,
        "submit_disabled": FLAG,
    },
)
HOME = shape({"blocks": _VIEW["blocks"]}, _VIEW)
