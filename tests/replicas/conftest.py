"""A stage on PostgreSQL with a fleet instead of one bot; each test starts the replicas that it needs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from playground.stage import Setting, Stage
from playground.stories import Scene
from tests.journeys.conftest import RUNBOOKS, open_room, scene_in
from tests.journeys.rows import Rows
from tests.replicas.fleet import Fleet


@pytest.fixture
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    server = request.getfixturevalue("postgres_server")
    url = server.create_database()
    with Stage(Setting(door="http", database_url=url, runbook_dir=RUNBOOKS)) as stage:
        yield stage
    server.drop_database(url)


@pytest.fixture
def fleet(stage: Stage) -> Iterator[Fleet]:
    fleet = Fleet(stage)
    yield fleet
    fleet.end()


@pytest.fixture
def scene(stage: Stage) -> Scene:
    return scene_in(stage, open_room(stage))


@pytest.fixture
def rows(stage: Stage) -> Rows:
    return Rows(stage)
