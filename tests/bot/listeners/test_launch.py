"""The ways to a session without typing: the dialog, the shortcuts, App Home."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot import ids, replies
from engine.effects import Purpose
from engine.model import SessionStatus
from playground.slack.faults import FaultKind
from tests.bot.listeners.office import Office
from tests.faults.databases import held_until_answered


def dialog_of(person, office: Office, block: str):
    """Wait until the person's dialog has been filled."""
    return office.workspace.wait_for(
        lambda: (view := person.modal()) and block in {b.get("block_id") for b in view.blocks} and view
    )


def homes_wanted(office: Office) -> list[str]:
    with office.units() as uow:
        return [m.user for m in uow.outbox.claim(now=office.clock.now(), limit=10) if m.purpose is Purpose.HOME]


def test_execute_without_a_name_opens_the_dialog_and_starts_from_it(alice, office: Office):
    alice.types("/runbook execute", channel="ops")
    first = dialog_of(alice, office, ids.BLOCK_RUNBOOK)
    alice.clicks(first, ids.ACTION_LAUNCH_RUNBOOK, value="restart-web")
    form = dialog_of(alice, office, ids.BLOCK_VM)

    sent = alice.submits(form, {ids.BLOCK_VM: "rg/web-01", ids.BLOCK_TICKET: "INC-7"})
    office.work()

    assert sent.closed
    assert office.session().status is SessionStatus.WAITING_APPROVAL
    assert (office.session().ticket, office.session().place.channel) == ("INC-7", "C0OPS")


def test_global_shortcut_asks_for_the_channel(alice, office: Office):
    alice.shortcut(ids.SHORTCUT_RUN)
    first = dialog_of(alice, office, ids.BLOCK_RUNBOOK)
    alice.clicks(first, ids.ACTION_LAUNCH_RUNBOOK, value="restart-web")
    form = dialog_of(alice, office, ids.BLOCK_CHANNEL)

    alice.submits(form, {ids.BLOCK_VM: "rg/web-01", ids.BLOCK_CHANNEL: "C0RANDOM"})
    office.work()

    assert office.session().place.channel == "C0RANDOM"


def test_wrong_value_keeps_the_dialog_open_with_the_reason(alice, office: Office):
    alice.types("/runbook execute", channel="ops")
    alice.clicks(dialog_of(alice, office, ids.BLOCK_RUNBOOK), ids.ACTION_LAUNCH_RUNBOOK, value="restart-web")
    form = dialog_of(alice, office, ids.BLOCK_VM)

    sent = alice.submits(form, {ids.BLOCK_VM: "rg/web-01", f"{ids.BLOCK_PARAMETER}service": "Nope!"})

    assert not sent.closed
    assert any("service" in text for text in sent.errors.values())
    assert office.jobs.keys == []


def test_dialog_that_slack_does_not_open_is_answered_with_a_sentence(alice, office: Office):
    office.workspace.faults.switch_on(FaultKind.SERVER_ERROR, on="views.open")

    answer = alice.types("/runbook execute", channel="ops")

    assert "did not open the dialog" in answer.text


def test_guest_gets_a_dialog_without_anything_in_it(gina, office: Office):
    gina.types("/runbook execute", channel="ops")

    assert gina.modal() is None


@pytest.fixture
def thread(office: Office):
    office.waiting_session()
    return office.gate()


def test_message_shortcut_says_what_the_thread_waits_for_and_can_cancel(alice, thread, office: Office):
    alice.message_shortcut(ids.SHORTCUT_ACTIONS, thread)
    dialog = alice.modal()
    alice.submits(dialog, {ids.BLOCK_REASON: "changed my mind"})

    assert "Waiting for" in dialog.plain()
    assert office.session().status is SessionStatus.CANCELLED
    assert office.audit("session_cancel_asked")[0].data["reason"] == "changed my mind"


def sends_while_the_database_is_held(person, office: Office, file: Path, dialog, values: dict[str, str]):
    """Return what the person reads in the dialog, and what everybody was told after the database was let go."""
    with held_until_answered(file, None):
        sent = person.submits(dialog, values)
    office.settle()
    office.show()
    return list(sent.errors.values()), [text for _, _, text in office.told]


@pytest.mark.parametrize("budget", [0.1])
def test_cancel_from_the_dialog_that_is_recorded_late_is_told_to_whoever_read_that_it_is_not_confirmed(
    alice, thread, office: Office, database_file: Path
):
    alice.message_shortcut(ids.SHORTCUT_ACTIONS, thread)
    dialog = alice.modal()

    read, told = sends_while_the_database_is_held(alice, office, database_file, dialog, {ids.BLOCK_REASON: "a typo"})

    assert replies.NOT_CONFIRMED in read
    assert replies.RECORDED_LATE in told
    assert office.session().status is SessionStatus.CANCELLED


@pytest.mark.parametrize("budget", [0.1])
def test_start_from_the_dialog_that_is_recorded_late_is_told_to_whoever_read_that_it_is_not_confirmed(
    alice, office: Office, database_file: Path
):
    alice.types("/runbook execute", channel="ops")
    first = dialog_of(alice, office, ids.BLOCK_RUNBOOK)
    alice.clicks(first, ids.ACTION_LAUNCH_RUNBOOK, value="restart-web")
    form = dialog_of(alice, office, ids.BLOCK_VM)

    read, told = sends_while_the_database_is_held(alice, office, database_file, form, {ids.BLOCK_VM: "rg/web-01"})

    assert replies.NOT_CONFIRMED in read
    assert replies.RECORDED_LATE in told
    assert len(office.jobs.keys) == 1


def test_message_shortcut_on_a_finished_session_says_how_it_ended(alice, thread, office: Office):
    alice.types("/runbook cancel 1", channel="ops")

    alice.message_shortcut(ids.SHORTCUT_ACTIONS, thread)
    office.show()

    assert alice.modal() is None
    assert "Cancelled" in office.told[0][2]


def test_message_shortcut_elsewhere_says_that_no_session_talks_there(alice, office: Office):
    note = alice.says("hello", channel="ops")

    alice.message_shortcut(ids.SHORTCUT_ACTIONS, note)
    office.show()

    assert "No session talks" in office.told[0][2]


def test_opening_app_home_has_it_redrawn(alice, office: Office):
    alice.opens_home()

    office.workspace.wait_for(lambda: True)
    office.settle()

    assert homes_wanted(office) == [alice.id]


def test_guest_gets_no_app_home(gina, office: Office):
    gina.opens_home()
    office.settle()

    assert homes_wanted(office) == []


def test_opening_another_tab_redraws_nothing(alice, office: Office):
    alice.opens_home(tab="messages")
    office.settle()

    assert homes_wanted(office) == []


def test_button_of_app_home_opens_the_dialog(alice, office: Office):
    button = {"type": "button", "action_id": ids.ACTION_LAUNCH, "text": {"type": "plain_text", "text": "Run"}}
    view = {"type": "home", "blocks": [{"type": "actions", "elements": [button]}]}
    office.client.views_publish(user_id=alice.id, view=view)

    alice.clicks(alice.home(), "Run")

    assert dialog_of(alice, office, ids.BLOCK_RUNBOOK)


def test_approver_decides_from_app_home(bob, office: Office):
    office.waiting_session()
    gate = office.session().open_gate.id
    button = {"type": "button", "action_id": "approve", "value": gate, "text": {"type": "plain_text", "text": "Yes"}}
    view = {"type": "home", "blocks": [{"type": "actions", "elements": [button]}]}
    office.client.views_publish(user_id=bob.id, view=view)

    bob.clicks(bob.home(), "Yes")

    decision = office.session().steps[0].gate.decisions[0]
    assert (decision.actor.person.user, decision.actor.source.value) == (bob.id, "home")


def test_refusal_of_a_click_in_app_home_goes_to_the_persons_own_conversation(alice, office: Office):
    office.waiting_session()
    gate = office.session().open_gate.id
    button = {"type": "button", "action_id": "approve", "value": gate, "text": {"type": "plain_text", "text": "Yes"}}
    office.client.views_publish(
        user_id=alice.id, view={"type": "home", "blocks": [{"type": "actions", "elements": [button]}]}
    )

    alice.clicks(alice.home(), "Yes")
    office.show()

    assert [(user, place) for user, place, _ in office.told] == [(alice.id, alice.id)]


def test_revoked_bot_token_ends_readiness(office: Office):
    office.workspace.deliver_event({"type": "tokens_revoked", "tokens": {"oauth": [], "bot": ["U0RUNBOOKBOT"]}})
    office.settle()

    assert "SLACK_BOT_TOKEN" in office.gone[0]


def test_revoked_token_of_a_person_is_none_of_ours(office: Office):
    office.workspace.deliver_event({"type": "tokens_revoked", "tokens": {"oauth": ["U0ALICE"], "bot": []}})
    office.settle()

    assert office.gone == []


def test_uninstalled_app_ends_readiness(office: Office):
    office.workspace.deliver_event({"type": "app_uninstalled"})
    office.settle()

    assert "install it again" in office.gone[0]


def test_event_that_nobody_listens_to_is_acknowledged(office: Office):
    assert office.workspace.deliver_event({"type": "reaction_added", "user": "U0ALICE"}).acked
