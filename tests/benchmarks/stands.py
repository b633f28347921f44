"""Stand-ins for the world around the product: machines that do nothing at once, a Slack that shows everything at once.

What they cost is next to nothing, so that what is measured is the product. They keep no state but counters.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from itertools import count

from bot.delivery_render import Parcel
from engine.model import AttemptStatus, Person, Place, Shell, Target
from engine.ports import CancelAnswer, Capabilities, Check, Command, Handle, Observation, RawResult

TS = "1700000001.000200"  #: under which every message is shown
DONE = RawResult(status=AttemptStatus.SUCCEEDED, exit_code=0, stdout=b"ok\n", stdout_bytes=3, duration_seconds=0.1)
WEB = Target(connector="azure", id="/vm/web", name="web", group="rg", os="linux", fingerprint="v1")


class Counter:
    """Counts what several threads have done, and lets one wait until it was enough."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.count = 0

    def add(self) -> None:
        with self._changed:
            self.count += 1
            self._changed.notify_all()

    def wait_for(self, number: int, seconds: float = 120.0) -> None:
        """Return when there are that many; a run that never gets there is an error."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.count >= number, seconds):
                raise TimeoutError(f"only {self.count} of {number} within {seconds:.0f} s")


class NoMachines:
    """See ``engine.ports.Connector``. Every name is a machine, every command succeeds the moment it is looked at."""

    def __init__(self) -> None:
        self.submitted = Counter()
        self.ended = Counter()
        self.last_submit = 0.0  #: when, on the clock that only goes forward
        self.holding = threading.Event()  #: while set, commands keep running
        self._numbers = count(1)

    def describe(self) -> Capabilities:
        return Capabilities(
            name="azure",
            label="machines that do nothing",
            cancel="none",
            shells=(Shell.BASH,),
            poll_seconds=(0.0, 0.5, 5.0),
            max_timeout_seconds=5400,
        )

    def resolve(self, selector: str) -> tuple[Target, ...]:
        name = selector.removeprefix("rg/")
        return (Target(connector="azure", id=f"/vm/{name}", name=name, group="rg", os="linux", fingerprint="v1"),)

    def inventory(self) -> tuple[tuple[Target, str], ...]:
        return ((WEB, "running"),)

    def preflight(self, _target: Target, _shell: Shell) -> tuple[Check, ...]:
        return ()

    def submit(self, command: Command) -> Handle:
        self.last_submit = time.perf_counter()
        self.submitted.add()
        return {"attempt": command.attempt_id}

    def reconcile(self, command: Command) -> Handle | None:
        return {"attempt": command.attempt_id}

    def observe(self, _target: Target, handles: Sequence[Handle]) -> Mapping[str, Observation]:
        held = self.holding.is_set()
        for _ in handles:
            self.ended.add()
        seen = Observation(running=held, result=None if held else DONE)
        return {handle["attempt"]: seen for handle in handles}

    def probe(self, _handle: Handle) -> RawResult | None:
        return DONE

    def cancel(self, _handle: Handle) -> CancelAnswer:
        return CancelAnswer.NOT_POSSIBLE

    def fetch(self, _handle: Handle, _stream: str, offset: int, limit: int) -> tuple[bytes, int]:
        return DONE.stdout[offset : offset + limit], DONE.stdout_bytes

    def cleanup(self, _handle: Handle) -> float | None:
        return None

    def doctor(self, _target: Target | None, *, live: bool = False) -> tuple[Check, ...]:  # noqa: ARG002
        return ()


class Everybody:
    """See ``engine.ports.Directory``: everybody is a member, as the product's own directory answers within a minute."""

    def require_member(self, person: Person) -> str:
        return person.user

    def require_postable(self, _place: Place) -> None:
        """Everywhere is fine."""


class NoSlack:
    """What the outbox sends to: everything is shown at once, under the same time stamp."""

    def __init__(self) -> None:
        self.shown = Counter()

    def send(self, _parcel: Parcel, *, repeat: bool = False) -> str:  # noqa: ARG002
        self.shown.add()
        return TS

    def find(self, _parcel: Parcel) -> tuple[str, int] | None:
        return None
