"""What comes next: brings a session to rest after each event.

Opens the next gate, starts the next step, waits, asks a person, or finishes. The session's status is set here
and nowhere else, always as a consequence of its steps.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta

from engine.effects import Purpose, RunStep
from engine.machine import Move, asks_for_choice, next_pending, undoable
from engine.model import FINAL_SESSIONS, Gate, GateStatus, OnFailure, Phase, Session, SessionStatus, Step
from engine.model import SessionStatus as N
from engine.model import StepStatus as S
from engine.work import Work


def settle(work: Work) -> None:
    """Bring the session to rest: open the next gate, start the next step, wait, or finish."""
    session = work.session
    if session.status in FINAL_SESSIONS:
        return
    active = session.current_step
    if session.cancelled_by and not (active and active.status in {S.RUNNING, S.UNKNOWN}):
        work.finish(N.CANCELLED, session.reason)
        return
    if active:
        work.change(status=_status_while(session, active))
        if active.status is S.UNKNOWN:
            work.show(Purpose.ATTENTION, active.number, active.attempts)
        return
    failed = next((step for step in session.steps if _stops(session, step)), None)
    if failed:
        _after_failure(work, failed)
        return
    _next_step(work)


def _status_while(session: Session, active: Step) -> SessionStatus:
    if active.status is S.UNKNOWN:
        return N.NEEDS_ATTENTION
    if session.paused_by and active.status in {S.APPROVED, S.QUEUED}:
        return N.PAUSED
    return N.WAITING_APPROVAL if active.status is S.WAITING_APPROVAL else N.IN_PROGRESS


def _stops(session: Session, step: Step) -> bool:
    """Say whether this failed step keeps the next one from starting."""
    if step.status not in {S.FAILED, S.TIMED_OUT}:
        return False
    if session.rolling_back:
        return step.planned.phase is Phase.ROLLBACK
    return asks_for_choice(session, step) or step.planned.on_failure is not OnFailure.CONTINUE


def _after_failure(work: Work, step: Step) -> None:
    session = work.session
    if asks_for_choice(session, step):
        work.change(status=N.NEEDS_ATTENTION)
        work.show(Purpose.ATTENTION, step.number, step.attempts)
    elif step.planned.on_failure is OnFailure.ROLLBACK and undoable(session) and not session.rolling_back:
        work.change(rolling_back=True, reason=f"Step {step.number} failed: {step.reason}")
        _next_step(work)
    elif step.planned.phase is Phase.POSTCHECK:
        work.finish(N.COMPLETED_UNVERIFIED, f"Postcheck {step.number} failed: {step.reason}")
    else:
        work.finish(N.FAILED, f"Step {step.number} failed: {step.reason}")


def _next_step(work: Work) -> None:
    step = next_pending(work.session)
    if step is None:
        work.finish(*_outcome(work.session))
    elif work.session.paused_by:
        work.change(status=N.PAUSED)
    elif step.audience is not None:
        _open_gate(work, step)
        work.change(status=N.WAITING_APPROVAL)
    else:
        work.move(step, Move.CLEAR)
        work.change(status=N.IN_PROGRESS)
        work.effects.append(RunStep(step_number=step.number))


def _open_gate(work: Work, step: Step) -> None:
    audience = step.audience
    assert audience is not None
    serial = (step.gate.serial if step.gate else 0) + 1
    lifetime = timedelta(seconds=audience.lifetime_seconds)
    gate = Gate(
        id=gate_id(work.session.nonce, step.number, serial),
        step_number=step.number,
        serial=serial,
        attempt=step.attempts + 1,
        status=GateStatus.OPEN,
        plan_digest=work.session.digest,
        audience=audience,
        opened_at=work.now,
        remind_at=work.now + lifetime / 2,
        expires_at=work.now + lifetime,
    )
    work.move(step, Move.ASK, gate=gate)
    work.show(Purpose.GATE, step.number, serial)


def gate_id(nonce: str, step_number: int, serial: int) -> str:
    """Derive a gate's id: opaque, never repeated, not guessable without the session's nonce."""
    return hashlib.sha256(f"gate|{nonce}|{step_number}|{serial}".encode()).hexdigest()[:32]


def _outcome(session: Session) -> tuple[SessionStatus, str]:
    """Say how a session ends that has nothing left to do."""
    if session.rolling_back:
        return N.FAILED, f"{session.reason} The rollback is done."
    bad = {S.FAILED, S.TIMED_OUT, S.SKIPPED}
    odd = [s for s in session.steps if s.status in bad and s.planned.phase in {Phase.MAIN, Phase.POSTCHECK}]
    if odd:
        numbers = ", ".join(str(step.number) for step in odd)
        return N.COMPLETED_UNVERIFIED, f"Not everything went as planned: see step {numbers}."
    return N.COMPLETED, ""
