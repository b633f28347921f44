"""A browser, a playground with the real bot, and a tab as a person uses it.

Without the machine's own Chromium these tests are skipped, unless RUNBOOK_TEST_REQUIRE_BROWSER=1 says that it has
to be there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from playground.stage import Setting, Stage
from playground.web import Page as PlaygroundPage
from tests.browser.chromium import require, running
from tests.browser.tabs import PATIENCE_MS, Tab

WIDE = {"width": 1440, "height": 900}
Open = Callable[..., Tab]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One browser for all tests of a file; each tab has a profile of its own.

    Not for longer: Playwright keeps an event loop in this thread, and other tests begin loops of their own.
    """
    with running(require()) as chromium:
        yield chromium


@pytest.fixture(scope="module")
def playground(browser: Any) -> Iterator[tuple[Stage, str]]:
    """A playground with the bot running, and the address of its page."""
    page = PlaygroundPage()
    with Stage(Setting(), routes=page.routes()) as stage:
        stage.start_bot()
        yield stage, page.open(stage)
        page.close()


@pytest.fixture
def stage(playground: tuple[Stage, str]) -> Iterator[Stage]:
    """The stage, left without open dialogs and faults."""
    yield playground[0]
    playground[0].slack.faults.clear()
    with playground[0].slack.world.lock:
        playground[0].slack.world.stacks.clear()
        playground[0].slack.world.touch()


@pytest.fixture
def open_tab(browser: Any, playground: tuple[Stage, str], stage: Stage) -> Iterator[Open]:
    """Open a tab as somebody; in the end no script has failed and nothing was refused by the page's own policy."""
    contexts: list[Any] = []
    problems: list[str] = []

    def start(actor: str = "alice", *, size: dict[str, int] | None = None, place: str = "", **settings: Any) -> Tab:
        context = browser.new_context(viewport=size or WIDE, timezone_id="UTC", locale="en-GB", **settings)
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
        page.goto(f"{playground[1]}&actor={actor}{place}")
        page.locator("main[data-view]").wait_for()
        return Tab(page, stage)

    yield start
    for context in contexts:
        context.close()
    assert problems == []
