"""A workspace per test, the official client for its Web API, and a way to run a real Bolt app against it."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from slack_bolt import App
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_sdk import WebClient

from bot.socket_mode import hang_up
from playground.slack import SlackWorkspace

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch):
    """The SDK sends even loopback sockets through a proxy named in the environment."""
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def ws() -> Iterator[SlackWorkspace]:
    with SlackWorkspace.start() as workspace:
        yield workspace


def web_client(workspace: SlackWorkspace, **settings: Any) -> WebClient:
    settings.setdefault("retry_handlers", [])
    return WebClient(workspace.bot_token, base_url=workspace.base_url, timeout=30, **settings)


@pytest.fixture
def new_client() -> Callable[..., WebClient]:
    return web_client


@pytest.fixture
def client(ws: SlackWorkspace) -> WebClient:
    return web_client(ws)


Connect = Callable[[App], SocketModeHandler]


@pytest.fixture
def app(ws: SlackWorkspace) -> App:
    logger = logging.getLogger("app under test")
    return App(client=web_client(ws), logger=logger, token_verification_enabled=False)


@pytest.fixture
def connect(ws: SlackWorkspace) -> Iterator[Connect]:
    """Connect an app by the builtin Socket Mode client, wait until it is there, close it at the end."""
    handlers: list[SocketModeHandler] = []

    def start(app: App) -> SocketModeHandler:
        handler = SocketModeHandler(app, ws.app_token, ping_interval=0.4)
        handlers.append(handler)
        handler.connect()
        ws.wait_until_connected(len(handlers))
        return handler

    yield start
    for handler in handlers:
        hang_up(handler)
