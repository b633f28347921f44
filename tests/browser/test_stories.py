"""Stories on the page, on a playground that nobody has used before: they count what happens on its machines."""

from __future__ import annotations

import pytest

from playground.stories import STORIES
from tests.browser.conftest import Open


@pytest.mark.parametrize("name", ["restart-web", "rejection"])
def test_a_story_is_played_and_its_thread_opens(open_tab: Open, name: str) -> None:
    tab = open_tab("dave", place="&view=stories")
    tab.page.get_by_label("Play").select_option("0")

    card = tab.page.get_by_role("listitem").filter(has=tab.page.get_by_role("heading", name=STORIES[name].title))
    card.get_by_role("button", name="Play").click()

    story = tab.page.get_by_role("region", name="Story")
    story.get_by_role("heading", name="went as told").wait_for(timeout=60_000)
    tab.thread.locator("li.message").first.wait_for()
    story.get_by_role("button", name="Close").click()
    story.wait_for(state="hidden")
