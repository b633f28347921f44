"""Machines in memory behind one connector: power states, and faults on demand, each at a chosen call.

It keeps the promises of ``engine.ports.Connector``; ``tests/contract/test_scripted_machines.py`` holds it to those
that need no real shell. Of a script it understands ``echo TEXT`` and ``exit N``; the rest does nothing.
It must never run anything, and it never forgives: an attempt that arrives twice is an error of the caller.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from engine.errors import ConnectorError, Indeterminate, Permanent
from engine.model import AttemptStatus, Shell, Target
from engine.ports import CancelAnswer, Capabilities, Check, Clock, Command, Handle, Level, Observation, RawResult
from tests.builders import WEB

POLLS = (2.0, 5.0, 10.0)


class Lost(Enum):
    """What a broken connection can lose."""

    REQUEST = "it never arrived, and nobody can tell"
    ANSWER = "it arrived, and nobody can tell"


Fault = ConnectorError | Lost | None


@dataclass
class Run:
    """One command that arrived on a machine."""

    command: Command
    result: RawResult  #: how it ends, once nothing holds it
    ended: bool = False
    hidden: bool = False  #: it is there, but the outside system does not show it yet
    removed: bool = False


def printed(stdout: str | bytes = b"", code: int = 0, **changes: object) -> RawResult:
    """How a command ends that printed this."""
    out = stdout.encode() if isinstance(stdout, str) else stdout
    status = AttemptStatus.FAILED if code else AttemptStatus.SUCCEEDED
    result = RawResult(
        status=status,
        exit_code=code,
        stdout=out,
        stdout_bytes=len(out),
        duration_seconds=0.5,
        message=f"The script ended with exit code {code}.",
    )
    return replace(result, **changes)  # type: ignore[arg-type]


class Machines:
    """See ``engine.ports.Connector``."""

    def __init__(self, clock: Clock, *targets: Target) -> None:
        self._clock = clock
        self.targets = {target.id: target for target in targets or (WEB,)}
        self.power = dict.fromkeys(self.targets, "running")
        self.submitted: list[Command] = []  #: every call of ``submit``, whatever came of it
        self.looked_up: list[Command] = []
        self.runs: dict[str, Run] = {}  #: by attempt
        self.polls: tuple[float, ...] = POLLS
        self.holding = False  #: whether commands run until ``release``
        self.stoppable = True
        self.leftovers = 0  #: how many clean-ups it takes until nothing is left
        self.cleaned: list[str] = []
        self.before: dict[str, Callable[[], object]] = {}  #: called at the start of the named method
        self._faults: dict[str, deque[Fault]] = defaultdict(deque)
        self._endings: deque[RawResult] = deque()

    # ------------------------------------------------------------ what a test arranges

    def breaks(self, method: str, *faults: Fault) -> None:
        """Let the next calls of a method meet these, in order; None is a call in which all is well."""
        self._faults[method] += faults

    def once_before(self, method: str, act: Callable[[], object]) -> None:
        """Let something happen at the start of the next call of a method, and only of that one."""

        def once() -> None:
            del self.before[method]
            act()

        self.before[method] = once

    def will_end(self, *endings: RawResult) -> None:
        """Let the next commands that arrive end like this, whatever their scripts say."""
        self._endings += endings

    def release(self) -> None:
        """Let go of what runs."""
        self.holding = False

    def hide(self, *, hidden: bool = True) -> None:
        """Let the outside system not show what arrived so far."""
        for run in self.runs.values():
            run.hidden = hidden

    def arrivals(self) -> list[str]:
        """Return the scripts that arrived, in order."""
        return [run.command.script for run in self.runs.values()]

    # ------------------------------------------------------------ the connector

    def describe(self) -> Capabilities:
        return Capabilities(
            name="azure",
            label="machines in memory",
            cancel="confirmed",
            shells=(Shell.BASH,),
            poll_seconds=self.polls,
            max_timeout_seconds=5400,
        )

    def resolve(self, selector: str) -> tuple[Target, ...]:
        self._meet("resolve")
        wanted = selector.lower()
        return tuple(t for t in self._sorted() if wanted in {t.id, t.name, f"{t.group}/{t.name}"})

    def inventory(self) -> tuple[tuple[Target, str], ...]:
        return tuple((target, self.power[target.id]) for target in self._sorted())

    def preflight(self, target: Target, shell: Shell) -> tuple[Check, ...]:
        self._meet("preflight")
        return (self._same_machine(target), self._powered(target), self._shell(shell))

    def submit(self, command: Command) -> Handle:
        self.submitted.append(command)
        fault = self._meet("submit")
        self._refuse_another_machine(command.target)
        if fault is not Lost.REQUEST:
            self._arrive(command)
        if fault is not None:
            raise Indeterminate(f"The connection broke: {fault.value}.")
        return self._handle(command)

    def reconcile(self, command: Command) -> Handle | None:
        self.looked_up.append(command)
        self._meet("reconcile")
        run = self.runs.get(command.attempt_id)
        return self._handle(run.command) if run and not run.hidden and not run.removed else None

    def observe(self, target: Target, handles: Sequence[Handle]) -> Mapping[str, Observation]:
        self._meet("observe")
        found = {handle["attempt"]: self.runs.get(handle["attempt"]) for handle in handles}
        seen = {attempt: run for attempt, run in found.items() if run and not run.hidden and not run.removed}
        return {attempt: self._observed(run) for attempt, run in seen.items() if run.command.target.id == target.id}

    def probe(self, handle: Handle) -> RawResult | None:
        self._meet("probe")
        run = self.runs.get(handle["attempt"])
        if run is None:
            raise Indeterminate("The machine knows nothing of it.")
        return self._observed(run).result

    def cancel(self, handle: Handle) -> CancelAnswer:
        self._meet("cancel")
        run = self.runs[handle["attempt"]]
        if not run.ended and not self.stoppable:
            return CancelAnswer.NOT_POSSIBLE
        if not run.ended:
            run.ended = True
            run.result = RawResult(status=AttemptStatus.CANCELLED, exit_code=None, message="It was stopped.")
        return CancelAnswer.CONFIRMED

    def fetch(self, handle: Handle, stream: str, offset: int, limit: int) -> tuple[bytes, int]:
        result = self.runs[handle["attempt"]].result
        whole = result.stdout if stream == "stdout" else result.stderr
        return whole[offset : offset + limit], len(whole)

    def cleanup(self, handle: Handle) -> float | None:
        self._meet("cleanup")
        if self.leftovers:
            self.leftovers -= 1
            return 20.0
        self.cleaned.append(handle["attempt"])
        if handle["attempt"] in self.runs:
            self.runs[handle["attempt"]].removed = True
        return None

    def doctor(self, target: Target | None, *, live: bool = False) -> tuple[Check, ...]:
        if target is None:
            return ()
        echo = (Check(name="live", level=Level.OK, evidence="An echo came back."),) if live else ()
        return (*self.preflight(target, Shell.BASH), *echo)

    # ------------------------------------------------------------ inside

    def _meet(self, method: str) -> Lost | None:
        self.before.get(method, lambda: None)()
        fault = self._faults[method].popleft() if self._faults[method] else None
        if isinstance(fault, ConnectorError):
            raise fault
        return fault

    def _sorted(self) -> list[Target]:
        return sorted(self.targets.values(), key=lambda target: target.id)

    def _arrive(self, command: Command) -> None:
        assert command.attempt_id not in self.runs, "An attempt was sent twice."
        run = Run(command=command, result=self._ending(command))
        if self._clock.now() > command.not_after:
            run.result = RawResult(status=AttemptStatus.REFUSED_LATE, exit_code=None, message="It came too late.")
        self.runs[command.attempt_id] = run

    def _ending(self, command: Command) -> RawResult:
        return self._endings.popleft() if self._endings else _understood(command.script)

    def _observed(self, run: Run) -> Observation:
        if not self.holding:
            run.ended = True
        return Observation(running=not run.ended, result=run.result if run.ended else None)

    def _handle(self, command: Command) -> Handle:
        return {"attempt": command.attempt_id, "name": f"rb-{command.attempt_id}-{command.attempt_number}"}

    def _refuse_another_machine(self, target: Target) -> None:
        for check in (self._same_machine(target), self._powered(target)):
            if check.level is Level.BLOCK:
                raise Permanent(check.evidence, hint=check.remedy)

    def _same_machine(self, target: Target) -> Check:
        known = self.targets.get(target.id)
        if known is None or known.fingerprint != target.fingerprint:
            return Check(
                name="same machine", level=Level.BLOCK, evidence="It is another machine.", remedy="Start anew."
            )
        return Check(name="same machine", level=Level.OK, evidence="It is the machine of the plan.")

    def _powered(self, target: Target) -> Check:
        power = self.power.get(target.id, "gone")
        if power != "running":
            return Check(name="power", level=Level.BLOCK, evidence=f"The VM is {power}.", remedy="Start it first.")
        return Check(name="power", level=Level.OK, evidence="It runs.")

    def _shell(self, shell: Shell) -> Check:
        if shell is not Shell.BASH:
            return Check(name="shell", level=Level.BLOCK, evidence=f"It has no {shell.value}.", remedy="Use bash.")
        return Check(name="shell", level=Level.OK, evidence="It has bash.")


def _understood(script: str) -> RawResult:
    out: list[str] = []
    for line in script.replace("; ", "\n").splitlines():
        word, _, rest = line.partition(" ")
        if word == "exit":
            return printed("".join(out), int(rest))
        if word == "echo":
            out.append(f"{rest}\n")
    return printed("".join(out))
