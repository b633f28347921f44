"""Hands on machines: what a connector can be asked, and in which words it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from engine.model import AttemptStatus, Shell, Target


class Level(StrEnum):
    OK = "ok"
    WARN = "warn"
    BLOCK = "block"


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing looked at: what was seen and, unless it is fine, what to do about it."""

    name: str
    level: Level
    evidence: str
    remedy: str = ""


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What a connector can do, so that messages promise no more than that."""

    name: str
    label: str  #: for people, such as "Azure managed Run Command"
    cancel: str  #: "confirmed", "best_effort" or "none"
    shells: tuple[Shell, ...]
    poll_seconds: tuple[float, ...]  #: waits between two observations; the last one repeats
    max_timeout_seconds: int


@dataclass(frozen=True, kw_only=True)
class Command:
    """One attempt, ready to be sent. ``script`` is exactly what was approved."""

    attempt_id: str
    session_id: int
    step_number: int
    attempt_number: int
    target: Target
    shell: Shell
    script: str
    timeout_seconds: int
    not_after: datetime


Handle = Mapping[str, str]  #: small, without secrets and URLs; finds the command again after any crash


@dataclass(frozen=True, kw_only=True)
class RawResult:
    """How a command ended, as the machine told it; bytes are untrusted."""

    status: AttemptStatus  #: a terminal one
    exit_code: int | None
    stdout: bytes = b""
    stderr: bytes = b""
    stdout_bytes: int = 0  #: size of the whole stream; larger than ``stdout`` when only its end arrived
    stderr_bytes: int = 0
    duration_seconds: float | None = None
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class Observation:
    """``result`` is None while the command has not ended; ``running`` says whether it has surely begun."""

    running: bool = False
    result: RawResult | None = None


class CancelAnswer(StrEnum):
    CONFIRMED = "confirmed"  #: there is evidence that it has stopped
    REQUESTED = "requested"  #: asked to stop, not confirmed
    NOT_POSSIBLE = "not_possible"


class Connector(Protocol):
    """Hands on machines. Every method may block for seconds and is called outside transactions.

    Errors: ``Transient`` and ``Permanent`` promise that nothing was started; ``Indeterminate`` promises nothing.
    """

    def describe(self) -> Capabilities:
        """Say what this connector can do; needs no network."""

    def resolve(self, selector: str) -> tuple[Target, ...]:
        """Return every machine that a name or id stands for, sorted; none and several are normal answers."""

    def inventory(self) -> tuple[tuple[Target, str], ...]:
        """Return all machines within reach with their power state, sorted; may be some seconds old."""

    def preflight(self, target: Target, shell: Shell) -> tuple[Check, ...]:
        """Look whether a command could run there now; changes nothing and runs nothing on the machine."""

    def submit(self, command: Command) -> Handle:
        """Send the command once. Never call it again for the same attempt: ``reconcile`` finds what was sent."""

    def reconcile(self, command: Command) -> Handle | None:
        """Look for a command that may have been sent: its handle, or None when it is not known there now.

        ``Indeterminate`` when nobody can tell at the moment.
        """

    def observe(self, target: Target, handles: Sequence[Handle]) -> Mapping[str, Observation]:
        """Look at all given commands on one machine, by attempt id. A command that has vanished is left out."""

    def probe(self, handle: Handle) -> RawResult | None:
        """Ask the machine itself, read-only, what became of a command; None while it runs.

        ``Indeterminate`` when the machine cannot tell.
        """

    def cancel(self, handle: Handle) -> CancelAnswer:
        """Stop a running command and say what is proven. Idempotent."""

    def fetch(self, handle: Handle, stream: str, offset: int, limit: int) -> tuple[bytes, int]:
        """Read bytes of the full ``stdout`` or ``stderr`` kept on the machine; return them and the total size."""

    def cleanup(self, handle: Handle) -> float | None:
        """Remove what the command left in the outside system; None when done, else seconds until the next try."""

    def doctor(self, target: Target | None, *, live: bool = False) -> tuple[Check, ...]:
        """Check credentials, rights, reachability and a machine's readiness; ``live`` may run a harmless echo."""
