"""A workspace whose time stands still, and an app that reaches it by each of the ways there are."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from playground.slack import SlackWorkspace
from playground.slack.clock import Clock
from playground.slack.limits import RateRules
from tests.conformance.apps import Bot, Way, bot_for

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK sends even loopback sockets through a proxy named in the environment."""
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def ws() -> Iterator[SlackWorkspace]:
    """Without rate limits: in time that stands still no bucket fills up again."""
    with SlackWorkspace.start(clock=Clock(frozen_at=NOON), rates=RateRules(enabled=False)) as workspace:
        yield workspace


@pytest.fixture
def bot(ws: SlackWorkspace, way: Way) -> Iterator[Bot]:
    """The app, connected; handlers may be added at any time."""
    made = bot_for(way, ws)
    made.connect(way)
    if not way.startswith("http"):
        ws.wait_until_connected()
    yield made
    made.close()
