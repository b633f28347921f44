"""The approval request shows exactly what will run, to whom it is put and until when."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings

from bot.views.gate import gate_message, superseded
from engine.model import AttemptStatus, GateStatus, Phase, Risk, StepKind, StepStatus, Verdict
from tests.bot.views.builders import (
    ALICE,
    BOB,
    CAROL,
    HOSTILE,
    NOW,
    SCRIPTS,
    a_gate,
    a_plan,
    a_planned_step,
    a_session,
    a_step,
    a_vote,
    a_waiting_step,
    an_audience,
    an_ended_step,
)
from tests.bot.views.reading import buttons, entities, everything, literal, mentions, preformatted


def shown(step, *, gate=None, session=None, now=NOW):
    return gate_message(session or a_session(step), step, gate=gate or step.gate, now=now)


def with_script(script: str, **planned):
    step = a_planned_step(script=script, **planned)
    return a_step(planned=step, status=StepStatus.WAITING_APPROVAL, gate=a_gate())


@given(script=SCRIPTS.filter(bool))
@settings(deadline=None)
def test_the_command_can_be_read_back_byte_for_byte(script: str) -> None:
    step = with_script(script)
    session = a_session(step, plan=a_plan(parameters=()))

    parts = preformatted(shown(step, session=session).blocks)

    assert "".join(parts).encode() == script.encode()
    assert all(len(part) <= 3000 for part in parts)


def test_a_command_of_the_greatest_length_is_shown_whole_in_boxes_cut_at_line_ends() -> None:
    script = "".join(f"echo line {number:04}\n" for number in range(400))[:6000]

    parts = preformatted(shown(with_script(script), session=a_session(plan=a_plan(parameters=()))).blocks)

    assert "".join(parts) == script
    assert len(parts) > 1
    assert all(part.endswith("\n") for part in parts[:-1])


def test_the_number_of_boxes_is_said_when_there_are_several() -> None:
    assert "in 3 boxes that follow each other directly" in literal(shown(with_script("x" * 6001)).blocks)


def test_values_that_the_command_reads_are_shown_whole_because_they_stand_encoded_in_it() -> None:
    secret_tail = "a" * 990 + "; reboot"
    step = with_script('echo "$service"\n')
    session = a_session(step, plan=a_plan(parameters=(("other", "b"), ("service", secret_tail))))

    rendered = shown(step, session=session)

    assert preformatted(rendered.blocks)[1] == f"service = {secret_tail}"
    assert "other = b" in literal(rendered.blocks)


def test_everything_that_a_decision_needs_is_there() -> None:
    step = with_script("systemctl restart nginx\n", retries=2, timeout_seconds=90)

    rendered = shown(step, session=a_session(step, ticket="INC-42"))

    for fact in (
        "web-01 (resource group rg-web)",
        "linux, westeurope",
        "bash",
        "at most 1 min 30 s",
        "up to 2 times under this approval",
        "medium",
        "For a web server that no longer answers.",
        "0 of 1 approved",
        "INC-42",
        "abababababab",
        "nobody decides in time, the session ends",
    ):
        assert fact in literal(rendered.blocks)
    assert mentions(rendered.blocks) == [ALICE.user, BOB.user, CAROL.user]


def test_the_notification_says_the_whole_decision() -> None:
    text = shown(with_script("set -eu\nsystemctl restart nginx\n")).text

    assert text == (
        "<@U0ALICE> asks <@U0BOB>, <@U0CAROL> to approve step 1 of session 12: Restart the web server on web-01 "
        "(resource group rg-web), risk medium, environment prod. Command: systemctl restart nginx (line 2 of 2). "
        "1 approval needed until <!date^1795264200^{date_short_pretty} at {time}|2026-11-21 12:30 UTC>. "
        "Decide with the buttons in the thread or on the bot's Home tab; to see all of it: `/runbook status 12`."
    )


def test_the_notification_names_the_authors_command_and_not_the_values_before_it() -> None:
    script = 'service="$(printf %s \'bmdpbng=\' | base64 -d)" || exit 96\nsystemctl restart "$service"\n'

    assert 'Command: systemctl restart "$service" (line 2 of 2).' in shown(with_script(script)).text


def test_the_requester_is_not_named_among_those_who_may_decide() -> None:
    step = a_waiting_step(audience=an_audience(approvers=(ALICE, BOB)))

    text = shown(step).text

    assert "asks <@U0BOB> to approve" in text


def test_an_open_request_has_exactly_the_two_buttons_with_only_the_gates_id() -> None:
    found = buttons(shown(a_waiting_step()).blocks)

    assert list(found) == ["Approve & Continue", "Reject"]
    assert {button["value"] for button in found.values()} == {"0" * 32}
    assert [found["Approve & Continue"]["action_id"], found["Reject"]["action_id"]] == ["approve", "reject"]


@pytest.mark.parametrize(("risk", "asked"), [(Risk.NONE, False), (Risk.MEDIUM, False), (Risk.HIGH, True)])
def test_only_high_risk_asks_once_more(risk: Risk, asked: bool) -> None:
    found = buttons(shown(with_script("id\n", risk=risk)).blocks)

    assert ("confirm" in found["Approve & Continue"]) is asked
    assert "confirm" not in found["Reject"]


def test_a_manual_step_is_reported_done_and_shows_its_instructions() -> None:
    step = a_planned_step(kind=StepKind.MANUAL, script="", instructions="Swap the cable.\nThen wait.")
    waiting = a_step(planned=step, status=StepStatus.WAITING_APPROVAL, gate=a_gate())

    rendered = shown(waiting)

    assert list(buttons(rendered.blocks)) == ["Done", "Reject"]
    assert preformatted(rendered.blocks) == ["Swap the cable.\nThen wait."]
    assert "to report done step 1" in rendered.text


@pytest.mark.parametrize("status", [status for status in GateStatus if status is not GateStatus.OPEN])
def test_a_closed_request_has_no_buttons(status: GateStatus) -> None:
    gate = a_gate(status=status, closed_at=NOW, decisions=(a_vote(),))

    assert buttons(shown(a_step(gate=gate)).blocks) == {}


def test_past_its_deadline_a_request_has_no_buttons_even_before_it_is_closed() -> None:
    assert buttons(shown(a_waiting_step(), now=NOW + timedelta(minutes=30)).blocks) == {}


def test_who_approved_is_said() -> None:
    gate = a_gate(status=GateStatus.APPROVED, closed_at=NOW, decisions=(a_vote(BOB, reason="looks right"),))

    rendered = shown(a_step(gate=gate))

    assert "Approved by " in literal(rendered.blocks)
    assert "looks right" in literal(rendered.blocks)
    assert "Approved by <@U0BOB>" in rendered.text


def test_who_rejected_is_said_and_why() -> None:
    vote = a_vote(CAROL, Verdict.REJECT, reason="wrong machine")
    gate = a_gate(status=GateStatus.REJECTED, closed_at=NOW, decisions=(vote,))

    rendered = shown(a_step(gate=gate))

    assert "Rejected by <@U0CAROL>" in rendered.text
    assert "wrong machine" in rendered.text
    assert "Nothing more runs." in literal(rendered.blocks)


@pytest.mark.parametrize(
    ("status", "words"), [(GateStatus.EXPIRED, "nobody decided in time"), (GateStatus.CANCELLED, "with the session")]
)
def test_a_request_that_nobody_decided_says_so(status: GateStatus, words: str) -> None:
    assert words in literal(shown(a_step(gate=a_gate(status=status, closed_at=NOW))).blocks)


def test_a_quorum_shows_who_has_approved_so_far() -> None:
    gate = a_gate(audience=an_audience(quorum=2), decisions=(a_vote(BOB),))

    rendered = shown(a_step(status=StepStatus.WAITING_APPROVAL, gate=gate))

    assert "1 of 2 approved by " in literal(rendered.blocks)
    assert list(buttons(rendered.blocks)) == ["Approve & Continue", "Reject"]


def test_the_findings_of_earlier_steps_are_evidence() -> None:
    check = an_ended_step(
        StepStatus.SUCCEEDED,
        AttemptStatus.SUCCEEDED,
        planned=a_planned_step(phase=Phase.PRECHECK, name="Disk space"),
        captured=(("percent", "91"),),
        finished_at=NOW,
    )
    asked = a_step(planned=a_planned_step(number=2), status=StepStatus.WAITING_APPROVAL, gate=a_gate(step_number=2))

    rendered = shown(asked, session=a_session(check, asked))

    assert "Disk space done: percent = 91" in literal(rendered.blocks)


def test_a_hostile_command_stays_text() -> None:
    rendered = shown(with_script(HOSTILE, name=HOSTILE))

    assert HOSTILE in "".join(preformatted(rendered.blocks))
    assert entities(rendered.text) == ["<@U0ALICE>", "<@U0BOB>", "<@U0CAROL>"]
    assert "```" not in rendered.text


def test_a_request_that_was_asked_again_points_to_the_newer_one() -> None:
    rendered = superseded(a_session(), 1)

    assert "replaced by a newer one" in rendered.text
    assert buttons(rendered.blocks) == {}


def test_the_same_request_is_drawn_the_same_way_whatever_the_order_of_its_approvers() -> None:
    one = a_waiting_step(audience=an_audience(approvers=(BOB, CAROL)))
    other = a_waiting_step(audience=an_audience(approvers=(CAROL, BOB)))

    assert everything(shown(one).blocks) == everything(shown(other).blocks)
    assert replace(shown(one)) == shown(other)
