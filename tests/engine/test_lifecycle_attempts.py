"""What a worker's findings do to a session: claims, ends, tries that one approval covers, unknown outcomes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from engine import events as ev
from engine.effects import (
    CancelAttempt,
    CleanUpAttempt,
    FreeTarget,
    ObserveAttempt,
    Purpose,
    RunStep,
    Show,
    StoreOutput,
)
from engine.errors import Bug
from engine.model import AttemptStatus, OnFailure, Output
from engine.model import SessionStatus as N
from engine.model import StepStatus as S
from engine.reactions import basis_of
from tests.builders import NOW, WEB, a_claim, a_free_step, a_step, an_end
from tests.engine.story import A, Story

CARD = Show(purpose=Purpose.CARD)


def result_shown(step_number: int = 1, attempt: int = 1) -> Show:
    return Show(purpose=Purpose.RESULT, step_number=step_number, ordinal=attempt)


def approved(**changes: object) -> Story:
    return Story(a_step(**changes)).approves()


def test_claim_is_written_before_anything_is_sent() -> None:
    story = approved().claims()

    attempt = story.step(1).attempt
    assert attempt is not None
    assert (attempt.status, attempt.number, attempt.owner) == (A.SUBMITTING, 1, "worker-1")
    assert attempt.not_after == NOW + timedelta(minutes=10)
    assert attempt.hard_deadline == NOW + timedelta(minutes=18)
    assert story.session.status is N.IN_PROGRESS
    assert story.effects == (CARD,)


def test_step_is_claimed_once() -> None:
    story = approved().claims()

    story.refuses(a_claim(story.step(1), "attempt-of-another-worker"), "Step 1 is running")


def test_step_is_not_claimed_before_its_approval() -> None:
    story = Story(a_step())

    story.refuses(a_claim(story.step(1), "early"), "Step 1 of session 12 is waiting_approval")


def test_step_is_not_claimed_before_its_turn() -> None:
    story = Story(a_free_step(), a_free_step())

    story.refuses(a_claim(story.step(2), "early"), "Step 2 of session 12 is pending")


def test_accepted_command_is_observed_under_its_handle() -> None:
    story = approved().claims()

    story.submits()

    attempt = story.step(1).attempt
    assert attempt is not None
    assert (attempt.status, attempt.handle) == (A.ACCEPTED, {"name": "attempt-1-1"})
    assert story.effects == (ObserveAttempt(attempt_id="attempt-1-1"), CARD)
    story.refuses(ev.Submitted(attempt_id="attempt-1-1"), "already accepted")


def test_command_is_seen_running_once() -> None:
    story = approved().claims().submits()

    story.is_seen_running()

    assert story.step(1).attempt is not None
    story.refuses(ev.SeenRunning(attempt_id="attempt-1-1"), "is running")


def test_command_that_was_not_accepted_is_not_seen_running() -> None:
    story = approved().claims()

    story.refuses(ev.SeenRunning(attempt_id="attempt-1-1"), "is submitting")


def test_end_stores_the_output_clears_up_and_frees_the_machine() -> None:
    story = approved().claims().submits()
    output = Output(stdout="ok\n", stdout_bytes=3)

    story.ends(A.SUCCEEDED, output=output, duration_seconds=1.5, captured=(("used", "85"),))

    step = story.step(1)
    assert (step.exit_code, step.duration_seconds, step.captured) == (0, 1.5, (("used", "85"),))
    assert story.effects == (
        StoreOutput(step_number=1, attempt_id="attempt-1-1", output=output),
        CleanUpAttempt(attempt_id="attempt-1-1"),
        FreeTarget(target_id=WEB.id),
        result_shown(),
        Show(purpose=Purpose.CLOSING),
        CARD,
    )


def test_late_result_of_an_old_attempt_changes_nothing() -> None:
    """In the predecessor late results overwrote whatever had been decided meanwhile."""
    story = approved(retries=1).runs(A.FAILED).claims()

    story.refuses(an_end("attempt-1-1"), "Attempt attempt-1-1 is no longer awaited")


def test_result_is_counted_once() -> None:
    story = Story(a_free_step(), a_step()).runs()

    story.refuses(an_end("attempt-1-1"), "no longer awaited")


def test_attempt_that_nobody_knows_is_refused() -> None:
    story = approved().claims()

    story.refuses(an_end("another"), "Attempt another is no longer awaited")


def test_attempt_cannot_end_as_something_that_is_no_end() -> None:
    story = approved().claims()

    with pytest.raises(Bug, match="cannot end as running"):
        story.ends(A.RUNNING)


def test_exit_code_zero_with_a_broken_expectation_is_a_failure() -> None:
    story = approved()

    story.runs(A.SUCCEEDED, verdict="The output does not say ok.")

    assert story.statuses == [S.FAILED]
    assert story.step(1).reason == "The output does not say ok."


@pytest.mark.parametrize(
    ("ended", "status"),
    [
        (A.SUCCEEDED, S.SUCCEEDED),
        (A.FAILED, S.FAILED),
        (A.TIMED_OUT, S.TIMED_OUT),
        (A.CANCELLED, S.FAILED),
        (A.REFUSED_LATE, S.FAILED),
        (A.NOT_STARTED, S.FAILED),
        (A.INFRA_FAILED, S.FAILED),
        (A.UNKNOWN, S.UNKNOWN),
    ],
)
def test_end_of_an_attempt_decides_its_step(ended: AttemptStatus, status: S) -> None:
    assert approved().runs(ended).statuses == [status]


def test_busy_machine_keeps_the_step_in_line_until_it_is_woken() -> None:
    story = approved().is_delayed()

    assert story.session.status is N.IN_PROGRESS
    assert (story.step(1).status, story.step(1).reason) == (S.QUEUED, "web-1 is busy.")
    assert story.effects == (CARD,)


def test_machine_that_asks_for_patience_is_asked_again_in_time() -> None:
    at = NOW + timedelta(seconds=40)

    story = approved().is_delayed(until=at)

    assert story.step(1).not_before == at
    assert story.effects == (RunStep(step_number=1, not_before=at), CARD)


def test_machine_that_is_not_ready_asks_people_instead_of_failing_the_session() -> None:
    story = approved().is_blocked()

    assert story.session.status is N.NEEDS_ATTENTION
    assert (story.step(1).status, story.step(1).reason) == (S.FAILED, "web-1 is stopped.")
    assert story.effects == (Show(purpose=Purpose.ATTENTION, step_number=1), CARD)


@pytest.mark.parametrize("late", [ev.Blocked, ev.Delayed])
def test_finding_of_a_slow_worker_does_not_touch_a_running_step(late: type[ev.Blocked | ev.Delayed]) -> None:
    story = approved().claims()

    story.refuses(late(step_number=1, reason="Off.", basis=basis_of(story.step(1))), "Step 1 is running")


def test_unknown_outcome_holds_the_machine_and_its_evidence_and_waits_for_a_person() -> None:
    story = Story(a_step(retries=3, on_failure=OnFailure.CONTINUE), a_free_step()).approves()

    story.runs(A.UNKNOWN, message="No answer.")

    assert story.session.status is N.NEEDS_ATTENTION
    assert story.statuses == [S.UNKNOWN, S.PENDING]
    assert story.step(1).finished_at == NOW
    assert story.told(FreeTarget) == []
    assert story.told(CleanUpAttempt) == []
    assert Show(purpose=Purpose.ATTENTION, step_number=1, ordinal=1) in story.effects


def test_unknown_outcome_never_closes_by_itself() -> None:
    story = approved().runs(A.UNKNOWN).waits(days=30)

    story.refuses(an_end("attempt-1-1"), "no longer awaited")
    story.refuses(a_claim(story.step(1), "again"), "is unknown")

    assert story.session.status is N.NEEDS_ATTENTION


@pytest.mark.parametrize(
    ("choice", "status", "session"),
    [(ev.Choice.SUCCEEDED, S.SUCCEEDED, N.COMPLETED), (ev.Choice.FAILED, S.FAILED, N.FAILED)],
)
def test_person_with_evidence_settles_an_unknown_outcome_and_frees_the_machine(
    choice: ev.Choice, status: S, session: N
) -> None:
    story = approved().runs(A.UNKNOWN)

    story.chooses(1, choice)

    assert (story.statuses, story.session.status) == ([status], session)
    assert story.step(1).reason == f"Bob chose {choice.value}: I looked."
    assert story.told(CleanUpAttempt) == [CleanUpAttempt(attempt_id="attempt-1-1")]
    assert story.told(FreeTarget) == [FreeTarget(target_id=WEB.id)]


def test_cancel_reaches_the_machine_when_a_command_is_on_it() -> None:
    story = approved().claims().submits()

    story.cancels()

    assert story.session.status is N.IN_PROGRESS
    assert story.effects == (CancelAttempt(attempt_id="attempt-1-1"), CARD)


def test_cancel_that_comes_while_the_command_is_being_sent_is_passed_on_once_it_arrived() -> None:
    story = approved().claims().cancels()
    assert story.told(CancelAttempt) == []

    story.submits()

    assert story.told(CancelAttempt) == [CancelAttempt(attempt_id="attempt-1-1")]
