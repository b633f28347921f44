"""Which attempts are tried again by themselves, and which approval covers them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from engine import events as ev
from engine.effects import FreeTarget, Purpose, RunStep, Show
from engine.model import AttemptStatus, OnFailure
from engine.model import SessionStatus as N
from engine.model import StepStatus as S
from engine.reactions import RETRY_WAIT
from tests.builders import NOW, WEB, a_free_step, a_step
from tests.engine.story import A, Story

RESULT = Show(purpose=Purpose.RESULT, step_number=1, ordinal=1)
ENDED_BADLY = [A.FAILED, A.TIMED_OUT, A.INFRA_FAILED]


def approved(**changes: Any) -> Story:
    return Story(a_step(**changes)).approves()


@pytest.mark.parametrize("ended", ENDED_BADLY)
def test_proven_failure_is_tried_again_as_often_as_the_approved_plan_says(ended: AttemptStatus) -> None:
    story = approved(retries=2)

    story.runs(ended, message="It broke.")

    assert story.statuses == [S.QUEUED]
    assert story.step(1).reason == "Attempt 1 failed: It broke."
    assert story.step(1).not_before == NOW + RETRY_WAIT
    assert RunStep(step_number=1, not_before=NOW + RETRY_WAIT) in story.effects
    assert RESULT in story.effects
    assert story.runs(ended).statuses == [S.QUEUED]
    assert story.runs(ended).statuses[0] in {S.FAILED, S.TIMED_OUT}
    assert story.step(1).attempts == 3


def test_retry_that_succeeds_leaves_no_trace_of_the_failure_in_the_result() -> None:
    story = approved(retries=1).runs(A.FAILED, message="It broke.")
    assert story.step(1).exit_code == 1

    story.claims()

    step = story.step(1)
    assert (step.exit_code, step.reason, step.not_before, step.finished_at) == (None, "", None, None)
    assert story.submits().ends(A.SUCCEEDED).step(1).reason == ""


@pytest.mark.parametrize("ended", [A.UNKNOWN, A.REFUSED_LATE, A.NOT_STARTED, A.CANCELLED])
def test_only_proven_failure_is_tried_again(ended: AttemptStatus) -> None:
    story = approved(retries=5)

    story.runs(ended)

    assert story.told(RunStep) == []
    assert story.statuses[0] in {S.UNKNOWN, S.FAILED}


def test_command_stopped_from_outside_does_not_begin_again_by_itself() -> None:
    story = approved(retries=5).runs(A.CANCELLED, message="Somebody deleted the run command.")

    assert story.statuses == [S.FAILED]
    assert story.session.status is N.FAILED


def test_each_approval_covers_its_own_retries() -> None:
    story = approved(retries=1, on_failure=OnFailure.ASK).runs(A.FAILED).runs(A.FAILED)
    story.chooses(1, ev.Choice.RETRY)
    assert (story.gate.serial, story.gate.attempt) == (2, 3)

    story.approves().runs(A.FAILED)

    assert story.statuses == [S.QUEUED]
    assert story.runs(A.FAILED).session.status is N.NEEDS_ATTENTION


def test_ungated_step_retries_as_often_as_the_plan_says() -> None:
    story = Story(a_free_step(retries=1)).runs(A.FAILED)

    assert story.statuses == [S.QUEUED]
    assert story.runs(A.FAILED).statuses == [S.FAILED]


def test_command_that_certainly_did_not_start_passes_its_approval_on() -> None:
    story = approved().claims()
    at = NOW + timedelta(seconds=20)

    story.ends(A.NOT_STARTED, message="Throttled.", retry_at=at)

    step = story.step(1)
    assert (step.status, step.reason, step.not_before) == (S.QUEUED, "Throttled.", at)
    assert step.gate is not None
    assert (step.gate.serial, step.gate.attempt) == (1, 2)
    assert RunStep(step_number=1, not_before=at) in story.effects
    assert FreeTarget(target_id=WEB.id) in story.effects
    assert RESULT not in story.effects


def test_throttling_does_not_use_up_the_retries() -> None:
    at = NOW + timedelta(seconds=20)
    story = approved(retries=1).claims().ends(A.NOT_STARTED, retry_at=at)

    story.runs(A.FAILED)

    assert story.statuses == [S.QUEUED]


def test_throttling_between_two_attempts_makes_no_more_of_them() -> None:
    """Of one retry: the first attempt fails, the second is throttled, the third fails. A fourth was never approved."""
    at = NOW + timedelta(seconds=20)
    story = approved(retries=1).runs(A.FAILED).claims().ends(A.NOT_STARTED, retry_at=at)

    story.runs(A.FAILED)

    assert story.statuses == [S.FAILED]


def test_ungated_command_that_did_not_start_waits_and_tries_again() -> None:
    at = NOW + timedelta(seconds=20)
    story = Story(a_free_step()).claims()

    story.ends(A.NOT_STARTED, message="Throttled.", retry_at=at)

    assert story.statuses == [S.QUEUED]
    assert story.runs().session.status is N.COMPLETED


def test_throttled_command_of_a_cancelled_session_is_not_sent_again() -> None:
    story = approved().claims().cancels()

    story.ends(A.NOT_STARTED, retry_at=NOW + timedelta(seconds=20))

    assert story.session.status is N.CANCELLED
    assert story.statuses == [S.CANCELLED]
    assert story.told(RunStep) == []
