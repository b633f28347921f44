"""The playground's cloud as a test or a demo holds it: start it, point a product at it, break it, read it.

All methods are synchronous and may be called from any thread. The cloud is a separate thing from the product:
killing the product leaves it, its machines and its ledger untouched.
"""

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from playground.azure import seed
from playground.azure.clock import Timings
from playground.azure.faults import Faults
from playground.azure.guest import Guest
from playground.azure.identity import Identity
from playground.azure.ledger import Ledger
from playground.azure.machine import Machine
from playground.azure.model import Vm
from playground.azure.platform import Platform, Switches
from playground.azure.rbac import POWER_ACTIONS, RUNNER_ACTIONS, Principal
from playground.azure.sandbox import Limits, Sandbox
from playground.azure.server import Server

_LOOK_AGAIN = 0.05


class AzureCloud:
    """`speed` shortens the cloud's durations; `bucket_speed` (default: the same) its throttling windows."""

    def __init__(
        self,
        *,
        speed: float = 50.0,
        bucket_speed: float | None = None,
        timings: Timings | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._changes = threading.Condition()
        self._version = 0
        self._limits = limits or Limits()
        self._folder = Path(tempfile.mkdtemp(prefix="playground-azure-"))
        self._folder.chmod(0o711)
        self.platform = Platform(
            speed=speed,
            bucket_speed=bucket_speed or speed,
            timings=timings or Timings(),
            changed=self._changed,
        )
        self.identity = Identity(self.platform.clock.now)
        self.ca_file = self._folder / "ca.pem"
        self._server = Server(self.platform, self.identity, self.ca_file)
        self._guests: list[Guest] = []  #: also those whose VM was deleted: their scripts may still run

    @classmethod
    def start(
        cls,
        *,
        speed: float = 50.0,
        bucket_speed: float | None = None,
        timings: Timings | None = None,
        limits: Limits | None = None,
    ) -> Self:
        cloud = cls(speed=speed, bucket_speed=bucket_speed, timings=timings, limits=limits)
        with ExitStack() as undo:
            undo.callback(cloud.stop)
            cloud.serve()
            undo.pop_all()
        return cloud

    def serve(self, *, port: int = 0, identity_port: int = 0) -> None:
        """Listen on loopback (free ports unless told), seed the estate and boot what runs."""
        self._server.start(port=port, identity_port=identity_port)
        self.ca_file.chmod(0o644)
        self.platform.operations.base_url = self.url
        self.identity.audiences.add(self.url)
        self._server.call(self._plant)

    def _plant(self) -> None:
        seed.plant(self.platform.estate)
        for vm in self.platform.estate.vms.values():
            self._equip(vm)
        self.platform.access.grant(
            self.identity.system, [*RUNNER_ACTIONS, *POWER_ACTIONS], f"/subscriptions/{seed.SUBSCRIPTION}"
        )

    def _equip(self, vm: Vm) -> None:
        sandbox = Sandbox(self._folder / f"{vm.group}.{vm.name}", vm.name, self._limits)
        vm.guest = Guest(vm, self.platform, sandbox)
        self._guests.append(vm.guest)
        if vm.power == "running":
            vm.heartbeat = self.platform.clock.now()
            vm.guest.boot()

    def stop(self) -> None:
        self._server.stop(self._shut_down)
        shutil.rmtree(self._folder, ignore_errors=True)

    async def _shut_down(self) -> None:
        for guest in self._guests:
            guest.shutdown()
            await guest.sandbox.reap()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"https://localhost:{self._server.port}"

    @property
    def identity_url(self) -> str:
        return f"http://127.0.0.1:{self._server.identity_port}/msi/token"

    @property
    def subscription(self) -> str:
        return seed.SUBSCRIPTION

    @property
    def faults(self) -> Faults:
        return self.platform.faults

    @property
    def ledger(self) -> Ledger:
        return self.platform.ledger

    @property
    def switches(self) -> Switches:
        return self.platform.switches

    def environment(self) -> dict[str, str]:
        """What a product's process needs to reach this cloud with unmodified Azure libraries."""
        return {
            "IDENTITY_ENDPOINT": self.identity_url,
            "IDENTITY_HEADER": self.identity.header,
            "AZURE_RESOURCE_MANAGER_URL": self.url,
            "AZURE_SUBSCRIPTION_IDS": self.subscription,
            "REQUESTS_CA_BUNDLE": str(self.ca_file),
            "NO_PROXY": "localhost,127.0.0.1",
        }

    def vm(self, name: str) -> Machine:
        """`web-02` (rg-prod first), `rg-staging/web-02` or a full id."""
        found = self._server.call(lambda: self._look_up(name.lower()))
        return Machine(found, self.platform, self._server.call)

    def _look_up(self, name: str) -> Vm:
        for vm in self.platform.estate.vms.values():
            if name in {vm.key, vm.name.lower(), f"{vm.group}/{vm.name}".lower()}:
                return vm
        raise LookupError(f"no VM named {name!r} in the playground; it knows {sorted(self.platform.estate.vms)}")

    def add_vm(self, vm: Vm) -> Machine:
        def act() -> None:
            self.platform.estate.subscription(vm.subscription).groups.setdefault(vm.group.lower(), vm.group)
            self._equip(self.platform.estate.add(vm))

        self._server.call(act)
        return self.vm(vm.id)

    def grant(self, actions: Iterable[str], *, scope: str, principal: Principal | None = None) -> None:
        who, wanted = principal or self.identity.system, list(actions)
        self._server.call(lambda: self.platform.access.grant(who, wanted, scope))

    def revoke(self, action: str, *, scope: str | None = None, principal: Principal | None = None) -> None:
        who = principal or self.identity.system
        self._server.call(lambda: self.platform.access.revoke(who, action, scope))

    def lock(self, scope: str, level: str = "CanNotDelete") -> None:
        self._server.call(lambda: self.platform.governance.lock(scope, level))

    def unlock(self, scope: str) -> None:
        self._server.call(lambda: self.platform.governance.unlock(scope))

    def require_tag(self, tag: str, *, scope: str = "/") -> None:
        self._server.call(lambda: self.platform.governance.require_tag(tag, scope=scope))

    def unregister(self, namespace: str = "Microsoft.Compute") -> None:
        def act() -> None:
            self.platform.estate.subscription(self.subscription).registered.discard(namespace.lower())

        self._server.call(act)

    def expire_tokens(self) -> None:
        self._server.call(self.identity.expire_tokens)

    def advance(self, seconds: float) -> None:
        """Jump the cloud's calendar and everything it waits for."""
        self._server.call(lambda: self.platform.clock.advance(seconds))
        self._changed()

    def on_loop(self, act: Callable[[], Any]) -> Any:
        """Run something between two requests."""
        return self._server.call(act)

    def _changed(self) -> None:
        with self._changes:
            self._version += 1
            self._changes.notify_all()

    def wait_for(self, predicate: Callable[[], Any], timeout: float = 30.0) -> Any:
        """Wait until the predicate holds and return its value; it is asked again after every change."""
        end = time.monotonic() + timeout
        while True:
            seen = self._version
            if found := predicate():
                return found
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"not seen within {timeout} s: {predicate}")
            with self._changes:  # files change without a word: look again soon
                if self._version == seen:
                    self._changes.wait(min(left, _LOOK_AGAIN))
