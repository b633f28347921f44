"""What each event does to a session: which step moves, and what must be done because of it.

It must never decide what comes next; that is ``engine.settling``. Events that do not fit raise ``Conflict``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from engine import events as ev
from engine.effects import (
    CancelAttempt,
    CleanUpAttempt,
    FreeTarget,
    ObserveAttempt,
    Purpose,
    RunStep,
    StoreOutput,
)
from engine.errors import Bug, Conflict
from engine.machine import Move, choices_for
from engine.model import (
    TERMINAL_ATTEMPTS,
    Attempt,
    AttemptStatus,
    GateStatus,
    Step,
    StepKind,
    Verdict,
)
from engine.model import SessionStatus as N
from engine.model import StepStatus as S
from engine.work import Work

RETRY_WAIT = timedelta(seconds=15)  #: between two attempts that one approval covers


def _started(work: Work, _: ev.Started) -> None:
    if work.session.status is not N.PENDING:
        raise Conflict(f"Session {work.session.id} has already started.")
    work.change(started_at=work.now, status=N.IN_PROGRESS)


def _voted(work: Work, event: ev.Voted) -> None:
    step, gate = work.step_of_gate(event.gate_id)
    vote = event.decision
    if vote.verdict is Verdict.REJECT:
        step = work.close_gate(step, GateStatus.REJECTED, vote)
        work.move(step, Move.REJECT, reason=vote.reason)
        work.finish(N.REJECTED, f"Step {step.number} was rejected: {vote.reason}")
        return
    people = {v.actor.person for v in gate.approvals} | {vote.actor.person}
    if len(people) < gate.audience.quorum:
        work.put(replace(step, gate=replace(gate, decisions=(*gate.decisions, vote))))
        work.show(Purpose.GATE, step.number, gate.serial)
        return
    step = work.close_gate(step, GateStatus.APPROVED, vote)
    if step.planned.kind is StepKind.MANUAL:
        work.move(step, Move.REPORT_DONE, reason=vote.reason, started_at=gate.opened_at)
        work.show(Purpose.RESULT, step.number, gate.attempt)
        return
    work.move(step, Move.APPROVE)
    work.effects.append(RunStep(step_number=step.number))


def _gate_expired(work: Work, event: ev.GateExpired) -> None:
    step, gate = work.step_of_gate(event.gate_id)
    if work.now < gate.expires_at:
        raise Conflict(f"The request for step {step.number} is open until {gate.expires_at:%H:%M} UTC.")
    step = work.close_gate(step, GateStatus.EXPIRED)
    work.move(step, Move.EXPIRE)
    work.finish(N.EXPIRED, f"Nobody decided step {step.number} in time.")


def _reminded(work: Work, event: ev.Reminded) -> None:
    step, gate = work.step_of_gate(event.gate_id)
    if gate.reminded:
        raise Conflict(f"The approvers of step {step.number} were already reminded.")
    work.put(replace(step, gate=replace(gate, reminded=True)))
    work.show(Purpose.REMINDER, step.number, gate.serial)


def _approval_voided(work: Work, event: ev.ApprovalVoided) -> None:
    step = _looked_at(work, event)
    if event.fatal:
        work.move(step, Move.BLOCK, reason=event.reason)
        work.finish(N.FAILED, event.reason)
        return
    work.move(step, Move.VOID, reason=event.reason)


def _claimed(work: Work, event: ev.Claimed) -> None:
    step = _looked_at(work, event)
    if work.session.paused_by:
        raise Conflict(f"Session {work.session.id} was paused by {work.session.paused_by}.")
    attempt = Attempt(
        id=event.attempt_id,
        number=step.attempts + 1,
        status=AttemptStatus.SUBMITTING,
        owner=event.owner,
        created_at=work.now,
        not_after=event.not_after,
        hard_deadline=event.hard_deadline,
    )
    started = step.started_at or work.now
    work.move(
        step,
        Move.CLAIM,
        attempt=attempt,
        attempts=attempt.number,
        started_at=started,
        not_before=None,
        reason="",
        exit_code=None,
        duration_seconds=None,
        captured=(),
        finished_at=None,
    )
    if event.guard_at is not None:
        work.effects.append(ObserveAttempt(attempt_id=attempt.id, not_before=event.guard_at))


def _delayed(work: Work, event: ev.Delayed) -> None:
    step = _looked_at(work, event)
    work.move(step, Move.DELAY, reason=event.reason, not_before=event.not_before)
    if event.not_before is not None:
        work.effects.append(RunStep(step_number=step.number, not_before=event.not_before))


def _blocked(work: Work, event: ev.Blocked) -> None:
    step = _looked_at(work, event)
    work.move(step, Move.BLOCK, reason=event.reason)


def _looked_at(work: Work, event: ev.ApprovalVoided | ev.Claimed | ev.Delayed | ev.Blocked) -> Step:
    """Return a step for a worker's finding from before its claim; a slow worker's comes too late.

    While it looked, the step may have run, failed and been approved anew: what it found says nothing of that approval.
    """
    step = work.step(event.step_number)
    if step.status is S.RUNNING:
        raise Conflict(f"Step {step.number} is running.")
    if event.basis != basis_of(step):
        raise Conflict(f"Step {step.number} was asked for or tried anew meanwhile.")
    return step


def basis_of(step: Step) -> ev.Basis:
    """Return what a finding about this step is based on."""
    return ev.Basis(gate_id=step.gate.id if step.gate else "", attempts=step.attempts)


def _submitted(work: Work, event: ev.Submitted) -> None:
    step, attempt = work.live_attempt(event.attempt_id, event.owner)
    if attempt.status is not AttemptStatus.SUBMITTING:
        raise Conflict(f"Attempt {attempt.id} was already accepted.")
    accepted = replace(attempt, status=AttemptStatus.ACCEPTED, handle=dict(event.handle))
    work.put(replace(step, attempt=accepted))
    work.effects.append(ObserveAttempt(attempt_id=attempt.id))
    if attempt.cancel_requested:
        work.effects.append(CancelAttempt(attempt_id=attempt.id))


def _seen_running(work: Work, event: ev.SeenRunning) -> None:
    step, attempt = work.live_attempt(event.attempt_id)
    if attempt.status is not AttemptStatus.ACCEPTED:
        raise Conflict(f"Attempt {attempt.id} is {attempt.status.value}.")
    work.put(replace(step, attempt=replace(attempt, status=AttemptStatus.RUNNING)))


def _ended(work: Work, event: ev.Ended) -> None:
    step, attempt = work.live_attempt(event.attempt_id, event.owner)
    result = event.result
    if result.status not in TERMINAL_ATTEMPTS:
        raise Bug(f"An attempt cannot end as {result.status.value}.")
    step = replace(
        step,
        attempt=replace(attempt, status=result.status),
        exit_code=result.exit_code,
        duration_seconds=result.duration_seconds,
        captured=event.captured,
    )
    work.put(step)
    work.effects.append(StoreOutput(step_number=step.number, attempt_id=attempt.id, output=result.output))
    if result.status is not AttemptStatus.UNKNOWN:  # of an unknown one, the evidence stays until a person has decided
        work.effects += [CleanUpAttempt(attempt_id=attempt.id), FreeTarget(target_id=work.session.plan.target.id)]
    if result.status is AttemptStatus.NOT_STARTED and event.retry_at is not None:
        _start_again(work, step, result.message, event.retry_at)
        return
    work.show(Purpose.RESULT, step.number, attempt.number)
    move = _move_after(work, step, event)
    reason = event.verdict or result.message
    if move is Move.DELAY:
        _try_again(work, step, f"Attempt {step.attempts} failed: {reason or 'no reason given'}")
    else:
        work.move(step, move, reason="" if move is Move.SUCCEED else reason)


def _move_after(work: Work, step: Step, event: ev.Ended) -> Move:
    """Turn the end of an attempt into a move of its step."""
    move = _MOVE_FOR[event.result.status]
    if move is Move.SUCCEED and event.verdict:
        move = Move.FAIL
    if move is Move.CANCEL and not work.session.cancelled_by:
        return Move.FAIL  # somebody stopped it from outside: it must not begin again by itself
    if move in {Move.FAIL, Move.TIME_OUT} and _retry_is_covered(step) and not work.session.cancelled_by:
        move = Move.DELAY
    return move


def _retry_is_covered(step: Step) -> bool:
    """A retry without a new approval: only after proven failure, only as often as the approved plan says."""
    first = step.gate.attempt if step.gate else 1
    return step.attempts - first < step.planned.retries


def _try_again(work: Work, step: Step, reason: str) -> None:
    at = work.now + RETRY_WAIT
    work.move(step, Move.DELAY, reason=reason, not_before=at)
    work.effects.append(RunStep(step_number=step.number, not_before=at))


def _start_again(work: Work, step: Step, reason: str, at: datetime) -> None:
    """It certainly did not start: its place among the approved attempts passes on to the next one, and no more."""
    if step.gate:
        step = replace(step, gate=replace(step.gate, attempt=step.gate.attempt + 1))
    work.move(step, Move.DELAY, reason=reason, not_before=at)
    work.effects.append(RunStep(step_number=step.number, not_before=at))


_MOVE_FOR: Mapping[AttemptStatus, Move] = {
    AttemptStatus.SUCCEEDED: Move.SUCCEED,
    AttemptStatus.FAILED: Move.FAIL,
    AttemptStatus.TIMED_OUT: Move.TIME_OUT,
    AttemptStatus.CANCELLED: Move.CANCEL,
    AttemptStatus.REFUSED_LATE: Move.BLOCK,
    AttemptStatus.NOT_STARTED: Move.BLOCK,
    AttemptStatus.INFRA_FAILED: Move.FAIL,
    AttemptStatus.UNKNOWN: Move.LOSE,
}


def _cancel_asked(work: Work, event: ev.CancelAsked) -> None:
    if work.session.cancelled_by:
        raise Conflict(f"Session {work.session.id} is already being cancelled.")
    reason = f"Cancelled by {event.actor.name or event.actor}" + (f": {event.reason}" if event.reason else "")
    work.change(cancelled_by=str(event.actor), reason=reason)
    step = work.session.current_step
    attempt = step.attempt if step and step.status is S.RUNNING else None
    if step and attempt:
        work.put(replace(step, attempt=replace(attempt, cancel_requested=True)))
        if attempt.status is not AttemptStatus.SUBMITTING:
            work.effects.append(CancelAttempt(attempt_id=attempt.id))


def _paused(work: Work, event: ev.Paused) -> None:
    if work.session.paused_by:
        raise Conflict(f"Session {work.session.id} is already paused.")
    if work.session.status is not N.IN_PROGRESS:
        raise Conflict(f"Session {work.session.id} is {work.session.status.value}; only a running one can be paused.")
    work.change(paused_by=event.actor.name or str(event.actor))


def _resumed(work: Work, _: ev.Resumed) -> None:
    if not work.session.paused_by:
        raise Conflict(f"Session {work.session.id} is not paused.")
    work.change(paused_by="")
    step = work.session.current_step
    if step and step.status in {S.APPROVED, S.QUEUED}:
        work.effects.append(RunStep(step_number=step.number, not_before=step.not_before))


def _chosen(work: Work, event: ev.Chosen) -> None:
    step = work.step(event.step_number)
    if event.choice not in choices_for(work.session, step):
        raise Conflict(f"Step {step.number} of session {work.session.id} does not wait for this choice.")
    reason = f"{event.actor.name or event.actor} chose {event.choice.value}: {event.reason}"
    work.show(Purpose.ATTENTION, step.number, step.attempts)
    if event.choice is ev.Choice.STOP:
        work.finish(N.FAILED, reason)
    elif event.choice is ev.Choice.ROLLBACK:
        work.change(rolling_back=True, reason=reason)
    else:
        work.move(step, _MOVE_FOR_CHOICE[event.choice], reason=reason)
    if step.status is S.UNKNOWN and step.attempt:
        target = work.session.plan.target.id
        work.effects += [CleanUpAttempt(attempt_id=step.attempt.id), FreeTarget(target_id=target)]


_MOVE_FOR_CHOICE: Mapping[ev.Choice, Move] = {
    ev.Choice.RETRY: Move.RETRY,
    ev.Choice.SKIP: Move.SKIP,
    ev.Choice.SUCCEEDED: Move.SUCCEED,
    ev.Choice.FAILED: Move.FAIL,
}

REACTIONS: Mapping[type, Callable[[Work, Any], None]] = {
    ev.Started: _started,
    ev.Voted: _voted,
    ev.GateExpired: _gate_expired,
    ev.Reminded: _reminded,
    ev.ApprovalVoided: _approval_voided,
    ev.Claimed: _claimed,
    ev.Delayed: _delayed,
    ev.Blocked: _blocked,
    ev.Submitted: _submitted,
    ev.SeenRunning: _seen_running,
    ev.Ended: _ended,
    ev.CancelAsked: _cancel_asked,
    ev.Paused: _paused,
    ev.Resumed: _resumed,
    ev.Chosen: _chosen,
}
