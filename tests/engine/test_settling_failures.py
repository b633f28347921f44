"""After a failure: stop, go on, undo, or ask a person; and what the person may choose."""

from __future__ import annotations

import pytest

from engine import events as ev
from engine.effects import Purpose, RunStep, Show
from engine.machine import choices_for
from engine.model import AttemptStatus, OnFailure
from engine.model import SessionStatus as N
from engine.model import StepStatus as S
from tests.builders import (
    BOB,
    NOW,
    a_free_step,
    a_manual_step,
    a_postcheck,
    a_precheck,
    a_step,
    an_actor,
    an_undo,
)
from tests.engine.story import A, Story, gate_was

C = ev.Choice
ROLLBACK = OnFailure.ROLLBACK
ASK = OnFailure.ASK


def two_changes(**changes: object) -> Story:
    """Two changes, undone in reverse order by steps 3 and 4."""
    return Story(a_free_step(), a_free_step(on_failure=ROLLBACK, **changes), an_undo(2), an_undo(1)).runs()


def asking(*more: object, **changes: object) -> Story:
    return Story(a_free_step(on_failure=ASK, **changes), a_free_step()).runs(A.FAILED, message="It broke.")


def test_failure_with_a_rollback_undoes_the_half_done_step_first_and_then_the_ones_before() -> None:
    story = two_changes()

    story.runs(A.FAILED, message="It broke.")

    assert story.session.rolling_back
    assert story.statuses == [S.SUCCEEDED, S.FAILED, S.APPROVED, S.PENDING]
    assert story.runs().statuses == [S.SUCCEEDED, S.FAILED, S.SUCCEEDED, S.APPROVED]


def test_finished_rollback_is_a_failed_session_that_says_so() -> None:
    story = two_changes().runs(A.FAILED, message="It broke.").runs().runs()

    assert story.session.status is N.FAILED
    assert story.session.reason == "Step 2 failed: It broke. The rollback is done."


def test_step_that_was_never_begun_is_not_undone() -> None:
    story = Story(a_free_step(on_failure=ROLLBACK), a_free_step(), an_undo(2), an_undo(1))

    story.runs(A.FAILED).runs()

    assert story.statuses == [S.FAILED, S.SKIPPED, S.SKIPPED, S.SUCCEEDED]


@pytest.mark.parametrize("ended", [A.NOT_STARTED, A.REFUSED_LATE])
def test_step_that_certainly_never_ran_is_not_undone(ended: AttemptStatus) -> None:
    """Undoing what was never done is a change that nobody planned."""
    story = two_changes().runs(ended)

    story.chooses(2, C.ROLLBACK)

    assert story.statuses == [S.SUCCEEDED, S.FAILED, S.PENDING, S.APPROVED]


def test_step_whose_earlier_attempt_may_have_run_is_undone() -> None:
    story = two_changes(retries=1).runs(A.FAILED).claims().ends(A.NOT_STARTED)

    story.chooses(2, C.ROLLBACK)

    assert story.statuses == [S.SUCCEEDED, S.FAILED, S.APPROVED, S.PENDING]


def test_rollback_step_is_gated_like_any_other() -> None:
    story = Story(a_free_step(on_failure=ROLLBACK), an_undo(1, requires_approval=True))

    story.runs(A.FAILED)

    assert story.session.status is N.WAITING_APPROVAL
    assert story.gate.step_number == 2
    assert story.told(RunStep) == []


def test_rollback_that_fails_ends_the_session_and_undoes_no_further() -> None:
    story = two_changes().runs(A.FAILED)

    story.runs(A.FAILED, message="The undo broke.")

    assert story.session.status is N.FAILED
    assert story.session.reason == "Step 3 failed: The undo broke."
    assert story.statuses[3] is S.SKIPPED


def test_rollback_with_an_unknown_outcome_waits_for_a_person() -> None:
    story = two_changes().runs(A.FAILED).runs(A.UNKNOWN)

    assert story.session.status is N.NEEDS_ATTENTION
    assert choices_for(story.session, story.step(3)) == (C.SUCCEEDED, C.FAILED)
    assert story.chooses(3, C.SUCCEEDED).statuses[3] is S.APPROVED


def test_rollback_is_not_done_twice() -> None:
    story = Story(a_free_step(on_failure=ROLLBACK), an_undo(1, on_failure=ROLLBACK)).runs(A.FAILED)

    story.runs(A.FAILED)

    assert story.session.status is N.FAILED
    assert story.statuses == [S.FAILED, S.FAILED]


def test_rule_to_roll_back_without_anything_to_undo_is_a_failure_and_never_a_silent_success() -> None:
    """The predecessor reported a successful rollback that had no command."""
    story = Story(a_free_step(on_failure=ROLLBACK), a_free_step(), an_undo(2))

    story.runs(A.FAILED, message="It broke.")

    assert story.session.status is N.FAILED
    assert story.session.reason == "Step 1 failed: It broke."
    assert not story.session.rolling_back


def test_postcheck_may_roll_the_changes_back() -> None:
    story = Story(a_free_step(), a_postcheck(on_failure=ROLLBACK), an_undo(1)).runs()

    story.runs(A.FAILED)

    assert story.statuses == [S.SUCCEEDED, S.FAILED, S.APPROVED]


def test_rejected_rollback_runs_nothing_more() -> None:
    story = Story(a_free_step(on_failure=ROLLBACK), an_undo(1, requires_approval=True)).runs(A.FAILED)

    story.rejects(BOB, "leave it")

    assert story.session.status is N.REJECTED
    assert story.statuses == [S.FAILED, S.REJECTED]


def test_failure_that_asks_waits_for_a_person() -> None:
    story = asking()

    assert story.session.status is N.NEEDS_ATTENTION
    assert story.statuses == [S.FAILED, S.PENDING]
    assert story.effects[-2:] == (
        Show(purpose=Purpose.ATTENTION, step_number=1, ordinal=1),
        Show(purpose=Purpose.CARD),
    )


def test_choices_name_the_rollback_only_when_there_is_something_to_undo() -> None:
    without = asking()
    with_undo = Story(a_free_step(on_failure=ASK), an_undo(1)).runs(A.FAILED)

    assert choices_for(without.session, without.step(1)) == (C.RETRY, C.SKIP, C.STOP)
    assert choices_for(with_undo.session, with_undo.step(1)) == (C.RETRY, C.SKIP, C.ROLLBACK, C.STOP)


def test_step_that_waits_for_nobody_offers_no_choice() -> None:
    story = asking()

    assert choices_for(story.session, story.step(2)) == ()


def test_retry_of_an_ungated_step_runs_it_again() -> None:
    story = asking()

    story.chooses(1, C.RETRY)

    assert story.session.status is N.IN_PROGRESS
    assert story.told(RunStep) == [RunStep(step_number=1)]
    assert story.runs().statuses == [S.SUCCEEDED, S.APPROVED]


def test_retry_of_a_gated_step_asks_again() -> None:
    story = Story(a_step(on_failure=ASK)).approves().runs(A.FAILED)

    story.chooses(1, C.RETRY)

    assert story.session.status is N.WAITING_APPROVAL
    assert (story.gate.serial, story.gate.attempt) == (2, 2)
    assert story.told(RunStep) == []


def test_skip_goes_on_and_the_end_says_that_something_was_left_out() -> None:
    story = asking().chooses(1, C.SKIP)

    assert story.statuses == [S.SKIPPED, S.APPROVED]
    assert story.step(1).reason == "Bob chose skip: I looked."
    assert story.runs().session.status is N.COMPLETED_UNVERIFIED


def test_stop_ends_the_session_with_the_reason_of_the_person() -> None:
    story = asking().chooses(1, C.STOP)

    assert story.session.status is N.FAILED
    assert story.session.reason == "Bob chose stop: I looked."
    assert story.statuses == [S.FAILED, S.SKIPPED]
    assert Show(purpose=Purpose.ATTENTION, step_number=1, ordinal=1) in story.effects


def test_person_may_choose_the_rollback() -> None:
    story = Story(a_free_step(), a_free_step(on_failure=ASK), an_undo(1)).runs().runs(A.FAILED)

    story.chooses(2, C.ROLLBACK)

    assert story.statuses == [S.SUCCEEDED, S.FAILED, S.APPROVED]
    assert story.runs().session.status is N.FAILED


@pytest.mark.parametrize("choice", [C.SUCCEEDED, C.FAILED])
def test_known_failure_cannot_be_talked_into_a_result(choice: C) -> None:
    story = asking()

    story.refuses(ev.Chosen(step_number=1, choice=choice, actor=an_actor(BOB), reason="Trust me."), "does not wait")


@pytest.mark.parametrize("choice", [C.RETRY, C.SKIP, C.ROLLBACK, C.STOP])
def test_unknown_outcome_is_never_repeated_or_skipped_without_evidence(choice: C) -> None:
    story = Story(a_free_step(on_failure=ASK), an_undo(1)).runs(A.UNKNOWN)

    story.refuses(ev.Chosen(step_number=1, choice=choice, actor=an_actor(BOB), reason="Go on."), "does not wait")


def test_choice_is_made_once() -> None:
    story = asking().chooses(1, C.SKIP)

    story.refuses(ev.Chosen(step_number=1, choice=C.RETRY, actor=an_actor(BOB), reason="No."), "does not wait")


def test_unknown_that_proves_to_have_failed_follows_the_plan() -> None:
    story = two_changes().runs(A.UNKNOWN)

    story.chooses(2, C.FAILED)

    assert story.session.rolling_back
    assert story.statuses == [S.SUCCEEDED, S.FAILED, S.APPROVED, S.PENDING]


@pytest.mark.parametrize("rule", OnFailure)
def test_step_that_never_started_asks_a_person_whatever_the_plan_says(rule: OnFailure) -> None:
    story = Story(a_free_step(on_failure=rule), a_free_step()).is_blocked()

    assert story.session.status is N.NEEDS_ATTENTION
    assert choices_for(story.session, story.step(1)) == (C.RETRY, C.SKIP, C.STOP)


def test_second_try_that_cannot_start_follows_the_failure_before_it() -> None:
    story = Story(a_free_step(retries=1)).runs(A.FAILED)

    story.is_blocked()

    assert story.session.status is N.FAILED


def test_failure_that_may_be_passed_over_is_passed_over() -> None:
    story = Story(a_precheck(), a_free_step(on_failure=OnFailure.CONTINUE), a_manual_step()).runs()

    story.runs(A.FAILED)

    assert story.session.status is N.WAITING_APPROVAL
    assert story.gate.step_number == 3


def test_late_gate_of_a_rollback_expires_like_any_other() -> None:
    story = Story(a_free_step(on_failure=ROLLBACK), an_undo(1, requires_approval=True)).runs(A.FAILED)

    story.expires()

    assert story.session.status is N.EXPIRED
    assert gate_was(story, 2).value == "expired"
    assert story.session.finished_at == NOW + (story.now - NOW)
