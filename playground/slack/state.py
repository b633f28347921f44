"""Everything the workspace knows, behind one lock, with one condition that every change signals.

Callers hold `world.lock` while they read or write. It must never call out while the lock is held: events are
handed to `on_event`, which only queues them.
"""

import random
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from playground.slack.blocks import Json
from playground.slack.clock import Clock
from playground.slack.limits import RESPONSE_URL_SECONDS, RESPONSE_URL_USES, TRIGGER_SECONDS
from playground.slack.model import (
    BOT_ID,
    BOT_USER_ID,
    Channel,
    File,
    Message,
    User,
    UserGroup,
    View,
)

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
DEFAULT_SCOPES = frozenset(
    {
        "app_mentions:read",
        "channels:history",
        "channels:read",
        "chat:write",
        "commands",
        "files:write",
        "groups:history",
        "groups:read",
        "im:write",
        "usergroups:read",
        "users:read",
    }
)
DEFAULT_EVENTS = frozenset({"app_home_opened", "app_mention", "app_uninstalled", "function_executed", "tokens_revoked"})


@dataclass(kw_only=True)
class AppConfig:
    """What the app's manifest would say, and the secrets Slack would have handed out."""

    bot_token: str = "xoxb-playground-bot"
    app_token: str = "xapp-playground-app"
    signing_secret: str = "playground-signing-secret"
    scopes: frozenset[str] = DEFAULT_SCOPES
    events: frozenset[str] = DEFAULT_EVENTS
    commands: dict[str, bool] = field(default_factory=lambda: {"/runbook": False})  # name: should_escape
    shortcuts: frozenset[str] | None = None  # None lets every callback_id through


@dataclass(kw_only=True)
class Trigger:
    """Permission to open a view: good for three seconds and once."""

    id: str
    user_id: str
    view_id: str | None
    created: float
    used: bool = False


@dataclass(kw_only=True)
class ResponseUrl:
    """Permission to answer an interaction: five times within half an hour."""

    token: str
    user_id: str
    channel_id: str
    created: float
    message_ts: str | None = None
    ephemeral: bool = False
    uses: int = 0


@dataclass(kw_only=True)
class Execution:
    """A run of one of the app's workflow steps."""

    id: str
    callback_id: str
    state: str = "running"
    outputs: Json = field(default_factory=dict)
    error: str = ""


class World:
    """The state of one workspace."""

    def __init__(self, *, clock: Clock, app: AppConfig, seed: int) -> None:
        self.clock = clock
        self.app = app
        self.random = random.Random(seed)
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.on_event: Callable[[Json], None] = lambda _event: None
        self.users: dict[str, User] = {}
        self.groups: dict[str, UserGroup] = {}
        self.channels: dict[str, Channel] = {}
        self.files: dict[str, File] = {}
        self.views: dict[str, View] = {}
        self.stacks: dict[str, list[View]] = {}
        self.homes: dict[str, View] = {}
        self.ephemerals: dict[str, list[Message]] = {}
        self.triggers: dict[str, Trigger] = {}
        self.response_urls: dict[str, ResponseUrl] = {}
        self.executions: dict[str, Execution] = {}
        self.revoked = False
        self.paid_plan = True
        self.ephemeral_survive_reload = False

    def touch(self) -> None:
        """Tell everybody who waits that something changed."""
        with self.lock:
            self.changed.notify_all()

    def new_id(self, prefix: str, length: int = 9) -> str:
        with self.lock:
            return prefix + "".join(self.random.choices(LETTERS, k=length))

    # people and channels

    def user_named(self, name: str) -> User:
        for user in self.users.values():
            if name in {user.id, user.name}:
                return user
        known = ", ".join(sorted(user.name for user in self.users.values()))
        raise KeyError(f"no person {name!r} in the workspace; there are {known}")

    def channel_named(self, name: str) -> Channel:
        wanted = name.removeprefix("#")
        for channel in self.channels.values():
            if wanted in {channel.id, channel.name}:
                return channel
        known = ", ".join(sorted(channel.name for channel in self.channels.values() if not channel.is_im))
        raise KeyError(f"no channel {name!r} in the workspace; there are {known}")

    def direct_channel(self, user_id: str) -> Channel:
        """The conversation between this person and the bot; made on first use."""
        for channel in self.channels.values():
            if channel.is_im and user_id in channel.members:
                return channel
        made = Channel(id=self.new_id("D"), name=f"dm-{user_id}", members={user_id, BOT_USER_ID}, is_im=True)
        self.channels[made.id] = made
        return made

    # messages

    def post(self, channel: Channel, *, user: str, text: str, **rest: Any) -> Message:
        """Add a message, echo it as an event, signal the change."""
        bot_id = BOT_ID if user == BOT_USER_ID else None
        message = Message(ts=self.clock.next_ts(), channel_id=channel.id, user=user, text=text, bot_id=bot_id, **rest)
        channel.messages.append(message)
        self.emit_message(channel, message.as_json())
        if user != BOT_USER_ID and f"<@{BOT_USER_ID}" in text:
            self.emit({"type": "app_mention", "channel": channel.id} | _mention(message))
        self.touch()
        return message

    def whisper(self, channel_id: str, user_id: str, *, text: str, **rest: Any) -> Message:
        """Add a message that only one person sees."""
        ts = self.clock.next_ts()
        sender = rest.pop("user", BOT_USER_ID)
        message = Message(
            ts=ts, channel_id=channel_id, user=sender, text=text, ephemeral_to=user_id, bot_id=BOT_ID, **rest
        )
        self.ephemerals.setdefault(user_id, []).append(message)
        self.touch()
        return message

    def emit_message(self, channel: Channel, body: Json) -> None:
        """Queue a message event; `message.channels` and its sisters are gated by subscription."""
        if BOT_USER_ID not in channel.members:
            return
        kind = {"channels": "channel", "groups": "group", "im": "im"}[channel.kind]
        event_ts = body.get("event_ts", body["ts"])
        event = body | {"channel": channel.id, "channel_type": kind, "event_ts": event_ts}
        self.emit(event, subscription=f"message.{channel.kind}")

    def emit(self, event: Json, *, subscription: str | None = None) -> None:
        if (subscription or event["type"]) in self.app.events:
            self.on_event(event)

    # permissions to answer

    def new_trigger(self, user_id: str, *, view_id: str | None = None) -> Trigger:
        first, second = (self.random.randrange(10**11, 10**12) for _ in range(2))
        ident = f"{first}.{second}.{self.random.getrandbits(128):032x}"
        trigger = Trigger(id=ident, user_id=user_id, view_id=view_id, created=self.clock.now())
        self.triggers[ident] = trigger
        return trigger

    def use_trigger(self, ident: str) -> Trigger | str:
        """The trigger, used up; or the error code that Slack would answer."""
        trigger = self.triggers.get(ident)
        if trigger is None:
            return "invalid_trigger_id"
        if trigger.used:
            return "exchanged_trigger_id"
        if self.clock.now() - trigger.created > TRIGGER_SECONDS:
            return "expired_trigger_id"
        trigger.used = True
        return trigger

    def new_response_url(self, *, user_id: str, channel_id: str, message: Message | None = None) -> str:
        token = self.new_id("", 24)
        self.response_urls[token] = ResponseUrl(
            token=token,
            user_id=user_id,
            channel_id=channel_id,
            created=self.clock.now(),
            message_ts=message.ts if message else None,
            ephemeral=message is not None and message.ephemeral_to is not None,
        )
        return token

    def use_response_url(self, token: str) -> ResponseUrl | str:
        url = self.response_urls.get(token)
        if url is None:
            return "invalid_url"
        if self.clock.now() - url.created > RESPONSE_URL_SECONDS:
            return "expired_url"
        if url.uses >= RESPONSE_URL_USES:
            return "used_url"
        url.uses += 1
        return url

    # views

    def new_hash(self) -> str:
        return f"{int(self.clock.now())}.{self.new_id('', 8)}"

    def open_views(self) -> Iterable[View]:
        for stack in self.stacks.values():
            yield from stack
        yield from self.homes.values()

    def stack(self, user_id: str) -> list[View]:
        return self.stacks.setdefault(user_id, [])


def _mention(message: Message) -> Json:
    keys = ("user", "text", "ts", "thread_ts", "team", "blocks")
    body = message.as_json()
    return {key: body[key] for key in keys if key in body} | {"event_ts": message.ts}
