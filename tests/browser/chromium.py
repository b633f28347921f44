"""The machine's own Chromium, found on the path and started without a screen. Nothing here downloads one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

REQUIRE_VARIABLE = "RUNBOOK_TEST_REQUIRE_BROWSER"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
MISSING = "no Chromium on the path; on Debian: apt-get install chromium"
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


def find() -> str:
    """Return where the browser is, or nothing."""
    return next(filter(None, map(shutil.which, BROWSERS)), "")


def require() -> str:
    """Return where the browser is; a test that needs one is skipped without it, or fails where it has to be there."""
    found = find()
    if not found and os.environ.get(REQUIRE_VARIABLE) == "1":
        pytest.fail(f"{MISSING} ({REQUIRE_VARIABLE}=1 says that it has to be there)")
    if not found:
        pytest.skip(MISSING)
    return found


@contextmanager
def running(path: str) -> Iterator[Any]:
    """A browser of Playwright's; it keeps an event loop in this thread while it runs."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()
