"""Azure as the connector's port shows it, with machines behind it and a ledger of its own.

A command arrives on its machine at once, late or never; there a guard starts it once and never after its time. The
ledger counts what arrived and what took effect, whatever anybody was answered. Nothing here forgives or repairs.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from engine.errors import Indeterminate, Permanent, Transient
from engine.model import AttemptStatus, Shell, Target
from engine.ports import CancelAnswer, Capabilities, Check, Command, Handle, Level, Observation, RawResult
from tests.simulation.chance import Dice, Fault
from tests.simulation.installation import CANARY, MACHINES

HOSTILE = f"\x1b[31mred\x1b[0m <!channel> <@U0BOB> \u202eevil token={CANARY}\n".encode()


@dataclass
class Run:
    """One command that Azure has taken."""

    command: Command
    incarnation: str
    arrives_at: datetime
    visible_at: datetime
    takes: timedelta
    end: AttemptStatus
    started_at: datetime | None = None
    ends_at: datetime | None = None
    told_at: datetime | None = None  #: when its end is shown
    result: RawResult | None = None
    removed: bool = False
    stubborn: bool = False


@dataclass
class Ledger:
    """What really happened, by attempt."""

    submitted: Counter[str] = field(default_factory=Counter)
    effects: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    scripts: dict[str, str] = field(default_factory=dict)
    ended: dict[str, RawResult] = field(default_factory=dict)
    killed: set[str] = field(default_factory=set)


class Cloud:
    """All machines. Time is the true time, whatever clocks of the bot say."""

    def __init__(self, dice: Dice, now: Callable[[], datetime], effect: Callable[[Command], None]) -> None:
        self._dice, self._now, self._effect = dice, now, effect
        self.targets = {target.id: target for target in MACHINES}
        self.stopped: set[str] = set()
        self.runs: dict[str, Run] = {}
        self.ledger = Ledger()
        self._markers: set[tuple[str, str]] = set()
        self._made = 1

    # ------------------------------------------------------------ what happens there

    def goes_on(self) -> None:
        """Let everything happen whose time has come."""
        now = self._now()
        for run in self.runs.values():
            if run.started_at is None and run.result is None and run.arrives_at <= now and self._is_up(run):
                self._start(run, max(run.arrives_at, now))
            if run.ends_at is not None and run.ends_at <= now and run.result is None:
                self._end(run)

    def next(self) -> datetime | None:
        """Return when something happens next."""
        now = self._now()
        times = [t for run in self.runs.values() if run.result is None for t in (run.arrives_at, run.ends_at) if t]
        times += [run.told_at for run in self.runs.values() if run.told_at]
        return min((time for time in times if time > now), default=None)

    def recreate(self, target: Target) -> None:
        """Delete a machine and make another one under its name: everything on it is gone."""
        self._made += 1
        self.targets[target.id] = replace(target, fingerprint=f"vmid-{target.name}-{self._made}")
        for run in self.runs.values():
            if run.command.target.id == target.id:
                run.removed = True
                run.ends_at = None

    def force(self) -> bool:
        """Start a command a second time behind everybody's back; the guard on the machine must refuse."""
        known = [run for run in self.runs.values() if run.started_at is not None and not run.removed]
        if known:
            self._start(self._dice.pick(known), self._now())
        return bool(known)

    def vanish(self, known_to: Callable[[str], bool]) -> bool:
        """Let somebody remove a command by hand; a script that runs goes on. Not one whose arrival is in doubt:
        then its absence would be all that there is to see."""
        known = [run for attempt, run in self.runs.items() if not run.removed and known_to(attempt)]
        if known:
            self._dice.pick(known).removed = True
        return bool(known)

    def heal(self) -> None:
        """End every trouble: what hangs ends, what is stopped starts."""
        self.stopped.clear()

    def _is_up(self, run: Run) -> bool:
        return run.command.target.id not in self.stopped and self._same(run.command.target)

    def _same(self, target: Target) -> bool:
        return self.targets[target.id].fingerprint == target.fingerprint

    def _start(self, run: Run, at: datetime) -> None:
        """What the guard on the machine does before anything else."""
        marker = run.incarnation, run.command.attempt_id
        if marker in self._markers:
            self.ledger.refused[run.command.attempt_id] += 1
            return
        if at > run.command.not_after:
            run.result = RawResult(status=AttemptStatus.REFUSED_LATE, exit_code=None, message="It came too late.")
            run.told_at = at
            return
        self._markers.add(marker)
        self.ledger.effects[run.command.attempt_id] += 1
        run.started_at, run.ends_at = at, at + run.takes
        self._effect(run.command)

    def _end(self, run: Run) -> None:
        code = {AttemptStatus.SUCCEEDED: 0, AttemptStatus.FAILED: 1}.get(run.end)
        out = HOSTILE + run.command.script.encode()
        run.result = RawResult(
            status=run.end,
            exit_code=code,
            stdout=out * (200 if run.takes.microseconds % 7 == 0 else 1),
            stdout_bytes=len(out),
            duration_seconds=run.takes.total_seconds(),
            message=f"It ended as {run.end.value}.",
        )
        late = self._dice.seconds(1, 120) if self._dice.strikes(Fault.AZURE_LATE_OUTPUT) else timedelta()
        run.told_at = (run.ends_at or self._now()) + late
        self.ledger.ended[run.command.attempt_id] = run.result

    # ------------------------------------------------------------ what it answers

    def resolve(self, selector: str) -> tuple[Target, ...]:
        return tuple(t for t in self.targets.values() if selector in {t.id, t.name, f"{t.group}/{t.name}"})

    def preflight(self, target: Target) -> tuple[Check, ...]:
        self._trouble(blind=Fault.AZURE_BLIND)
        if not self._same(target):
            return (Check(name="same", level=Level.BLOCK, evidence="It is another machine.", remedy="Start anew."),)
        if target.id in self.stopped:
            return (Check(name="power", level=Level.BLOCK, evidence="It is stopped.", remedy="Start it."),)
        return (Check(name="power", level=Level.OK, evidence="It runs."),)

    def submit(self, command: Command) -> Handle:
        dice, attempt = self._dice, command.attempt_id
        self.ledger.submitted[attempt] += 1
        self.ledger.scripts[attempt] = command.script
        if not self._same(command.target) or command.target.id in self.stopped:
            raise Permanent("It is another machine, or it is stopped.")
        if dice.strikes(Fault.AZURE_TRANSIENT):
            raise Transient("Too many requests.", retry_after=dice.pick((None, 7.0, 60.0)))
        if dice.strikes(Fault.AZURE_PERMANENT):
            raise Permanent("Forbidden.")
        if dice.strikes(Fault.AZURE_LOST):
            raise Indeterminate("The connection broke.")
        self._take(command)
        if dice.strikes(Fault.AZURE_UNSURE):
            raise Indeterminate("The connection broke.")
        return handle_of(command)

    def _take(self, command: Command) -> None:
        dice, now = self._dice, self._now()
        arrives = now + (dice.seconds(1, 1500) if dice.strikes(Fault.AZURE_DELAYED) else timedelta())
        visible = now + (dice.seconds(1, 90) if dice.strikes(Fault.AZURE_HIDDEN) else timedelta())
        hangs = dice.strikes(Fault.AZURE_HUNG)
        bad = dice.strikes(Fault.AZURE_BAD_END)
        ends = (AttemptStatus.FAILED, AttemptStatus.TIMED_OUT, AttemptStatus.INFRA_FAILED)
        run = Run(
            command=command,
            incarnation=self.targets[command.target.id].fingerprint,
            arrives_at=arrives,
            visible_at=visible,
            takes=timedelta(days=2) if hangs else dice.seconds(0.2, 40),
            end=dice.pick(ends) if bad else AttemptStatus.SUCCEEDED,
            stubborn=dice.strikes(Fault.AZURE_STUBBORN),
        )
        self.runs[command.attempt_id] = run
        self.goes_on()

    def reconcile(self, command: Command) -> Handle | None:
        self._trouble(blind=Fault.AZURE_BLIND)
        run = self.runs.get(command.attempt_id)
        if not self._same(command.target):
            raise Indeterminate("It was made again, so that nobody can tell.")
        return handle_of(command) if run and self._shown(run) else None

    def observe(self, handles: Sequence[Handle]) -> Mapping[str, Observation]:
        self._trouble(blind=Fault.AZURE_BLIND)
        found = ((handle["attempt"], self.runs.get(handle["attempt"])) for handle in handles)
        return {attempt: self._observation(run) for attempt, run in found if run and self._shown(run)}

    def probe(self, handle: Handle) -> RawResult | None:
        self._trouble(blind=Fault.AZURE_BLIND)
        run = self.runs.get(handle["attempt"])
        if run is None or run.incarnation != self.targets[run.command.target.id].fingerprint:
            raise Indeterminate("The machine knows nothing of it.")
        if run.started_at is None and run.result is None:
            raise Indeterminate("The machine has not seen it.")
        return run.result

    def cancel(self, handle: Handle) -> CancelAnswer:
        self._trouble(blind=Fault.AZURE_BLIND)
        run = self.runs.get(handle["attempt"])
        if run is None or run.removed or run.started_at is None:
            return CancelAnswer.REQUESTED
        if run.result is None and run.stubborn:
            return CancelAnswer.NOT_POSSIBLE
        if run.result is None:
            run.result = RawResult(status=AttemptStatus.CANCELLED, exit_code=None, message="It was stopped.")
            run.ends_at, run.told_at = None, self._now()
            self.ledger.killed.add(handle["attempt"])
        return CancelAnswer.CONFIRMED

    def cleanup(self, handle: Handle) -> float | None:
        self._trouble(blind=Fault.AZURE_BLIND)
        if self._dice.strikes(Fault.AZURE_LEFTOVERS):
            return 20.0
        run = self.runs.get(handle["attempt"])
        if run:
            run.removed = True
            if run.started_at is None and run.result is None:
                run.result = RawResult(status=AttemptStatus.NOT_STARTED, exit_code=None, message="Removed before.")
        return None

    def _observation(self, run: Run) -> Observation:
        told = run.told_at is not None and run.told_at <= self._now()
        return Observation(running=run.started_at is not None, result=run.result if told else None)

    def _shown(self, run: Run) -> bool:
        same = run.incarnation == self.targets[run.command.target.id].fingerprint
        return same and not run.removed and run.visible_at <= self._now()

    def _trouble(self, *, blind: Fault) -> None:
        if self._dice.strikes(blind):
            raise self._dice.pick((Transient("Throttled."), Indeterminate("No answer."), Indeterminate("Odd answer.")))


def handle_of(command: Command) -> Handle:
    return {"attempt": command.attempt_id, "digest": hashlib.sha256(command.script.encode()).hexdigest()}


class CloudPort:
    """See ``engine.ports.Connector``: the cloud as one process reaches it. Every call is a place to die at."""

    def __init__(self, cloud: Cloud, at: Callable[[str], None], sending: Callable[[Command], None]) -> None:
        self._cloud, self._at, self._sending = cloud, at, sending

    def describe(self) -> Capabilities:
        return Capabilities(
            name="azure",
            label="machines of the simulation",
            cancel="confirmed",
            shells=(Shell.BASH,),
            poll_seconds=(2.0, 5.0, 10.0),
            max_timeout_seconds=5400,
        )

    def resolve(self, selector: str) -> tuple[Target, ...]:
        self._at("azure.resolve")
        return self._cloud.resolve(selector)

    def inventory(self) -> tuple[tuple[Target, str], ...]:
        return tuple((target, "running") for target in self._cloud.targets.values())

    def preflight(self, target: Target, shell: Shell) -> tuple[Check, ...]:  # noqa: ARG002 - the port's signature
        self._at("azure.preflight")
        return self._cloud.preflight(target)

    def submit(self, command: Command) -> Handle:
        self._at("azure.submit before")
        self._sending(command)
        try:
            return self._cloud.submit(command)
        finally:
            self._at("azure.submit after")

    def reconcile(self, command: Command) -> Handle | None:
        self._at("azure.reconcile")
        return self._cloud.reconcile(command)

    def observe(self, target: Target, handles: Sequence[Handle]) -> Mapping[str, Observation]:  # noqa: ARG002
        self._at("azure.observe before")
        found = self._cloud.observe(handles)
        self._at("azure.observe after")
        return found

    def probe(self, handle: Handle) -> RawResult | None:
        self._at("azure.probe")
        return self._cloud.probe(handle)

    def cancel(self, handle: Handle) -> CancelAnswer:
        self._at("azure.cancel before")
        answer = self._cloud.cancel(handle)
        self._at("azure.cancel after")
        return answer

    def fetch(self, handle: Handle, stream: str, offset: int, limit: int) -> tuple[bytes, int]:  # noqa: ARG002
        return b"", 0

    def cleanup(self, handle: Handle) -> float | None:
        self._at("azure.cleanup before")
        answer = self._cloud.cleanup(handle)
        self._at("azure.cleanup after")
        return answer

    def doctor(self, target: Target | None, *, live: bool = False) -> tuple[Check, ...]:  # noqa: ARG002
        return ()
