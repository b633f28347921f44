"""The story that must always work, on both databases and through both doors."""

import pytest

from playground.stories import STORIES, Scene
from tests.journeys.conftest import EVERY_WAY, ids


@pytest.fixture(scope="module", params=EVERY_WAY, ids=ids)
def way(request: pytest.FixtureRequest):
    return request.param


@pytest.mark.parametrize("name", sorted(STORIES))
def test_the_story_goes_as_told(scene: Scene, name: str):
    STORIES[name].play(scene)
