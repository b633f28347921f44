"""The JSON of the HTTP API: what comes in is checked here, what goes out is made here. No decisions."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from engine.model import Output, Session, SessionStatus, Step, StepStatus
from engine.plaintext import is_invisible
from engine.policy import eligible
from engine.ports import Summary
from engine.service import View


def _one_visible_line(text: str) -> str:
    if any(map(is_invisible, text)):
        raise ValueError("line breaks and invisible characters are not allowed here")
    return text


Short = Annotated[str, StringConstraints(max_length=200), AfterValidator(_one_visible_line)]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ExecuteIn(_In):
    """Ask for a session."""

    runbook: Short = Field(description="Name of the runbook.")
    parameters: dict[Short, Annotated[str, StringConstraints(max_length=1000)]] = Field(
        default={}, description="Values by parameter name.", max_length=20
    )
    vm: Short = Field(default="", description="Name, group/name or resource id of the VM.")
    ticket: Short = Field(default="", description="Reference of a ticket.")
    channel: Annotated[str, StringConstraints(pattern=r"^([CG][A-Z0-9]+)?$")] = Field(
        default="", description="Slack channel id for the thread; default: the setting RUNBOOK_CHANNEL."
    )


class DecisionIn(_In):
    """Approve or reject the step that the session waits for."""

    approve: bool = Field(description="True approves, false rejects.")
    notes: Annotated[str, StringConstraints(max_length=1000)] = Field(
        default="", description="Why; needed for a rejection."
    )


class CancelIn(_In):
    reason: Annotated[str, StringConstraints(max_length=1000)] = ""


class ProblemOut(BaseModel):
    """Why a request was refused."""

    code: str
    message: str
    hint: str = ""


class StepOut(BaseModel):
    step_number: int
    step_type: str
    name: str
    status: str
    command: str
    requires_approval: bool
    approved: bool | None
    completed: bool
    success: bool | None
    exit_code: int | None
    output: str | None = None
    error: str | None = None
    duration_seconds: float | None = None
    reason: str = ""

    @classmethod
    def of(cls, step: Step, output: Output | None) -> Self:
        return cls(
            step_number=step.number,
            step_type=step.planned.phase.value,
            name=step.planned.name,
            status=step.status.value,
            command=step.planned.script or step.planned.instructions,
            requires_approval=step.planned.requires_approval,
            approved=approved(step),
            completed=step.status in {StepStatus.SUCCEEDED, StepStatus.FAILED, StepStatus.TIMED_OUT},
            success=success(step),
            exit_code=step.exit_code,
            output=output.stdout if output else None,
            error=output.stderr if output else None,
            duration_seconds=step.duration_seconds,
            reason=step.reason,
        )


class SessionOut(BaseModel):
    """A session, with the sentence that says what it waits for."""

    session_id: int
    status: SessionStatus
    waiting_for_approval: bool
    approval_step_number: int | None
    current_step: int | None
    runbook: str
    title: str
    target: str
    ticket: str
    requester: str
    plan_digest: str
    explanation: str
    waits_for: list[str]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    channel: str = ""
    thread_ts: str = ""

    @classmethod
    def of(cls, view: View) -> Self:
        session = view.session
        gate = session.open_gate
        current = session.current_step
        return cls(
            session_id=session.id,
            status=session.status,
            waiting_for_approval=session.status is SessionStatus.WAITING_APPROVAL,
            approval_step_number=gate.step_number if gate else None,
            current_step=current.number if current else None,
            runbook=session.plan.runbook,
            title=session.plan.title,
            target=session.plan.target.id,
            ticket=session.ticket,
            requester=str(session.requester),
            plan_digest=session.digest,
            explanation=view.explanation.sentence,
            waits_for=[str(person) for person in view.explanation.waits_for],
            created_at=session.created_at,
            started_at=session.started_at,
            finished_at=session.finished_at,
            channel=view.channel,
            thread_ts=view.thread_ts,
        )


class DetailOut(SessionOut):
    steps: list[StepOut] = []


class SummaryOut(BaseModel):
    session_id: int
    status: SessionStatus
    waiting_for_approval: bool
    approval_step_number: int | None
    current_step: int | None
    runbook: str
    title: str
    target: str
    requester: str
    ticket: str
    created_at: datetime
    finished_at: datetime | None
    channel: str
    thread_ts: str

    @classmethod
    def of(cls, row: Summary) -> Self:
        return cls(
            session_id=row.id,
            status=row.status,
            waiting_for_approval=row.status is SessionStatus.WAITING_APPROVAL,
            approval_step_number=row.waiting_step,
            current_step=row.current_step,
            runbook=row.runbook,
            title=row.title,
            target=row.target,
            requester=row.requester,
            ticket=row.ticket,
            created_at=row.created_at,
            finished_at=row.finished_at,
            channel=row.channel,
            thread_ts=row.thread_ts,
        )


class SessionsOut(BaseModel):
    sessions: list[SummaryOut]
    next_before: int | None = Field(description="Give it as `before` for the next page.")


class PendingOut(BaseModel):
    """One open approval request, with what is needed to decide it."""

    session_id: int
    runbook: str
    title: str
    target: str
    requester: str
    step_number: int
    step_type: str
    name: str
    command: str
    risk: str
    plan_digest: str
    approvers: list[str]
    approvals: int
    quorum: int
    created_at: datetime
    expires_at: datetime

    @classmethod
    def of(cls, session: Session) -> Self:
        gate = session.open_gate
        assert gate is not None
        step = session.step(gate.step_number)
        assert step is not None
        return cls(
            session_id=session.id,
            runbook=session.plan.runbook,
            title=session.plan.title,
            target=session.plan.target.id,
            requester=str(session.requester),
            step_number=step.number,
            step_type=step.planned.phase.value,
            name=step.planned.name,
            command=step.planned.script or step.planned.instructions,
            risk=step.planned.risk.value,
            plan_digest=session.digest,
            approvers=[str(person) for person in eligible(gate.audience, session.requester)],
            approvals=len(gate.approvals),
            quorum=gate.audience.quorum,
            created_at=gate.opened_at,
            expires_at=gate.expires_at,
        )


class PendingListOut(BaseModel):
    pending_approvals: list[PendingOut]
    next_after: int | None = Field(description="Give it as `after` for the next page.")


def approved(step: Step) -> bool | None:
    """Return the decision on a step's newest gate; None while there is none."""
    if step.gate is None or step.gate.closed_at is None:
        return None
    verdicts = {"approved": True, "rejected": False}
    return verdicts.get(step.gate.status.value)


def success(step: Step) -> bool | None:
    """Return whether a finished step succeeded; None while it has not finished or nobody knows."""
    if step.status is StepStatus.SUCCEEDED:
        return True
    return False if step.status in {StepStatus.FAILED, StepStatus.TIMED_OUT} else None
