"""Whole stories through the running product: real Bolt, real Azure SDK, real databases, a real process.

A stage is shared by the tests of one file: each test starts sessions of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rich.console import Console

from playground.stage import Door, Setting, Stage
from playground.stories import Scene

EVERYWHERE = [("socket", "sqlite"), ("http", "postgresql")]
EVERY_WAY = [*EVERYWHERE, ("http", "sqlite"), ("socket", "postgresql")]


def ids(way: tuple[Door, str]) -> str:
    return "-".join(way)


@pytest.fixture(scope="module", params=EVERYWHERE, ids=ids)
def way(request: pytest.FixtureRequest) -> tuple[Door, str]:
    """How Slack reaches the bot, and where the rows are."""
    return request.param


@pytest.fixture(scope="module")
def stage(way: tuple[Door, str], request: pytest.FixtureRequest) -> Iterator[Stage]:
    """The playground with the bot running, set up the given way."""
    door, kind = way
    url = request.getfixturevalue("postgres_server").create_database() if kind == "postgresql" else ""
    with Stage(Setting(door=door, database_url=url)) as stage:
        stage.start_bot()
        yield stage


@pytest.fixture
def scene(stage: Stage) -> Scene:
    """A thread to act in; what people see is printed when a test fails."""
    return Scene(stage, Console(width=100, no_color=True))
