"""What happened: the facts that ``engine.machine.advance`` accepts. Frozen, past tense, no behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from engine.model import Actor, Decision, Result


class Choice(StrEnum):
    """What a person may choose when a session needs attention."""

    RETRY = "retry"
    SKIP = "skip"
    STOP = "stop"
    ROLLBACK = "rollback"
    SUCCEEDED = "succeeded"  #: an unknown outcome: the person has evidence that it worked
    FAILED = "failed"  #: an unknown outcome: the person has evidence that it did not


@dataclass(frozen=True, kw_only=True)
class Started:
    """The session may begin."""


@dataclass(frozen=True, kw_only=True)
class Voted:
    """A person entitled to it decided on an open gate."""

    gate_id: str
    decision: Decision


@dataclass(frozen=True, kw_only=True)
class GateExpired:
    gate_id: str


@dataclass(frozen=True, kw_only=True)
class Reminded:
    gate_id: str


@dataclass(frozen=True, kw_only=True)
class Basis:
    """What a worker looked at before it came to its finding."""

    gate_id: str  #: of the step's newest gate; empty while it has none
    attempts: int  #: that there had been


@dataclass(frozen=True, kw_only=True)
class ApprovalVoided:
    """What was approved is not what would run, or the approver may no longer approve."""

    step_number: int
    reason: str
    fatal: bool  #: True: the stored plan cannot be trusted; False: ask again
    basis: Basis


@dataclass(frozen=True, kw_only=True)
class Claimed:
    """A worker took the step; written before anything is sent."""

    step_number: int
    attempt_id: str
    owner: str
    not_after: datetime
    hard_deadline: datetime
    basis: Basis
    guard_at: datetime | None = None  #: when somebody is to see whether the owner is still there


@dataclass(frozen=True, kw_only=True)
class Delayed:
    """The step may run but not now: its machine is busy or asked for patience."""

    step_number: int
    reason: str
    basis: Basis
    not_before: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Blocked:
    """The machine is not ready for the step; a person must choose."""

    step_number: int
    reason: str
    basis: Basis


@dataclass(frozen=True, kw_only=True)
class Submitted:
    """The outside system has accepted the command; ``handle`` finds it again."""

    attempt_id: str
    handle: Mapping[str, str] = field(default_factory=dict)
    owner: str = ""  #: who reports; refused when the attempt is another process's by now


@dataclass(frozen=True, kw_only=True)
class SeenRunning:
    attempt_id: str


@dataclass(frozen=True, kw_only=True)
class Ended:
    """An attempt came to an end, or can no longer be followed (status ``unknown``)."""

    attempt_id: str
    result: Result
    verdict: str = ""  #: empty: the expectations hold; else a sentence about the first that does not
    captured: tuple[tuple[str, str], ...] = ()
    retry_at: datetime | None = None  #: for a result that allows it: when to try again
    owner: str = ""  #: who reports on what it was sending; refused when the attempt is another process's by now


@dataclass(frozen=True, kw_only=True)
class CancelAsked:
    actor: Actor
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Paused:
    actor: Actor


@dataclass(frozen=True, kw_only=True)
class Resumed:
    actor: Actor


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A person said how to go on after a failure or an unknown outcome."""

    step_number: int
    choice: Choice
    actor: Actor
    reason: str


Event = (
    Started
    | Voted
    | GateExpired
    | Reminded
    | ApprovalVoided
    | Claimed
    | Delayed
    | Blocked
    | Submitted
    | SeenRunning
    | Ended
    | CancelAsked
    | Paused
    | Resumed
    | Chosen
)
