"""Buttons: one effect per decision, a sentence for everybody whose click does not count."""

from __future__ import annotations

import pytest

from engine.model import SessionStatus, StepStatus
from playground.slack.faults import FaultKind
from playground.slack.model import Message
from tests.bot.listeners.office import Office

APPROVE = "Approve & Continue"


@pytest.fixture
def gate(office: Office) -> Message:
    office.waiting_session()
    return office.gate()


def step(office: Office):
    return office.session().steps[0]


def told(office: Office) -> list[tuple[str, str]]:
    office.show()
    return [(user, text) for user, _, text in office.told]


def test_approval_is_recorded_before_it_is_acknowledged(bob, gate: Message, office: Office):
    click = bob.clicks(gate, APPROVE)

    assert click.acked
    assert step(office).status is StepStatus.APPROVED
    assert step(office).gate.decisions[0].actor.person.user == bob.id


def test_requester_cannot_approve_own_session(alice, gate: Message, office: Office):
    click = alice.clicks(gate, APPROVE)

    assert click.acked
    assert step(office).status is StepStatus.WAITING_APPROVAL
    assert [user for user, _ in told(office)] == [alice.id]
    assert len(office.audit("decision_refused")) == 1


def test_click_that_does_not_count_leaves_the_message_as_it_was(alice, gina, gate: Message, office: Office):
    shown = (gate.text, gate.blocks)

    alice.clicks(gate, APPROVE)
    gina.clicks(gate, APPROVE)

    assert (office.gate().text, office.gate().blocks) == shown
    assert office.workspace.journal.calls("chat.update") == []


def test_double_click_decides_once_and_is_explained(bob, gate: Message, office: Office):
    bob.clicks(gate, APPROVE)
    second = bob.clicks(gate, APPROVE)

    assert second.acked
    assert len(step(office).gate.decisions) == 1
    assert [user for user, _ in told(office)] == [bob.id]


def test_one_click_delivered_twice_is_one_decision_and_no_refusal(bob, gate: Message, office: Office):
    office.workspace.faults.switch_on(FaultKind.DUPLICATE_SAME_ENVELOPE, on="interactive")

    bob.clicks(gate, APPROVE)

    assert len(step(office).gate.decisions) == 1
    assert told(office) == []


def test_two_approvers_at_the_same_instant_decide_once(bob, gate: Message, office: Office):
    carol = office.workspace.person("carol")

    office.workspace.at_once(lambda: bob.clicks(gate, APPROVE), lambda: carol.clicks(gate, APPROVE))

    assert len(step(office).gate.decisions) == 1
    assert len(told(office)) == 1


def test_click_on_a_copy_of_the_message_does_not_count(bob, gate: Message, office: Office):
    copied = office.client.chat_postMessage(channel="C0OPS", text="copy", blocks=gate.blocks)
    copy = office.workspace.channel("ops").message(copied["ts"])

    bob.clicks(copy, APPROVE)

    assert step(office).status is StepStatus.WAITING_APPROVAL
    assert "not the message" in told(office)[0][1]


def test_stale_message_is_answered_and_changes_nothing(bob, gate: Message, office: Office):
    office.workspace.person("alice").types("/runbook cancel 1", channel="ops")

    click = bob.clicks(gate, APPROVE)

    assert click.acked
    assert office.session().status is SessionStatus.CANCELLED
    assert [user for user, _ in told(office)] == [bob.id]


def test_guest_cannot_decide(gina, gate: Message, office: Office):
    gina.clicks(gate, APPROVE)

    assert step(office).status is StepStatus.WAITING_APPROVAL
    assert "Guests may not" in told(office)[0][1]


def test_click_of_another_workspace_is_refused_and_audited(oscar, office: Office):
    office.waiting_session()
    blocks = office.gate().blocks
    shared = office.client.chat_postMessage(channel="C0PARTNERS", text="shared", blocks=blocks)

    click = oscar.clicks(office.workspace.channel("partners").message(shared["ts"]), APPROVE)

    assert click.acked
    assert step(office).status is StepStatus.WAITING_APPROVAL
    assert len(office.audit("request_refused")) == 1
    assert "workspace" in told(office)[0][1]


def test_rejection_asks_why_and_ends_the_session(bob, gate: Message, office: Office):
    bob.clicks(gate, "Reject")
    sent = bob.submits(bob.modal(), {"reason": "wrong machine"})

    assert sent.closed
    assert office.session().status is SessionStatus.REJECTED
    assert step(office).gate.decisions[0].reason == "wrong machine"


def test_rejection_of_what_was_decided_meanwhile_says_so_in_the_dialog(bob, gate: Message, office: Office):
    carol = office.workspace.person("carol")
    bob.clicks(gate, "Reject")
    carol.clicks(gate, APPROVE)

    sent = bob.submits(bob.modal(), {"reason": "wrong machine"})

    assert not sent.closed
    assert sent.errors
    assert step(office).status is StepStatus.APPROVED


def test_cancel_button_of_the_card_calls_the_session_off(alice, gate: Message, office: Office):
    alice.clicks(office.card(), "Cancel")

    assert office.session().status is SessionStatus.CANCELLED


def test_forged_gate_id_is_refused(bob, gate: Message, office: Office):
    forged = {"type": "actions", "elements": [{"type": "button", "action_id": "approve", "value": "0" * 32}]}
    forged["elements"][0]["text"] = {"type": "plain_text", "text": "Go"}
    posted = office.client.chat_postMessage(channel="C0OPS", text="x", blocks=[forged])

    bob.clicks(office.workspace.channel("ops").message(posted["ts"]), "Go")

    assert step(office).status is StepStatus.WAITING_APPROVAL
    assert "not known" in told(office)[0][1]


def test_unknown_button_is_acknowledged_and_explained(bob, office: Office):
    old = {"type": "actions", "elements": [{"type": "button", "action_id": "of_last_year", "value": "1"}]}
    old["elements"][0]["text"] = {"type": "plain_text", "text": "Old"}
    posted = office.client.chat_postMessage(channel="C0OPS", text="x", blocks=[old])

    click = bob.clicks(office.workspace.channel("ops").message(posted["ts"]), "Old")

    assert click.acked
    assert "out of date" in told(office)[0][1]
