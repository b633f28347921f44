"""What the page does as a person: type, click, fill in, submit, close, open Home, start a shortcut.

Each act is one call of the workspace's driver, so nobody can do here what Slack would not let them do. It must
never act for anybody whom the request does not name.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import partial
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from playground.slack.blocks import find_element
from playground.slack.model import Message, View
from playground.slack.people import Person
from playground.slack.results import ActionResult, Outcome, Refused
from playground.stage import Stage

Json = dict[str, Any]


class Act(BaseModel):
    """What a tab asks for."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ByPerson(Act):
    actor: str


class Line(ByPerson):
    """A line in the composer; without a channel, in the conversation with the bot."""

    channel: str = ""
    thread: str = ""
    line: str = Field(min_length=1, max_length=4000)


class MessagePlace(ByPerson):
    channel: str
    ts: str


class Use(Act):
    """An element that was used, and what was chosen with it."""

    block_id: str
    action_id: str
    value: Any = None

    @property
    def element(self) -> str:
        return f"{self.block_id}.{self.action_id}"


class Click(MessagePlace, Use):
    """A click on an element of a message."""


class BothClick(Use):
    """The same click by several people at the same instant."""

    actors: tuple[str, ...] = Field(min_length=2, max_length=5)
    channel: str
    ts: str


class ViewClick(ByPerson, Use):
    """A click on an element of a dialog or of App Home."""

    view_id: str
    values: Mapping[str, Any] = {}


class Submit(ByPerson):
    view_id: str
    values: Mapping[str, Any] = {}


class Close(ByPerson):
    clear: bool = False


class Shortcut(ByPerson):
    callback_id: str


class MessageShortcut(MessagePlace):
    callback_id: str


def types(stage: Stage, act: Line) -> Json:
    """Send a command or a message; a command's answer is shown as Slack shows it."""
    person = stage.slack.person(act.actor)
    channel = act.channel or None
    thread = stage.slack.channel(act.channel).message(act.thread) if act.thread else None
    if act.line.startswith("/"):
        return told(person.types(act.line, channel=channel, thread=thread))
    person.says(act.line, channel=channel, thread=thread)
    return {"error": ""}


def clicks(stage: Stage, act: Click) -> Json:
    person = stage.slack.person(act.actor)
    return told(person.clicks(seen(stage, person, act.channel, act.ts, act.element), act.element, value=act.value))


def both_click(stage: Stage, act: BothClick) -> Json:
    """Let several people click at the same instant."""
    people = [stage.slack.person(name) for name in act.actors]
    shown = seen(stage, people[0], act.channel, act.ts, act.element)
    results: list[ActionResult] = stage.slack.at_once(*(partial(one.clicks, shown, act.element) for one in people))
    return {"error": next((each.error for each in results if each.error), "")}


def clicks_in_view(stage: Stage, act: ViewClick) -> Json:
    """Use an element of a dialog or of Home; what was typed elsewhere in it goes along."""
    person = stage.slack.person(act.actor)
    view = _view(stage, act.view_id)
    if act.values:
        person.fills(view, dict(act.values))
    return told(person.clicks(view, act.element, value=act.value))


def submits(stage: Stage, act: Submit) -> Json:
    result = stage.slack.person(act.actor).submits(_view(stage, act.view_id), dict(act.values))
    return told(result) | {"errors": result.errors, "closed": result.closed}


def closes(stage: Stage, act: Close) -> Json:
    result = stage.slack.person(act.actor).closes(clear=act.clear)
    return told(result) if result else {"error": ""}


def opens_home(stage: Stage, act: ByPerson) -> Json:
    return told(stage.slack.person(act.actor).opens_home())


def starts_shortcut(stage: Stage, act: Shortcut) -> Json:
    return told(stage.slack.person(act.actor).shortcut(act.callback_id))


def starts_message_shortcut(stage: Stage, act: MessageShortcut) -> Json:
    person = stage.slack.person(act.actor)
    return told(person.message_shortcut(act.callback_id, seen(stage, person, act.channel, act.ts)))


def reloads(stage: Stage, act: ByPerson) -> Json:
    """Restart the person's Slack window: what only they saw is gone."""
    stage.slack.person(act.actor).reloads()
    return {"error": ""}


def told(outcome: Outcome) -> Json:
    return {"error": outcome.error, "latency_ms": outcome.latency_ms}


def seen(stage: Stage, person: Person, channel: str, ts: str, element: str = "") -> Message:
    """The message as the tab may still show it: a tab that lags behind clicks on what was there before."""
    world = stage.slack.world
    with world.lock:
        public = world.channels[channel].messages if channel in world.channels else []
        known = (each for each in [*public, *world.ephemerals.get(person.id, [])] if each.ts == ts)
        message = copy.deepcopy(next(known, None))
    if message is None:
        raise Refused("that message is not there any more")
    pictures = [message.blocks, *(revision.blocks for revision in reversed(message.edits))]
    if element:
        message.blocks = next((each for each in pictures if find_element(each, element)), message.blocks)
    return message


def _view(stage: Stage, view_id: str) -> View:
    world = stage.slack.world
    with world.lock:
        found = next((view for view in world.open_views() if view.id == view_id), None)
        if found is None:
            raise Refused("that dialog is closed")
        return copy.deepcopy(found)
