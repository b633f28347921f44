"""The closed sets of words: risk, phase, status, verdict, source. One word per concept, everywhere the same.

Nothing here may ever depend on anything else of ours.
"""

from __future__ import annotations

from enum import StrEnum


class Risk(StrEnum):
    """How much damage a step can do. One scale for document, policy and machine, lowest first."""

    NONE = "none"  #: read-only: changes nothing
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"

    @property
    def rank(self) -> int:
        return list(Risk).index(self)


class Phase(StrEnum):
    """Where in a runbook a step stands. Stored as ``step_type``."""

    PRECHECK = "precheck"
    MAIN = "main"
    POSTCHECK = "postcheck"
    ROLLBACK = "rollback"


class StepKind(StrEnum):
    COMMAND = "command"
    MANUAL = "manual"  #: a person does it and says so


class Shell(StrEnum):
    BASH = "bash"
    POWERSHELL = "powershell"


class OnFailure(StrEnum):
    """What follows when a step has failed for good."""

    STOP = "stop"
    CONTINUE = "continue"
    ROLLBACK = "rollback"
    ASK = "ask"


class SessionStatus(StrEnum):
    """Where an execution session stands."""

    PENDING = "pending"  #: stored, not started
    IN_PROGRESS = "in_progress"  #: a step runs or is about to
    WAITING_APPROVAL = "waiting_approval"  #: a gate is open
    PAUSED = "paused"  #: a person halted it between two steps
    NEEDS_ATTENTION = "needs_attention"  #: an outcome is unknown, or a failure waits for a person's choice
    COMPLETED = "completed"
    COMPLETED_UNVERIFIED = "completed_unverified"  #: the changes are done, a postcheck failed
    FAILED = "failed"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class StepStatus(StrEnum):
    """Where one step of a session stands."""

    PENDING = "pending"
    WAITING_APPROVAL = "waiting_approval"
    APPROVED = "approved"  #: may run now
    QUEUED = "queued"  #: may run, waits for its VM or for patience
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    UNKNOWN = "unknown"  #: nobody can prove what happened
    SKIPPED = "skipped"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class AttemptStatus(StrEnum):
    """Where one try of a step on a machine stands. The last eight are terminal."""

    PLANNED = "planned"
    SUBMITTING = "submitting"  #: written before the network call, so a crash is noticed
    ACCEPTED = "accepted"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    REFUSED_LATE = "refused_late"  #: the guard on the machine saw the start deadline pass
    NOT_STARTED = "not_started"  #: the other side refused; certainly nothing ran
    INFRA_FAILED = "infra_failed"  #: the machine's agent failed before the script began
    UNKNOWN = "unknown"


TERMINAL_ATTEMPTS = frozenset(
    {
        AttemptStatus.SUCCEEDED,
        AttemptStatus.FAILED,
        AttemptStatus.TIMED_OUT,
        AttemptStatus.CANCELLED,
        AttemptStatus.REFUSED_LATE,
        AttemptStatus.NOT_STARTED,
        AttemptStatus.INFRA_FAILED,
        AttemptStatus.UNKNOWN,
    }
)


class GateStatus(StrEnum):
    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class Verdict(StrEnum):
    APPROVE = "approve"
    REJECT = "reject"


class Source(StrEnum):
    """The door a request or decision came through."""

    SLACK = "slack"
    HOME = "home"
    API = "api"
    CLI = "cli"
    SYSTEM = "system"


ACTIVE_STEPS = frozenset(
    {
        StepStatus.WAITING_APPROVAL,
        StepStatus.APPROVED,
        StepStatus.QUEUED,
        StepStatus.RUNNING,
        StepStatus.UNKNOWN,
    }
)

FINAL_SESSIONS = frozenset(
    {
        SessionStatus.COMPLETED,
        SessionStatus.COMPLETED_UNVERIFIED,
        SessionStatus.FAILED,
        SessionStatus.REJECTED,
        SessionStatus.EXPIRED,
        SessionStatus.CANCELLED,
    }
)
