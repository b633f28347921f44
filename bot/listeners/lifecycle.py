"""Slack took our token away: say so in the log, and stop claiming to be ready."""

from __future__ import annotations

import structlog
from slack_bolt import App

from bot.listeners.visit import Desk, Visit, listen
from bot.payloads import Event

log = structlog.get_logger(__name__)


def register(app: App, desk: Desk) -> None:
    app.event("app_uninstalled")(listen(desk, gone))
    app.event("tokens_revoked")(listen(desk, revoked))


def gone(desk: Desk, visit: Visit) -> None:
    log.error("slack_app_uninstalled", team=visit.caller.person.team)
    desk.on_uninstalled("the app was uninstalled from the workspace: install it again")


def revoked(desk: Desk, visit: Visit) -> None:
    """Only the bot's own token matters; people's tokens are none of ours."""
    assert isinstance(visit.payload, Event)
    if visit.payload.event.tokens.get("bot"):
        log.error("slack_token_revoked", team=visit.caller.person.team)
        desk.on_uninstalled("the bot token was revoked: set SLACK_BOT_TOKEN to a new one")
