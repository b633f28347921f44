"""The instruments around the workspace: machines, inspector, faults, the bot's process."""

from __future__ import annotations

from playground.slack.faults import FaultKind
from playground.stage import Stage
from tests.browser.conftest import Open


def test_a_machine_is_stopped_and_started_with_buttons(open_tab: Open, stage: Stage) -> None:
    tab = open_tab(place="&view=azure")
    machine = tab.page.locator('[data-vm="rg-prod/db-01"]')

    machine.get_by_role("button", name="Stop").click()
    machine.get_by_text("power: stopped").wait_for()
    assert stage.cloud.vm("rg-prod/db-01").power_state == "stopped"
    machine.get_by_role("button", name="Start").click()

    machine.get_by_text("power: running").wait_for()


def test_a_broken_agent_is_seen_and_repaired(open_tab: Open) -> None:
    machine = open_tab(place="&view=azure").page.locator('[data-vm="rg-prod/db-01"]')

    machine.get_by_role("button", name="Break agent").click()
    machine.get_by_text("agent: broken").wait_for()
    machine.get_by_role("button", name="Repair agent").click()

    machine.get_by_text("agent: ready").wait_for()


def test_what_ran_on_a_machine_is_in_its_ledger(open_tab: Open) -> None:
    tab = open_tab()
    tab.executes("/runbook execute restart-web vm=web-01")
    tab.gate(3).wait_for()

    tab.view("Azure")

    tab.page.get_by_role("region", name="Executions").get_by_role("cell", name="rg-prod/web-01").first.wait_for()
    tab.page.get_by_role("region", name="Requests").get_by_role("button").first.click()
    tab.page.get_by_role("dialog").get_by_role("button", name="Copy as curl").wait_for()


def test_the_inspector_shows_a_command_with_its_share_of_the_three_seconds(open_tab: Open) -> None:
    tab = open_tab()
    tab.types("/runbook list")
    tab.page.locator("li.whisper").last.wait_for()
    tab.view("Inspector")

    row = tab.page.locator("tbody tr", has_text="alice types /runbook list").first
    share = float(row.locator("meter[value]").get_attribute("value"))
    row.get_by_role("button", name="/runbook").click()

    details = tab.page.get_by_role("region", name="Details")
    details.get_by_text('"command": "/runbook"').wait_for()
    details.get_by_role("button", name="Copy as JSON").wait_for()
    details.get_by_role("button", name="Copy as test fixture").wait_for()
    details.get_by_role("heading", name="Envelope").wait_for()
    details.locator("dd", has_text="slash_commands").wait_for()
    assert 0 < share < 1


def test_the_inspector_shows_headers_without_their_secrets(open_tab: Open) -> None:
    tab = open_tab(place="&view=inspector")
    tab.page.get_by_label("Show").select_option("call")

    tab.page.locator("tbody button").first.click()

    details = tab.page.get_by_role("region", name="Details")
    details.get_by_text("Bearer ***").wait_for()
    details.get_by_role("heading", name="Headers of the answer").wait_for()
    assert tab.stage.slack.bot_token not in details.inner_text()


def test_the_inspector_shows_only_what_is_asked_for(open_tab: Open) -> None:
    tab = open_tab(place="&view=inspector")
    tab.page.get_by_role("cell", name="from the bot").first.wait_for()

    tab.page.get_by_label("Show").select_option("socket")

    tab.page.get_by_role("cell", name="from the bot").first.wait_for(state="detached")
    tab.page.get_by_role("cell", name="socket").first.wait_for()


def test_a_fault_is_switched_on_strikes_and_is_counted(open_tab: Open, stage: Stage) -> None:
    tab = open_tab(place="&view=faults")
    fault = tab.page.locator(f'[data-fault="{FaultKind.DROP_AFTER_WORK}"]')
    fault.get_by_label("where").select_option("chat.postMessage")
    fault.get_by_role("switch").check()
    tab.page.locator(f'[data-fault="{FaultKind.DROP_AFTER_WORK}"].on').wait_for()

    tab.view("Workspace")
    before = len(tab.roots())
    tab.executes("/runbook execute restart-web vm=web-01")
    tab.gate(3).wait_for()
    tab.view("Faults")

    fault.get_by_text("struck 1 times").wait_for()
    assert len(tab.roots()) - before == 1


def test_a_silent_socket_ends_in_slack_s_own_error(open_tab: Open) -> None:
    tab = open_tab(place="&view=faults")
    fault = tab.page.locator(f'[data-fault="{FaultKind.SILENT_SOCKET}"]')
    fault.get_by_label("where").select_option("slash_commands")
    fault.get_by_role("switch").check()
    tab.page.locator(f'[data-fault="{FaultKind.SILENT_SOCKET}"].on').wait_for()

    tab.view("Workspace")
    tab.types("/runbook list")

    tab.channel.get_by_role("alert").filter(has_text="operation_timeout").wait_for()


def test_a_killed_bot_is_missed_and_started_again(open_tab: Open) -> None:
    tab = open_tab()
    card = tab.executes("/runbook execute restart-web vm=web-01")
    tab.gate(3).wait_for()
    tab.view("Faults")

    tab.page.get_by_role("button", name="Kill it").click()
    tab.page.get_by_text("The bot is not running.").wait_for()
    tab.page.get_by_role("button", name="Start it").click()
    tab.page.get_by_text("The bot is not running.").wait_for(state="hidden")
    tab.page.get_by_text("2 sockets open").wait_for()
    tab.view("Workspace")
    tab.becomes("bob")
    tab.thread.locator(f'[data-ts="{card.ts}"]').wait_for()
    tab.approves(3)

    tab.gate(4).wait_for()


def test_the_log_can_be_read(open_tab: Open) -> None:
    tab = open_tab(place="&view=faults")

    tab.page.get_by_role("button", name="Show its log").click()

    tab.page.get_by_role("dialog", name="The bot's log").locator("pre").wait_for()
