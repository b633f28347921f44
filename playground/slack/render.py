"""Block Kit as readable text, for transcripts and the terminal.

Every block shows up: one that is not known here is printed as JSON. It must never leave a block out silently.
"""

import json
import re
from collections.abc import Callable
from typing import Any

Json = dict[str, Any]
MENTION = re.compile(r"<([@#!])([^>|]+)(?:\|([^>]*))?>")
LINK = re.compile(r"<([a-z]+:[^>|]+)(?:\|([^>]*))?>")


def plain_text(blocks: list[Json]) -> str:
    """All blocks, one under the other."""
    return "\n".join(_block(block) for block in blocks)


def readable(text: str) -> str:
    """Slack's mark-up as people read it: mentions and links shortened, escapes undone."""
    text = LINK.sub(lambda found: found.group(2) or found.group(1), text)
    text = MENTION.sub(_mention, text)
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _mention(found: re.Match[str]) -> str:
    sign, name, label = found.groups()
    if sign == "!":
        if name.startswith("subteam^"):
            return label or "@" + name.removeprefix("subteam^")
        return label or "@" + name.partition("^")[0]
    return sign + (label or name)


def _block(block: Json) -> str:
    draw = BLOCKS.get(str(block.get("type")), _unknown)
    return draw(block)


def _unknown(block: Json) -> str:
    return json.dumps(block, ensure_ascii=False, sort_keys=True)


def _text(value: Any) -> str:
    return readable(str(value.get("text", ""))) if isinstance(value, dict) else ""


def _section(block: Json) -> str:
    lines = [_text(block["text"])] if "text" in block else []
    lines += [f"  {_text(each)}" for each in block.get("fields", [])]
    if "accessory" in block:
        lines.append(f"  {_element(block['accessory'])}")
    return "\n".join(lines)


def _context(block: Json) -> str:
    return " · ".join(_element(element) for element in block["elements"])


def _actions(block: Json) -> str:
    return "  ".join(_element(element) for element in block["elements"])


def _input(block: Json) -> str:
    optional = " (optional)" if block.get("optional") else ""
    hint = f"\n  {_text(block['hint'])}" if "hint" in block else ""
    return f"{_text(block['label'])}{optional}: {_element(block['element'])}{hint}"


def _image(block: Json) -> str:
    return f"(image: {block.get('alt_text', '')})"


def _table(block: Json) -> str:
    return "\n".join(" | ".join(_cell(cell) for cell in row) for row in block["rows"])


def _cell(cell: Json) -> str:
    return str(cell["text"]) if cell.get("type") == "raw_text" else _rich_text(cell)


def _rich_text(block: Json) -> str:
    return "\n".join(_rich_part(part) for part in block.get("elements", []))


def _rich_part(part: Json) -> str:
    match part.get("type"):
        case "rich_text_section":
            return _inline(part)
        case "rich_text_preformatted":
            return "\n".join(f"    {line}" for line in _inline(part).split("\n"))
        case "rich_text_quote":
            return "\n".join(f"> {line}" for line in _inline(part).split("\n"))
        case "rich_text_list":
            ordered = part.get("style") == "ordered"
            indent = "  " * int(part.get("indent", 0))
            marks = (f"{number}." if ordered else "-" for number in range(1, 1 + len(part["elements"])))
            return "\n".join(
                f"{indent}{mark} {_inline(item)}" for mark, item in zip(marks, part["elements"], strict=True)
            )
        case _:
            return _unknown(part)


def _inline(part: Json) -> str:
    return "".join(_inline_element(element) for element in part["elements"])


def _inline_element(element: Json) -> str:
    return INLINE.get(str(element.get("type")), _unknown)(element)


def _element(element: Json) -> str:
    kind = str(element.get("type"))
    if kind in {"mrkdwn", "plain_text"}:
        return _text(element)
    if kind == "image":
        return _image(element)
    if kind == "button":
        return f"[ {_text(element['text'])} ]"
    if kind in {"checkboxes", "radio_buttons"}:
        return " ".join(f"( ) {_text(option['text'])}" for option in element["options"])
    if kind in FIELDS:
        return f"<{_text(element.get('placeholder')) or FIELDS[kind]}{_preset(element)}>"
    return _unknown(element)


def _preset(element: Json) -> str:
    for key in ("initial_value", "initial_date", "initial_user", "initial_conversation"):
        if element.get(key):
            return f" = {element[key]}"
    option = element.get("initial_option")
    return f" = {_text(option['text'])}" if option else ""


FIELDS = {
    "static_select": "choose one",
    "multi_static_select": "choose some",
    "plain_text_input": "text",
    "number_input": "number",
    "overflow": "more",
    "datepicker": "date",
    "users_select": "person",
    "conversations_select": "conversation",
}
INLINE: dict[str, Callable[[Json], str]] = {
    "text": lambda element: str(element["text"]),
    "link": lambda element: str(element.get("text") or element["url"]),
    "user": lambda element: f"@{element['user_id']}",
    "usergroup": lambda element: f"@{element['usergroup_id']}",
    "channel": lambda element: f"#{element['channel_id']}",
    "emoji": lambda element: f":{element['name']}:",
    "broadcast": lambda element: f"@{element['range']}",
    "date": lambda element: str(element.get("fallback") or element["timestamp"]),
}
BLOCKS: dict[str, Callable[[Json], str]] = {
    "header": lambda block: f"== {_text(block['text'])} ==",
    "section": _section,
    "divider": lambda _block: "-" * 40,
    "context": _context,
    "actions": _actions,
    "input": _input,
    "image": _image,
    "rich_text": _rich_text,
    "markdown": lambda block: str(block["text"]),
    "table": _table,
}
