"""Who is a full, active human member of our workspace, and where the bot may post. Slack is asked, and no answer is no.

Answers are kept for a minute; failures are not kept. Nothing here may ever trust a name, or let a person pass
because something about them is missing or new to us.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from http.client import HTTPException
from threading import Lock
from typing import Any

import structlog
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError

from engine.errors import NotAllowed, Precondition, Unverifiable
from engine.model import Person, Place
from engine.ports import Clock

log = structlog.get_logger(__name__)

TIMEOUT_SECONDS = 1.5  #: a click waits for it, and Slack waits three seconds for the answer to the click
KEEP = timedelta(seconds=60)
KEPT_MAX = 5000
INVITE = "`/invite @Runbook Bot`"
ASK_MEMBER = "Ask a full member of this workspace to do it."

#: flags of a user that must be there and be false; one that is missing is as bad as one that is true
MUST_BE_FALSE: Mapping[str, str] = {
    "deleted": "Your account is deactivated.",
    "is_bot": "Apps and workflows cannot do this; only people can.",
    "is_restricted": "Guests cannot do this.",
    "is_ultra_restricted": "Guests cannot do this.",
}
#: flags that Slack only sets for some accounts; they must not be true
MUST_NOT_BE_TRUE: Mapping[str, str] = {
    "is_app_user": "Apps and workflows cannot do this; only people can.",
    "is_connector_bot": "Apps and workflows cannot do this; only people can.",
    "is_invited_user": "You have not accepted the invitation to this workspace yet.",
    "is_stranger": "You belong to another workspace.",
    "is_workflow_bot": "Apps and workflows cannot do this; only people can.",
}
SLACKBOT = "USLACKBOT"  #: Slack's own; its record says that it is no bot


@dataclass(frozen=True)
class _Known:
    name: str
    refusal: str
    until: datetime


class SlackDirectory:
    """See ``engine.ports.Directory``. For one workspace, inside its enterprise if it has one."""

    def __init__(self, client: WebClient, clock: Clock, *, team: str, enterprise: str = "") -> None:
        self._client = WebClient(
            token=client.token,
            base_url=client.base_url,
            timeout=TIMEOUT_SECONDS,  # type: ignore[arg-type]  # handed on to urllib, which takes fractions
            ssl=client.ssl,
            proxy=client.proxy,
            headers=client.headers,
            retry_handlers=[],
        )
        self._clock = clock
        self._team = team
        self._enterprise = enterprise
        self._known: dict[str, _Known] = {}
        self._lock = Lock()

    def require_member(self, person: Person) -> str:
        """Return the display name of a full, active human member of our workspace; else raise ``NotAllowed``."""
        if person.team != self._team or person.enterprise != self._enterprise:
            raise NotAllowed("You belong to another workspace.", hint=ASK_MEMBER)
        known = self._kept(person.user) or self._keep(person.user, self._ask(person.user))
        if known.refusal:
            raise NotAllowed(known.refusal, hint=ASK_MEMBER)
        return known.name

    def require_postable(self, place: Place) -> None:
        """Return if the bot may post there; else raise ``Precondition`` saying how to invite it."""
        if place.team != self._team:
            raise Precondition("This channel belongs to another workspace.", hint="Use a channel of this workspace.")
        channel = self._channel(place.channel)
        if refusal := channel_refusal(channel):
            raise Precondition(refusal[0], hint=refusal[1])

    def forget(self) -> None:
        """Drop what is known, so that everything is asked anew."""
        with self._lock:
            self._known.clear()

    # ------------------------------------------------------------ people

    def _kept(self, user: str) -> _Known | None:
        with self._lock:
            known = self._known.get(user)
        return known if known and self._clock.now() < known.until else None

    def _keep(self, user: str, record: Mapping[str, Any]) -> _Known:
        refusal = member_refusal(record, user=user, team=self._team, enterprise=self._enterprise)
        known = _Known(display_name(record), refusal, self._clock.now() + KEEP)
        with self._lock:
            if len(self._known) >= KEPT_MAX:
                self._known.clear()
            self._known[user] = known
        return known

    def _ask(self, user: str) -> Mapping[str, Any]:
        try:
            answer = self._client.users_info(user=user)
        except (SlackClientError, HTTPException, OSError) as error:
            reason = _reason(error)
            log.warning("member_not_looked_up", user=user, reason=reason)
            if reason in {"user_not_found", "user_not_visible"}:
                raise NotAllowed("You are not a member of this workspace.", hint=ASK_MEMBER) from None
            raise Unverifiable(
                "Slack could not be asked whether you are a full member of this workspace, so nothing was done.",
                hint="Try again in a moment.",
            ) from None
        record = answer.get("user")
        return record if isinstance(record, dict) else {}

    # ------------------------------------------------------------ places

    def _channel(self, channel: str) -> Mapping[str, Any]:
        try:
            answer = self._client.conversations_info(channel=channel)
        except (SlackClientError, HTTPException, OSError) as error:
            reason = _reason(error)
            log.warning("channel_not_looked_up", channel=channel, reason=reason)
            if reason in {"channel_not_found", "method_not_supported_for_channel_type", "missing_scope"}:
                raise Precondition(
                    "The bot cannot see this conversation, so a session could not be shown in it.",
                    hint=f"Write {INVITE} in the channel, then start again.",
                ) from None
            raise Unverifiable(
                "Slack could not be asked whether the bot may post here, so nothing was started.",
                hint="Try again in a moment.",
            ) from None
        record = answer.get("channel")
        return record if isinstance(record, dict) else {}


def member_refusal(record: Mapping[str, Any], *, user: str, team: str, enterprise: str = "") -> str:
    """Say why a person of Slack's record may not do anything here; empty for a full, active human member."""
    if record.get("id") != user or user == SLACKBOT:
        return "You are not a member of this workspace."
    for flag, refusal in MUST_BE_FALSE.items():
        if record.get(flag) is not False:
            return refusal if record.get(flag) is True else _unclear(flag)
    for flag, refusal in MUST_NOT_BE_TRUE.items():
        if record.get(flag) not in (None, False):
            return refusal
    return "" if _belongs(record, team, enterprise) else "You belong to another workspace."


def channel_refusal(record: Mapping[str, Any]) -> tuple[str, str] | None:
    """Say why a session cannot be shown in a channel, and the cure; None when it can."""
    if record.get("is_im") is True or record.get("is_mpim") is True:
        return "A session needs a channel, where its approvers can see it.", "Start it in a channel."
    if record.get("is_archived") is not False:
        return "This channel is archived.", "Unarchive it or use another channel."
    if record.get("is_ext_shared") is not False or record.get("is_pending_ext_shared") is True:
        return "This channel is shared with another organisation, where outsiders would read along.", (
            "Use a channel of this workspace alone."
        )
    if record.get("is_member") is not True:
        return "The bot is not in this channel.", f"Write {INVITE} in it, then start again."
    return None


def display_name(record: Mapping[str, Any]) -> str:
    """Return the name that people know somebody by; decoration only."""
    profile = record.get("profile")
    shown = profile.get("display_name") if isinstance(profile, dict) else ""
    return str(shown or record.get("real_name") or record.get("name") or "")


def _belongs(record: Mapping[str, Any], team: str, enterprise: str) -> bool:
    if record.get("team_id") == team:
        return True
    grid = record.get("enterprise_user")
    if not enterprise or not isinstance(grid, dict) or grid.get("enterprise_id") != enterprise:
        return False
    teams = grid.get("teams")
    return isinstance(teams, list) and team in teams


def _unclear(flag: str) -> str:
    return f"Slack does not say whether you are a full member of this workspace ({flag} is missing)."


def _reason(error: BaseException) -> str:
    """Return a short word for what went wrong, without the request or the answer."""
    if isinstance(error, SlackApiError):
        return str(error.response.get("error") or "")[:80]
    return type(error).__name__
