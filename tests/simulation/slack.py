"""Slack as the outbox's port shows it: what was posted can be seen, whatever the sender was answered.

People see only what is in here. Nothing here dedupes, orders or repairs.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bot.delivery_pace import is_update
from bot.delivery_render import Parcel
from bot.delivery_sender import NotSent, Throttled, Undeliverable, Unsure
from engine.effects import Purpose
from tests.simulation.chance import Dice, Fault


@dataclass
class Post:
    """One message as people see it."""

    ts: str
    key: str
    purpose: Purpose
    session_id: int
    step_number: int
    ordinal: int
    revision: int
    thread: str
    text: str
    blocks: list[dict[str, Any]]
    repeat: bool

    @property
    def drawn(self) -> str:
        return json.dumps(self.blocks, sort_keys=True)

    @property
    def has_buttons(self) -> bool:
        return any(block.get("type") == "actions" for block in self.blocks)


@dataclass
class Slack:
    """One workspace."""

    dice: Dice
    shown: Callable[[Parcel, Post | None], None]  #: told of everything that people begin to see
    posts: dict[str, Post] = field(default_factory=dict)
    away: bool = False
    blind: bool = False
    closed: bool = False
    told: int = 0
    files: list[str] = field(default_factory=list)

    def send(self, parcel: Parcel, *, repeat: bool) -> str:
        dice = self.dice
        if self.away:
            raise NotSent("Slack was not reached.")
        if dice.strikes(Fault.SLACK_THROTTLED):
            raise Throttled(dice.pick((1.0, 5.0, 30.0)))
        if self.closed and parcel.message.session_id is not None:
            raise Undeliverable("is_archived")
        if parcel.rendered and parcel.rendered.blocks and dice.strikes(Fault.SLACK_REFUSED):
            raise Undeliverable("invalid_blocks")
        if dice.strikes(Fault.SLACK_LOST):
            raise Unsure("Slack did not answer.")
        ts = self._show(parcel, repeat=repeat)
        if dice.strikes(Fault.SLACK_UNSURE):
            raise Unsure("Slack did not answer.")
        return ts

    def find(self, parcel: Parcel) -> tuple[str, int] | None:
        if self.away:
            raise NotSent("Slack was not reached.")
        if self.blind:
            raise Undeliverable("missing_scope")
        if parcel.file is not None:
            return ("", parcel.message.revision) if parcel.message.key in self.files else None
        return next(((p.ts, p.revision) for p in self.posts.values() if p.key == parcel.message.key), None)

    def _show(self, parcel: Parcel, *, repeat: bool) -> str:
        message = parcel.message
        if message.session_id is None or parcel.rendered is None:
            if parcel.file is not None:
                self.files.append(message.key)
            self.told += 1
            self.shown(parcel, None)
            return ""
        ts = message.ts if is_update(message) else f"{len(self.posts) + 1:04d}.{message.id}"
        post = Post(
            ts=ts,
            key=message.key,
            purpose=message.purpose,
            session_id=message.session_id,
            step_number=message.step_number,
            ordinal=message.ordinal,
            revision=message.revision,
            thread=parcel.thread_ts,
            text=parcel.rendered.text,
            blocks=parcel.rendered.blocks,
            repeat=repeat,
        )
        self.shown(parcel, post)
        self.posts[ts] = post
        return ts


class SlackPort:
    """See ``bot.delivery.Sender``: Slack as one process reaches it."""

    def __init__(self, slack: Slack, at: Callable[[str], None]) -> None:
        self._slack, self._at = slack, at

    def send(self, parcel: Parcel, *, repeat: bool = False) -> str:
        self._at("slack.send before")
        ts = self._slack.send(parcel, repeat=repeat)
        self._at("slack.send after")
        return ts

    def find(self, parcel: Parcel) -> tuple[str, int] | None:
        self._at("slack.find")
        return self._slack.find(parcel)
