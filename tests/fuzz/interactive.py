"""Target ``payload``: any JSON that Slack could have signed is a typed payload, a refusal, or none of ours."""

from __future__ import annotations

from typing import Any

from bot.payloads import _KINDS, Identity, Payload, Submission, caller_of, check, read
from bot.slack_http import Rejected, parse_once
from engine.errors import InvalidInput, NotAllowed
from tests.fuzz.target import Target, hidden_in, is_storable

US = Identity(team="T0DEMO", app="A0RUNBOOKBOT", bot_user="U0RUNBOOKBOT")


def call(data: bytes) -> None:
    try:
        body = parse_once(data, "application/json")
    except Rejected as rejected:
        assert rejected.status == 400
        return
    try:
        payload = read(body)
    except InvalidInput as refusal:
        assert refusal.message.startswith("Slack sent something unexpected: "), refusal.message
        assert not hidden_in(str(refusal)), f"a refusal repeats what nobody can see: {str(refusal)!r}"
        return
    if payload is None:
        assert "command" not in body, "a command that nobody reads"
        assert str(body.get("type")) not in _KINDS, "a kind that nobody reads"
        return
    _judge(payload, body)


def _judge(payload: Payload, body: dict[str, Any]) -> None:
    caller = caller_of(payload)
    assert 0 < len(caller.delivery) <= 200
    assert caller == caller_of(payload)
    stored = [str(caller.actor), caller.actor.name, caller.delivery, caller.reply.thread_ts, caller.reply.response_url]
    stored += [caller.person.user, caller.person.team, caller.person.enterprise, caller.trigger]
    stored += [caller.place.channel, caller.place.team] if caller.place else []
    if isinstance(payload, Submission):
        stored += [*payload.view.inputs().values(), payload.view.private_metadata, payload.view.callback_id]
    for text in stored:
        assert is_storable(text), f"no database takes {text!r}"
    if _enters(payload):
        assert _is_ours(body), "somebody of another workspace got in"


def _enters(payload: Payload) -> bool:
    try:
        check(payload, US)
    except NotAllowed:
        return False
    return True


def _is_ours(body: dict[str, Any]) -> bool:
    """Look at the identity in our own way: every team that the body names for the person is ours."""
    shortcut = body.get("type") in {"shortcut", "message_action"}  # Slack does not always say which app these are for
    if (body.get("api_app_id") or (US.app if shortcut else "")) != US.app or body.get("enterprise_id"):
        return False
    if "command" in body or body.get("type") == "event_callback":
        return bool(body.get("team_id") == US.team)
    user, team, enterprise = (body.get(name) or {} for name in ("user", "team", "enterprise"))
    return bool(user.get("team_id") == US.team == team.get("id") and not enterprise.get("id"))


PAYLOAD = Target(
    name="payload",
    holds="what Slack sends is typed, refused or not ours, and only our own workspace gets in",
    call=call,
    words=(
        *_KINDS,
        "T0DEMO",
        "U0ALICE",
        "A0RUNBOOKBOT",
        '"team_id"',
        '"user"',
        '"view"',
        '"state"',
        '"values"',
        "\\ud800",
        "\\u0000",
    ),
)
