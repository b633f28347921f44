"""The payloads Slack sends for commands, clicks, submissions and shortcuts, key by key.

Names are decoration, ids are what counts. It must never contain a key that Slack does not send.
"""

from typing import Any

from playground.slack.blocks import VALUE_KEYS, Json, Placed, choose, entry, state_values
from playground.slack.delivery import Delivery, new_envelope_id
from playground.slack.model import APP_ID, OTHER_TEAM_ID, TEAM_ID, Channel, Message, User, View
from playground.slack.state import World

TEAM = {"id": TEAM_ID, "domain": "demo-playground"}


def command(world: World, user: User, channel: Channel, *, line: tuple[str, str], base_url: str) -> Delivery:
    """A slash command; `line` is its name and what follows it."""
    name, text = line
    url_token = world.new_response_url(user_id=user.id, channel_id=channel.id)
    payload: Json = {
        "token": "verification-token",
        "team_id": user.team_id,
        "team_domain": TEAM["domain"],
        "channel_id": channel.id,
        "channel_name": "directmessage" if channel.is_im else _public_name(channel),
        "user_id": user.id,
        "user_name": user.name,
        "command": name,
        "text": text,
        "api_app_id": APP_ID,
        "is_enterprise_install": "false",
        "response_url": response_url(base_url, url_token),
        "trigger_id": world.new_trigger(user.id).id,
    }
    return _delivery(world, "slash_commands", name, payload, accepts_response=True)


def _public_name(channel: Channel) -> str:
    return "privategroup" if channel.is_private else channel.name


def response_url(base_url: str, token: str) -> str:
    return f"{base_url.removesuffix('/api/')}/response/{token}"


def message_click(world: World, user: User, message: Message, action: Json, *, base_url: str) -> Delivery:
    channel = world.channels[message.channel_id]
    ephemeral = message.ephemeral_to is not None
    url_token = world.new_response_url(user_id=user.id, channel_id=channel.id, message=message)
    container: Json = {
        "type": "message",
        "message_ts": message.ts,
        "channel_id": channel.id,
        "is_ephemeral": ephemeral,
    }
    if message.thread_ts:
        container["thread_ts"] = message.thread_ts
    payload = _interaction(world, user, "block_actions") | {
        "container": container,
        "channel": {"id": channel.id, "name": "directmessage" if channel.is_im else _public_name(channel)},
        "state": {"values": state_values(message.blocks, message.typed.get(user.id, {}))},
        "response_url": response_url(base_url, url_token),
        "actions": [action],
    }
    if not ephemeral:
        payload["message"] = message.as_json(full_metadata=True)
    return _delivery(world, "interactive", "block_actions", payload)


def view_click(world: World, user: User, view: View, action: Json) -> Delivery:
    payload = _interaction(world, user, "block_actions", view_id=view.id) | {
        "container": {"type": "view", "view_id": view.id},
        "view": view.as_json(),
        "actions": [action],
    }
    return _delivery(world, "interactive", "block_actions", payload)


def submission(world: World, user: User, view: View) -> Delivery:
    payload = _interaction(world, user, "view_submission", view_id=view.id)
    payload |= {"view": view.as_json(), "response_urls": []}
    return _delivery(world, "interactive", "view_submission", payload, accepts_response=True)


def closing(world: World, user: User, view: View, *, cleared: bool) -> Delivery:
    payload = _interaction(world, user, "view_closed") | {"view": view.as_json(), "is_cleared": cleared}
    del payload["trigger_id"]
    return _delivery(world, "interactive", "view_closed", payload)


def global_shortcut(world: World, user: User, callback_id: str) -> Delivery:
    payload = _without(_interaction(world, user, "shortcut"), "name") | {
        "callback_id": callback_id,
        "action_ts": _now(world),
    }
    return _delivery(world, "interactive", "shortcut", payload)


def message_shortcut(world: World, user: User, message: Message, *, callback_id: str, base_url: str) -> Delivery:
    channel = world.channels[message.channel_id]
    url_token = world.new_response_url(user_id=user.id, channel_id=channel.id, message=message)
    payload = _without(_interaction(world, user, "message_action"), "username") | {
        "callback_id": callback_id,
        "action_ts": _now(world),
        "message_ts": message.ts,
        "message": message.as_json(),
        "channel": {"id": channel.id, "name": _public_name(channel)},
        "response_url": response_url(base_url, url_token),
    }
    return _delivery(world, "interactive", "message_action", payload)


def action_of(world: World, placed: Placed, value: Any) -> Json:
    """What one use of an element looks like inside `actions`."""
    element = placed.element
    action: Json = {
        "action_id": placed.action_id,
        "block_id": placed.block_id,
        "type": element["type"],
        "action_ts": _now(world),
    }
    if element["type"] == "button":
        optional = {key: element[key] for key in ("value", "style", "confirm") if key in element}
        return action | {"text": element["text"]} | optional
    if element["type"] == "overflow":
        return action | {"selected_option": choose(element, value)}
    key = VALUE_KEYS[element["type"]]
    return action | {key: entry(element, value)[key]}


def _now(world: World) -> str:
    return world.clock.next_ts()


def _interaction(world: World, user: User, kind: str, *, view_id: str | None = None) -> Json:
    domain = "other-playground" if user.team_id == OTHER_TEAM_ID else TEAM["domain"]
    return {
        "type": kind,
        "team": {"id": user.team_id, "domain": domain},
        "user": {"id": user.id, "username": user.name, "name": user.name, "team_id": user.team_id},
        "api_app_id": APP_ID,
        "token": "verification-token",
        "enterprise": None,
        "is_enterprise_install": False,
        "trigger_id": world.new_trigger(user.id, view_id=view_id).id,
    }


def _without(payload: Json, name: str) -> Json:
    """A shortcut's payload: older than the others, it does not name the app and names the user in one way only."""
    user = {key: value for key, value in payload["user"].items() if key != name}
    return {key: value for key, value in payload.items() if key != "api_app_id"} | {"user": user}


def _delivery(world: World, kind: str, name: str, payload: Json, *, accepts_response: bool = False) -> Delivery:
    return Delivery(
        kind=kind,
        name=name,
        payload=payload,
        envelope_id=new_envelope_id(world),
        sent_at=world.clock.now(),
        accepts_response=accepts_response,
    )
