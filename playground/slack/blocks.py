"""Reading Block Kit JSON: which elements a message or a view holds and what may be typed into them.

Both the people and the renderer use it. It must never change the blocks it reads.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
VALUE_KEYS = {
    "plain_text_input": "value",
    "number_input": "value",
    "static_select": "selected_option",
    "radio_buttons": "selected_option",
    "overflow": "selected_option",
    "multi_static_select": "selected_options",
    "checkboxes": "selected_options",
    "datepicker": "selected_date",
    "users_select": "selected_user",
    "conversations_select": "selected_conversation",
}
INITIAL_KEYS = {
    "value": "initial_value",
    "selected_option": "initial_option",
    "selected_options": "initial_options",
    "selected_date": "initial_date",
    "selected_user": "initial_user",
    "selected_conversation": "initial_conversation",
}


@dataclass(frozen=True)
class Placed:
    """An interactive element and where it stands."""

    block: Json
    element: Json

    @property
    def action_id(self) -> str:
        return str(self.element.get("action_id", ""))

    @property
    def block_id(self) -> str:
        return str(self.block.get("block_id", ""))

    @property
    def label(self) -> str:
        """What a person sees on it: the button's text, the input's label or the placeholder."""
        for text in (self.element.get("text"), self.block.get("label"), self.element.get("placeholder")):
            if isinstance(text, dict):
                return str(text.get("text", ""))
        return ""

    @property
    def optional(self) -> bool:
        return self.block.get("optional") is True


def interactive(blocks: list[Json]) -> Iterator[Placed]:
    """Every element that a person could use, from top to bottom."""
    for block in blocks:
        candidates = [*block.get("elements", []), block.get("accessory"), block.get("element")]
        for element in candidates:
            if isinstance(element, dict) and "action_id" in element:
                yield Placed(block, element)


def inputs(blocks: list[Json]) -> list[Placed]:
    return [placed for placed in interactive(blocks) if placed.block.get("type") == "input"]


def find_element(blocks: list[Json], wanted: str) -> Placed | None:
    """The element with this action_id, or else the one with this label."""
    placed = list(interactive(blocks))
    by_id = (each for each in placed if wanted in {each.action_id, f"{each.block_id}.{each.action_id}"})
    by_label = (each for each in placed if each.label == wanted)
    return next(by_id, None) or next(by_label, None)


def options_of(element: Json) -> list[Json]:
    groups = element.get("option_groups") or []
    return [*element.get("options", []), *(option for group in groups for option in group["options"])]


def choose(element: Json, wanted: Any) -> Json:
    """The option with this value or this text; ValueError names those that there are."""
    options = options_of(element)
    for option in options:
        if wanted in (option.get("value"), option["text"]["text"], option):
            return option
    offered = ", ".join(repr(option.get("value")) for option in options)
    raise ValueError(f"{element.get('action_id')}: no option {wanted!r}; choose one of {offered}")


def entry(element: Json, value: Any) -> Json:
    """What Slack puts into `state.values` when a person chose or typed this value."""
    kind = str(element["type"])
    key = VALUE_KEYS[kind]
    if key == "selected_option":
        value = None if value is None else choose(element, value)
    elif key == "selected_options":
        value = [choose(element, each) for each in value or []]
    elif key == "value" and value is not None:
        value = str(value)
    return {"type": kind, key: value}


def initial_entry(element: Json) -> Json:
    """The state of an element that nobody has touched."""
    kind = str(element["type"])
    key = VALUE_KEYS[kind]
    empty: list[Json] | None = [] if key == "selected_options" else None
    return {"type": kind, key: element.get(INITIAL_KEYS[key], empty)}


def keep_choice(typed: dict[tuple[str, str], Json], placed: Placed, value: Any) -> None:
    """Remember what a person chose: from now on it is part of the state of the message or view."""
    if placed.element["type"] in VALUE_KEYS:
        typed[placed.block_id, placed.action_id] = entry(placed.element, value)


def state_values(blocks: list[Json], typed: dict[tuple[str, str], Json]) -> Json:
    """The `state.values` of these blocks: what was typed, else what they start with."""
    values: Json = {}
    for placed in interactive(blocks):
        if placed.element["type"] not in VALUE_KEYS or placed.element["type"] == "overflow":
            continue
        known = typed.get((placed.block_id, placed.action_id))
        values.setdefault(placed.block_id, {})[placed.action_id] = known or initial_entry(placed.element)
    return values


def is_blank(state: Json) -> bool:
    value = state.get(VALUE_KEYS[state["type"]])
    return value is None or value in ("", [])
