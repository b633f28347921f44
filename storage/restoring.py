"""From rows back to the engine's values, and nothing else; ``storage.mapping`` is the way there.

A plan is put together again from the row of its session and the rows of its steps: its digest must come out the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.errors import Bug
from engine.model import (
    Actor,
    Attempt,
    Audience,
    Decision,
    Expect,
    Gate,
    Output,
    Person,
    Place,
    Plan,
    PlannedStep,
    Session,
    Step,
    StepKind,
    Target,
)
from engine.ports import EarlierResult, Summary
from storage.tables import AttemptRow, DecisionRow, EarlierResultRow, GateRow, SessionRow, StepRow


def session_from(row: SessionRow, steps: Sequence[Step]) -> Session:
    """Rebuild a session; its plan is put together again from its row and its steps' rows."""
    return Session(
        id=row.id,
        plan=_plan_from(row, steps),
        digest=row.plan_digest,
        requester=Actor(
            person=_person(row.requester_enterprise, row.requester_team, row.requester_user),
            source=row.requester_source,
            name=row.requester_name,
        ),
        place=Place(team=row.team, channel=row.channel) if row.team is not None and row.channel is not None else None,
        status=row.status,
        steps=tuple(steps),
        created_at=row.created_at,
        nonce=row.nonce,
        ticket=row.ticket,
        version=row.version,
        rolling_back=row.rolling_back,
        paused_by=row.paused_by,
        cancelled_by=row.cancelled_by,
        reason=row.reason,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )


def _plan_from(row: SessionRow, steps: Sequence[Step]) -> Plan:
    return Plan(
        runbook=row.runbook_name,
        title=row.title,
        description=row.description,
        owner=row.owner,
        service=row.service,
        environment=row.environment,
        risk=row.risk,
        runbook_digest=row.runbook_digest,
        policy_version=row.policy_version,
        parameters=tuple(row.parameters.items()),
        target=target_from(row),
        steps=tuple(step.planned for step in steps),
        format=row.plan_format,
    )


def target_from(row: SessionRow) -> Target:
    return Target(
        connector=row.connector,
        id=row.target_id,
        name=row.target_name,
        group=row.target_group,
        os=row.target_os,
        fingerprint=row.target_fingerprint,
        location=row.target_location,
    )


def step_from(row: StepRow, gate: Gate | None, attempt: Attempt | None) -> Step:
    return Step(
        planned=_planned_from(row),
        audience=audience_from(row.audience),
        status=row.status,
        gate=gate,
        attempt=attempt,
        attempts=row.attempts,
        exit_code=row.exit_code,
        duration_seconds=row.duration_seconds,
        reason=row.reason,
        captured=tuple(row.captured.items()),
        started_at=row.started_at,
        finished_at=row.finished_at,
        not_before=row.not_before,
    )


def _planned_from(row: StepRow) -> PlannedStep:
    command = row.kind is StepKind.COMMAND
    return PlannedStep(
        number=row.step_number,
        phase=row.step_type,
        name=row.name,
        kind=row.kind,
        risk=row.risk,
        requires_approval=row.requires_approval,
        script=row.command if command else "",
        instructions="" if command else row.command,
        shell=row.shell,
        timeout_seconds=row.timeout_seconds,
        retries=row.retries,
        on_failure=row.on_failure,
        expect=_expect_from(row.expect),
        capture=tuple(row.capture.items()),
        undoes=row.undoes,
    )


def gate_from(row: GateRow, audience: Audience | None, decisions: Sequence[DecisionRow]) -> Gate:
    if audience is None:
        raise Bug(f"Step {row.step_number} of session {row.session_id} has a gate but nobody to ask.")
    return Gate(
        id=row.id,
        step_number=row.step_number,
        serial=row.serial,
        attempt=row.attempt,
        status=row.status,
        plan_digest=row.plan_digest,
        audience=audience,
        opened_at=row.opened_at,
        remind_at=row.remind_at,
        expires_at=row.expires_at,
        decisions=tuple(map(_decision_from, decisions)),
        reminded=row.reminded,
        closed_at=row.closed_at,
    )


def _decision_from(row: DecisionRow) -> Decision:
    person = _person(row.person_enterprise, row.person_team, row.person_user)
    actor = Actor(person=person, source=row.source, name=row.name)
    return Decision(verdict=row.verdict, actor=actor, at=row.at, reason=row.reason)


def attempt_from(row: AttemptRow) -> Attempt:
    return Attempt(
        id=row.id,
        number=row.number,
        status=row.status,
        owner=row.owner,
        handle=dict(row.handle),
        created_at=row.created_at,
        not_after=row.not_after,
        hard_deadline=row.hard_deadline,
        cancel_requested=row.cancel_requested,
    )


def earlier_from(row: AttemptRow, result: EarlierResultRow) -> EarlierResult:
    return EarlierResult(
        attempt=attempt_from(row),
        output=Output(
            stdout=result.output,
            stderr=result.error,
            stdout_bytes=result.output_bytes,
            stderr_bytes=result.error_bytes,
            truncated=result.truncated,
        ),
        exit_code=result.exit_code,
        duration_seconds=result.duration_seconds,
        reason=result.reason,
        captured=tuple(result.captured.items()),
    )


def audience_from(stored: Mapping[str, Any] | None) -> Audience | None:
    if stored is None:
        return None
    approvers = tuple(Person(enterprise=e, team=t, user=u) for e, t, u in stored["approvers"])
    return Audience(**{**stored, "approvers": approvers})


def summary_from(row: SessionRow, thread_ts: str | None) -> Summary:
    """One line about a session; the requester is a user id, or a name where there is no person."""
    return Summary(
        id=row.id,
        status=row.status,
        runbook=row.runbook_name,
        title=row.title,
        target=row.target_name,
        requester=row.requester_user or row.requester_name,
        ticket=row.ticket,
        waiting_step=row.approval_step_number,
        current_step=row.current_step,
        created_at=row.created_at,
        finished_at=row.finished_at,
        channel=row.channel or "",
        thread_ts=thread_ts or "",
    )


def _person(enterprise: str, team: str, user: str) -> Person | None:
    return Person(enterprise=enterprise, team=team, user=user) if user else None


def _expect_from(stored: Mapping[str, Any]) -> Expect:
    parts: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()}
    return Expect(**parts)
