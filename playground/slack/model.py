"""The things in a workspace: people, channels, messages, views, files, as plain records.

They know how Slack writes them as JSON. They must never talk to the network or read a clock.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from playground.slack.blocks import Json, Placed, interactive, state_values
from playground.slack.render import plain_text

TEAM_ID = "T0DEMO"
OTHER_TEAM_ID = "T0OTHER"
BOT_USER_ID = "U0RUNBOOKBOT"
BOT_ID = "B0RUNBOOKBOT"
APP_ID = "A0RUNBOOKBOT"


@dataclass(kw_only=True)
class User:
    """A person or a bot; a guest is restricted, an outsider belongs to another team."""

    id: str
    name: str
    real_name: str
    team_id: str = TEAM_ID
    is_bot: bool = False
    is_admin: bool = False
    is_guest: bool = False
    deleted: bool = False

    @property
    def email(self) -> str:
        return f"{self.name}@example.com"

    @property
    def is_outsider(self) -> bool:
        return self.team_id != TEAM_ID

    def as_json(self, *, with_email: bool = False) -> Json:
        profile = {"real_name": self.real_name, "display_name": self.name, "team": self.team_id}
        if with_email and not self.is_bot:
            profile["email"] = self.email
        return {
            "id": self.id,
            "team_id": self.team_id,
            "name": self.name,
            "real_name": self.real_name,
            "deleted": self.deleted,
            "tz": "Etc/UTC",
            "tz_label": "Coordinated Universal Time",
            "tz_offset": 0,
            "profile": profile,
            "is_admin": self.is_admin,
            "is_owner": False,
            "is_primary_owner": False,
            "is_restricted": self.is_guest,
            "is_ultra_restricted": self.is_guest,
            "is_bot": self.is_bot,
            "is_app_user": False,
            "updated": 1_700_000_000,
        }


@dataclass(kw_only=True)
class UserGroup:
    """A user group: a handle for several people."""

    id: str
    handle: str
    name: str
    members: list[str]
    enabled: bool = True

    def as_json(self, *, include_users: bool) -> Json:
        record: Json = {
            "id": self.id,
            "team_id": TEAM_ID,
            "is_usergroup": True,
            "handle": self.handle,
            "name": self.name,
            "user_count": len(self.members),
            "date_delete": 0 if self.enabled else 1_700_000_000,
        }
        return record | ({"users": list(self.members)} if include_users else {})


@dataclass(kw_only=True)
class File:
    """An uploaded file; nobody sees it before it is completed and shared."""

    id: str
    name: str
    length: int
    title: str = ""
    content: bytes | None = None
    completed: bool = False
    channel_id: str | None = None
    thread_ts: str | None = None
    created: int = 0
    url: str = ""

    def text(self) -> str:
        return (self.content or b"").decode("utf-8", "replace")

    def as_json(self) -> Json:
        return {
            "id": self.id,
            "created": self.created,
            "timestamp": self.created,
            "name": self.name,
            "title": self.title or self.name,
            "mimetype": "text/plain",
            "filetype": "text",
            "pretty_type": "Plain Text",
            "user": BOT_USER_ID,
            "size": len(self.content or b""),
            "mode": "snippet",
            "is_external": False,
            "is_public": self.channel_id is not None,
            "url_private": self.url,
            "url_private_download": self.url,
        }


@dataclass(frozen=True, kw_only=True)
class Revision:
    """What a message said before an update."""

    text: str
    blocks: list[Json]


@dataclass(kw_only=True)
class Message:
    """One message, as everybody in the channel (or one person, when ephemeral) sees it."""

    ts: str
    channel_id: str
    user: str
    text: str
    blocks: list[Json] = field(default_factory=list)
    thread_ts: str | None = None
    broadcast: bool = False
    metadata: Json | None = None
    bot_id: str | None = None
    ephemeral_to: str | None = None
    edited: Json | None = None
    edits: list[Revision] = field(default_factory=list)
    files: list[File] = field(default_factory=list)
    reactions: dict[str, list[str]] = field(default_factory=dict)
    extras: Json = field(default_factory=dict)
    typed: dict[str, dict[tuple[str, str], Json]] = field(default_factory=dict)  # per person: who chose what

    @property
    def is_reply(self) -> bool:
        return self.thread_ts is not None and self.thread_ts != self.ts

    def elements(self) -> list[Placed]:
        return list(interactive(self.blocks))

    def buttons(self) -> list[str]:
        """The labels of the buttons a person sees, in order."""
        return [placed.label for placed in self.elements() if placed.element["type"] == "button"]

    def plain(self) -> str:
        """The message as lines of text: its blocks, or its text when it has none."""
        return plain_text(self.blocks) if self.blocks else self.text

    def as_json(self, *, full_metadata: bool = True) -> Json:
        record: Json = {
            "type": "message",
            "user": self.user,
            "ts": self.ts,
            "team": TEAM_ID,
            "text": self.text,
        }
        if self.bot_id:
            record |= {"bot_id": self.bot_id, "app_id": APP_ID}
        optional: Json = {
            "blocks": self.blocks,
            "thread_ts": self.thread_ts,
            "edited": self.edited,
            "files": [file.as_json() for file in self.files],
            "reactions": self._reactions(),
            "subtype": "thread_broadcast" if self.broadcast else None,
        }
        record |= {key: value for key, value in optional.items() if value}
        if self.metadata:
            shown = self.metadata if full_metadata else {"event_type": self.metadata["event_type"]}
            record["metadata"] = shown
        return record | self.extras

    def _reactions(self) -> list[Json]:
        return [{"name": name, "users": users, "count": len(users)} for name, users in self.reactions.items()]


@dataclass(kw_only=True)
class Channel:
    """A conversation; direct messages are channels with `is_im`."""

    id: str
    name: str
    members: set[str] = field(default_factory=set)
    is_private: bool = False
    is_archived: bool = False
    is_im: bool = False
    is_ext_shared: bool = False
    messages: list[Message] = field(default_factory=list)

    @property
    def kind(self) -> Literal["im", "groups", "channels"]:
        """The word Slack's scopes and events use for this sort of conversation."""
        if self.is_im:
            return "im"
        return "groups" if self.is_private else "channels"

    def find(self, ts: str) -> Message | None:
        return next((message for message in self.messages if message.ts == ts), None)

    def other_than_bot(self) -> str:
        return next(member for member in self.members if member != BOT_USER_ID)

    def as_json(self) -> Json:
        if self.is_im:
            return {"id": self.id, "is_im": True, "user": self.other_than_bot(), "is_archived": False}
        return {
            "id": self.id,
            "name": self.name,
            "name_normalized": self.name,
            "is_channel": not self.is_private,
            "is_group": self.is_private,
            "is_im": False,
            "is_mpim": False,
            "is_private": self.is_private,
            "is_archived": self.is_archived,
            "is_general": False,
            "is_shared": self.is_ext_shared,
            "is_ext_shared": self.is_ext_shared,
            "is_org_shared": False,
            "is_member": BOT_USER_ID in self.members,
            "created": 1_700_000_000,
            "creator": "U0ALICE",
            "topic": {"value": "", "creator": "", "last_set": 0},
            "purpose": {"value": "", "creator": "", "last_set": 0},
        }


@dataclass(kw_only=True)
class View:
    """A modal or a Home tab of one person; `typed` keeps what they entered by block and action."""

    id: str
    user_id: str
    content: Json
    hash: str
    root_id: str = ""
    previous_id: str | None = None
    typed: dict[tuple[str, str], Json] = field(default_factory=dict)

    @property
    def type(self) -> str:
        return str(self.content["type"])

    @property
    def callback_id(self) -> str:
        return str(self.content.get("callback_id", ""))

    @property
    def title(self) -> str:
        return str(self.content.get("title", {}).get("text", ""))

    @property
    def blocks(self) -> list[Json]:
        blocks: list[Json] = self.content["blocks"]
        return blocks

    def elements(self) -> list[Placed]:
        return list(interactive(self.blocks))

    def buttons(self) -> list[str]:
        return [placed.label for placed in self.elements() if placed.element["type"] == "button"]

    def plain(self) -> str:
        parts = [self.title, plain_text(self.blocks)]
        footer = [self.content[key]["text"] for key in ("close", "submit") if self.content.get(key)]
        parts.append("  ".join(f"[ {text} ]" for text in footer))
        return "\n".join(part for part in parts if part)

    def as_json(self) -> Json:
        defaults: Json = {
            "team_id": TEAM_ID,
            "app_id": APP_ID,
            "app_installed_team_id": TEAM_ID,
            "bot_id": BOT_ID,
            "private_metadata": "",
            "callback_id": "",
            "external_id": "",
            "title": None,
            "close": None,
            "submit": None,
            "clear_on_close": False,
            "notify_on_close": False,
        }
        own: dict[str, Any] = {
            "id": self.id,
            "hash": self.hash,
            "root_view_id": self.root_id,
            "previous_view_id": self.previous_id,
            "state": {"values": state_values(self.blocks, self.typed)},
        }
        return defaults | self.content | own
