"""The values of the core: plan, session, step, gate, decision, attempt. All frozen; times are aware UTC.

A session is one life of a plan. Nothing here decides anything, and nothing here may ever hold a secret,
a connection or a vendor's type.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from engine.words import (
    ACTIVE_STEPS,
    FINAL_SESSIONS,
    TERMINAL_ATTEMPTS,
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


@dataclass(frozen=True, kw_only=True)
class Person:
    """A human identity: enterprise (empty outside a grid), team and user id. Names are decoration, never identity."""

    team: str
    user: str
    enterprise: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.enterprise, self.team, self.user) if part)


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Who does something, and through which door. ``person`` is None for the system itself."""

    person: Person | None
    source: Source
    name: str = ""  #: display name at the time; decoration

    def __str__(self) -> str:
        return str(self.person) if self.person else "system"


SYSTEM = Actor(person=None, source=Source.SYSTEM, name="Runbook Bot")


@dataclass(frozen=True, kw_only=True)
class Target:
    """One machine, resolved and pinned. ``fingerprint`` changes when the machine is recreated (Azure: vmId)."""

    connector: str  #: "azure" or "local"
    id: str  #: canonical, lower case (Azure: full resource id)
    name: str
    group: str = ""  #: resource group
    os: str = "linux"  #: "linux" or "windows"
    fingerprint: str = ""
    location: str = ""


@dataclass(frozen=True, kw_only=True)
class Expect:
    """What a step's result must be for the step to have succeeded. All given parts must hold."""

    exit_codes: tuple[int, ...] = (0,)
    contains: tuple[str, ...] = ()
    not_contains: tuple[str, ...] = ()
    matches: str = ""  #: linear-time regular expression searched in the output
    number: str = ""  #: comparison such as ">= 85"; the output must be one bare number


@dataclass(frozen=True, kw_only=True)
class PlannedStep:
    """One step, fully rendered: these are the bytes an approver sees and a machine receives."""

    number: int
    phase: Phase
    name: str
    kind: StepKind
    risk: Risk
    requires_approval: bool
    script: str = ""  #: exact script text: parameter prologue, then the author's text; empty for a manual step
    instructions: str = ""  #: what a person must do; manual steps only
    shell: Shell = Shell.BASH
    timeout_seconds: int = 300
    retries: int = 0
    on_failure: OnFailure = OnFailure.STOP
    expect: Expect = field(default_factory=Expect)
    capture: tuple[tuple[str, str], ...] = ()  #: (name, how), sorted by name
    undoes: int = 0  #: for a rollback step: the number of the step that it undoes


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Runbook + parameters + target, rendered and immutable. ``engine.plan.digest_of`` gives its SHA-256."""

    runbook: str
    title: str
    description: str
    owner: str
    service: str
    environment: str
    risk: Risk
    runbook_digest: str  #: SHA-256 of the document's bytes
    policy_version: str  #: SHA-256 of the policy in force when the plan was made
    parameters: tuple[tuple[str, str], ...]  #: (name, value), sorted by name
    target: Target
    steps: tuple[PlannedStep, ...]
    format: int = 1


@dataclass(frozen=True, kw_only=True)
class Decision:
    """One person's vote on a gate."""

    verdict: Verdict
    actor: Actor
    at: datetime
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Audience:
    """Who may decide a gate: ids of people, how many must agree, and whether the requester counts."""

    approvers: tuple[Person, ...]  #: sorted, never empty
    quorum: int = 1
    requester_may_approve: bool = False
    lifetime_seconds: int = 1800  #: how long its gate stays open; the reminder comes at half time
    rule: str = ""  #: name of the policy rule that produced this


@dataclass(frozen=True, kw_only=True)
class Gate:
    """A point that needs people. Bound to one plan digest, step and attempt; ``id`` is opaque and single use."""

    id: str
    step_number: int
    serial: int  #: 1 for the first gate of the step, rising when it is asked again
    attempt: int  #: the attempt number that an approval allows to begin
    status: GateStatus
    plan_digest: str
    audience: Audience
    opened_at: datetime
    remind_at: datetime
    expires_at: datetime
    decisions: tuple[Decision, ...] = ()
    reminded: bool = False
    closed_at: datetime | None = None

    @property
    def approvals(self) -> tuple[Decision, ...]:
        return tuple(d for d in self.decisions if d.verdict is Verdict.APPROVE)


@dataclass(frozen=True, kw_only=True)
class Output:
    """What a command printed, redacted and capped for storing; the sizes are those of the original, in bytes."""

    stdout: str = ""
    stderr: str = ""
    stdout_bytes: int = 0
    stderr_bytes: int = 0
    truncated: bool = False


@dataclass(frozen=True, kw_only=True)
class Result:
    """How an attempt ended, with the evidence for it."""

    status: AttemptStatus  #: a terminal one
    exit_code: int | None = None
    output: Output = field(default_factory=Output)
    duration_seconds: float | None = None
    message: str = ""  #: one sentence: why this status


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One try of a step. ``id`` is a ULID in lower case; ``name`` is never used twice in the outside system."""

    id: str
    number: int
    status: AttemptStatus
    owner: str = ""
    handle: Mapping[str, str] = field(default_factory=dict)
    created_at: datetime | None = None
    not_after: datetime | None = None  #: the machine refuses to start the script after this
    hard_deadline: datetime | None = None  #: no answer after this means unknown
    cancel_requested: bool = False


@dataclass(frozen=True, kw_only=True)
class Step:
    """A planned step inside a session."""

    planned: PlannedStep
    audience: Audience | None = None  #: who decides its gates, by the policy in force at the start; None: ungated
    status: StepStatus = StepStatus.PENDING
    gate: Gate | None = None  #: the newest gate of this step
    attempt: Attempt | None = None  #: the newest attempt of this step
    attempts: int = 0  #: how many attempts were begun
    exit_code: int | None = None
    duration_seconds: float | None = None
    reason: str = ""  #: one sentence: why this status, where the status alone does not say it
    captured: tuple[tuple[str, str], ...] = ()
    started_at: datetime | None = None
    finished_at: datetime | None = None
    not_before: datetime | None = None  #: a queued step is tried again at this time

    @property
    def number(self) -> int:
        return self.planned.number


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a session talks: a channel and, once its first message is posted, a thread."""

    team: str
    channel: str


@dataclass(frozen=True, kw_only=True)
class Session:
    """One life of a plan. ``version`` rises by one with every accepted event: all writes compare it."""

    id: int
    plan: Plan
    digest: str  #: SHA-256 of the plan, hexadecimal
    requester: Actor
    place: Place | None
    status: SessionStatus
    steps: tuple[Step, ...]
    created_at: datetime
    nonce: str  #: random; gate ids are derived from it, so they cannot be guessed
    ticket: str = ""
    version: int = 0
    rolling_back: bool = False
    paused_by: str = ""
    cancelled_by: str = ""  #: set as soon as a cancel was asked for
    reason: str = ""  #: one sentence: why this status, where the status alone does not say it
    started_at: datetime | None = None
    finished_at: datetime | None = None

    def step(self, number: int) -> Step | None:
        return next((step for step in self.steps if step.number == number), None)

    @property
    def open_gate(self) -> Gate | None:
        return next((s.gate for s in self.steps if s.gate and s.gate.status is GateStatus.OPEN), None)

    @property
    def current_step(self) -> Step | None:
        """The step that runs, waits or needs a person; None before the start and after the end."""
        return next((step for step in self.steps if step.status in ACTIVE_STEPS), None)


__all__ = [
    "ACTIVE_STEPS",
    "FINAL_SESSIONS",
    "SYSTEM",
    "TERMINAL_ATTEMPTS",
    "Actor",
    "Attempt",
    "AttemptStatus",
    "Audience",
    "Decision",
    "Expect",
    "Gate",
    "GateStatus",
    "OnFailure",
    "Output",
    "Person",
    "Phase",
    "Place",
    "Plan",
    "PlannedStep",
    "Result",
    "Risk",
    "Session",
    "SessionStatus",
    "Shell",
    "Source",
    "Step",
    "StepKind",
    "StepStatus",
    "Target",
    "Verdict",
]
