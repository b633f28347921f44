"""`chat.*` and `reactions.*`: posting, editing and deleting messages under Slack's rules.

A bot may change its own messages only; the membership rules decide where it may post. Nothing here must
bypass the per-channel rate.
"""

from typing import Any

from playground.slack.api import ApiError, Call, Method, RateLimited
from playground.slack.blocks import Json
from playground.slack.content import checked_metadata, content_of
from playground.slack.model import BOT_USER_ID, Channel, Message, Revision

UNFURL_FLAGS = ("unfurl_links", "unfurl_media")


def post_message(call: Call) -> Json:
    channel = target_channel(call)
    text, blocks = content_of(call.world, call.args)
    metadata = checked_metadata(call.args)
    thread_ts = _thread(call, channel)
    wait = call.limiter.post(channel.id)
    if wait:
        raise RateLimited(wait)
    message = call.world.post(
        channel,
        user=BOT_USER_ID,
        text=text,
        blocks=blocks or [],
        thread_ts=thread_ts,
        broadcast=bool(thread_ts) and call.flag("reply_broadcast"),
        metadata=metadata or None,
        extras={flag: call.flag(flag) for flag in UNFURL_FLAGS if flag in call.args},
    )
    return {"channel": channel.id, "ts": message.ts, "message": message.as_json()}


def target_channel(call: Call) -> Channel:
    """Where to post: a channel id, a #name, or a person's id for a direct message."""
    wanted = str(call.need("channel"))
    world = call.world
    if wanted in world.users:
        return world.direct_channel(wanted)
    named = [each for each in world.channels.values() if wanted in {each.id, each.name, f"#{each.name}"}]
    if not named or not call.sees(named[0]):
        raise ApiError("channel_not_found")
    check_may_post(call, named[0])
    return named[0]


def check_may_post(call: Call, channel: Channel) -> None:
    if channel.is_archived:
        raise ApiError("is_archived")
    if not call.is_member(channel) and "chat:write.public" not in call.world.app.scopes:
        raise ApiError("not_in_channel")


def _thread(call: Call, channel: Channel) -> str | None:
    """The parent's ts; anything else, a number say, makes no thread and the reply lands in the channel."""
    wanted = call.args.get("thread_ts")
    if not isinstance(wanted, str) or not wanted:
        return None
    parent = channel.find(wanted)
    return parent.ts if parent and not parent.is_reply else None


def update(call: Call) -> Json:
    channel = call.channel()
    message = own_message(channel, str(call.need("ts")), refusal="cant_update_message")
    if call.flag("reply_broadcast") and not message.broadcast:
        return _broadcast(call, channel, message)
    text, blocks = content_of(call.world, call.args, update=True)
    metadata = checked_metadata(call.args)
    before = message.as_json()
    revise(message, text=text, blocks=blocks, now=call.world.clock.next_ts())
    if metadata is not None:
        message.metadata = metadata or None
    announce_change(call, channel, message, before)
    return _updated(channel, message)


def _updated(channel: Channel, message: Message) -> Json:
    """The answer to an update: its message carries no ts of its own."""
    content = {key: value for key, value in message.as_json().items() if key != "ts"}
    return {"channel": channel.id, "ts": message.ts, "text": message.text, "message": content}


def revise(message: Message, *, text: str, blocks: list[Json] | None, now: str) -> None:
    """Replace the content: text alone takes the blocks away and marks the message as edited."""
    message.edits.append(Revision(text=message.text, blocks=message.blocks))
    message.text = text or message.text
    message.blocks = blocks or []
    if blocks is None:
        message.edited = {"user": message.user, "ts": now}


def announce_change(call: Call, channel: Channel, message: Message, before: Json) -> None:
    ts = call.world.clock.next_ts()
    body: Json = {
        "type": "message",
        "subtype": "message_changed",
        "ts": ts,
        "event_ts": ts,
        "hidden": True,
        "message": message.as_json(),
        "previous_message": before,
    }
    call.world.emit_message(channel, body)
    call.world.touch()


def _broadcast(call: Call, channel: Channel, message: Message) -> Json:
    if any(call.args.get(key) for key in ("text", "blocks", "attachments", "metadata")):
        raise ApiError("no_dual_broadcast_content_update")
    if not message.is_reply:
        raise ApiError("cant_broadcast_message")
    message.broadcast = True
    call.world.touch()
    return _updated(channel, message)


def own_message(channel: Channel, ts: str, *, refusal: str) -> Message:
    message = channel.find(ts)
    if message is None:
        raise ApiError("message_not_found")
    if message.user != BOT_USER_ID:
        raise ApiError(refusal)
    return message


def delete(call: Call) -> Json:
    channel = call.channel()
    message = own_message(channel, str(call.need("ts")), refusal="cant_delete_message")
    channel.messages.remove(message)
    ts = call.world.clock.next_ts()
    body = {"type": "message", "subtype": "message_deleted", "hidden": True, "ts": ts, "event_ts": ts}
    call.world.emit_message(channel, body | {"deleted_ts": message.ts, "previous_message": message.as_json()})
    call.world.touch()
    return {"channel": channel.id, "ts": message.ts}


def post_ephemeral(call: Call) -> Json:
    channel = call.channel()
    check_may_post(call, channel)
    user_id = str(call.need("user"))
    if user_id not in channel.members:
        raise ApiError("user_not_in_channel")
    text, blocks = content_of(call.world, call.args)
    thread_ts = call.args.get("thread_ts")
    message = call.world.whisper(channel.id, user_id, text=text, blocks=blocks or [], thread_ts=thread_ts)
    return {"message_ts": message.ts}


def permalink(call: Call) -> Json:
    channel = call.channel()
    ts = str(call.need("message_ts"))
    if channel.find(ts) is None:
        raise ApiError("message_not_found")
    host = call.base_url.removesuffix("/api/")
    return {"channel": channel.id, "permalink": f"{host}/archives/{channel.id}/p{ts.replace('.', '')}"}


def react(call: Call) -> Json:
    message, name, people = _reaction(call)
    if BOT_USER_ID in people:
        raise ApiError("already_reacted")
    message.reactions.setdefault(name, []).append(BOT_USER_ID)
    call.world.touch()
    return {}


def unreact(call: Call) -> Json:
    message, name, people = _reaction(call)
    if BOT_USER_ID not in people:
        raise ApiError("no_reaction")
    people.remove(BOT_USER_ID)
    if not people:
        del message.reactions[name]
    call.world.touch()
    return {}


def _reaction(call: Call) -> tuple[Message, str, list[str]]:
    message = call.channel().find(str(call.need("timestamp")))
    if message is None:
        raise ApiError("message_not_found")
    name = str(call.need("name"))
    if not name.replace("_", "").replace("-", "").replace("+", "").isalnum():
        raise ApiError("invalid_name")
    return message, name, message.reactions.get(name, [])


def _method(handler: Any, *scopes: str, tier: int | None = None) -> Method:
    return Method(handler=handler, scopes=scopes, tier=tier)


METHODS = {
    "chat.postMessage": _method(post_message, "chat:write"),
    "chat.update": _method(update, "chat:write", tier=3),
    "chat.delete": _method(delete, "chat:write", tier=3),
    "chat.postEphemeral": _method(post_ephemeral, "chat:write", tier=4),
    "chat.getPermalink": _method(permalink),
    "reactions.add": _method(react, "reactions:write", tier=3),
    "reactions.remove": _method(unreact, "reactions:write", tier=2),
}
