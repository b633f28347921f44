"""The pieces of which Slack's payloads are made: people, buttons, dialogs, as far as we read them.

Unknown keys are ignored, null is nothing, and everything has a bound. Nothing here may know who may do what.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _nothing_for_null(value: object) -> object:
    return "" if value is None else value


Id = Annotated[str, Field(min_length=1, max_length=255)]
Optional = Annotated[str, BeforeValidator(_nothing_for_null), Field(max_length=4000)]


class Read(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Named(Read):
    id: Id


class User(Named):
    team_id: Id
    name: Optional = ""
    username: Optional = ""


class Enterprise(Read):
    id: Optional = ""


class Selected(Read):
    value: Optional = ""


class Action(Read):
    """One use of a button or menu. ``choice`` is its value, whichever kind it is."""

    action_id: Id
    block_id: Optional = ""
    action_ts: Optional = ""
    value: Optional = ""
    selected_option: Selected | None = None

    @property
    def choice(self) -> str:
        return self.selected_option.value if self.selected_option else self.value


class Container(Read):
    type: Optional = ""
    message_ts: Optional = ""
    thread_ts: Optional = ""
    channel_id: Optional = ""
    view_id: Optional = ""


class View(Read):
    """A dialog or Home tab, as it stood when it was used."""

    id: Id
    hash: Optional = ""
    type: Optional = ""
    callback_id: Optional = ""
    private_metadata: Optional = ""
    state: Annotated[Mapping[str, Any], BeforeValidator(lambda value: value or {})] = Field(default_factory=dict)

    @property
    def blocks(self) -> frozenset[str]:
        """The ids of the input blocks that it has, filled in or not."""
        values = self.state.get("values")
        return frozenset(values) if isinstance(values, dict) else frozenset()

    def inputs(self) -> dict[str, str]:
        """Return block id -> what was entered; blocks left empty are absent."""
        values = self.state.get("values")
        blocks = values if isinstance(values, dict) else {}
        entered = {block: _entered(inputs) for block, inputs in blocks.items()}
        return {block: value for block, value in entered.items() if value}


class Clicked(Read):
    ts: Optional = ""
    thread_ts: Optional = ""


class Happening(Read):
    type: Id
    user: Optional = ""
    tab: Optional = ""
    tokens: Mapping[str, Any] = Field(default_factory=dict)


def _entered(inputs: object) -> str:
    """Read the one input of a block, whichever kind it is."""
    element = next(iter(inputs.values()), None) if isinstance(inputs, dict) else None
    if not isinstance(element, dict):
        return ""
    option = element.get("selected_option")
    chosen = option.get("value") if isinstance(option, dict) else ""
    given = (element.get(key) for key in ("value", "selected_conversation", "selected_channel"))
    return next((text.strip() for text in (*given, chosen) if isinstance(text, str) and text.strip()), "")


def key_of(*parts: str) -> str:
    """Join ids to a key of bounded length; what does not fit is hashed, never cut."""
    key = ":".join(parts)
    return key if len(key) <= 200 else f"{parts[0]}:{hashlib.sha256(key.encode()).hexdigest()}"
