"""How the page looks: contrast in both colour schemes, no sideways scrolling on a phone, nothing sent elsewhere."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.conftest import Open
from tests.browser.probes import FAINT, TOO_WIDE
from tests.browser.tabs import Tab

VIEWS = ("Workspace", "Azure", "Inspector", "Faults", "Stories")
PHONE = {"width": 390, "height": 844}
LEAST = 4.5


def with_a_gate(tab: Tab) -> None:
    tab.executes("/runbook execute restart-web vm=web-01 ticket=INC-1042")
    tab.gate(3).wait_for()


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_every_text_has_enough_contrast(open_tab: Open, colours: str) -> None:
    tab = open_tab(color_scheme=colours)
    with_a_gate(tab)
    tab.types("/runbook nonsense")

    for name in VIEWS:
        tab.view(name)
        measured, faint = tab.page.evaluate(FAINT, LEAST)
        assert measured > 20
        assert faint == [], name


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_a_dialog_has_enough_contrast(open_tab: Open, colours: str) -> None:
    tab = open_tab(color_scheme=colours)
    tab.page.get_by_role("button", name="⚡ Run a runbook").click()
    tab.dialog.get_by_label("Runbook", exact=True).select_option("restart-web")
    tab.dialog.get_by_label("Ticket").wait_for()
    tab.dialog.get_by_role("button", name="Start").click()
    tab.dialog.get_by_text("Please complete this required field.").first.wait_for()

    _, faint = tab.page.evaluate(FAINT, LEAST)

    assert faint == []


def test_the_measure_of_contrast_finds_faint_text(open_tab: Open) -> None:
    tab = open_tab()
    tab.page.evaluate(
        "document.querySelector('.composer').before(Object.assign(document.createElement('p'), "
        "{textContent: 'faint', id: 'faint'})); document.getElementById('faint').style.color = '#999'"
    )

    _, faint = tab.page.evaluate(FAINT, LEAST)

    assert [each for each in faint if each.endswith("faint")]


@pytest.mark.parametrize("width", [390, 320])
def test_nothing_scrolls_sideways_on_a_phone(open_tab: Open, width: int) -> None:
    tab = open_tab(size=PHONE | {"width": width})
    with_a_gate(tab)

    assert too_wide(tab) == []
    for name in VIEWS:
        tab.view(name)
        assert too_wide(tab) == [], name


def too_wide(tab: Tab) -> Any:
    return tab.page.evaluate(TOO_WIDE)


def test_a_phone_shows_one_pane_at_a_time(open_tab: Open) -> None:
    tab = open_tab(size=PHONE)
    with_a_gate(tab)
    assert not tab.channel.is_visible()

    tab.page.get_by_role("button", name="Close thread").click()
    tab.channel.wait_for()
    assert not tab.thread.is_visible()
    tab.page.get_by_role("button", name="All channels").click()

    tab.page.get_by_role("button", name="# random").click()
    tab.page.get_by_role("heading", name="#random").wait_for()


def test_the_chosen_colours_stay(open_tab: Open) -> None:
    tab = open_tab(color_scheme="light")
    button = tab.page.get_by_role("button", name="Colours")

    button.click()
    button.click()
    tab.page.reload()

    tab.page.get_by_role("button", name="Colours: dark").wait_for()
    assert tab.page.evaluate("getComputedStyle(document.body).colorScheme") == "dark"


def test_the_page_asks_nothing_of_anybody_else(open_tab: Open) -> None:
    tab = open_tab()
    asked: list[str] = []
    tab.page.on("request", lambda request: asked.append(request.url))

    tab.page.reload()
    tab.page.locator("main[data-view]").wait_for()
    for name in VIEWS:
        tab.view(name)

    own = tab.stage.slack.base_url.removesuffix("api/")
    assert asked
    assert [url for url in asked if not url.startswith(own)] == []


def test_the_banner_says_that_this_is_not_slack(open_tab: Open) -> None:
    for size in (PHONE, None):
        banner = open_tab(size=size).page.get_by_text("Simulated, not Slack.")
        assert banner.is_visible()
        assert int(banner.evaluate("(it) => getComputedStyle(it).fontWeight")) >= 700
