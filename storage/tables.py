"""The tables of sessions: what runs, who was asked, who decided, what was tried.

Each fact is stored once. Columns that repeat one for the reader of a query (``waiting_for_approval``,
``approved``, ``completed``, ``success``, ``holds_target``) are written by ``storage.mapping`` alone, and a
CHECK refuses every row in which they contradict the status. No behaviour here.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from engine.model import (
    AttemptStatus,
    GateStatus,
    OnFailure,
    Phase,
    Risk,
    SessionStatus,
    Shell,
    Source,
    StepKind,
    StepStatus,
    Verdict,
)
from storage.columns import Base, Bytes, Digest, Json, Key, RowId

_ACTIVE = "status NOT IN ('completed', 'completed_unverified', 'failed', 'rejected', 'expired', 'cancelled')"
_OVER = f"NOT ({_ACTIVE})"
_RAN = "status IN ('succeeded', 'failed', 'timed_out')"
_LIVE = "status IN ('submitting', 'accepted', 'running')"


# The conditions of partial indexes, for queries: a database uses such an index only if it finds the very same
# condition, so they must not come as bound values.
IS_ACTIVE = text(f"execution_sessions.{_ACTIVE}")
IS_OPEN = text("gates.status = 'open'")
IS_UNREMINDED = text("NOT gates.reminded")
IS_LIVE = text(f"attempts.{_LIVE}")
IS_OVER = text(f"NOT (attempts.{_LIVE})")
HOLDS_TARGET = text("attempts.holds_target")


def partial(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """An index over some rows only, the same in both databases."""
    return Index(name, *columns, unique=unique, sqlite_where=text(where), postgresql_where=text(where))


class SessionRow(Base):
    """One execution session: the frozen head of its plan, and where it stands."""

    __tablename__ = "execution_sessions"

    id: Mapped[RowId]
    status: Mapped[SessionStatus]
    version: Mapped[int]
    waiting_for_approval: Mapped[bool]
    approval_step_number: Mapped[int | None]
    current_step: Mapped[int | None]
    rolling_back: Mapped[bool]
    paused_by: Mapped[str]
    cancelled_by: Mapped[str]
    reason: Mapped[str]

    runbook_name: Mapped[str]
    title: Mapped[str]
    description: Mapped[str]
    owner: Mapped[str]
    service: Mapped[str]
    environment: Mapped[str]
    risk: Mapped[Risk]
    runbook_digest: Mapped[str]
    policy_version: Mapped[str]
    plan_format: Mapped[int]
    plan_digest: Mapped[Digest]
    parameters: Mapped[Json]
    connector: Mapped[str]
    target_id: Mapped[str]
    target_name: Mapped[str]
    target_group: Mapped[str]
    target_os: Mapped[str]
    target_fingerprint: Mapped[str]
    target_location: Mapped[str]

    requester_enterprise: Mapped[str]
    requester_team: Mapped[str]
    requester_user: Mapped[str]
    requester_name: Mapped[str]
    requester_source: Mapped[Source]
    team: Mapped[str | None]
    channel: Mapped[str | None]
    ticket: Mapped[str]
    nonce: Mapped[str]
    request_key: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("waiting_for_approval = (status = 'waiting_approval')", name="waiting"),
        CheckConstraint("waiting_for_approval = (approval_step_number IS NOT NULL)", name="approval_step"),
        CheckConstraint(f"current_step IS NULL OR {_ACTIVE}", name="current_step"),
        CheckConstraint(f"(finished_at IS NOT NULL) = ({_OVER})", name="finished"),
        CheckConstraint("(team IS NULL) = (channel IS NULL)", name="place"),
        partial("ix_execution_sessions_active", "id", where=_ACTIVE),
        Index("ix_execution_sessions_status", "status", "id"),
        Index("ix_execution_sessions_requester", "requester_user", "requester_team", "id"),
        Index("ix_execution_sessions_run", "runbook_name", "target_id", "id"),
        Index("ix_execution_sessions_ticket", "ticket", "id"),
        partial("ix_execution_sessions_target", "target_id", where=_ACTIVE),
        {"sqlite_autoincrement": True},
    )


class StepRow(Base):
    """One step: what was approved, word for word, and what became of it."""

    __tablename__ = "execution_steps"

    session_id: Mapped[int] = mapped_column(ForeignKey(SessionRow.id), primary_key=True)
    step_number: Mapped[int] = mapped_column(primary_key=True)
    step_type: Mapped[Phase]
    name: Mapped[str]
    kind: Mapped[StepKind]
    risk: Mapped[Risk]
    requires_approval: Mapped[bool]
    approved: Mapped[bool | None]
    completed: Mapped[bool]
    success: Mapped[bool | None]
    command: Mapped[str]
    shell: Mapped[Shell]
    timeout_seconds: Mapped[int]
    retries: Mapped[int]
    on_failure: Mapped[OnFailure]
    expect: Mapped[Json]
    capture: Mapped[Json]
    undoes: Mapped[int]
    audience: Mapped[Json | None]
    status: Mapped[StepStatus]
    attempts: Mapped[int]
    exit_code: Mapped[int | None]
    output: Mapped[str] = mapped_column(deferred=True, server_default="")
    error: Mapped[str] = mapped_column(deferred=True, server_default="")
    output_bytes: Mapped[Bytes] = mapped_column(server_default="0")
    error_bytes: Mapped[Bytes] = mapped_column(server_default="0")
    truncated: Mapped[bool] = mapped_column(server_default=text("false"))
    duration_seconds: Mapped[float | None]
    reason: Mapped[str]
    captured: Mapped[Json]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    not_before: Mapped[datetime | None]
    queue_number: Mapped[int | None]  # order of waiting for a machine; set while the step may run

    __table_args__ = (
        CheckConstraint("approved IS NULL OR status NOT IN ('pending', 'waiting_approval')", name="approved"),
        CheckConstraint(f"completed = ({_RAN})", name="completed"),
        CheckConstraint("completed = (success IS NOT NULL)", name="finished"),
        CheckConstraint("success IS NULL OR success = (status = 'succeeded')", name="success"),
        CheckConstraint("(queue_number IS NOT NULL) = (status IN ('approved', 'queued'))", name="queue"),
        partial("ix_execution_steps_queue", "queue_number", where="queue_number IS NOT NULL"),
    )


class GateRow(Base):
    """One request for a decision. A session has at most one open."""

    __tablename__ = "gates"

    id: Mapped[Key]
    session_id: Mapped[int]
    step_number: Mapped[int]
    serial: Mapped[int]
    attempt: Mapped[int]
    status: Mapped[GateStatus]
    plan_digest: Mapped[Digest]
    opened_at: Mapped[datetime]
    remind_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    reminded: Mapped[bool]
    closed_at: Mapped[datetime | None]

    __table_args__ = (
        ForeignKeyConstraint(
            ["session_id", "step_number"], [StepRow.session_id, StepRow.step_number], name="fk_gates_step"
        ),
        UniqueConstraint("session_id", "step_number", "serial"),
        CheckConstraint("(closed_at IS NULL) = (status = 'open')", name="closed"),
        partial("uq_gates_open", "session_id", where="status = 'open'", unique=True),
        partial("ix_gates_expires", "expires_at", where="status = 'open'"),
        partial("ix_gates_remind", "remind_at", where="status = 'open' AND NOT reminded"),
    )


class DecisionRow(Base):
    """One person's vote on one gate. A person approves once; having approved, they may still reject."""

    __tablename__ = "decisions"

    id: Mapped[RowId]
    gate_id: Mapped[str] = mapped_column(ForeignKey(GateRow.id))
    verdict: Mapped[Verdict]
    person_enterprise: Mapped[str]
    person_team: Mapped[str]
    person_user: Mapped[str]
    source: Mapped[Source]
    name: Mapped[str]
    reason: Mapped[str]
    at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint(
            "gate_id", "person_enterprise", "person_team", "person_user", "verdict", name="uq_decisions_person"
        ),
        CheckConstraint("person_user <> ''", name="person"),
    )


class AttemptRow(Base):
    """One try of a step on a machine. While ``holds_target`` is true no other attempt can be there."""

    __tablename__ = "attempts"

    id: Mapped[Key]
    session_id: Mapped[int]
    step_number: Mapped[int]
    number: Mapped[int]
    status: Mapped[AttemptStatus]
    holds_target: Mapped[bool]
    owner: Mapped[str]
    handle: Mapped[Json]
    target_id: Mapped[str]
    created_at: Mapped[datetime | None]
    not_after: Mapped[datetime | None]
    hard_deadline: Mapped[datetime | None]
    cancel_requested: Mapped[bool]
    checks: Mapped[int] = mapped_column(server_default="0")
    next_check_at: Mapped[datetime | None]
    clean_due_at: Mapped[datetime | None]
    cleaned_at: Mapped[datetime | None]

    __table_args__ = (
        ForeignKeyConstraint(
            ["session_id", "step_number"], [StepRow.session_id, StepRow.step_number], name="fk_attempts_step"
        ),
        UniqueConstraint("session_id", "step_number", "number"),
        CheckConstraint(f"holds_target = ({_LIVE}) OR (holds_target AND status = 'unknown')", name="holds"),
        partial("uq_attempts_holder", "target_id", where="holds_target", unique=True),
        partial("ix_attempts_check", "next_check_at", where=_LIVE),
        partial("ix_attempts_clean", "clean_due_at", where=f"cleaned_at IS NULL AND NOT ({_LIVE})"),
    )


class EarlierResultRow(Base):
    """How an attempt ended that another one followed. The newest attempt's result stands in its step."""

    __tablename__ = "earlier_results"

    attempt_id: Mapped[Key] = mapped_column(ForeignKey(AttemptRow.id))
    exit_code: Mapped[int | None]
    output: Mapped[str]
    error: Mapped[str]
    output_bytes: Mapped[Bytes]
    error_bytes: Mapped[Bytes]
    truncated: Mapped[bool]
    duration_seconds: Mapped[float | None]
    reason: Mapped[str]
    captured: Mapped[Json]
    finished_at: Mapped[datetime | None]
