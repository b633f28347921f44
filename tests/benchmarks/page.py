"""The playground's page as somebody sees it who opens it: the first message, and a new one in a full channel.

Times are taken outside the browser, from the order until Playwright sees the message in the document.
"""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

from playground.slack.model import BOT_USER_ID
from playground.stage import Stage
from playground.web import Page
from tests.benchmarks.measuring import Result, Samples, Sizes
from tests.browser import chromium

FIRST_SECONDS = 1.0
SMOOTH_SECONDS = 0.1  #: below this a change follows its cause at once, as people see it
FULL_CHANNEL = 500  #: messages
TEXT = "disk, memory and connections of web-01 " * 10
_numbers = count(1)


def page(database: str, url: str, folder: Path, sizes: Sizes) -> list[Result]:
    """Open the page anew each time; then let messages come while one tab is open."""
    del url, folder  # the bot is not started: what it would do is measured elsewhere
    found = chromium.find()
    if not found:
        raise RuntimeError(chromium.MISSING)
    first, new = Samples(), Samples()
    made = Page()
    with Stage(routes=made.routes()) as stage, chromium.running(found) as browser:
        address = made.open(stage)
        for _ in range(FULL_CHANNEL):
            _post(stage)
        _opened(browser, address).close()  # what the first tab of all costs is the browser's own start
        for _ in range(sizes.boots):
            tabs: list[Any] = []
            first.take(lambda tabs=tabs: tabs.append(_opened(browser, address)))  # type: ignore[misc]
            tabs[0].close()
        context = _opened(browser, address)
        tab = context.pages[0]
        for _ in range(sizes.samples):
            new.take(lambda: tab.locator(f'[data-ts="{_post(stage)}"]').wait_for())
        context.close()
        made.close()
    return [
        _row("page-first-message", database, first, aim=FIRST_SECONDS),
        _row("page-new-message", database, new, aim=SMOOTH_SECONDS),
    ]


def _opened(browser: Any, address: str) -> Any:
    """Open the page in a profile of its own and wait for a message."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    tab = context.new_page()
    tab.goto(f"{address}&actor=alice&channel=C0RANDOM")
    tab.locator("li.message").last.wait_for()
    return context


def _post(stage: Stage) -> str:
    world = stage.slack.world
    with world.lock:
        text = f"{next(_numbers)}: {TEXT}"
        return world.post(world.channel_named("random"), user=BOT_USER_ID, text=text, blocks=[]).ts


def _row(name: str, database: str, taken: Samples, *, aim: float) -> Result:
    return Result(
        benchmark=name,
        database=database,
        median=taken.median * 1000,
        p99=taken.p99 * 1000,
        unit="ms",
        holds=taken.median <= aim,
    )
