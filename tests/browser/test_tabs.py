"""Several tabs and a lost connection: everybody sees the same, nothing is lost, nothing counts twice."""

from __future__ import annotations

import time
from typing import Any

from playground.stage import Stage
from tests.browser.conftest import Open
from tests.browser.tabs import APPROVE

LOSE_THE_STREAM = "window.stop()"


def test_two_people_in_two_tabs_decide_at_once_and_both_see_the_same(open_tab: Open, stage: Stage) -> None:
    alice, bob, carol = open_tab("alice"), open_tab("bob"), open_tab("carol")
    reloads = len([line for line in stage.cloud.vm("web-01").effects() if "reload" in line])
    card = alice.executes("/runbook execute restart-web vm=web-01")
    for tab in (bob, carol):
        tab.channel.locator(f'[data-ts="{card.ts}"]').wait_for()
        tab.opens(card)
        tab.gate(3).wait_for()

    press = f"[...document.querySelectorAll('.thread button')].find((it) => it.textContent === '{APPROVE}').click()"
    bob.page.evaluate(press)
    carol.page.evaluate(press)

    for tab in (alice, bob, carol):
        tab.gate(4).wait_for()
        tab.sees("Request for step 3", "Approved")
    after = [line for line in stage.cloud.vm("web-01").effects() if "reload" in line]
    assert len(after) - reloads == 1


def test_messages_typed_in_two_tabs_at_once_all_arrive_in_both(open_tab: Open) -> None:
    one, two = open_tab("alice", place="&channel=C0RANDOM"), open_tab("bob", place="&channel=C0RANDOM")

    for number in range(10):
        one.types(f"from one {number}")
        two.types(f"from two {number}")

    for tab in (one, two):
        for number in range(10):
            tab.page.locator("li.message", has_text=f"from one {number}").wait_for()
            tab.page.locator("li.message", has_text=f"from two {number}").wait_for()


def test_a_draft_and_a_dialog_in_one_tab_survive_what_happens_in_the_other(open_tab: Open) -> None:
    one, two = open_tab("alice"), open_tab("alice")
    one.page.get_by_role("button", name="⚡ Run a runbook").click()
    one.dialog.get_by_label("Runbook", exact=True).select_option("restart-web")
    one.dialog.get_by_label("Ticket").fill("INC-7")
    two.dialog.get_by_label("Ticket").wait_for()

    two.stage.slack.person("bob").says("something else happens", channel="ops")
    one.page.locator("li.message", has_text="something else happens").wait_for()

    assert one.dialog.get_by_label("Ticket").input_value() == "INC-7"


def test_an_unsent_line_is_there_again_after_a_reload(open_tab: Open) -> None:
    tab = open_tab()
    tab.channel.get_by_role("combobox").fill("half a thought")

    tab.page.reload()

    tab.page.wait_for_function("() => document.querySelector('.channel textarea')?.value === 'half a thought'")


def test_a_tab_that_lost_its_connection_catches_up(open_tab: Open, stage: Stage) -> None:
    tab = open_tab(place="&channel=C0RANDOM")
    tab.page.locator(".composer").first.wait_for()
    tab.page.context.set_offline(True)
    stage.slack.person("bob").says("said while you were away", channel="random")

    tab.page.context.set_offline(False)
    tab.page.evaluate(LOSE_THE_STREAM)

    tab.page.locator("li.message", has_text="said while you were away").wait_for()


def test_what_only_alice_sees_is_not_shown_to_bob(open_tab: Open) -> None:
    tab = open_tab()
    tab.types("/runbook list")
    tab.page.locator("li.whisper", has_text="Runbooks").last.wait_for()

    tab.becomes("bob")

    tab.page.locator("li.whisper", has_text="Runbooks").last.wait_for(state="detached")


def test_a_channel_shows_nothing_to_those_who_are_not_in_it(open_tab: Open, stage: Stage) -> None:
    stage.slack.person("alice").says("between us", channel="private")
    tab = open_tab("oscar", place="&channel=C0PRIVATE")

    tab.page.get_by_text("Oscar Outsider is not in this channel").wait_for()

    assert tab.page.get_by_text("between us").count() == 0
    assert tab.page.get_by_role("button", name="# private").count() == 0


def test_without_the_token_the_page_says_how_to_get_in(open_tab: Open, browser: Any, stage: Stage) -> None:
    context = browser.new_context()
    page = context.new_page()

    page.goto(stage.slack.base_url.removesuffix("api/") + "#token=of-another-run")

    page.get_by_text("Open the address that the terminal printed.").wait_for()
    context.close()


def test_the_first_message_is_there_within_a_second(
    open_tab: Open, stage: Stage, playground: tuple[Stage, str]
) -> None:
    stage.slack.person("bob").says("good morning", channel="random")
    tab = open_tab(place="&channel=C0RANDOM")  # the browser's own start is not ours to measure
    times = []
    for _ in range(3):
        tab.page.goto("about:blank")
        started = time.monotonic()
        tab.page.goto(f"{playground[1]}&channel=C0RANDOM")
        tab.page.locator("li.message").last.wait_for()
        times.append(time.monotonic() - started)

    assert min(times) < 1.0
