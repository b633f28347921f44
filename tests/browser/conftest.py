"""A browser, a playground with the real bot, and a tab as a person uses it.

Headless Chromium is the machine's own, found on the path; without it these tests are skipped, unless
RUNBOOK_TEST_REQUIRE_BROWSER=1 says that it has to be there.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

from playground.stage import Setting, Stage
from playground.web import Page as PlaygroundPage
from tests.browser.tabs import PATIENCE_MS, Tab

REQUIRE_VARIABLE = "RUNBOOK_TEST_REQUIRE_BROWSER"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WIDE = {"width": 1440, "height": 900}
Open = Callable[..., Tab]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One browser for all tests of a file; each tab has a profile of its own.

    Not for longer: Playwright keeps an event loop in this thread, and other tests begin loops of their own.
    """
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        problem = "no Chromium on the path; on Debian: apt-get install chromium"
        if os.environ.get(REQUIRE_VARIABLE) == "1":
            pytest.fail(f"{problem} ({REQUIRE_VARIABLE}=1 says that it has to be there)")
        pytest.skip(problem)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=list(FLAGS))
        yield chromium
        chromium.close()


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
