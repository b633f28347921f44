"""Every story on the page, started by mouse and by keyboard, in one playground after the other: what was used stays."""

from __future__ import annotations

import re
from typing import Any

import pytest

from playground.stories import STORIES
from tests.browser.conftest import Open
from tests.browser.tabs import Tab

BY_KEYBOARD = ("rejection", "two-approvers")
PATIENCE_MS = 120_000


def card(tab: Tab, name: str) -> Any:
    heading = tab.page.get_by_role("heading", name=STORIES[name].title)
    return tab.page.get_by_role("listitem").filter(has=heading)


@pytest.mark.parametrize("name", STORIES)
def test_a_story_is_played_and_its_thread_opens(open_tab: Open, name: str) -> None:
    tab = open_tab("dave", place="&view=stories")
    tab.page.get_by_label("Play").select_option("0")
    tab.page.get_by_text(f"Watch: {STORIES[name].watch}.").wait_for()

    play = card(tab, name).get_by_role("button", name="Play")
    if name in BY_KEYBOARD:
        play.focus()
        tab.page.keyboard.press("Enter")
    else:
        play.click()

    story = tab.page.get_by_role("region", name="Story")
    over = re.compile(f"^{re.escape(STORIES[name].title)}: went")
    story.get_by_role("heading", name=over).wait_for(timeout=PATIENCE_MS)
    assert "went as told" in story.get_by_role("heading").inner_text(), story.inner_text()
    assert story.locator(".line-effects.good").count() >= 1
    assert story.locator(".line-effects.bad").count() == 0
    tab.thread.locator("li.message").first.wait_for()
    story.get_by_role("button", name="Close").click()
    story.wait_for(state="hidden")
