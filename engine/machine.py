"""The life of a session as two tables: every legal move of a step, and every legal change of a session.

Two rules. Whatever moves a session goes through these tables: no other module assigns a status that they do
not allow. And this module knows neither clock, database nor people's rights.

How it works: an event moves one step (``engine.reactions`` picks the move, ``STEP_MOVES`` says where it leads),
then ``engine.settling`` looks at all steps and says what comes next: ask people, run, wait, or finish. The
session's status follows from its steps; a change of it outside ``SESSION_MOVES`` is a bug. Final states list
nothing. The diagrams in the documentation are generated from these tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from engine.errors import Bug, Conflict
from engine.events import Choice
from engine.model import FINAL_SESSIONS, AttemptStatus, OnFailure, Phase, Session, SessionStatus, Step, StepStatus


class Move(StrEnum):
    """What can happen to one step."""

    ASK = "ask"  #: a gate opens
    CLEAR = "clear"  #: no gate is needed
    APPROVE = "approve"
    REPORT_DONE = "report_done"  #: a manual step was done
    REJECT = "reject"
    EXPIRE = "expire"
    VOID = "void"  #: the approval no longer holds
    CLAIM = "claim"
    DELAY = "delay"
    BLOCK = "block"  #: it could not be started
    SUCCEED = "succeed"
    FAIL = "fail"
    TIME_OUT = "time_out"
    LOSE = "lose"  #: the outcome cannot be known
    RETRY = "retry"
    SKIP = "skip"
    CANCEL = "cancel"


S = StepStatus
_READY = {
    Move.CLAIM: S.RUNNING,
    Move.DELAY: S.QUEUED,
    Move.BLOCK: S.FAILED,
    Move.VOID: S.PENDING,
    Move.CANCEL: S.CANCELLED,
}

STEP_MOVES: Mapping[StepStatus, Mapping[Move, StepStatus]] = {
    S.PENDING: {
        Move.ASK: S.WAITING_APPROVAL,
        Move.CLEAR: S.APPROVED,
        Move.SKIP: S.SKIPPED,
        Move.CANCEL: S.CANCELLED,
    },
    S.WAITING_APPROVAL: {
        Move.APPROVE: S.APPROVED,
        Move.REPORT_DONE: S.SUCCEEDED,
        Move.REJECT: S.REJECTED,
        Move.EXPIRE: S.EXPIRED,
        Move.CANCEL: S.CANCELLED,
    },
    S.APPROVED: _READY,
    S.QUEUED: _READY,
    S.RUNNING: {
        Move.SUCCEED: S.SUCCEEDED,
        Move.FAIL: S.FAILED,
        Move.TIME_OUT: S.TIMED_OUT,
        Move.LOSE: S.UNKNOWN,
        Move.DELAY: S.QUEUED,
        Move.BLOCK: S.FAILED,
        Move.CANCEL: S.CANCELLED,
    },
    S.FAILED: {Move.RETRY: S.PENDING, Move.SKIP: S.SKIPPED},
    S.TIMED_OUT: {Move.RETRY: S.PENDING, Move.SKIP: S.SKIPPED},
    S.UNKNOWN: {Move.SUCCEED: S.SUCCEEDED, Move.FAIL: S.FAILED},
    S.SUCCEEDED: {},
    S.SKIPPED: {},
    S.REJECTED: {},
    S.EXPIRED: {},
    S.CANCELLED: {},
}

N = SessionStatus
_DONE = frozenset({N.COMPLETED, N.COMPLETED_UNVERIFIED, N.FAILED})

SESSION_MOVES: Mapping[SessionStatus, frozenset[SessionStatus]] = {
    N.PENDING: frozenset({N.IN_PROGRESS, N.WAITING_APPROVAL, N.CANCELLED}),
    N.IN_PROGRESS: frozenset({N.WAITING_APPROVAL, N.PAUSED, N.NEEDS_ATTENTION, N.CANCELLED}) | _DONE,
    N.WAITING_APPROVAL: frozenset({N.IN_PROGRESS, N.REJECTED, N.EXPIRED, N.CANCELLED}) | _DONE,
    N.PAUSED: frozenset({N.IN_PROGRESS, N.WAITING_APPROVAL, N.NEEDS_ATTENTION, N.CANCELLED}) | _DONE,
    N.NEEDS_ATTENTION: frozenset({N.IN_PROGRESS, N.WAITING_APPROVAL, N.PAUSED, N.CANCELLED}) | _DONE,
    N.COMPLETED: frozenset(),
    N.COMPLETED_UNVERIFIED: frozenset(),
    N.FAILED: frozenset(),
    N.REJECTED: frozenset(),
    N.EXPIRED: frozenset(),
    N.CANCELLED: frozenset(),
}


def step_after(session: Session, step: Step, move: Move) -> StepStatus:
    """Return where a move leads; ``Conflict`` when the step cannot make it."""
    status = STEP_MOVES[step.status].get(move)
    if status is None:
        raise Conflict(f"Step {step.number} of session {session.id} is {step.status.value}.")
    return status


def check_session_move(before: SessionStatus, after: SessionStatus) -> None:
    """Raise ``Bug`` for a change of status that may never be seen."""
    if after is not before and after not in SESSION_MOVES[before]:
        raise Bug(f"A session cannot go from {before.value} to {after.value}.")


def asks_for_choice(session: Session, step: Step) -> bool:
    """Say whether this step waits for a person to choose how to go on."""
    if step.status is S.UNKNOWN:
        return True
    if step.status not in {S.FAILED, S.TIMED_OUT} or session.rolling_back:
        return False
    return step.planned.on_failure is OnFailure.ASK or never_started(step)


def choices_for(session: Session, step: Step) -> tuple[Choice, ...]:
    """Return what a person may choose for this step now; nothing once the session is over."""
    if session.status in FINAL_SESSIONS or not asks_for_choice(session, step):
        return ()
    if step.status is S.UNKNOWN:
        return (Choice.SUCCEEDED, Choice.FAILED)
    undo = (Choice.ROLLBACK,) if undoable(session) else ()
    return (Choice.RETRY, Choice.SKIP, *undo, Choice.STOP)


def never_started(step: Step) -> bool:
    """Say whether the newest attempt of a step certainly ran nothing."""
    never = {AttemptStatus.NOT_STARTED, AttemptStatus.REFUSED_LATE}
    return step.attempt is None or step.attempt.status in never


def undoable(session: Session) -> bool:
    """Say whether a step that was begun has a rollback."""
    return _next_undo(session) is not None


def next_pending(session: Session) -> Step | None:
    """Return the step whose turn it is, once nothing else runs or waits."""
    if session.rolling_back:
        return _next_undo(session)
    pending = (s for s in session.steps if s.status is S.PENDING)
    return next((s for s in pending if s.planned.phase is not Phase.ROLLBACK), None)


def _next_undo(session: Session) -> Step | None:
    """Plans list rollback steps in the order of undoing; what certainly never ran is not undone."""
    touched = {s.number for s in session.steps if s.attempts > 1 or (s.attempts == 1 and not never_started(s))}
    return next((s for s in session.steps if s.status is S.PENDING and s.planned.undoes in touched), None)
