"""The parts of Slack's payloads that we read, checked before anything else looks at them.

A payload says who did what and where. Only ids count; names are decoration. Nothing here may trust a button's
value as authority, and nobody passes whose workspace, enterprise or app is not ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, ValidationError

from bot.payload_parts import (
    Action,
    Clicked,
    Container,
    Enterprise,
    Happening,
    Id,
    Named,
    Optional,
    Read,
    User,
    View,
    key_of,
)
from engine.errors import InvalidInput, NotAllowed
from engine.model import Actor, Person, Place, Source
from engine.ports import Reply


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Whom Slack takes us for, as asked at start: the only workspace, enterprise and app we listen to."""

    team: str
    app: str
    bot_user: str
    bot: str = ""
    enterprise: str = ""
    team_name: str = ""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who did something, where the answer goes, and the key under which it counts once."""

    actor: Actor
    person: Person
    delivery: str
    place: Place | None
    reply: Reply
    trigger: str = ""


class _Said(Read):
    """What every kind of payload has or lacks."""

    api_app_id: Id
    trigger_id: Optional = ""
    response_url: Optional = ""

    @property
    def place(self) -> Place | None:
        return None

    @property
    def thread_ts(self) -> str:
        return ""

    @property
    def source(self) -> Source:
        return Source.SLACK


class _Interaction(_Said):
    """What clicks, submissions and shortcuts have in common."""

    user: User
    team: Named
    enterprise: Enterprise | None = None

    @property
    def person(self) -> Person:
        enterprise = self.enterprise.id if self.enterprise else ""
        return Person(enterprise=enterprise, team=self.user.team_id, user=self.user.id)

    @property
    def teams(self) -> frozenset[str]:
        return frozenset({self.user.team_id, self.team.id})

    @property
    def name(self) -> str:
        return self.user.name or self.user.username


class Command(_Said):
    """A slash command."""

    command: Id
    text: Optional = ""
    user_id: Id
    user_name: Optional = ""
    team_id: Id
    enterprise_id: Optional = ""
    channel_id: Id
    trigger_id: Id

    @property
    def person(self) -> Person:
        return Person(enterprise=self.enterprise_id, team=self.team_id, user=self.user_id)

    @property
    def teams(self) -> frozenset[str]:
        return frozenset({self.team_id})

    @property
    def name(self) -> str:
        return self.user_name

    @property
    def place(self) -> Place:
        return Place(team=self.team_id, channel=self.channel_id)

    @property
    def delivery(self) -> str:
        return key_of("command", self.trigger_id)


class Click(_Interaction):
    """The use of a button in a message, a dialog or App Home."""

    actions: Annotated[tuple[Action, ...], Field(min_length=1, max_length=1)]
    container: Container = Container()
    channel: Named | None = None
    view: View | None = None

    @property
    def action(self) -> Action:
        return self.actions[0]

    @property
    def place(self) -> Place | None:
        channel = self.channel.id if self.channel else self.container.channel_id
        return Place(team=self.team.id, channel=channel) if channel else None

    @property
    def thread_ts(self) -> str:
        return self.container.thread_ts or self.container.message_ts

    @property
    def source(self) -> Source:
        return Source.HOME if self.view and self.view.type == "home" else Source.SLACK

    @property
    def delivery(self) -> str:
        where = self.container.message_ts or self.container.view_id
        once = self.action.action_ts or self.trigger_id
        channel = self.place.channel if self.place else ""
        return key_of("click", self.user.team_id, self.user.id, channel, where, self.action.action_id, once)


class Submission(_Interaction):
    """A dialog that was sent."""

    view: View

    @property
    def delivery(self) -> str:
        return key_of("view", self.view.id, self.view.hash)


class Shortcut(_Interaction):
    """The global shortcut. Slack does not say in it which app it is for: the socket or the signature does."""

    api_app_id: Optional = ""
    callback_id: Id
    action_ts: Optional = ""

    @property
    def delivery(self) -> str:
        return key_of("shortcut", self.trigger_id or self.action_ts)


class MessageShortcut(Shortcut):
    """The shortcut in a message's menu."""

    message: Clicked
    channel: Named

    @property
    def place(self) -> Place:
        return Place(team=self.team.id, channel=self.channel.id)

    @property
    def thread_ts(self) -> str:
        return self.message.thread_ts or self.message.ts


class Event(_Said):
    """Something that happened, with nobody waiting for an answer."""

    team_id: Id
    enterprise_id: Optional = ""
    event_id: Id
    event: Happening

    @property
    def person(self) -> Person:
        return Person(enterprise=self.enterprise_id, team=self.team_id, user=self.event.user)

    @property
    def teams(self) -> frozenset[str]:
        return frozenset({self.team_id})

    @property
    def name(self) -> str:
        return ""

    @property
    def source(self) -> Source:
        return Source.HOME

    @property
    def delivery(self) -> str:
        return key_of("event", self.event_id)


Payload = Command | Click | Submission | MessageShortcut | Shortcut | Event

_KINDS: Mapping[str, type[Payload]] = {
    "block_actions": Click,
    "view_submission": Submission,
    "shortcut": Shortcut,
    "message_action": MessageShortcut,
    "event_callback": Event,
}


def read(body: Mapping[str, Any]) -> Payload | None:
    """Return what a request's body says; None for a kind that we do not listen to."""
    kind = Command if "command" in body else _KINDS.get(str(body.get("type")))
    if kind is None:
        return None
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InvalidInput(f"Slack sent something unexpected: {place}: {first['msg']}.") from error


def check(payload: Payload, identity: Identity) -> None:
    """Refuse whoever is not of our workspace, organisation and app."""
    ours = (
        payload.teams == {identity.team}
        and payload.person.enterprise == identity.enterprise
        and payload.api_app_id in ({identity.app, ""} if isinstance(payload, Shortcut) else {identity.app})
    )
    if not ours:
        raise NotAllowed(
            "Only members of the workspace where Runbook Bot is installed may use it.",
            hint="Ask somebody of that workspace.",
        )


def caller_of(payload: Payload) -> Caller:
    """Return who a payload says it is from. Ids are only to be believed after ``check``."""
    person = payload.person
    return Caller(
        actor=Actor(person=person, source=payload.source, name=payload.name[:80]),
        person=person,
        delivery=payload.delivery,
        place=payload.place,
        reply=Reply(thread_ts=payload.thread_ts, response_url=payload.response_url),
        trigger=payload.trigger_id,
    )
