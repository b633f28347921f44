"""A session while one event is worked into it: the only way to change steps, gates and messages.

It must never decide; ``engine.reactions`` and ``engine.settling`` do, and the tables of ``engine.machine`` judge.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from engine.effects import Effect, Purpose, RunStep, Show
from engine.errors import Conflict
from engine.machine import STEP_MOVES, Move, step_after
from engine.model import (
    TERMINAL_ATTEMPTS,
    Attempt,
    Decision,
    Gate,
    GateStatus,
    Phase,
    Session,
    SessionStatus,
    Step,
    StepStatus,
)


class Work:
    """A session while an event is worked into it, and the effects so far."""

    def __init__(self, session: Session, now: datetime) -> None:
        self.session = session
        self.now = now
        self.effects: list[Effect] = []

    def change(self, **fields: Any) -> None:
        self.session = replace(self.session, **fields)

    def step(self, number: int) -> Step:
        step = self.session.step(number)
        if step is None:
            raise Conflict(f"Session {self.session.id} has no step {number}.")
        return step

    def put(self, step: Step) -> None:
        steps = tuple(step if old.number == step.number else old for old in self.session.steps)
        self.change(steps=steps)

    def move(self, step: Step, move: Move, **fields: Any) -> Step:
        """Apply one row of the table to a step."""
        status = step_after(self.session, step, move)
        if not STEP_MOVES[status] or status in {StepStatus.FAILED, StepStatus.TIMED_OUT, StepStatus.UNKNOWN}:
            fields.setdefault("finished_at", self.now)
        moved = replace(step, status=status, **fields)
        self.put(moved)
        return moved

    def close_gate(self, step: Step, status: GateStatus, *votes: Decision) -> Step:
        gate = step.gate
        if gate is None or gate.status is not GateStatus.OPEN:
            return step
        closed = replace(gate, status=status, closed_at=self.now, decisions=(*gate.decisions, *votes))
        self.show(Purpose.GATE, step.number, gate.serial)
        return replace(step, gate=closed)

    def show(self, purpose: Purpose, step_number: int = 0, ordinal: int = 0) -> None:
        self.effects.append(Show(purpose=purpose, step_number=step_number, ordinal=ordinal))

    def step_of_gate(self, gate_id: str) -> tuple[Step, Gate]:
        """Return the step whose open gate this is."""
        for step in self.session.steps:
            if step.gate and step.gate.id == gate_id and step.gate.status is GateStatus.OPEN:
                return step, step.gate
        raise Conflict("This request was already closed.")

    def live_attempt(self, attempt_id: str, owner: str = "") -> tuple[Step, Attempt]:
        """Return the running step whose newest attempt this is; with ``owner`` only while it is that process's."""
        for step in self.session.steps:
            attempt = step.attempt
            if attempt and attempt.id == attempt_id:
                if owner not in {"", attempt.owner}:
                    raise Conflict(f"Attempt {attempt_id} was taken over by another process.")
                if step.status is StepStatus.RUNNING and attempt.status not in TERMINAL_ATTEMPTS:
                    return step, attempt
                break
        raise Conflict(f"Attempt {attempt_id} is no longer awaited.")

    def finish(self, status: SessionStatus, reason: str) -> None:
        """End the session: nothing of it may wait or start any more."""
        for step in self.session.steps:
            if step.status is StepStatus.PENDING:
                called_off = status is SessionStatus.CANCELLED and step.planned.phase is not Phase.ROLLBACK
                self.move(step, Move.CANCEL if called_off else Move.SKIP)
            elif step.status in {StepStatus.WAITING_APPROVAL, StepStatus.APPROVED, StepStatus.QUEUED}:
                self.move(self.close_gate(step, GateStatus.CANCELLED), Move.CANCEL)
        self.effects = [effect for effect in self.effects if not isinstance(effect, RunStep)]
        self.change(status=status, reason=reason, finished_at=self.now)
        self.show(Purpose.CLOSING)
