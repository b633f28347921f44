"""One step after the other: what comes next when everything goes well, and how a session ends."""

from __future__ import annotations

import pytest

from engine.effects import Purpose, RunStep, Show
from engine.model import OnFailure, PlannedStep
from engine.model import SessionStatus as N
from engine.model import StepStatus as S
from tests.builders import a_free_step, a_postcheck, a_precheck, a_step, an_audience, an_undo
from tests.engine.story import A, Story


def test_ungated_steps_follow_by_themselves_to_the_end() -> None:
    story = Story(a_precheck(), a_free_step(), a_postcheck())

    story.runs().runs().runs()

    assert story.session.status is N.COMPLETED
    assert story.session.reason == ""
    assert story.effects[-2:] == (Show(purpose=Purpose.CLOSING), Show(purpose=Purpose.CARD))


def test_first_approval_does_not_complete_a_session_whose_third_step_waits() -> None:
    """The predecessor had two drivers: the second one called this session completed after the first approval."""
    story = Story(a_step(), a_free_step(), a_step())

    story.approves().runs().runs()

    assert story.session.status is N.WAITING_APPROVAL
    assert story.gate.step_number == 3
    assert story.approves().runs().session.status is N.COMPLETED


@pytest.mark.parametrize("following", [a_step(), a_free_step()])
def test_failed_step_stays_failed_and_the_next_one_never_runs(following: PlannedStep) -> None:
    """The predecessor went on to the next step after a failure, and called the session completed."""
    story = Story(a_step(), following).approves()

    story.runs(A.FAILED, message="It broke.")

    assert story.session.status is N.FAILED
    assert story.session.reason == "Step 1 failed: It broke."
    assert story.statuses == [S.FAILED, S.SKIPPED]
    assert story.told(RunStep) == []


def test_step_after_a_success_waits_for_its_own_approval() -> None:
    story = Story(a_step(), a_step(), audience=an_audience(quorum=1)).approves().runs()

    assert story.statuses == [S.SUCCEEDED, S.WAITING_APPROVAL]
    assert story.told(RunStep) == []


def test_later_gated_steps_do_not_make_a_running_session_wait() -> None:
    """In the predecessor a saved note recomputed the flag over all future gates."""
    story = Story(a_free_step(), a_step(), a_step()).claims().submits().is_seen_running()

    assert story.session.status is N.IN_PROGRESS
    assert story.session.open_gate is None


def test_failed_last_precheck_stops_before_the_first_change() -> None:
    """The predecessor looked at the prechecks on one path only, and went on when the last one had failed."""
    story = Story(a_precheck(), a_precheck(), a_step()).runs()

    story.runs(A.FAILED)

    assert story.session.status is N.FAILED
    assert story.statuses == [S.SUCCEEDED, S.FAILED, S.SKIPPED]


def test_precheck_that_may_fail_lets_the_change_follow() -> None:
    story = Story(a_precheck(on_failure=OnFailure.CONTINUE), a_free_step())

    story.runs(A.FAILED).runs()

    assert story.session.status is N.COMPLETED


def test_failed_postcheck_leaves_the_session_completed_but_unverified() -> None:
    story = Story(a_free_step(), a_postcheck()).runs()

    story.runs(A.FAILED)

    assert story.session.status is N.COMPLETED_UNVERIFIED
    assert story.session.reason == "Not everything went as planned: see step 2."


def test_failed_postcheck_that_stops_is_unverified_too_and_skips_the_rest() -> None:
    story = Story(a_free_step(), a_postcheck(on_failure=OnFailure.STOP), a_postcheck()).runs()

    story.runs(A.TIMED_OUT, message="Too slow.")

    assert story.session.status is N.COMPLETED_UNVERIFIED
    assert story.session.reason == "Postcheck 2 failed: Too slow."
    assert story.statuses == [S.SUCCEEDED, S.TIMED_OUT, S.SKIPPED]


def test_change_that_failed_and_was_passed_over_is_not_called_completed() -> None:
    story = Story(a_free_step(on_failure=OnFailure.CONTINUE), a_free_step())

    story.runs(A.FAILED).runs()

    assert story.session.status is N.COMPLETED_UNVERIFIED
    assert story.session.reason == "Not everything went as planned: see step 1."


def test_rollback_steps_are_not_part_of_a_good_run() -> None:
    story = Story(a_free_step(), an_undo(1))

    story.runs()

    assert story.session.status is N.COMPLETED
    assert story.statuses == [S.SUCCEEDED, S.SKIPPED]


def test_finished_session_knows_when_it_ended() -> None:
    story = Story(a_free_step()).waits(minutes=5)

    story.runs()

    assert story.session.finished_at == story.now
    assert story.step(1).finished_at == story.now
