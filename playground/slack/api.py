"""The Web API's front door: find the method, check token, scopes and rates, call it, write the journal.

Business errors are answered with HTTP 200 and `ok: false`, as Slack does; other status codes are for limits
and faults only. It must never let a refused call change anything.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from playground.slack.blocks import Json
from playground.slack.limits import RateLimiter
from playground.slack.model import BOT_USER_ID, Channel
from playground.slack.state import World

JSON_FIELDS = frozenset({"attachments", "blocks", "files", "metadata", "outputs", "view"})


class ApiError(Exception):
    """A business error: answered as `ok: false` with this code."""

    def __init__(self, code: str, **details: Any) -> None:
        super().__init__(code)
        self.code = code
        self.details = details


class RateLimited(Exception):
    """Too many calls: answered as HTTP 429 with Retry-After."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"retry after {seconds} s")
        self.seconds = seconds


@dataclass(frozen=True)
class Call:
    """One call of a method, ready for its handler."""

    world: World
    limiter: RateLimiter
    method: str
    args: Json
    base_url: str

    def need(self, name: str) -> Any:
        """An argument that must be there."""
        value = self.args.get(name)
        if value is None or value == "":
            raise ApiError(
                "invalid_arguments",
                response_metadata={"messages": [f"[ERROR] missing required field: {name}"]},
            )
        return value

    def flag(self, name: str) -> bool:
        return self.args.get(name) in (True, "true", "1", 1)

    def number(self, name: str, default: int) -> int:
        value = str(self.args.get(name) or default)
        if not value.isdigit() or not 1 <= int(value) <= 1000:
            raise ApiError("invalid_limit")
        return int(value)

    def channel(self, name: str = "channel") -> Channel:
        """The channel, if the bot may know of it."""
        channel = self.world.channels.get(str(self.need(name)))
        if channel is None or not self.sees(channel):
            raise ApiError("channel_not_found")
        return channel

    def sees(self, channel: Channel) -> bool:
        return self.is_member(channel) or not (channel.is_private or channel.is_im)

    def is_member(self, channel: Channel) -> bool:
        return BOT_USER_ID in channel.members

    def require_scope(self, *any_of: str) -> None:
        """Refuse unless the app holds one of these scopes."""
        held = self.world.app.scopes
        if not held & set(any_of):
            provided = ",".join(sorted(held))
            raise ApiError("missing_scope", needed=",".join(sorted(any_of)), provided=provided)

    def page(self, items: list[Any], *, default: int = 100) -> tuple[list[Any], Json]:
        """One page of a list and the cursor to the next one."""
        cursor = str(self.args.get("cursor") or "0")
        if not cursor.isdigit() or int(cursor) > len(items):
            raise ApiError("invalid_cursor")
        start = int(cursor)
        end = start + self.number("limit", default)
        return items[start:end], {"next_cursor": str(end) if end < len(items) else ""}


Handler = Callable[[Call], Json]


@dataclass(frozen=True, kw_only=True)
class Method:
    """A Web API method: who may call it, how often, and what does the work."""

    handler: Handler
    scopes: tuple[str, ...] = ()
    tier: int | None = None
    token: str = "bot"


def dispatch(call: Call, method: Method, token: str | None) -> Json:
    """Do the checks in Slack's order and run the method under the world's lock."""
    with call.world.lock:
        _check_token(call.world, method, token)
        if method.scopes:
            call.require_scope(*method.scopes)
        wait = call.limiter.method(call.method, method.tier)
        if wait:
            raise RateLimited(wait)
        return {"ok": True} | method.handler(call)


def _check_token(world: World, method: Method, token: str | None) -> None:
    if not token:
        raise ApiError("not_authed")
    known = {world.app.bot_token: "bot", world.app.app_token: "app"}
    if token not in known:
        raise ApiError("invalid_auth")
    if known[token] != method.token:
        raise ApiError("not_allowed_token_type")
    if world.revoked:
        raise ApiError("token_revoked")


def failure(problem: ApiError) -> Json:
    return {"ok": False, "error": problem.code} | problem.details


def parse_arguments(content_type: str, body: bytes, query: Mapping[str, str]) -> Json:
    """Arguments from the query, a JSON body or a form; JSON inside form fields is unpacked."""
    args: Json = dict(query)
    if content_type == "application/json":
        return args | _json_object(body)
    fields = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
    return unpack_json_fields(args | dict(fields))


def unpack_json_fields(args: Json) -> Json:
    """Replace JSON text in the fields that hold structures, as other SDKs send it."""
    return {key: _unpacked(key, value) for key, value in args.items()}


def _unpacked(key: str, value: Any) -> Any:
    if key not in JSON_FIELDS or not isinstance(value, str) or not value.startswith(("{", "[")):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _json_object(body: bytes) -> Json:
    if not body.strip():
        return {}
    try:
        parsed = json.loads(body)
    except ValueError:
        raise ApiError("invalid_json") from None
    if not isinstance(parsed, dict):
        raise ApiError("json_not_object")
    return unpack_json_fields(parsed)
