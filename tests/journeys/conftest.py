"""Whole stories through the running product: real Bolt, real Azure SDK, real databases, a real process.

A stage is shared by the tests of one file: each test starts sessions of its own in a channel of its own, so that
neither what others did nor Slack's limit of one message per second and channel is in its way.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from rich.console import Console

from playground.slack.model import BOT_USER_ID, Channel
from playground.slack.seed import ALICE, BOB, CAROL, DAVE, GUEST, OUTSIDER
from playground.stage import ROOT, Door, Setting, Stage
from playground.stories import Scene
from tests.journeys.rows import Rows

EVERYWHERE = [("socket", "sqlite"), ("http", "postgresql")]
EVERY_WAY = [*EVERYWHERE, ("http", "sqlite"), ("socket", "postgresql")]
RUNBOOKS = ROOT / "tests" / "runbooks_for_tests"

_rooms = count(1)


def ids(way: tuple[Door, str]) -> str:
    return "-".join(way)


@pytest.fixture(scope="module", params=EVERYWHERE, ids=ids)
def way(request: pytest.FixtureRequest) -> tuple[Door, str]:
    """How Slack reaches the bot, and where the rows are."""
    return request.param


@pytest.fixture(scope="module")
def runbook_dir() -> Path:
    """The folder of the runbooks; a file of tests may choose another."""
    return RUNBOOKS


@pytest.fixture(scope="module")
def idle_stage(way: tuple[Door, str], runbook_dir: Path, request: pytest.FixtureRequest) -> Iterator[Stage]:
    """The playground set up the given way; nobody has started the bot yet."""
    door, kind = way
    url = request.getfixturevalue("postgres_server").create_database() if kind == "postgresql" else ""
    with Stage(Setting(door=door, database_url=url, runbook_dir=runbook_dir)) as stage:
        yield stage


@pytest.fixture(scope="module")
def stage(idle_stage: Stage) -> Stage:
    """The playground with the bot running."""
    idle_stage.start_bot()
    return idle_stage


def open_room(stage: Stage) -> str:
    """Make a channel with everybody in it, the bot too; return its name."""
    number = next(_rooms)
    everybody = {ALICE, BOB, CAROL, DAVE, GUEST, OUTSIDER, BOT_USER_ID}
    room = Channel(id=f"C0ROOM{number}", name=f"room-{number}", members=everybody)
    with stage.slack.world.lock:
        stage.slack.world.channels[room.id] = room
    return room.name


def scene_in(stage: Stage, channel: str) -> Scene:
    return Scene(stage, Console(width=100, no_color=True), channel=channel)


@pytest.fixture
def scene(stage: Stage) -> Scene:
    """A thread to act in; what people see is printed when a test fails."""
    return scene_in(stage, open_room(stage))


@pytest.fixture
def other_scene(stage: Stage) -> Scene:
    """A second thread, in another channel."""
    return scene_in(stage, open_room(stage))


@pytest.fixture
def rows(stage: Stage) -> Rows:
    return Rows(stage)
