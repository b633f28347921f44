"""The product through the page, by mouse: ask, be refused, approve, reject, decide at the same instant."""

from __future__ import annotations

from playground.stage import Stage
from tests.browser.conftest import Open
from tests.browser.tabs import APPROVE, REJECT


def test_a_newcomer_runs_a_runbook_and_approves_it_as_somebody_else(open_tab: Open, stage: Stage) -> None:
    tab = open_tab()
    restarts = len([line for line in stage.cloud.vm("web-01").effects() if "restart" in line])

    tab.executes("/runbook execute restart-web vm=web-01 ticket=INC-1042")
    tab.approves(3)
    tab.thread.page.locator("li.whisper", has_text="Only visible to you").last.wait_for()
    tab.becomes("bob")
    tab.approves(3)
    tab.becomes("carol")
    tab.approves(4)
    tab.sees("completed")

    after = [line for line in stage.cloud.vm("web-01").effects() if "restart" in line]
    assert len(after) - restarts == 1


def test_a_rejection_needs_a_reason(open_tab: Open) -> None:
    tab = open_tab()
    tab.executes("/runbook execute restart-web vm=rg-prod/web-02")
    tab.becomes("bob")
    tab.gate(3).get_by_role("button", name=REJECT, exact=True).click()
    tab.dialog.wait_for()

    tab.dialog.get_by_role("button", name="Reject").click()
    tab.dialog.get_by_text("Please complete this required field.").wait_for()
    invalid = tab.dialog.locator("textarea[aria-invalid]")
    assert tab.page.evaluate("document.activeElement.getAttribute('aria-invalid')") == "true"
    invalid.fill("Not during the launch.")
    tab.dialog.get_by_role("button", name="Reject").click()

    tab.dialog.wait_for(state="detached")
    tab.sees("Rejected", "Not during the launch.")


def test_two_approvals_at_the_same_instant_start_the_step_once(open_tab: Open, stage: Stage) -> None:
    tab = open_tab()
    reloads = len([line for line in stage.cloud.vm("web-01").effects() if "reload" in line])
    tab.executes("/runbook execute restart-web vm=web-01")

    tab.gate(3).get_by_role("button", name="Both approve at once").click()
    tab.gate(4).wait_for()

    after = [line for line in stage.cloud.vm("web-01").effects() if "reload" in line]
    assert len(after) - reloads == 1


def test_a_command_is_refused_in_a_thread(open_tab: Open) -> None:
    tab = open_tab()
    tab.executes("/runbook execute restart-web vm=web-01")

    reply = tab.thread.get_by_role("combobox")
    reply.fill("/runbook list")
    reply.press("Enter")

    tab.thread.get_by_role("alert").filter(has_text="/runbook is not supported in threads").wait_for()


def test_a_dialog_keeps_what_was_typed_when_the_bot_redraws_it(open_tab: Open, stage: Stage) -> None:
    tab = open_tab()
    tab.page.get_by_role("button", name="⚡ Run a runbook").click()
    tab.dialog.get_by_label("Runbook", exact=True).select_option("restart-web")
    tab.dialog.get_by_label("Ticket").fill("INC-7")

    tab.dialog.get_by_label("Runbook", exact=True).select_option("high-cpu-linux")
    tab.dialog.locator(".block", has_text="CPU").first.wait_for()

    assert tab.dialog.get_by_label("Ticket").input_value() == "INC-7"
    tab.page.keyboard.press("Escape")
    tab.dialog.wait_for(state="detached")
    assert stage.slack.person("alice").modal() is None


def test_home_shows_what_waits_for_an_approver(open_tab: Open, stage: Stage) -> None:
    tab = open_tab()
    tab.executes("/runbook execute restart-web vm=web-01")
    tab.gate(3).wait_for()
    tab.becomes("bob")

    tab.page.get_by_role("button", name="Runbook Bot: Home").click()

    tab.page.get_by_role("region", name="Home tab").get_by_role("button", name=APPROVE).first.wait_for()


def test_a_message_shortcut_answers_only_the_person_who_used_it(open_tab: Open) -> None:
    tab = open_tab()
    card = tab.executes("/runbook execute restart-web vm=web-01")

    tab.thread.locator(f'[data-ts="{card.ts}"]').get_by_role("button", name="More about this message").click()
    tab.page.get_by_role("menuitem", name="Runbook actions").click()

    tab.page.locator("li.whisper, dialog.modal").last.wait_for()


def test_the_notification_preview_is_the_top_level_text(open_tab: Open) -> None:
    tab = open_tab()
    card = tab.executes("/runbook execute restart-web vm=web-01")

    tab.thread.locator(f'[data-ts="{card.ts}"]').get_by_role("button", name="More about this message").click()
    tab.page.get_by_role("menuitem", name="Notification preview").click()

    tab.page.locator("dialog pre", has_text="requested by @Alice Archer").wait_for()
