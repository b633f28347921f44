"""Socket Mode: two connections to Slack, so that one may be refreshed or lost without a gap.

Whoever holds the app-level token can open more connections, and Slack spreads requests over all of them. So the
number that Slack reports is compared with ours: a stranger's connection would swallow clicks.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import structlog
from slack_bolt import App
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_sdk.errors import SlackApiError, SlackClientError

from engine.errors import DeliveryError, Misconfigured
from engine.ports import Clock

log = structlog.get_logger(__name__)

CONNECTIONS = 2
PING_SECONDS = 3  #: the SDK needs several intervals to notice a dead peer: a minute with its default of 10
#: Threads per connection, each parked until its request is answered: while the database stalls, for two seconds. A
#: request that waited for a free one would be answered too late. Threads are made when they are first needed.
DISPATCHERS = 30
HANG_UP_TRIES, HANG_UP_SECONDS = 100, 0.1  #: ten seconds for the reader of a connection to end
_WRONG_TOKEN = frozenset(
    {"invalid_auth", "not_authed", "not_allowed_token_type", "missing_scope", "token_revoked", "token_expired"}
)
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, kw_only=True)
class Health:
    """How the connections stand."""

    connected: int
    wanted: int
    pong_age_seconds: float | None  #: since the freshest sign of life; None before the first
    reported: int  #: connections of this app that Slack counted last; 0 before the first greeting
    strangers: int  #: how many of those are more than all replicas of ours have

    @property
    def trouble(self) -> str:
        """Return what keeps us from being ready, or nothing."""
        return "" if self.connected else "no Socket Mode connection to Slack is open"


class SocketMode:
    """The connections of one process. ``replicas`` is how many processes share the app."""

    def __init__(self, app: App, app_token: str, *, clock: Clock, replicas: int = 1) -> None:
        self._clock = clock
        self._allowed = replicas * CONNECTIONS
        self._lock = threading.Lock()
        self._greeted: dict[int, int] = {}
        self._reported = 0
        self._strangers = 0
        self._handlers = tuple(self._handler(number, app, app_token) for number in range(CONNECTIONS))

    def start(self) -> None:
        """Connect; the SDK reconnects from then on."""
        for handler in self._handlers:
            try:
                handler.connect()  # type: ignore[no-untyped-call]
            except (SlackClientError, OSError) as error:
                _refuse_wrong_token(error)
                raise DeliveryError(
                    "Slack did not open a Socket Mode connection.", hint="It is tried again."
                ) from error

    def close(self) -> None:
        """Let what was received be answered, then hang up and end the connections' threads."""
        for handler in self._handlers:
            handler.client.message_workers.shutdown(wait=True)
        for handler in self._handlers:
            hang_up(handler)

    def health(self) -> Health:
        sessions = [handler.client.current_session for handler in self._handlers]
        pongs = [session.last_ping_pong_time for session in sessions if session and session.last_ping_pong_time]
        age = max(0.0, self._clock.now().timestamp() - max(pongs)) if pongs else None
        with self._lock:
            return Health(
                connected=sum(handler.client.is_connected() for handler in self._handlers),
                wanted=CONNECTIONS,
                pong_age_seconds=age,
                reported=self._reported,
                strangers=self._strangers,
            )

    def _handler(self, number: int, app: App, app_token: str) -> SocketModeHandler:
        handler = SocketModeHandler(
            app,
            app_token,
            logger=_quiet(),
            ping_interval=PING_SECONDS,
            concurrency=DISPATCHERS,
        )
        if urlsplit(app.client.base_url).hostname in _LOOPBACK:
            handler.client.proxy = None  # proxy variables would catch even a local playground, NO_PROXY or not
        handler.client.message_listeners.append(partial(self._heard, number))
        return handler

    def _heard(self, number: int, _client: object, message: Mapping[str, Any], _raw: str | None = None) -> None:
        """Count at each greeting. A refresh opens the new connection before it closes the old one."""
        if message.get("type") != "hello":
            return
        reported = int(message.get("num_connections") or 0)
        with self._lock:
            refreshing = 1 if number in self._greeted else 0
            self._greeted[number] = reported
            self._reported = reported
            self._strangers = max(0, reported - self._allowed - refreshing)
            strangers = self._strangers
        if strangers:
            log.error("slack_strange_connections", reported=reported, ours=self._allowed, cure="rotate SLACK_APP_TOKEN")


def _refuse_wrong_token(error: Exception) -> None:
    """A token that Slack knows nothing of, or that lacks its scope, does not get better by trying again."""
    code = str(error.response.get("error", "")) if isinstance(error, SlackApiError) else ""
    if code in _WRONG_TOKEN:
        raise Misconfigured(
            f"Slack does not accept SLACK_APP_TOKEN ({code}).",
            hint="api.slack.com/apps > your app > Basic Information > App-Level Tokens: one with connections:write.",
        ) from None


def hang_up(handler: SocketModeHandler) -> None:
    """Close one connection, first waking the SDK's threads out of their waits: they would take three seconds.

    The woken reader closes the socket too. When it does so between the SDK's look at the socket and its lock, the
    SDK stumbles over a socket that is gone, and has to be called again for the rest of its closing. A reader that
    only begins takes the sign back with which it was told to end, so it is told until it has ended.
    """
    reader = handler.client.current_session_runner
    reader.event.set()
    for _ in range(HANG_UP_TRIES):
        _wake(handler)
        if not reader.is_alive():
            break
        reader.thread.join(HANG_UP_SECONDS)
    try:
        handler.close()  # type: ignore[no-untyped-call]
    except AttributeError:
        handler.close()  # type: ignore[no-untyped-call]


def _wake(handler: SocketModeHandler) -> None:
    client = handler.client
    client.closed = True
    client.auto_reconnect_enabled = False
    client.current_session_state.terminated = True
    client.message_queue.put(None)
    wire = client.current_session.sock if client.current_session else None
    if wire is not None:
        with contextlib.suppress(OSError):
            wire.shutdown(socket.SHUT_RDWR)


def _quiet() -> logging.Logger:
    """Return a logger that lets only errors through: below that, the SDK prints what it receives."""
    logger = logging.getLogger("slack_sdk.socket_mode.runbook")
    logger.setLevel(logging.ERROR)
    return logger
