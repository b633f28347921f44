"""Reading blocks the way Slack draws them: literal parts, markup, buttons. For assertions only."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

ENTITY = re.compile(r"<(?!!date\^)[^>]*>")


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Every object inside blocks, from top to bottom."""
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from nodes(each)
    elif isinstance(value, list):
        for each in value:
            yield from nodes(each)


def preformatted(blocks: list[dict[str, Any]]) -> list[str]:
    """The text of each preformatted part, in order."""
    found = (node for node in nodes(blocks) if node.get("type") == "rich_text_preformatted")
    return ["".join(part["text"] for part in node["elements"]) for node in found]


def literal(blocks: list[dict[str, Any]]) -> str:
    """All literal text, in order."""
    return "".join(node["text"] for node in nodes(blocks) if node.get("type") == "text")


def markup(blocks: list[dict[str, Any]]) -> list[str]:
    """All text that Slack would interpret."""
    return [node["text"] for node in nodes(blocks) if node.get("type") == "mrkdwn"]


def buttons(blocks: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Buttons by label."""
    return {node["text"]["text"]: node for node in nodes(blocks) if node.get("type") == "button"}


def mentions(blocks: list[dict[str, Any]]) -> list[str]:
    return [node["user_id"] for node in nodes(blocks) if node.get("type") == "user"]


def entities(text: str) -> list[str]:
    """What Slack would turn into a mention or a link; dates are ours."""
    return ENTITY.findall(text)


def everything(blocks: list[dict[str, Any]]) -> str:
    return json.dumps(blocks, ensure_ascii=False)
