"""The two tables of the machine: every row is walked, and what is not in them is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine import events as ev
from engine.errors import Bug, Conflict
from engine.machine import SESSION_MOVES, STEP_MOVES, Move, check_session_move, choices_for
from engine.model import FINAL_SESSIONS, AttemptStatus, OnFailure, Phase, PlannedStep, Step
from engine.model import SessionStatus as N
from engine.model import StepStatus as S
from engine.reactions import basis_of
from engine.work import Work
from tests.builders import (
    NOW,
    a_free_step,
    a_manual_step,
    a_postcheck,
    a_precheck,
    a_session,
    a_step,
    every_event,
    every_vote,
)
from tests.engine.story import A, Act, Story

Begin = Callable[[], Story]


def stored() -> Story:
    return Story(a_step(), a_step(), started=False)


def free_stored() -> Story:
    return Story(a_free_step(), started=False)


def waiting() -> Story:
    return Story(a_step())


def waiting_for_a_person() -> Story:
    return Story(a_manual_step())


def approved() -> Story:
    return waiting().approves()


def queued() -> Story:
    return approved().is_delayed()


def running() -> Story:
    return approved().claims().submits()


def running_with_a_retry() -> Story:
    return Story(a_step(retries=1)).approves().claims().submits()


def being_cancelled() -> Story:
    return running().cancels()


def halted(story: Story) -> Story:
    """Pause the session, so that a step that goes back stays pending."""
    return story.pauses()


def ended(status: AttemptStatus) -> Story:
    return halted(Story(a_step(on_failure=OnFailure.ASK)).approves().claims().submits()).ends(status)


STEP_ROWS: dict[tuple[S, Move], tuple[Begin, Act]] = {
    (S.PENDING, Move.ASK): (stored, lambda it: it.starts()),
    (S.PENDING, Move.CLEAR): (free_stored, lambda it: it.starts()),
    (S.PENDING, Move.CANCEL): (stored, lambda it: it.cancels()),
    (S.WAITING_APPROVAL, Move.APPROVE): (waiting, lambda it: it.approves()),
    (S.WAITING_APPROVAL, Move.REPORT_DONE): (waiting_for_a_person, lambda it: it.approves()),
    (S.WAITING_APPROVAL, Move.REJECT): (waiting, lambda it: it.rejects()),
    (S.WAITING_APPROVAL, Move.EXPIRE): (waiting, lambda it: it.expires()),
    (S.WAITING_APPROVAL, Move.CANCEL): (waiting, lambda it: it.cancels()),
    (S.APPROVED, Move.CLAIM): (approved, lambda it: it.claims()),
    (S.APPROVED, Move.DELAY): (approved, lambda it: it.is_delayed()),
    (S.APPROVED, Move.BLOCK): (approved, lambda it: it.is_blocked()),
    (S.APPROVED, Move.VOID): (lambda: halted(approved()), lambda it: it.loses_its_approval()),
    (S.APPROVED, Move.CANCEL): (approved, lambda it: it.cancels()),
    (S.QUEUED, Move.CLAIM): (queued, lambda it: it.claims()),
    (S.QUEUED, Move.DELAY): (queued, lambda it: it.is_delayed()),
    (S.QUEUED, Move.BLOCK): (queued, lambda it: it.is_blocked()),
    (S.QUEUED, Move.VOID): (lambda: halted(queued()), lambda it: it.loses_its_approval()),
    (S.QUEUED, Move.CANCEL): (queued, lambda it: it.cancels()),
    (S.RUNNING, Move.SUCCEED): (running, lambda it: it.ends(A.SUCCEEDED)),
    (S.RUNNING, Move.FAIL): (running, lambda it: it.ends(A.FAILED)),
    (S.RUNNING, Move.TIME_OUT): (running, lambda it: it.ends(A.TIMED_OUT)),
    (S.RUNNING, Move.LOSE): (running, lambda it: it.ends(A.UNKNOWN)),
    (S.RUNNING, Move.DELAY): (running_with_a_retry, lambda it: it.ends(A.FAILED)),
    (S.RUNNING, Move.BLOCK): (running, lambda it: it.ends(A.REFUSED_LATE)),
    (S.RUNNING, Move.CANCEL): (being_cancelled, lambda it: it.ends(A.CANCELLED)),
    (S.FAILED, Move.RETRY): (lambda: ended(A.FAILED), lambda it: it.chooses(1, ev.Choice.RETRY)),
    (S.FAILED, Move.SKIP): (lambda: ended(A.FAILED), lambda it: it.chooses(1, ev.Choice.SKIP)),
    (S.TIMED_OUT, Move.RETRY): (lambda: ended(A.TIMED_OUT), lambda it: it.chooses(1, ev.Choice.RETRY)),
    (S.TIMED_OUT, Move.SKIP): (lambda: ended(A.TIMED_OUT), lambda it: it.chooses(1, ev.Choice.SKIP)),
    (S.UNKNOWN, Move.SUCCEED): (lambda: ended(A.UNKNOWN), lambda it: it.chooses(1, ev.Choice.SUCCEEDED)),
    (S.UNKNOWN, Move.FAIL): (lambda: ended(A.UNKNOWN), lambda it: it.chooses(1, ev.Choice.FAILED)),
}


@pytest.mark.parametrize(("before", "move"), STEP_ROWS)
def test_step_goes_where_the_table_says(before: S, move: Move) -> None:
    begin, act = STEP_ROWS[before, move]
    story = begin()
    assert story.step(1).status is before

    act(story)

    assert story.step(1).status is STEP_MOVES[before][move]


def test_step_that_never_had_its_turn_is_skipped_when_the_session_ends() -> None:
    story = Story(a_step(), a_step())

    story.rejects()

    assert story.statuses == [S.REJECTED, STEP_MOVES[S.PENDING][Move.SKIP]]


def test_every_row_of_the_step_table_is_walked_above() -> None:
    listed = {(before, move) for before, moves in STEP_MOVES.items() for move in moves}

    assert set(STEP_ROWS) | {(S.PENDING, Move.SKIP)} == listed


@pytest.mark.parametrize(
    ("status", "move"), [(status, move) for status in S for move in Move if move not in STEP_MOVES[status]]
)
def test_step_refuses_a_move_that_its_state_does_not_list(status: S, move: Move) -> None:
    session = a_session(a_step())
    step = Step(planned=session.plan.steps[0], status=status)
    work = Work(session, NOW)

    with pytest.raises(Conflict, match=f"Step 1 of session 12 is {status.value}"):
        work.move(step, move)

    assert work.session == session
    assert work.effects == []


def test_final_states_list_nothing() -> None:
    final_steps = {S.SUCCEEDED, S.SKIPPED, S.REJECTED, S.EXPIRED, S.CANCELLED}

    assert {status for status in S if not STEP_MOVES[status]} == final_steps
    assert {status for status in N if not SESSION_MOVES[status]} == set(FINAL_SESSIONS)


def test_tables_name_every_state() -> None:
    assert set(STEP_MOVES) == set(S)
    assert set(SESSION_MOVES) == set(N)


def paused_between_steps() -> Story:
    return Story(a_free_step(), a_step()).claims().submits().pauses().ends(A.SUCCEEDED)


def paused_before_the_second_try(story: Story) -> Story:
    return story.runs(A.FAILED).pauses()


def undone_by_hand(number: int) -> PlannedStep:
    return a_manual_step(phase=Phase.ROLLBACK, undoes=number)


def asking() -> Story:
    return Story(a_free_step(on_failure=OnFailure.ASK)).runs(A.FAILED)


def asking_while_halted() -> Story:
    return Story(a_free_step(on_failure=OnFailure.ASK)).claims().pauses().submits().ends(A.FAILED)


SESSION_ROWS: dict[tuple[N, N], tuple[Begin, Act]] = {
    (N.PENDING, N.IN_PROGRESS): (free_stored, lambda it: it.starts()),
    (N.PENDING, N.WAITING_APPROVAL): (stored, lambda it: it.starts()),
    (N.PENDING, N.CANCELLED): (stored, lambda it: it.cancels()),
    (N.IN_PROGRESS, N.WAITING_APPROVAL): (lambda: Story(a_free_step(), a_step()), lambda it: it.runs()),
    (N.IN_PROGRESS, N.PAUSED): (approved, lambda it: it.pauses()),
    (N.IN_PROGRESS, N.NEEDS_ATTENTION): (running, lambda it: it.ends(A.UNKNOWN)),
    (N.IN_PROGRESS, N.CANCELLED): (approved, lambda it: it.cancels()),
    (N.IN_PROGRESS, N.COMPLETED): (running, lambda it: it.ends(A.SUCCEEDED)),
    (N.IN_PROGRESS, N.COMPLETED_UNVERIFIED): (lambda: Story(a_postcheck()), lambda it: it.runs(A.FAILED)),
    (N.IN_PROGRESS, N.FAILED): (running, lambda it: it.ends(A.FAILED)),
    (N.WAITING_APPROVAL, N.IN_PROGRESS): (waiting, lambda it: it.approves()),
    (N.WAITING_APPROVAL, N.REJECTED): (waiting, lambda it: it.rejects()),
    (N.WAITING_APPROVAL, N.EXPIRED): (waiting, lambda it: it.expires()),
    (N.WAITING_APPROVAL, N.CANCELLED): (waiting, lambda it: it.cancels()),
    (N.WAITING_APPROVAL, N.COMPLETED): (waiting_for_a_person, lambda it: it.approves()),
    (N.WAITING_APPROVAL, N.COMPLETED_UNVERIFIED): (
        lambda: Story(a_free_step(on_failure=OnFailure.CONTINUE), a_manual_step()).runs(A.FAILED),
        lambda it: it.approves(),
    ),
    (N.WAITING_APPROVAL, N.FAILED): (
        lambda: Story(a_free_step(on_failure=OnFailure.ROLLBACK), undone_by_hand(1)).runs(A.FAILED),
        lambda it: it.approves(),
    ),
    (N.PAUSED, N.IN_PROGRESS): (lambda: halted(approved()), lambda it: it.resumes()),
    (N.PAUSED, N.WAITING_APPROVAL): (paused_between_steps, lambda it: it.resumes()),
    (N.PAUSED, N.NEEDS_ATTENTION): (lambda: halted(approved()), lambda it: it.is_blocked()),
    (N.PAUSED, N.CANCELLED): (lambda: halted(approved()), lambda it: it.cancels()),
    (N.PAUSED, N.COMPLETED): (
        lambda: paused_before_the_second_try(Story(a_precheck(retries=1, on_failure=OnFailure.CONTINUE))),
        lambda it: it.is_blocked(),
    ),
    (N.PAUSED, N.COMPLETED_UNVERIFIED): (
        lambda: paused_before_the_second_try(Story(a_postcheck(retries=1))),
        lambda it: it.is_blocked(),
    ),
    (N.PAUSED, N.FAILED): (lambda: halted(approved()), lambda it: it.loses_its_approval(fatal=True)),
    (N.NEEDS_ATTENTION, N.IN_PROGRESS): (asking, lambda it: it.chooses(1, ev.Choice.RETRY)),
    (N.NEEDS_ATTENTION, N.WAITING_APPROVAL): (
        lambda: approved().is_blocked(),
        lambda it: it.chooses(1, ev.Choice.RETRY),
    ),
    (N.NEEDS_ATTENTION, N.PAUSED): (asking_while_halted, lambda it: it.chooses(1, ev.Choice.RETRY)),
    (N.NEEDS_ATTENTION, N.CANCELLED): (asking, lambda it: it.cancels()),
    (N.NEEDS_ATTENTION, N.COMPLETED): (
        lambda: running().ends(A.UNKNOWN),
        lambda it: it.chooses(1, ev.Choice.SUCCEEDED),
    ),
    (N.NEEDS_ATTENTION, N.COMPLETED_UNVERIFIED): (asking, lambda it: it.chooses(1, ev.Choice.SKIP)),
    (N.NEEDS_ATTENTION, N.FAILED): (asking, lambda it: it.chooses(1, ev.Choice.STOP)),
}


@pytest.mark.parametrize(("before", "after"), SESSION_ROWS)
def test_session_goes_where_the_table_says(before: N, after: N) -> None:
    begin, act = SESSION_ROWS[before, after]
    story = begin()
    assert story.session.status is before

    act(story)

    assert story.session.status is after


def test_every_row_of_the_session_table_is_walked_above() -> None:
    assert set(SESSION_ROWS) == {(before, after) for before, ends in SESSION_MOVES.items() for after in ends}


@pytest.mark.parametrize(
    ("before", "after"),
    [(a, b) for a in N for b in N if a is not b and b not in SESSION_MOVES[a]],
)
def test_session_change_outside_the_table_is_a_bug(before: N, after: N) -> None:
    with pytest.raises(Bug, match=f"from {before.value} to {after.value}"):
        check_session_move(before, after)


@pytest.mark.parametrize("status", N)
def test_session_may_stay_where_it_is(status: N) -> None:
    check_session_move(status, status)


ENDINGS: dict[N, Begin] = {
    N.COMPLETED: lambda: approved().runs(),
    N.COMPLETED_UNVERIFIED: lambda: Story(a_step(), a_postcheck()).approves().runs().runs(A.FAILED),
    N.FAILED: lambda: approved().runs(A.FAILED),
    N.REJECTED: lambda: Story(a_step(), a_step()).rejects(),
    N.EXPIRED: lambda: Story(a_step(), a_step()).expires(),
    N.CANCELLED: lambda: Story(a_step(), a_step()).cancels(),
}


@pytest.mark.parametrize("status", sorted(FINAL_SESSIONS))
def test_session_that_is_over_accepts_nothing(status: N) -> None:
    """A click on an old message, a late result or a second cancel must not bring a session back to life."""
    story = ENDINGS[status]()
    events = [*every_event(story.session), *every_vote(story.session)]

    assert story.session.status is status
    assert len(events) > 10
    for event in events:
        story.refuses(event, f"Session 12 is over: it is {status.value}")


def test_ended_session_leaves_no_step_that_could_still_move() -> None:
    story = Story(a_step(), a_free_step(), a_postcheck()).cancels()

    assert story.statuses == [S.CANCELLED] * 3
    assert choices_for(story.session, story.step(1)) == ()


def test_step_that_does_not_exist_is_refused() -> None:
    story = Story(a_step())
    stray = ev.Blocked(step_number=9, reason="The VM is stopped.", basis=basis_of(story.step(1)))

    story.refuses(stray, "Session 12 has no step 9")
