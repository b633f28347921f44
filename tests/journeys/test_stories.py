"""The stories of bad days and of quick fingers, on both databases and through both doors; the main one has a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from playground.stage import ROOT
from playground.stories import STORIES, Scene
from tests.journeys.test_main_story import EVERYDAY


@pytest.fixture(scope="module")
def runbook_dir() -> Path:
    """The runbooks that come with the product."""
    return ROOT / "runbooks"


@pytest.mark.parametrize("name", sorted(STORIES.keys() - EVERYDAY))
def test_the_story_goes_as_told(scene: Scene, name: str) -> None:
    STORIES[name].tell(scene)
