"""What goes wrong between the real Azure connector and the local Azure, and around which call it is armed.

The connector itself is the product's, unchanged: a fault is put into the cloud before the call of a port and taken out
after it. Nothing here catches an error, repeats a call or answers in place of the cloud.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from connectors.azure_buckets import Buckets
from connectors.azure_run_command import AzureConnector
from connectors.azure_side import ENDED
from engine.model import Target
from engine.ports import Command, Handle, Observation, RawResult
from playground.azure import AzureCloud
from playground.azure.faults import Fault
from tests.connectors.azure import settings_for
from tests.connectors.harness import CountingIds, until
from tests.fakes.clock import MovableClock

VM = "rg-prod/web-01"
PLACE = "/runcommands/rb-"
_METHOD = {"submit": "PUT", "poll": "GET", "lookup": "GET", "delete": "DELETE"}


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """What goes wrong. ``done`` says whether the cloud did the work all the same."""

    name: str
    kind: str
    status: int = 0
    done: bool = False
    retry_after: int | None = None

    def __str__(self) -> str:
        patience = "" if self.retry_after is None else "+retry-after"
        return f"{self.name}{'+done' if self.done else ''}{patience}"


@dataclass(frozen=True, kw_only=True)
class Strikes:
    """Which trouble hits which request of one operation; ``for_ever`` hits all of them.

    Submissions and deletions are counted by step, polls and look-ups one by one. ``arrives`` says, for look-ups,
    whether the request whose answer was lost has reached the cloud.
    """

    operation: str = ""
    at: Mapping[int, Trouble] = field(default_factory=dict)
    arrives: bool = True
    for_ever: Trouble | None = None
    machine_too: bool = False  #: with ``for_ever``: the machine itself cannot be asked, either

    def trouble(self, operation: str, number: int) -> Trouble | None:
        return (self.for_ever or self.at.get(number)) if operation == self.operation else None


class BenchConnector(AzureConnector):
    """The real connector, with a fault armed around the calls that are struck. Its buckets follow the clock."""

    def __init__(self, cloud: AzureCloud, clock: MovableClock, strikes: Strikes, **settings: Any) -> None:
        options: dict[str, Any] = {"read_seconds": 5.0, "side_seconds": 5.0, "stale_heartbeat_seconds": 1e9}
        found = settings_for(cloud, **(options | settings))
        super().__init__(found, clock, CountingIds())
        self._client._buckets = Buckets(lambda: clock.now().timestamp(), share=found.bucket_share)
        self._cloud, self._strikes = cloud, strikes
        self.calls = dict.fromkeys(_METHOD, 0)
        self.struck = 0  #: requests that a fault has really met
        self._cleaned: list[str] = []

    # ------------------------------------------------------------ the calls of the worker

    def submit(self, command: Command) -> Handle:
        self.calls["submit"] += 1
        number = command.step_number if command.attempt_number == 1 else 0
        with self._answer_lost(), self._trouble("submit", number):
            return super().submit(command)

    def observe(self, target: Target, handles: Sequence[Handle]) -> Mapping[str, Observation]:
        self.calls["poll"] += 1
        self._let_the_machine_work({handle["name"] for handle in handles})
        with self._trouble("poll", self.calls["poll"]):
            return super().observe(target, handles)

    def reconcile(self, command: Command) -> Handle | None:
        self.calls["lookup"] += 1
        self._hide(command, hidden=self.calls["lookup"] < min(self._strikes.at, default=0))
        with self._trouble("lookup", self.calls["lookup"]):
            return super().reconcile(command)

    def probe(self, handle: Handle) -> RawResult | None:
        if not self._strikes.machine_too:
            return super().probe(handle)
        with self._trouble(self._strikes.operation, 0):
            return super().probe(handle)

    def cleanup(self, handle: Handle) -> float | None:
        self.calls["delete"] += 1
        new = handle["attempt"] not in self._cleaned
        if new:
            self._cleaned.append(handle["attempt"])
        with self._trouble("delete", len(self._cleaned) if new else 0):
            return super().cleanup(handle)

    def heals(self) -> None:
        """From now on everything works."""
        self._strikes = Strikes()

    # ------------------------------------------------------------ arming

    @contextmanager
    def _trouble(self, operation: str, number: int) -> Iterator[None]:
        trouble = self._strikes.trouble(operation, number)
        if trouble is None:
            yield
            return
        fault = self._cloud.faults.add(_fault(trouble, _METHOD[operation]))
        if fault.where == "identity":
            self.close()  # forgets the token, so that the next request needs another
        try:
            yield
        finally:
            self._cloud.faults.clear()
            self.struck += fault.used
            if fault.where == "identity":
                self.close()  # the identity library goes on refusing for a real minute, which nobody waits for here

    @contextmanager
    def _answer_lost(self) -> Iterator[None]:
        """Only a request whose answer is lost is looked up."""
        if self._strikes.operation != "lookup":
            yield
            return
        lose = self._cloud.faults.lose_response if self._strikes.arrives else self._cloud.faults.reset
        lose("PUT", PLACE)
        try:
            yield
        finally:
            self._cloud.faults.clear()

    def _hide(self, command: Command, *, hidden: bool) -> None:
        """Azure may not show for a while what it has accepted."""
        machine = self._cloud.vm(VM)._vm

        def act() -> None:
            for one in machine.run_commands.values():
                if command.attempt_id in one.name:
                    one.visible_from = float("inf") if hidden else 0.0

        self._cloud.on_loop(act)

    def _let_the_machine_work(self, names: set[str]) -> None:
        """Hold the result back until the poll that shall see it: the third where polls are the subject."""
        machine = self._cloud.vm(VM)
        held = self._strikes.operation == "poll" and bool(self._strikes.at) and self.calls["poll"] < 3
        machine.quirks.pending_forever = held
        if not held:
            until(lambda: not names & _at_work(machine.run_commands()), seconds=30)


def _at_work(commands: list[dict[str, Any]]) -> set[str]:
    """What the machine was given and has not reported as ended."""
    return {c["name"] for c in commands if c["properties"]["instanceView"]["executionState"] not in ENDED}


def _fault(trouble: Trouble, method: str) -> Fault:
    if trouble.kind == "token":
        return Fault(kind="answer", where="identity", status=500, times=None)
    concurrent = "The request failed due to conflict with a concurrent request."
    return Fault(
        kind=trouble.kind,  # type: ignore[arg-type]  # one of the kinds, from the table
        method=method,
        path_contains=PLACE,
        times=None,
        after_work=trouble.done,
        status=trouble.status or 500,
        code="Conflict" if trouble.status == 409 else "ServerBusy",
        message=concurrent if trouble.status == 409 else "The server is busy.",
        retry_after=trouble.retry_after,
        seconds=5.0,
    )
