"""The workspace as records for the page: people, channels, messages, dialogs and the journal.

A record is what Slack would show, plus what only a playground can tell. It must never hold a token.
"""

from __future__ import annotations

from typing import Any

from bot import ids
from bot.grammar import USAGES
from playground.slack.journal import Entry
from playground.slack.model import Channel, File, Message, User, View
from playground.slack.render import readable
from playground.slack.seed import ALICE, APPROVERS_GROUP
from playground.slack.server import SlackWorkspace
from playground.slack.state import World

Json = dict[str, Any]
ENTRIES_SHOWN = 400
PREVIEW_CHARACTERS = 1500
ABOUT_CHARACTERS = 120


def workspace_records(slack: SlackWorkspace) -> dict[str, Json]:
    """Everything a Slack window could show, for every person. The caller holds the world's lock."""
    world = slack.world
    records: dict[str, Json] = {"workspace": _workspace(world)}
    records |= {f"user:{user.id}": _user(world, user) for user in world.users.values()}
    records |= {f"group:{group.id}": group.as_json(include_users=True) for group in world.groups.values()}
    for channel in world.channels.values():
        records[f"channel:{channel.id}"] = _channel(channel)
        records |= {f"message:{channel.id}/{each.ts}": _message(each) for each in channel.messages}
    for user_id, whispers in world.ephemerals.items():
        records |= {f"whisper:{user_id}/{each.ts}": _message(each) for each in whispers}
    for user_id, stack in world.stacks.items():
        if stack:
            records[f"modal:{user_id}"] = _view(stack[-1]) | {"depth": len(stack)}
    records |= {f"home:{user_id}": _view(view) for user_id, view in world.homes.items()}
    return records


def journal_records(slack: SlackWorkspace) -> dict[str, Json]:
    """The newest entries, without their contents."""
    entries = slack.journal.since(max(0, len(slack.journal) - ENTRIES_SHOWN))
    return {f"entry:{entry.number:07d}": _entry(entry) for entry in entries}


def _workspace(world: World) -> Json:
    hint = "[" + " | ".join(usage.pattern for usage in USAGES.values()) + "]"
    return {
        "commands": [{"name": name, "hint": hint, "about": "Runbook Bot"} for name in world.app.commands],
        "usages": [{"pattern": u.pattern, "purpose": u.purpose, "example": u.example} for u in USAGES.values()],
        "shortcuts": [
            {"callback_id": ids.SHORTCUT_RUN, "name": "Run a runbook", "type": "global"},
            {"callback_id": ids.SHORTCUT_ACTIONS, "name": "Runbook actions", "type": "message"},
        ],
        "decisions": [ids.ACTION_APPROVE, ids.ACTION_DONE],
        "approvers": list(world.groups[APPROVERS_GROUP].members),
    }


def _user(world: World, user: User) -> Json:
    return {
        "id": user.id,
        "name": user.name,
        "real_name": user.real_name,
        "bot": user.is_bot,
        "deleted": user.deleted,
        "role": _role(world, user),
    }


def _role(world: World, user: User) -> str:
    """What the person stands for in the playground."""
    if user.is_bot:
        return "app"
    if user.is_outsider:
        return "outsider"
    if user.is_guest:
        return "guest"
    if user.id in world.groups[APPROVERS_GROUP].members:
        return "approver"
    return "requester" if user.id == ALICE else "member"


def _channel(channel: Channel) -> Json:
    return {
        "id": channel.id,
        "name": channel.name,
        "members": sorted(channel.members),
        "private": channel.is_private,
        "archived": channel.is_archived,
        "direct": channel.is_im,
        "shared": channel.is_ext_shared,
    }


def _message(message: Message) -> Json:
    return {
        "ts": message.ts,
        "channel": message.channel_id,
        "user": message.user,
        "text": message.text,
        "blocks": message.blocks,
        "thread_ts": message.thread_ts,
        "broadcast": message.broadcast,
        "only_for": message.ephemeral_to,
        "edited": message.edited is not None,
        "revisions": len(message.edits),
        "files": [_file(file) for file in message.files],
        "reactions": {name: list(users) for name, users in message.reactions.items()},
        "metadata": message.metadata,
    }


def _file(file: File) -> Json:
    text = file.text()
    return {
        "id": file.id,
        "name": file.name,
        "title": file.title or file.name,
        "size": len(file.content or b""),
        "preview": text[:PREVIEW_CHARACTERS],
        "cut": len(text) > PREVIEW_CHARACTERS,
    }


def _view(view: View) -> Json:
    return view.as_json() | {"user": view.user_id}


def _entry(entry: Entry) -> Json:
    return {
        "number": entry.number,
        "at": entry.at.isoformat(),
        "kind": entry.kind,
        "name": entry.name,
        "ok": entry.ok,
        "latency_ms": entry.latency_ms,
        "note": entry.note,
        "about": _about(entry)[:ABOUT_CHARACTERS],
    }


def _about(entry: Entry) -> str:
    """Who did what with it, in a few words."""
    request = entry.request
    if entry.kind != "delivery":
        return readable(str(request.get("text", "")))
    if "command" in request:
        return f"{request['user_name']} types {request['command']} {request['text']}"
    who = request.get("user", {}).get("name", "")
    used = ", ".join(action["action_id"] for action in request.get("actions", []))
    what = used or request.get("callback_id") or request.get("view", {}).get("callback_id", "")
    return f"{who}: {what}" if who and what else who
