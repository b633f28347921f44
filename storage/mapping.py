"""From the engine's values to columns, and nothing else; ``storage.restoring`` is the way back.

This is the only place that writes the columns which repeat a fact. Columns of the frozen plan are written once,
when a session is added; columns of its state are written again whenever they differ.
"""

from __future__ import annotations

from typing import Any

from engine.errors import Bug
from engine.model import (
    Attempt,
    AttemptStatus,
    Audience,
    Decision,
    Expect,
    Gate,
    GateStatus,
    Person,
    Session,
    SessionStatus,
    Step,
    StepKind,
    StepStatus,
)

Values = dict[str, Any]

LIVE_ATTEMPTS = frozenset({AttemptStatus.SUBMITTING, AttemptStatus.ACCEPTED, AttemptStatus.RUNNING})
_RAN = frozenset({StepStatus.SUCCEEDED, StepStatus.FAILED, StepStatus.TIMED_OUT})
_UNASKED = frozenset({StepStatus.PENDING, StepStatus.WAITING_APPROVAL})
_VERDICTS = {GateStatus.APPROVED: True, GateStatus.REJECTED: False}


def session_state(session: Session) -> Values:
    """Return the columns of a session that change during its life."""
    gate = session.open_gate if session.status is SessionStatus.WAITING_APPROVAL else None
    return {
        "status": session.status,
        "version": session.version,
        "waiting_for_approval": session.status is SessionStatus.WAITING_APPROVAL,
        "approval_step_number": gate.step_number if gate else None,
        "current_step": session.current_step.number if session.current_step else None,
        "rolling_back": session.rolling_back,
        "paused_by": session.paused_by,
        "cancelled_by": session.cancelled_by,
        "reason": session.reason,
        "started_at": session.started_at,
        "finished_at": session.finished_at,
    }


def session_plan(session: Session) -> Values:
    """Return the columns of a session that never change: its plan, its requester, its place."""
    plan, target, person = session.plan, session.plan.target, session.requester.person
    return {
        "runbook_name": plan.runbook,
        "title": plan.title,
        "description": plan.description,
        "owner": plan.owner,
        "service": plan.service,
        "environment": plan.environment,
        "risk": plan.risk,
        "runbook_digest": plan.runbook_digest,
        "policy_version": plan.policy_version,
        "plan_format": plan.format,
        "plan_digest": session.digest,
        "parameters": dict(plan.parameters),
        "connector": target.connector,
        "target_id": target.id,
        "target_name": target.name,
        "target_group": target.group,
        "target_os": target.os,
        "target_fingerprint": target.fingerprint,
        "target_location": target.location,
        **_person_columns("requester", person),
        "requester_name": session.requester.name,
        "requester_source": session.requester.source,
        "team": session.place.team if session.place else None,
        "channel": session.place.channel if session.place else None,
        "ticket": session.ticket,
        "nonce": session.nonce,
        "created_at": session.created_at,
    }


def step_state(step: Step) -> Values:
    """Return the columns of a step that change during its life; the stored output is not among them."""
    ran = step.status in _RAN
    return {
        "status": step.status,
        "approved": _VERDICTS.get(step.gate.status) if step.gate and step.status not in _UNASKED else None,
        "completed": ran,
        "success": step.status is StepStatus.SUCCEEDED if ran else None,
        "attempts": step.attempts,
        "exit_code": step.exit_code,
        "duration_seconds": step.duration_seconds,
        "reason": step.reason,
        "captured": dict(step.captured),
        "started_at": step.started_at,
        "finished_at": step.finished_at,
        "not_before": step.not_before,
    }


def step_plan(step: Step) -> Values:
    """Return the columns of a step that never change."""
    planned = step.planned
    return {
        "step_number": planned.number,
        "step_type": planned.phase,
        "name": planned.name,
        "kind": planned.kind,
        "risk": planned.risk,
        "requires_approval": planned.requires_approval,
        "command": planned.script if planned.kind is StepKind.COMMAND else planned.instructions,
        "shell": planned.shell,
        "timeout_seconds": planned.timeout_seconds,
        "retries": planned.retries,
        "on_failure": planned.on_failure,
        "expect": _expect_json(planned.expect),
        "capture": dict(planned.capture),
        "undoes": planned.undoes,
        "audience": _audience_json(step.audience) if step.audience else None,
    }


def gate_values(gate: Gate, step: Step) -> Values:
    """Return the columns of a gate; its audience is the step's."""
    if gate.audience != step.audience:
        raise Bug(f"The gate of step {step.number} asks other people than the step does.")
    return {
        "id": gate.id,
        "step_number": gate.step_number,
        "serial": gate.serial,
        "attempt": gate.attempt,
        "status": gate.status,
        "plan_digest": gate.plan_digest,
        "opened_at": gate.opened_at,
        "remind_at": gate.remind_at,
        "expires_at": gate.expires_at,
        "reminded": gate.reminded,
        "closed_at": gate.closed_at,
    }


def decision_values(decision: Decision, gate: Gate) -> Values:
    return {
        "gate_id": gate.id,
        "verdict": decision.verdict,
        **_person_columns("person", decision.actor.person),
        "source": decision.actor.source,
        "name": decision.actor.name,
        "reason": decision.reason,
        "at": decision.at,
    }


def attempt_values(attempt: Attempt, step: Step) -> Values:
    unresolved = attempt.status is AttemptStatus.UNKNOWN and step.status is StepStatus.UNKNOWN
    return {
        "id": attempt.id,
        "step_number": step.number,
        "number": attempt.number,
        "status": attempt.status,
        "holds_target": attempt.status in LIVE_ATTEMPTS or unresolved,
        "owner": attempt.owner,
        "handle": dict(attempt.handle),
        "created_at": attempt.created_at,
        "not_after": attempt.not_after,
        "hard_deadline": attempt.hard_deadline,
        "cancel_requested": attempt.cancel_requested,
    }


def changed(was: Values, now: Values) -> Values:
    """Return the columns whose value differs."""
    return {name: value for name, value in now.items() if was[name] != value}


def _person_columns(prefix: str, person: Person | None) -> Values:
    return {
        f"{prefix}_enterprise": person.enterprise if person else "",
        f"{prefix}_team": person.team if person else "",
        f"{prefix}_user": person.user if person else "",
    }


def _expect_json(expect: Expect) -> Values:
    return {
        "exit_codes": list(expect.exit_codes),
        "contains": list(expect.contains),
        "not_contains": list(expect.not_contains),
        "matches": expect.matches,
        "number": expect.number,
    }


def _audience_json(audience: Audience) -> Values:
    return {
        "approvers": [[person.enterprise, person.team, person.user] for person in audience.approvers],
        "quorum": audience.quorum,
        "requester_may_approve": audience.requester_may_approve,
        "lifetime_seconds": audience.lifetime_seconds,
        "rule": audience.rule,
    }
