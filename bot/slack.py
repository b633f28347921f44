"""Builds the Bolt app, and asks Slack at start who we are and whether we may do what we need.

The app keeps no state and makes no network call of its own while it is built. Nothing here may pick a use case's
implementation or let Slack's payloads reach a log.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException

import structlog
from slack_bolt import App
from slack_bolt.authorization import AuthorizeResult
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web import SlackResponse

from bot import ids, listeners
from bot.listeners.visit import Desk
from bot.payloads import Identity
from engine.errors import DeliveryError, Misconfigured

log = structlog.get_logger(__name__)

LISTENERS = 60  #: threads that answer requests, as many as Socket Mode hands over at once; made when first needed
DIALOG_SECONDS = 2  #: a dialog must be open within three seconds of the click, so waiting longer helps nobody
_WRONG_TOKEN = frozenset({"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired"})


def listening_client(token: str, *, base_url: str) -> WebClient:
    """Return the client that listeners open dialogs with: impatient, and it never sends twice."""
    return WebClient(
        token=token, base_url=base_url, timeout=DIALOG_SECONDS, retry_handlers=[], logger=_quiet("slack_sdk.listening")
    )


def build_app(desk: Desk, client: WebClient, *, signing_secret: str = "") -> App:
    """Return the app with all listeners. Give ``signing_secret`` when requests come by HTTP."""
    token = client.token

    def authorize() -> AuthorizeResult:
        """Whoever asks: the one workspace we know. Who may ask is checked at the entrance."""
        us = desk.identity
        return AuthorizeResult(
            enterprise_id=us.enterprise or None,
            team_id=us.team,
            bot_user_id=us.bot_user,
            bot_id=us.bot or None,
            bot_token=token,
        )

    app = App(
        name="runbook-bot",
        logger=_quiet("slack_bolt.runbook"),
        client=client,
        authorize=authorize,
        signing_secret=signing_secret,
        token_verification_enabled=False,
        listener_executor=ThreadPoolExecutor(LISTENERS, thread_name_prefix="slack-listener"),
    )
    app.error(_not_acknowledged)
    listeners.register(app, desk)
    return app


def check_slack(client: WebClient, *, team: str = "") -> Identity:
    """Ask Slack who we are; refuse a wrong token, a wrong workspace or a missing scope, naming the cure."""
    us = _ask(client.auth_test, client)
    if team and us["team_id"] != team:
        raise Misconfigured(
            f"SLACK_BOT_TOKEN belongs to the workspace {us['team_id']}, but SLACK_TEAM_ID allows only {team}.",
            hint="Use that workspace's bot token, or change SLACK_TEAM_ID.",
        )
    _require_scopes(us)
    record = _ask(lambda: client.bots_info(bot=str(us["bot_id"])), client)
    return Identity(
        team=str(us["team_id"]),
        team_name=str(us.get("team") or ""),
        enterprise=str(us.get("enterprise_id") or ""),
        app=str(record["bot"]["app_id"]),
        bot_user=str(us["user_id"]),
        bot=str(us["bot_id"]),
    )


def _require_scopes(answer: SlackResponse) -> None:
    headers = {str(name).lower(): value for name, value in answer.headers.items()}
    granted = {scope.strip() for scope in str(headers.get("x-oauth-scopes", "")).split(",")}
    missing = [scope for scope in ids.BOT_SCOPES if scope not in granted]
    if missing:
        raise Misconfigured(
            f"The Slack app lacks the bot scope {', '.join(missing)}.",
            hint="api.slack.com/apps > your app > OAuth & Permissions > Bot Token Scopes: add it, then reinstall.",
        )


def _ask(call: object, client: WebClient) -> SlackResponse:
    assert callable(call)
    try:
        answer = call()
    except SlackApiError as error:
        code = str(error.response.get("error", "")) if isinstance(error.response, SlackResponse) else ""
        if code in _WRONG_TOKEN:
            raise Misconfigured(
                f"Slack does not accept SLACK_BOT_TOKEN ({code}).",
                hint="api.slack.com/apps > your app > OAuth & Permissions shows the token that begins with xoxb-.",
            ) from None
        raise DeliveryError(f"Slack answered {code or 'with an error'} at start.", hint="It is asked again.") from error
    except (SlackClientError, HTTPException, OSError) as error:
        raise DeliveryError(f"Slack cannot be reached at {client.base_url}.", hint="It is asked again.") from error
    assert isinstance(answer, SlackResponse)
    return answer


def _not_acknowledged(error: Exception) -> None:
    """Bolt's last resort: nothing could be recorded, so nothing is acknowledged and Slack shows its own warning."""
    log.error("request_not_acknowledged", exc_info=error)


def _quiet(name: str) -> logging.Logger:
    """Return a logger that lets only errors through: below that, Bolt and the SDK print bodies and signatures."""
    logger = logging.getLogger(name)
    logger.setLevel(logging.ERROR)
    return logger
