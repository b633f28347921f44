"""The story that must always work, on both databases and through both doors."""

from pathlib import Path

import pytest

from playground.stage import ROOT
from playground.stories import STORIES, Scene
from tests.journeys.conftest import EVERY_WAY, ids

EVERYDAY = ("restart-web", "rejection")  #: the others are in test_stories.py


@pytest.fixture(scope="module", params=EVERY_WAY, ids=ids)
def way(request: pytest.FixtureRequest):
    return request.param


@pytest.fixture(scope="module")
def runbook_dir() -> Path:
    """The runbooks that come with the product."""
    return ROOT / "runbooks"


@pytest.mark.parametrize("name", EVERYDAY)
def test_the_story_goes_as_told(scene: Scene, name: str):
    STORIES[name].tell(scene)
