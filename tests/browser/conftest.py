"""A browser, a playground with the real bot, and a tab as a person uses it.

Headless Chromium is found by its path; without it these tests are skipped, unless RUNBOOK_TEST_REQUIRE_BROWSER=1
says that it has to be there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from playground.stage import Setting, Stage
from playground.web import Page as PlaygroundPage
from tests.browser.tabs import PATIENCE_MS, Tab

CHROMIUM = Path("/usr/bin/chromium")
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


def _missing() -> str:
    if not CHROMIUM.exists():
        return f"{CHROMIUM} is missing; on Debian: apt-get install chromium"
    try:
        import playwright.sync_api  # noqa: F401, PLC0415 - only asked whether it is there
    except ModuleNotFoundError:
        return "the Python package playwright is missing: pip install playwright"
    return ""


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """One browser for all tests; each tab has a profile of its own."""
    if problem := _missing():
        if os.environ.get("RUNBOOK_TEST_REQUIRE_BROWSER") == "1":
            pytest.fail(problem)
        pytest.skip(problem)
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - the package may be missing

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(FLAGS))
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
