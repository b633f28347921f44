"""Answers outside the Web API: response URLs and messages that ride on an acknowledgement.

Both can post where the bot may not post. A message never turns from ephemeral to public by replacing it, and
a person's own command line cannot be changed. It must never answer with anything that Slack would not show.
"""

from playground.slack.api import ApiError
from playground.slack.blocks import Json
from playground.slack.content import content_of
from playground.slack.limits import RateLimiter
from playground.slack.model import BOT_USER_ID, Message, Revision
from playground.slack.state import ResponseUrl, World


def answer_response_url(world: World, limiter: RateLimiter, token: str, args: Json) -> tuple[int, str]:
    """Use a response URL once; HTTP status and body as Slack sends them."""
    with world.lock:
        url = world.use_response_url(token)
        if isinstance(url, str):
            return 404, url
        if args.get("response_type") == "in_channel" and limiter.post(url.channel_id):
            url.uses -= 1
            return 429, "ratelimited"
        try:
            _apply(world, url, args)
        except ApiError as problem:
            return 400, problem.code
        return 200, "ok"


def show_reply(world: World, *, user_id: str, channel_id: str, reply: Json) -> Message | None:
    """Show the message that came with a command's acknowledgement; None when there was none."""
    if not reply.get("text") and not reply.get("blocks"):
        return None
    with world.lock:
        url = ResponseUrl(token="", user_id=user_id, channel_id=channel_id, created=world.clock.now())
        return _post(world, url, reply)


def _apply(world: World, url: ResponseUrl, args: Json) -> None:
    origin = _origin(world, url)
    if args.get("delete_original") in (True, "true"):
        _delete(world, url, origin)
    elif args.get("replace_original") in (True, "true") and origin is not None:
        _replace(world, url, origin, args)
    else:
        _post(world, url, args)


def _origin(world: World, url: ResponseUrl) -> Message | None:
    if url.message_ts is None:
        return None
    if url.ephemeral:
        mine = world.ephemerals.get(url.user_id, [])
        return next((message for message in mine if message.ts == url.message_ts), None)
    return world.channels[url.channel_id].find(url.message_ts)


def _delete(world: World, url: ResponseUrl, origin: Message | None) -> None:
    if origin is None:
        raise ApiError("message_not_found")
    home = world.ephemerals[url.user_id] if url.ephemeral else world.channels[url.channel_id].messages
    home.remove(origin)
    world.touch()


def _replace(world: World, url: ResponseUrl, origin: Message, args: Json) -> None:
    text, blocks = content_of(world, args)
    before = origin.as_json()
    origin.edits.append(Revision(text=origin.text, blocks=origin.blocks))
    origin.text, origin.blocks = text, blocks or []
    if not url.ephemeral:
        ts = world.clock.next_ts()
        body = {"type": "message", "subtype": "message_changed", "ts": ts, "hidden": True}
        change = {"message": origin.as_json(), "previous_message": before}
        world.emit_message(world.channels[url.channel_id], body | change)
    world.touch()


def _post(world: World, url: ResponseUrl, args: Json) -> Message:
    text, blocks = content_of(world, args)
    public = args.get("response_type") == "in_channel"
    keeps_original = args.get("replace_original") in (False, "false")
    thread_ts = args.get("thread_ts") if public and keeps_original else None
    if public:
        channel = world.channels[url.channel_id]
        return world.post(channel, user=BOT_USER_ID, text=text, blocks=blocks or [], thread_ts=thread_ts)
    return world.whisper(url.channel_id, url.user_id, text=text, blocks=blocks or [])
