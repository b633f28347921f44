"""A machine that outlives the process that commands it, and remembers everything that was ever asked of it.

At least as unkind as the real one: a command is known by the name it was given, is not shown for a while after it
arrived, runs again when it is sent again (unless the guard in it has seen the attempt), starts nothing after its
deadline, and is gone, result and all, once it was cleared away. Answers and requests get lost on demand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from engine.errors import Indeterminate, Transient
from engine.model import AttemptStatus, Shell, Target
from engine.ports import CancelAnswer, Capabilities, Check, Command, Handle, Level, Observation, RawResult
from tests.builders import WEB
from tests.crash.campaign.world import Ledger, Line, StoredClock

SHOWN_AFTER = 3.0  #: seconds until a look-up by name finds what has arrived


@dataclass(frozen=True, kw_only=True)
class Nature:
    """How the machine behaves in a scenario."""

    seconds: float = 5.0  #: how long each command runs
    meets: tuple[str, ...] = ()  #: what each call of ``submit`` meets: "", "answer lost", "request lost", "throttled"
    codes: tuple[int, ...] = ()  #: how the commands that arrive end, in order; afterwards with 0
    printed: str = "done\n"
    mute: bool = False  #: nothing is ever heard of a command again, as with a blocked network
    leftovers: int = 0  #: how many clean-ups each command takes before nothing is left
    polls: tuple[float, ...] = (2.0, 4.0, 8.0)


@dataclass
class _Run:
    """One command that has arrived."""

    line: Line
    stopped: datetime | None = None
    clears: int = 0
    gone: bool = False
    arrived: datetime = field(init=False)

    def __post_init__(self) -> None:
        self.arrived = datetime.fromisoformat(self.line["at"])


class StoredMachine:
    """See ``engine.ports.Connector``."""

    def __init__(self, ledger: Ledger, clock: StoredClock, nature: Nature) -> None:
        self._ledger, self._clock, self._nature = ledger, clock, nature
        self._runs: dict[str, _Run] = {}
        for line in ledger.lines:
            self._remember(line)

    # ------------------------------------------------------------ what changes nothing

    def describe(self) -> Capabilities:
        return Capabilities(
            name="azure",
            label="a machine that outlives us",
            cancel="confirmed",
            shells=(Shell.BASH,),
            poll_seconds=self._nature.polls,
            max_timeout_seconds=5400,
        )

    def resolve(self, selector: str) -> tuple[Target, ...]:
        return (WEB,) if selector == WEB.name else ()

    def inventory(self) -> tuple[tuple[Target, str], ...]:
        return ((WEB, "running"),)

    def preflight(self, target: Target, shell: Shell) -> tuple[Check, ...]:  # noqa: ARG002
        return (Check(name="power", level=Level.OK, evidence="It runs."),)

    def doctor(self, target: Target | None, *, live: bool = False) -> tuple[Check, ...]:  # noqa: ARG002
        return (Check(name="power", level=Level.OK, evidence="It runs."),)

    def fetch(self, handle: Handle, stream: str, offset: int, limit: int) -> tuple[bytes, int]:  # noqa: ARG002
        raise Indeterminate("Nobody can look now.")

    # ------------------------------------------------------------ the life of a command

    def submit(self, command: Command) -> Handle:
        calls = sum(line["did"] == "submit" for line in self._ledger.lines)
        meets = self._nature.meets[calls] if calls < len(self._nature.meets) else ""
        facts = _facts(command)
        self._add("submit", **facts, meets=meets)
        if meets == "throttled":
            raise Transient("Too many requests.", retry_after=7)
        if meets != "request lost":
            self._arrive(facts)
        if meets:
            raise Indeterminate("The connection broke.")
        return _handle(command.attempt_id)

    def _arrive(self, facts: Line) -> None:
        seen = any(line["did"] == "effect" and line["attempt"] == facts["attempt"] for line in self._ledger.lines)
        late = self._clock.now() > datetime.fromisoformat(facts["not_after"])
        count = sum(line["did"] == "arrive" for line in self._ledger.lines)
        code = self._nature.codes[count] if count < len(self._nature.codes) else 0
        self._add("arrive", **facts, code=code, late=late)
        if not seen and not late:
            self._add("effect", **facts)

    def reconcile(self, command: Command) -> Handle | None:
        run = self._runs.get(command.attempt_id)
        if run is None or run.gone:
            return None
        if self._clock.now() < run.arrived + timedelta(seconds=SHOWN_AFTER):
            return None
        return _handle(command.attempt_id)

    def observe(self, target: Target, handles: Sequence[Handle]) -> Mapping[str, Observation]:  # noqa: ARG002
        if self._nature.mute:
            return {}
        found = {handle["attempt"]: self._runs.get(handle["attempt"]) for handle in handles}
        return {attempt: self._seen(run) for attempt, run in found.items() if run and not run.gone}

    def probe(self, handle: Handle) -> RawResult | None:
        run = self._runs.get(handle["attempt"])
        if self._nature.mute or run is None or run.gone:
            raise Indeterminate("The machine does not answer.")
        return self._seen(run).result

    def cancel(self, handle: Handle) -> CancelAnswer:
        run = self._runs.get(handle["attempt"])
        if run is None:
            return CancelAnswer.NOT_POSSIBLE
        if self._seen(run).result is None:
            self._add("cancel", attempt=handle["attempt"])
        return CancelAnswer.CONFIRMED

    def cleanup(self, handle: Handle) -> float | None:
        self._add("cleanup", attempt=handle["attempt"])
        run = self._runs.get(handle["attempt"])
        return 20.0 if run and not run.gone else None

    # ------------------------------------------------------------ inside

    def _add(self, did: str, **facts: Any) -> None:
        line = {"did": did, "at": self._clock.now().isoformat(), **facts}
        self._ledger.add(**line)
        self._remember(line)

    def _remember(self, line: Line) -> None:
        run = self._runs.get(line["attempt"])
        if line["did"] == "arrive":
            self._runs[line["attempt"]] = _Run(line)  # the same name again: a new version begins
        elif run and line["did"] == "cancel":
            run.stopped = datetime.fromisoformat(line["at"])
        elif run and line["did"] == "cleanup":
            run.clears += 1
            run.gone = run.clears > self._nature.leftovers

    def _seen(self, run: _Run) -> Observation:
        if run.line["late"]:
            late = RawResult(status=AttemptStatus.REFUSED_LATE, exit_code=None, message="It came too late.")
            return Observation(result=late)
        if run.stopped:
            return Observation(result=RawResult(status=AttemptStatus.CANCELLED, exit_code=None, message="Stopped."))
        if self._clock.now() < run.arrived + timedelta(seconds=self._nature.seconds):
            return Observation(running=True)
        return Observation(result=self._ended(run.line["code"]))

    def _ended(self, code: int) -> RawResult:
        out = self._nature.printed.encode()
        return RawResult(
            status=AttemptStatus.FAILED if code else AttemptStatus.SUCCEEDED,
            exit_code=code,
            stdout=out,
            stdout_bytes=len(out),
            duration_seconds=self._nature.seconds,
            message=f"The script ended with exit code {code}.",
        )


def _handle(attempt_id: str) -> Handle:
    return {"attempt": attempt_id, "name": f"rb-{attempt_id}"}


def _facts(command: Command) -> Line:
    return {
        "attempt": command.attempt_id,
        "session": command.session_id,
        "step": command.step_number,
        "number": command.attempt_number,
        "target": command.target.id,
        "script": command.script,
        "not_after": command.not_after.isoformat(),
    }
