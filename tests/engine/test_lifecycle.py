"""What each event does to a session, and what must be done because of it: gates, votes and the clock."""

from __future__ import annotations

from datetime import timedelta

import pytest

from engine import events as ev
from engine.effects import Purpose, RunStep, Show
from engine.errors import Conflict, Expired, NotAllowed
from engine.lifecycle import advance
from engine.model import GateStatus
from engine.model import SessionStatus as N
from engine.model import StepStatus as S
from engine.reactions import basis_of
from engine.settling import gate_id
from tests.builders import (
    ALICE,
    BOB,
    CAROL,
    DAVE,
    NONCE,
    NOW,
    a_free_step,
    a_manual_step,
    a_step,
    a_vote,
    an_audience,
    every_event,
)
from tests.engine.story import A, Story, gate_was

CARD = Show(purpose=Purpose.CARD)
CLOSING = Show(purpose=Purpose.CLOSING)


def gate_shown(step_number: int, serial: int = 1) -> Show:
    return Show(purpose=Purpose.GATE, step_number=step_number, ordinal=serial)


def test_session_begins_by_asking_for_its_first_step() -> None:
    story = Story(a_step())

    assert story.session.status is N.WAITING_APPROVAL
    assert story.session.started_at == NOW
    assert story.effects == (gate_shown(1), CARD)


def test_session_begins_by_running_a_step_that_needs_nobody() -> None:
    story = Story(a_free_step())

    assert story.session.status is N.IN_PROGRESS
    assert story.effects == (RunStep(step_number=1), CARD)


def test_session_starts_once() -> None:
    story = Story(a_step())

    story.refuses(ev.Started(), "Session 12 has already started")


def test_gate_is_bound_to_the_plan_the_step_and_the_attempt() -> None:
    gate = Story(a_step(), audience=an_audience(lifetime_seconds=600)).gate

    assert (gate.plan_digest, gate.step_number, gate.attempt, gate.serial) == (Story(a_step()).session.digest, 1, 1, 1)
    assert gate.opened_at == NOW
    assert gate.remind_at == NOW + timedelta(minutes=5)
    assert gate.expires_at == NOW + timedelta(minutes=10)


def test_gate_ids_never_repeat_and_cannot_be_guessed_without_the_nonce() -> None:
    ids = {gate_id(nonce, step, serial) for nonce in (NONCE, "f" * 32) for step in (1, 2, 12) for serial in (1, 2, 12)}

    assert len(ids) == 18
    assert all(len(each) == 32 for each in ids)


def test_approval_lets_the_step_run() -> None:
    story = Story(a_step())

    story.approves(BOB, "looks right")

    assert story.session.status is N.IN_PROGRESS
    assert story.statuses == [S.APPROVED]
    assert gate_was(story, 1) is GateStatus.APPROVED
    assert story.effects == (gate_shown(1), RunStep(step_number=1), CARD)


def test_decision_keeps_who_when_and_why() -> None:
    story = Story(a_step()).waits(minutes=3).approves(BOB, "looks right")

    gate = story.step(1).gate
    assert gate is not None
    [decision] = gate.decisions
    assert (decision.actor.person, decision.reason, decision.at) == (BOB, "looks right", NOW + timedelta(minutes=3))
    assert gate.closed_at == NOW + timedelta(minutes=3)


def test_step_waits_until_enough_people_have_approved() -> None:
    story = Story(a_step(), audience=an_audience(BOB, CAROL, DAVE, quorum=2))

    story.approves(BOB)

    assert story.session.status is N.WAITING_APPROVAL
    assert story.effects == (gate_shown(1), CARD)
    assert story.approves(DAVE).statuses == [S.APPROVED]


def test_one_person_clicking_twice_is_not_a_quorum() -> None:
    story = Story(a_step(), audience=an_audience(quorum=2)).approves(BOB)

    with pytest.raises(Conflict, match="already approved step 1"):
        story.approves(BOB)

    assert story.session.status is N.WAITING_APPROVAL


def test_quorum_counts_people_and_not_clicks_even_if_a_second_click_slips_through() -> None:
    story = Story(a_step(), audience=an_audience(quorum=2)).approves(BOB)

    story.happens(ev.Voted(gate_id=story.gate.id, decision=a_vote(BOB)))

    assert story.session.status is N.WAITING_APPROVAL


def test_requester_never_counts() -> None:
    story = Story(a_step(), audience=an_audience(ALICE, BOB))

    with pytest.raises(NotAllowed, match="somebody else must decide"):
        story.approves(ALICE)

    assert story.gate.decisions == ()


def test_rejection_ends_the_session_and_nothing_more_can_run() -> None:
    """The predecessor recomputed progress after a rejection, and the session waited for ever on a closed gate."""
    story = Story(a_step(), a_step(), a_free_step())

    story.rejects(BOB, "wrong day")

    assert story.session.status is N.REJECTED
    assert story.session.reason == "Step 1 was rejected: wrong day"
    assert story.statuses == [S.REJECTED, S.SKIPPED, S.SKIPPED]
    assert story.session.open_gate is None
    assert story.session.finished_at == NOW
    assert story.effects == (gate_shown(1), CLOSING, CARD)


def test_somebody_who_approved_may_still_reject_before_the_quorum() -> None:
    story = Story(a_step(), audience=an_audience(quorum=2)).approves(BOB)

    story.rejects(BOB, "I was wrong")

    assert story.session.status is N.REJECTED


def test_gate_that_nobody_decides_ends_the_session() -> None:
    story = Story(a_step(), a_free_step())

    story.expires()

    assert story.session.status is N.EXPIRED
    assert story.statuses == [S.EXPIRED, S.SKIPPED]
    assert gate_was(story, 1) is GateStatus.EXPIRED
    assert story.effects == (gate_shown(1), CLOSING, CARD)


def test_gate_does_not_expire_early() -> None:
    story = Story(a_step()).waits(minutes=30, seconds=-1)

    story.refuses(ev.GateExpired(gate_id=story.gate.id), "open until 09:30 UTC")


def test_approval_after_the_deadline_does_not_count_even_before_the_clock_has_closed_the_gate() -> None:
    story = Story(a_step()).waits(minutes=30)

    with pytest.raises(Expired):
        story.approves()

    assert story.statuses == [S.WAITING_APPROVAL]


def test_approvers_are_reminded_once() -> None:
    story = Story(a_step()).waits(minutes=15).reminds()

    assert story.effects == (Show(purpose=Purpose.REMINDER, step_number=1, ordinal=1), CARD)
    story.refuses(ev.Reminded(gate_id=story.gate.id), "already reminded")


def test_gate_that_is_asked_again_reminds_again() -> None:
    story = Story(a_step()).reminds().approves().loses_its_approval()

    story.reminds()

    assert story.gate.reminded


@pytest.mark.parametrize("kind", [ev.GateExpired, ev.Reminded])
def test_clock_comes_too_late_for_a_decided_gate(kind: type[ev.GateExpired | ev.Reminded]) -> None:
    story = Story(a_step())
    gate = story.gate.id
    story.approves().waits(hours=1)

    story.refuses(kind(gate_id=gate), "already closed")


def test_late_click_on_step_one_never_approves_step_two() -> None:
    """The predecessor ignored the step that was clicked and approved whatever waited."""
    story = Story(a_step(), a_step())
    old = story.gate.id
    story.approves().runs()
    assert story.gate.step_number == 2

    story.refuses(ev.Voted(gate_id=old, decision=a_vote(BOB)), "already closed")

    assert story.statuses == [S.SUCCEEDED, S.WAITING_APPROVAL]


def test_gate_that_was_never_opened_cannot_be_approved_out_of_order() -> None:
    """In the predecessor, approving step 3 first ran step 3 alone and called the session completed."""
    story = Story(a_step(), a_step(), a_step())
    third = gate_id(NONCE, 3, 1)

    story.refuses(ev.Voted(gate_id=third, decision=a_vote(BOB)), "already closed")

    assert story.statuses == [S.WAITING_APPROVAL, S.PENDING, S.PENDING]


def test_approval_after_a_cancel_runs_nothing() -> None:
    """In the predecessor, an approval after the cancel ran the step and completed the session."""
    story = Story(a_step())
    gate = story.gate.id
    story.cancels()

    story.refuses(ev.Voted(gate_id=gate, decision=a_vote(BOB)), "is over: it is cancelled")


def test_second_click_on_a_decided_gate_claims_nothing_twice() -> None:
    story = Story(a_step())
    gate = story.gate.id
    story.approves(BOB)

    story.refuses(ev.Voted(gate_id=gate, decision=a_vote(CAROL)), "already closed")


def test_voided_approval_is_asked_again_under_a_new_gate() -> None:
    story = Story(a_step()).approves()

    story.loses_its_approval()

    assert story.session.status is N.WAITING_APPROVAL
    assert (story.gate.serial, story.gate.attempt, story.gate.decisions) == (2, 1, ())
    assert story.step(1).reason == "Bob has left."
    assert story.effects == (gate_shown(1, 2), CARD)


def test_plan_that_cannot_be_trusted_ends_the_session_unrun() -> None:
    story = Story(a_step(), a_step()).approves()

    story.loses_its_approval(fatal=True)

    assert story.session.status is N.FAILED
    assert story.statuses == [S.FAILED, S.SKIPPED]
    assert story.effects == (CLOSING, CARD)


@pytest.mark.parametrize("fatal", [False, True])
def test_approval_cannot_be_voided_once_the_step_runs(fatal: bool) -> None:
    """A slow worker's doubt must not end a session whose command is under way."""
    story = Story(a_step()).approves().claims()

    doubt = ev.ApprovalVoided(step_number=1, reason="Drift.", fatal=fatal, basis=basis_of(story.step(1)))

    story.refuses(doubt, "Step 1 is running")


def test_manual_step_is_done_when_its_gate_is_decided_and_reaches_no_machine() -> None:
    story = Story(a_manual_step(), a_free_step())

    story.waits(minutes=2).approves(BOB, "They know.")

    assert story.statuses == [S.SUCCEEDED, S.APPROVED]
    done = story.step(1)
    assert (done.reason, done.started_at, done.finished_at) == ("They know.", NOW, NOW + timedelta(minutes=2))
    assert (done.attempts, done.attempt) == (0, None)
    assert story.effects == (
        gate_shown(1),
        Show(purpose=Purpose.RESULT, step_number=1, ordinal=1),
        RunStep(step_number=2),
        CARD,
    )


def test_manual_step_that_is_refused_ends_the_session() -> None:
    assert Story(a_manual_step(), a_free_step()).rejects().session.status is N.REJECTED


def test_every_accepted_event_raises_the_version_by_one() -> None:
    story = Story(a_step(), a_free_step())
    versions = [story.session.version]

    for act in (story.approves, story.claims, story.submits, story.is_seen_running):
        act()
        versions.append(story.session.version)

    assert versions == [1, 2, 3, 4, 5]


def test_no_event_lets_a_caller_write_a_result_onto_a_step_that_did_not_run() -> None:
    """The predecessor's generic update could mark a gated step as done, with output that nobody ever saw."""
    story = Story(a_step(), a_step())

    for event in every_event(story.session, story.now + timedelta(hours=1)):
        try:
            after = advance(story.session, event, story.now).session
        except Conflict:
            continue
        assert S.SUCCEEDED not in [step.status for step in after.steps]


def test_each_effect_comes_once() -> None:
    story = Story(a_step(), a_step()).approves().claims().submits()

    story.ends(A.SUCCEEDED)

    assert len(story.effects) == len(set(story.effects))
