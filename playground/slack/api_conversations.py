"""`conversations.*`: what the bot may learn about channels and their messages.

Scopes depend on the sort of channel; a private channel without the bot does not exist for it. Message
metadata is shown in full only when asked for.
"""

from playground.slack.api import ApiError, Call, Method
from playground.slack.blocks import Json
from playground.slack.model import BOT_USER_ID, Channel, Message

TYPES = {"public_channel": "channels", "private_channel": "groups", "im": "im", "mpim": "mpim"}


def info(call: Call) -> Json:
    channel = _readable(call, "read")
    return {"channel": channel.as_json() | (_counted(channel) if call.flag("include_num_members") else {})}


def _counted(channel: Channel) -> Json:
    return {"num_members": len(channel.members)}


def members(call: Call) -> Json:
    channel = _readable(call, "read")
    page, cursor = call.page(sorted(channel.members))
    return {"members": page, "response_metadata": cursor}


def list_all(call: Call) -> Json:
    kinds = _kinds(call)
    for kind in kinds:
        call.require_scope(f"{kind}:read")
    found = [channel for channel in call.world.channels.values() if channel.kind in kinds and call.sees(channel)]
    if call.flag("exclude_archived"):
        found = [channel for channel in found if not channel.is_archived]
    page, cursor = call.page(found)
    return {"channels": [channel.as_json() | _counted(channel) for channel in page], "response_metadata": cursor}


def _kinds(call: Call) -> list[str]:
    names = str(call.args.get("types") or "public_channel").split(",")
    if unknown := [name for name in names if name.strip() not in TYPES]:
        raise ApiError("invalid_types", detail=unknown)
    return [TYPES[name.strip()] for name in names]


def history(call: Call) -> Json:
    channel = _readable(call, "history", member=True)
    shown = [message for message in channel.messages if not message.is_reply or message.broadcast]
    rare = {"channel_actions_count": 0, "channel_actions_ts": None}
    return _messages(call, channel, list(reversed(_between(call, shown)))) | rare


def replies(call: Call) -> Json:
    channel = _readable(call, "history", member=True)
    parent = channel.find(str(call.need("ts")))
    if parent is None:
        raise ApiError("thread_not_found")
    rest = [message for message in channel.messages if message.thread_ts == parent.ts and message != parent]
    return _messages(call, channel, [parent, *_between(call, rest)])


def _messages(call: Call, channel: Channel, messages: list[Message]) -> Json:
    page, cursor = call.page(messages)
    full = call.flag("include_all_metadata")
    shown = [message.as_json(full_metadata=full) | _thread_summary(channel, message) for message in page]
    more = bool(cursor["next_cursor"])
    return {"messages": shown, "has_more": more, "response_metadata": cursor if more else {}}


def _thread_summary(channel: Channel, parent: Message) -> Json:
    answers = [each for each in channel.messages if each.thread_ts == parent.ts and each.ts != parent.ts]
    if not answers:
        return {}
    people = sorted({answer.user for answer in answers})
    summary: Json = {"thread_ts": parent.ts, "reply_count": len(answers), "reply_users": people}
    return summary | {"reply_users_count": len(people), "latest_reply": answers[-1].ts}


def _between(call: Call, messages: list[Message]) -> list[Message]:
    oldest = _moment(call, "oldest", 0.0)
    latest = _moment(call, "latest", float("inf"))
    if call.flag("inclusive"):
        return [message for message in messages if oldest <= float(message.ts) <= latest]
    return [message for message in messages if oldest < float(message.ts) < latest]


def _moment(call: Call, name: str, default: float) -> float:
    try:
        return float(call.args.get(name) or default)
    except ValueError:
        raise ApiError(f"invalid_ts_{name}") from None


def open_direct(call: Call) -> Json:
    call.require_scope("channels:manage", "groups:write", "im:write", "mpim:write")
    wanted = [each for each in str(call.args.get("users") or "").split(",") if each]
    if not wanted:
        raise ApiError("users_list_not_supplied")
    if len(wanted) > 1:
        raise ApiError("method_not_supported_for_channel_type")  # group messages are not modelled
    user = call.world.users.get(wanted[0])
    if user is None or user.is_bot:
        raise ApiError("user_not_found")
    if user.deleted:
        raise ApiError("user_disabled")
    known = any(channel.is_im and user.id in channel.members for channel in call.world.channels.values())
    channel = call.world.direct_channel(user.id)
    record = channel.as_json() if call.flag("return_im") else {"id": channel.id}
    return {"channel": record} | ({"no_op": True, "already_open": True} if known else {})


def join(call: Call) -> Json:
    channel = call.channel()
    if channel.is_archived:
        raise ApiError("is_archived")
    if channel.kind != "channels":
        raise ApiError("method_not_supported_for_channel_type")
    already = call.is_member(channel)
    channel.members.add(BOT_USER_ID)
    call.world.touch()
    return {"channel": channel.as_json()} | ({"warning": "already_in_channel"} if already else {})


def _readable(call: Call, right: str, *, member: bool = False) -> Channel:
    """The channel, if scope and membership allow to read it."""
    call.require_scope(*(f"{kind}:{right}" for kind in TYPES.values()))
    channel = call.channel()
    call.require_scope(f"{channel.kind}:{right}")
    if member and not call.is_member(channel):
        raise ApiError("not_in_channel")
    return channel


METHODS = {
    "conversations.info": Method(handler=info, tier=3),
    "conversations.list": Method(handler=list_all, tier=2),
    "conversations.members": Method(handler=members, tier=4),
    "conversations.history": Method(handler=history, tier=3),
    "conversations.replies": Method(handler=replies, tier=3),
    "conversations.open": Method(handler=open_direct, tier=3),
    "conversations.join": Method(handler=join, scopes=("channels:join",), tier=3),
}
