"""Pictures of every view in light, dark and on a phone, kept as artefacts and shown in the documentation.

They lie in `build/screenshots`, or where RUNBOOK_SCREENSHOTS says. A picture is taken of what the other tests check;
here it only has to show something.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from playground.slack.faults import FaultKind
from playground.slack.model import Message
from playground.stage import ROOT, Stage
from playground.stories import APPROVE, Scene
from tests.browser.conftest import Open
from tests.browser.tabs import Tab
from tests.browser.test_looks import PHONE

FOLDER = Path(os.environ.get("RUNBOOK_SCREENSHOTS") or ROOT / "build" / "screenshots")
WIDE = {"width": 1280, "height": 800}
LOOKS = {"light": ("light", WIDE), "dark": ("dark", WIDE), "narrow": ("light", PHONE), "narrow-dark": ("dark", PHONE)}
SMALLEST = 5_000  #: bytes; an empty page is smaller


@pytest.fixture(scope="module")
def card(playground: tuple[Stage, str]) -> Message:
    """A day's work to look at: people who talk, and a session that waits for its second approval."""
    stage = playground[0]
    stage.slack.person("dave").says("The shop answers slowly since 14:00, INC-1042.", channel="ops")
    stage.slack.person("gina").says("Thanks, I am watching the graphs.", channel="ops")
    scene = Scene(stage, Console(quiet=True))
    found = scene.executes("alice", "/runbook execute restart-web vm=web-01 ticket=INC-1042")
    scene.clicks("bob", scene.gate(), APPROVE)
    scene.gate()
    return found


def conversation(tab: Tab) -> None:
    tab.gate(4).scroll_into_view_if_needed()
    tab.thread.locator(".messages").evaluate("(it) => { it.scrollTop = it.scrollHeight; }")


def machines(tab: Tab) -> None:
    tab.view("Azure")
    tab.page.locator('[data-vm="rg-prod/web-01"]').wait_for()


def inspector(tab: Tab) -> None:
    tab.view("Inspector")
    tab.page.get_by_label("Show").select_option("delivery")
    tab.page.locator(".inspector tbody button").first.click()
    tab.page.get_by_role("heading", name="Envelope").wait_for()


def faults(tab: Tab) -> None:
    tab.stage.slack.faults.switch_on(FaultKind.DROP_AFTER_WORK, on="users.info", times=3)
    tab.view("Faults")
    tab.page.locator(f'[data-fault="{FaultKind.DROP_AFTER_WORK}"].on').wait_for()


def stories(tab: Tab) -> None:
    tab.view("Stories")
    tab.page.get_by_role("button", name="Play").first.wait_for()


def home(tab: Tab) -> None:
    tab.channel.get_by_role("combobox").fill("")
    leave = tab.page.get_by_role("button", name="All channels")
    if leave.is_visible():
        leave.click()
    tab.page.get_by_role("button", name="Runbook Bot: Home").click()
    tab.page.get_by_role("region", name="Home tab").get_by_role("button").first.wait_for()


def dialog(tab: Tab) -> None:
    leave = tab.page.get_by_role("button", name="All channels")
    if leave.is_visible():
        leave.click()
    tab.page.get_by_role("button", name="⚡ Run a runbook").click()
    tab.dialog.get_by_label("Runbook", exact=True).select_option("restart-web")
    tab.dialog.get_by_label("Ticket").wait_for()
    tab.dialog.get_by_role("button", name="Start").click()
    tab.dialog.get_by_text("Please complete this required field.").first.wait_for()


def suggestions(tab: Tab) -> None:
    tab.view("Workspace")
    tab.page.get_by_role("button", name="Close thread").click()
    tab.channel.get_by_role("combobox").fill("/runbook ")
    tab.channel.get_by_role("option").first.wait_for()


PICTURES: dict[str, Callable[[Tab], None]] = {
    "conversation": conversation,
    "machines": machines,
    "inspector": inspector,
    "faults": faults,
    "stories": stories,
    "suggestions": suggestions,
    "home": home,
    "dialog": dialog,
}


def take(tab: Tab, name: str) -> Path:
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name}.png"
    tab.page.screenshot(path=path, animations="disabled", caret="hide")
    return path


@pytest.mark.parametrize("look", LOOKS)
def test_every_view_has_its_picture(open_tab: Open, card: Message, look: str) -> None:
    colours, size = LOOKS[look]
    tab = open_tab(color_scheme=colours, size=size, place=f"&channel=C0OPS&thread={card.ts}")
    pictures = []

    for name, show in PICTURES.items():
        show(tab)
        pictures.append(take(tab, f"{name}-{look}"))

    assert [path.name for path in pictures if path.stat().st_size < SMALLEST] == []
