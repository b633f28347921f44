"""What must now be done because of a transition. Frozen, imperative; stored in the same transaction as the
new state and carried out afterwards, so that a crash at any point loses none of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from engine.model import Output


class Purpose(StrEnum):
    """What a message is for. With session, step and ordinal it is the message's lasting key."""

    CARD = "card"  #: root of the thread: the whole run, edited in place
    GATE = "gate"  #: one approval request, edited in place
    RESULT = "result"  #: how one attempt of a step ended
    OUTPUT = "output"  #: the long output of an attempt, as a file
    REMINDER = "reminder"  #: a gate's half time has passed
    ATTENTION = "attention"  #: an unknown outcome or a failure waits for a choice
    CLOSING = "closing"  #: the last line of a session
    EPHEMERAL = "ephemeral"  #: a sentence for one person
    HOME = "home"  #: one person's App Home


@dataclass(frozen=True, kw_only=True)
class Show:
    """Bring a message up to date with the database: post it if it is new, edit it if it exists."""

    purpose: Purpose
    step_number: int = 0
    ordinal: int = 0  #: gate's or attempt's number within the step


@dataclass(frozen=True, kw_only=True)
class RunStep:
    """Have a worker take the step."""

    step_number: int
    not_before: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class ObserveAttempt:
    attempt_id: str
    not_before: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class CancelAttempt:
    attempt_id: str


@dataclass(frozen=True, kw_only=True)
class CleanUpAttempt:
    """Remove what the attempt left in the outside system."""

    attempt_id: str


@dataclass(frozen=True, kw_only=True)
class StoreOutput:
    step_number: int
    attempt_id: str
    output: Output


@dataclass(frozen=True, kw_only=True)
class FreeTarget:
    """The machine is free again: wake the session that waits longest for it."""

    target_id: str


Effect = Show | RunStep | ObserveAttempt | CancelAttempt | CleanUpAttempt | StoreOutput | FreeTarget
