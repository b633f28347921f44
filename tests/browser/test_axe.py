"""axe-core finds nothing wrong with any view, dialog or menu, in light and dark, wide and narrow.

axe comes with a locked wheel and is put into the page by the browser's driver; nothing is fetched.
"""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT  # type: ignore[import-untyped,unused-ignore]

from tests.browser.conftest import Open
from tests.browser.tabs import Tab
from tests.browser.test_looks import PHONE, VIEWS, with_a_gate

RULES = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    # the composer has several lines and completes: HTML has no element that may be both, and readers know this one
    "rules": {"aria-allowed-role": {"enabled": False}},
}
WANTED = (
    "violations.map((it) => `${it.id}: ${it.help}: ${it.nodes.map((node) => node.html.slice(0, 160)).join(' | ')}`)"
)


def violations(tab: Tab) -> Any:
    """What axe complains about; it runs beside the page's own policy, which lets no foreign script in."""
    tab.page.evaluate(f"() => {{ if (!window.axe) {{ {AXE_SCRIPT} }} }}")
    return tab.page.evaluate(f"async (rules) => (await axe.run(document, rules)).{WANTED}", RULES)


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("size", [None, PHONE], ids=["wide", "narrow"])
def test_axe_finds_nothing_wrong(open_tab: Open, colours: str, size: dict[str, int] | None) -> None:
    tab = open_tab(color_scheme=colours, size=size)
    with_a_gate(tab)
    tab.view("Inspector")
    tab.page.locator("tbody button").first.click()
    tab.page.get_by_role("heading", name="Request", exact=True).wait_for()

    for name in VIEWS:
        tab.view(name)
        assert violations(tab) == [], name


def test_axe_finds_nothing_wrong_with_dialogs_menus_suggestions_and_home(open_tab: Open) -> None:
    tab = open_tab()
    with_a_gate(tab)

    tab.thread.get_by_role("button", name="More about this message").first.click()
    tab.page.get_by_role("menu").wait_for()
    menu = violations(tab)
    tab.page.keyboard.press("Escape")
    tab.channel.get_by_role("combobox").fill("/runbook ")
    tab.channel.get_by_role("option").first.wait_for()
    suggestions = violations(tab)
    tab.page.keyboard.press("Escape")
    tab.page.get_by_role("button", name="Runbook Bot: Home").click()
    tab.page.get_by_role("region", name="Home tab").get_by_role("button").first.wait_for()
    home = violations(tab)
    tab.page.get_by_role("button", name="⚡ Run a runbook").click()
    tab.dialog.get_by_label("Runbook", exact=True).select_option("restart-web")
    tab.dialog.get_by_label("Ticket").wait_for()
    tab.dialog.get_by_role("button", name="Start").click()
    tab.dialog.get_by_text("Please complete this required field.").first.wait_for()
    dialog = violations(tab)

    assert {"menu": menu, "suggestions": suggestions, "home": home, "dialog": dialog} == {
        "menu": [],
        "suggestions": [],
        "home": [],
        "dialog": [],
    }


def test_axe_would_find_something_wrong(open_tab: Open) -> None:
    tab = open_tab()
    tab.page.evaluate("document.getElementById('main').append(document.createElement('button'))")

    assert [each for each in violations(tab) if each.startswith("button-name")]
