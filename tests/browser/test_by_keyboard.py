"""The product through the page without a mouse: everything is reached with Tab, arrows, Enter, Space and Esc."""

from __future__ import annotations

from typing import Any

from tests.browser.conftest import Open
from tests.browser.probes import FOCUSED, NAMELESS
from tests.browser.tabs import APPROVE, REJECT, Tab

STEPS_MAX = 300


def focused(tab: Tab) -> tuple[str, str, str, str]:
    place, label, name, value = tab.page.evaluate(FOCUSED)
    return place, label, name, value


def tab_to(tab: Tab, found: Any) -> None:
    """Press Tab until the wanted element has the focus."""
    for _ in range(STEPS_MAX):
        if found(focused(tab)):
            return
        tab.page.keyboard.press("Tab")
    raise AssertionError(f"not reached by Tab; the focus is at {focused(tab)}")


def becomes(tab: Tab, name: str) -> None:
    tab_to(tab, lambda at: at[2] == "actor")
    for _ in range(6):
        if focused(tab)[3] == name:
            return
        tab.page.keyboard.press("ArrowRight")
    raise AssertionError(f"{name} was not reached")


def test_a_runbook_is_run_and_approved_without_a_mouse(open_tab: Open) -> None:
    tab = open_tab()
    keys, before = tab.page.keyboard, tab.shown()
    tab.channel.get_by_role("combobox").wait_for()
    tab_to(tab, lambda at: at[0] == "channel" and tab.page.evaluate("document.activeElement.tagName") == "TEXTAREA")
    keys.type("/runb")
    tab.channel.get_by_role("option", name="/runbook").wait_for()
    keys.press("ArrowDown")
    keys.press("Tab")
    keys.type("exec")
    tab.channel.get_by_role("option", name="/runbook execute").wait_for()
    keys.press("ArrowDown")
    keys.press("Enter")
    assert tab.channel.get_by_role("combobox").input_value().startswith("/runbook execute restart-web vm=web-01")
    keys.press("Enter")
    ours = f'[data-ts="{tab.new_card(before).ts}"]'
    tab.channel.locator(ours).locator(".thread-link").wait_for()

    becomes(tab, "bob")
    here = f"document.activeElement.closest('{ours}') !== null"
    tab_to(tab, lambda at: at[0] == "channel" and "open thread" in at[1] and tab.page.evaluate(here))
    keys.press("Enter")
    tab.gate(3).wait_for()
    tab_to(tab, lambda at: at[0] == "thread" and at[1] == APPROVE)
    keys.press("Enter")
    tab.gate(4).wait_for()
    tab_to(tab, lambda at: at[0] == "thread" and at[1] == APPROVE)
    keys.press("Space")

    tab.sees("completed")


def test_a_rejection_is_given_without_a_mouse_and_the_dialog_keeps_the_focus(open_tab: Open) -> None:
    tab = open_tab()
    keys = tab.page.keyboard
    tab.executes("/runbook execute restart-web vm=web-01")
    tab.gate(3).wait_for()
    becomes(tab, "carol")
    tab_to(tab, lambda at: at[0] == "thread" and at[1] == REJECT)
    keys.press("Enter")
    tab.dialog.wait_for()

    assert tab.page.evaluate("document.activeElement.tagName") == "TEXTAREA"
    places = set()
    for _ in range(12):
        keys.press("Tab")
        places.add(tab.page.evaluate("document.activeElement.closest('.workspace, header.top') !== null"))
    assert places == {False}
    tab.dialog.locator("textarea").focus()
    keys.type("Wrong machine.")
    tab_to(tab, lambda at: at[0] == "dialog" and at[1] == "Reject")
    keys.press("Enter")

    tab.dialog.wait_for(state="detached")
    tab.sees("Rejected", "Wrong machine.")


def test_esc_closes_a_menu_and_a_thread_and_gives_the_focus_back(open_tab: Open) -> None:
    tab = open_tab()
    keys = tab.page.keyboard
    tab.executes("/runbook execute restart-web vm=web-01")
    more = tab.thread.get_by_role("button", name="More about this message").first
    more.focus()
    keys.press("Enter")
    tab.page.get_by_role("menu").wait_for()

    keys.press("Escape")
    assert focused(tab)[1] == "More about this message"
    keys.press("Escape")

    tab.thread.wait_for(state="hidden")
    assert "open thread" in focused(tab)[1]


def test_the_first_tab_stop_skips_to_the_conversation(open_tab: Open) -> None:
    tab = open_tab()

    tab.page.keyboard.press("Tab")
    assert focused(tab)[1] == "Skip to the conversation"
    tab.page.keyboard.press("Enter")

    assert tab.page.evaluate("document.activeElement.id") == "main"


def test_new_messages_are_announced_by_their_top_level_text(open_tab: Open) -> None:
    tab = open_tab()

    tab.stage.slack.person("bob").says("the *deploy* is done", channel="ops")

    tab.page.get_by_role("log").get_by_text("Bob Baker: the deploy is done").wait_for(state="attached")


def test_everything_that_can_be_used_has_a_name(open_tab: Open) -> None:
    tab = open_tab()
    tab.executes("/runbook execute restart-web vm=web-01")
    tab.gate(3).wait_for()

    for name in ("Workspace", "Azure", "Inspector", "Faults", "Stories"):
        tab.view(name)
        nameless = tab.page.evaluate(NAMELESS)
        assert nameless == [], name
