"""The pieces of which Slack's payloads are made: people, buttons, dialogs, as far as we read them.

Unknown keys are ignored, null is nothing, and everything has a bound. Nothing here may know who may do what.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field


def _nothing_for_null(value: object) -> object:
    return "" if value is None else value


def _storable(text: str) -> str:
    """Refuse what JSON can carry and no database can keep: NUL, and half a character of UTF-16."""
    if _UNSTORABLE.search(text):
        raise ValueError("It has a character that cannot be stored")
    return text


def _storable_inputs(state: Mapping[str, Any]) -> Mapping[str, Any]:
    for block, value in _inputs(state).items():
        _storable(block + value)
    return state


_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
Id = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_storable)]
Optional = Annotated[str, BeforeValidator(_nothing_for_null), Field(max_length=4000), AfterValidator(_storable)]


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
    state: Annotated[
        Mapping[str, Any], BeforeValidator(lambda value: value or {}), AfterValidator(_storable_inputs)
    ] = Field(default_factory=dict)

    @property
    def blocks(self) -> frozenset[str]:
        """The ids of the input blocks that it has, filled in or not."""
        values = self.state.get("values")
        return frozenset(values) if isinstance(values, dict) else frozenset()

    def inputs(self) -> dict[str, str]:
        """Return block id -> what was entered; blocks left empty are absent."""
        return _inputs(self.state)


class Clicked(Read):
    ts: Optional = ""
    thread_ts: Optional = ""


class Happening(Read):
    type: Id
    user: Optional = ""
    tab: Optional = ""
    tokens: Mapping[str, Any] = Field(default_factory=dict)


def _inputs(state: Mapping[str, Any]) -> dict[str, str]:
    values = state.get("values")
    blocks = values if isinstance(values, dict) else {}
    entered = {block: _entered(inputs) for block, inputs in blocks.items()}
    return {block: value for block, value in entered.items() if value}


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
