"""Cancel, pause and resume, in every state that a session can be in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from engine import events as ev
from engine.effects import CancelAttempt, RunStep
from engine.model import AttemptStatus, GateStatus, OnFailure
from engine.model import SessionStatus as N
from engine.model import StepStatus as S
from tests.builders import ALICE, NOW, a_claim, a_free_step, a_step, an_actor, an_undo
from tests.engine.story import A, Story, gate_was

PAUSE = ev.Paused(actor=an_actor())
RESUME = ev.Resumed(actor=an_actor())


def running() -> Story:
    return Story(a_free_step(), a_step()).claims().submits()


def asking() -> Story:
    return Story(a_free_step(on_failure=OnFailure.ASK), a_free_step()).runs(A.FAILED)


@pytest.mark.parametrize(
    ("begin", "statuses"),
    [
        (lambda: Story(a_step(), a_step(), started=False), [S.CANCELLED, S.CANCELLED]),
        (lambda: Story(a_step(), a_step()), [S.CANCELLED, S.CANCELLED]),
        (lambda: Story(a_step(), a_step()).approves(), [S.CANCELLED, S.CANCELLED]),
        (lambda: Story(a_step(), a_step()).approves().is_delayed(), [S.CANCELLED, S.CANCELLED]),
        (lambda: Story(a_step(), a_step()).approves().pauses(), [S.CANCELLED, S.CANCELLED]),
        (asking, [S.FAILED, S.CANCELLED]),
    ],
    ids=["stored", "waiting", "approved", "queued", "paused", "asking"],
)
def test_cancel_ends_at_once_what_does_not_run(begin: Callable[[], Story], statuses: list[S]) -> None:
    story = begin()

    story.cancels(ALICE, "wrong machine")

    assert story.session.status is N.CANCELLED
    assert story.session.reason == "Cancelled by Alice: wrong machine"
    assert story.statuses == statuses
    assert story.told(RunStep) == []


def test_cancel_closes_the_open_gate() -> None:
    story = Story(a_step()).cancels()

    assert gate_was(story, 1) is GateStatus.CANCELLED
    assert story.session.reason == "Cancelled by Alice"


def test_cancel_leaves_an_approved_gate_as_it_was_decided() -> None:
    story = Story(a_step()).approves().cancels()

    assert gate_was(story, 1) is GateStatus.APPROVED


@pytest.mark.parametrize(
    "ended", [status for status in A if status not in {"planned", "submitting", "accepted", "running", "unknown"}]
)
def test_cancel_during_a_step_lets_it_end_records_it_and_runs_nothing_more(ended: AttemptStatus) -> None:
    """In the predecessor a cancel did not stop the chain, and late results overwrote it."""
    story = Story(a_free_step(retries=2, on_failure=OnFailure.ROLLBACK), a_free_step(), an_undo(1))
    story.claims().submits().cancels()

    story.ends(ended)

    assert story.session.status is N.CANCELLED
    assert story.statuses[1:] == [S.CANCELLED, S.SKIPPED]
    assert story.step(1).finished_at == NOW
    assert story.told(RunStep) == []


def test_confirmed_cancel_of_a_command_is_a_cancelled_step() -> None:
    assert running().cancels().ends(A.CANCELLED).statuses[0] is S.CANCELLED


def test_cancel_is_asked_once() -> None:
    story = running().cancels()

    story.refuses(ev.CancelAsked(actor=an_actor()), "already being cancelled")


def test_cancel_waits_for_an_unknown_outcome_to_be_settled() -> None:
    story = running().ends(A.UNKNOWN)

    story.cancels()

    assert story.session.status is N.NEEDS_ATTENTION
    assert story.chooses(1, ev.Choice.SUCCEEDED).session.status is N.CANCELLED


def test_cancelled_command_with_an_unknown_end_is_not_called_cancelled() -> None:
    story = running().cancels()

    story.ends(A.UNKNOWN)

    assert story.session.status is N.NEEDS_ATTENTION
    assert story.statuses == [S.UNKNOWN, S.PENDING]


def test_pause_during_a_step_keeps_the_next_one_from_starting() -> None:
    """In the predecessor pause was a word in a column that nobody read."""
    story = running().pauses()

    story.ends(A.SUCCEEDED)

    assert story.session.status is N.PAUSED
    assert story.statuses == [S.SUCCEEDED, S.PENDING]
    assert story.session.open_gate is None


def test_pause_before_an_ungated_step_starts_nothing() -> None:
    story = Story(a_free_step(), a_free_step()).claims().submits().pauses()

    story.ends(A.SUCCEEDED)

    assert story.session.status is N.PAUSED
    assert story.told(RunStep) == []


def test_resume_opens_the_next_gate_and_its_approvers_see_it() -> None:
    """In the predecessor a session resumed after a gate was invisible to its approvers."""
    story = running().pauses().ends(A.SUCCEEDED)

    story.resumes()

    assert story.session.status is N.WAITING_APPROVAL
    assert story.gate.step_number == 2


@pytest.mark.parametrize("delayed", [False, True], ids=["approved", "queued"])
def test_paused_step_is_not_claimed_even_by_a_worker_that_was_already_looking(delayed: bool) -> None:
    story = Story(a_step()).approves()
    if delayed:
        story.is_delayed()

    story.pauses()

    assert story.session.status is N.PAUSED
    story.refuses(a_claim(story.step(1), "attempt-1-1"), "Session 12 was paused by Alice")


@pytest.mark.parametrize("until", [None, NOW + timedelta(seconds=40)], ids=["approved", "queued"])
def test_resume_starts_what_was_about_to_start(until: datetime | None) -> None:
    story = Story(a_step()).approves()
    if until:
        story.is_delayed(until=until)
    story.pauses()

    story.resumes()

    assert story.session.status is N.IN_PROGRESS
    assert story.told(RunStep) == [RunStep(step_number=1, not_before=until)]
    assert story.runs().session.status is N.COMPLETED


def test_resume_while_the_step_still_runs_starts_nothing_twice() -> None:
    story = running().pauses().resumes()

    assert story.session.status is N.IN_PROGRESS
    assert story.told(RunStep) == []
    assert story.told(CancelAttempt) == []


@pytest.mark.parametrize(
    "begin",
    [lambda: Story(a_step(), started=False), lambda: Story(a_step()), asking, lambda: running().ends(A.UNKNOWN)],
    ids=["stored", "waiting", "asking", "unknown"],
)
def test_only_a_running_session_can_be_paused(begin: Callable[[], Story]) -> None:
    begin().refuses(PAUSE, "only a running one can be paused")


def test_session_is_paused_once() -> None:
    running().pauses().refuses(PAUSE, "already paused")


@pytest.mark.parametrize("begin", [running, asking, lambda: Story(a_step())], ids=["running", "asking", "waiting"])
def test_only_a_paused_session_can_be_resumed(begin: Callable[[], Story]) -> None:
    begin().refuses(RESUME, "not paused")


def test_paused_retry_waits_for_the_resume() -> None:
    story = Story(a_free_step(retries=1)).claims().submits().pauses()

    story.ends(A.FAILED)

    assert story.session.status is N.PAUSED
    assert story.statuses == [S.QUEUED]


def test_choice_made_during_a_pause_waits_for_the_resume() -> None:
    story = Story(a_free_step(on_failure=OnFailure.ASK)).claims().submits().pauses().ends(A.FAILED)

    story.chooses(1, ev.Choice.RETRY)

    assert story.session.status is N.PAUSED
    assert story.resumes().statuses == [S.APPROVED]


def test_rollback_waits_while_the_session_is_paused() -> None:
    story = Story(a_free_step(on_failure=OnFailure.ROLLBACK), an_undo(1)).claims().submits().pauses()

    story.ends(A.FAILED)

    assert story.session.status is N.PAUSED
    assert story.resumes().told(RunStep) == [RunStep(step_number=2)]


def test_pause_during_the_last_step_does_not_keep_a_finished_session_open() -> None:
    story = Story(a_free_step()).claims().submits().pauses()

    story.ends(A.SUCCEEDED)

    assert story.session.status is N.COMPLETED


def test_pause_outlives_an_unknown_outcome() -> None:
    story = running().pauses().ends(A.UNKNOWN)

    story.chooses(1, ev.Choice.SUCCEEDED)

    assert story.session.status is N.PAUSED
