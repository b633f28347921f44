"""The workspace itself: one port on loopback, one thread with its own event loop, started and stopped at
will.

The entry point for everybody else. It must never listen beyond loopback, and nothing in it may block the
loop.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from aiohttp import web

from playground.loopback import HOST, Port
from playground.slack.blocks import Json
from playground.slack.channels import ChannelView
from playground.slack.clock import Clock
from playground.slack.delivery import Answer, Delivery, Dispatcher
from playground.slack.faults import FaultKind, Faults
from playground.slack.front import BODY_BYTES_MAX, Front
from playground.slack.http_delivery import HttpSender
from playground.slack.journal import Journal
from playground.slack.limits import ACKNOWLEDGE_SECONDS, RateLimiter, RateRules
from playground.slack.people import Person
from playground.slack.seed import fill
from playground.slack.sockets import SocketHub
from playground.slack.state import AppConfig, World

PATIENCE_SECONDS = 60.0
T = TypeVar("T")


class SlackWorkspace:
    """A running workspace; use `start` and leave with `stop` or at the end of a `with` block."""

    def __init__(self, *, app: AppConfig, clock: Clock, rates: RateRules, seed: int, ack_seconds: float) -> None:
        self.clock = clock
        self.world = World(clock=clock, app=app, seed=seed)
        fill(self.world)
        self.journal = Journal(now=clock.now, on_change=self.world.touch)
        self.faults = Faults(on_strike=self._fault_struck)
        self.limiter = RateLimiter(rates, now=clock.now)
        self._ack_seconds = ack_seconds
        self._hub = SocketHub(self.world, faults=self.faults, journal=self.journal, ack_seconds=ack_seconds)
        self._dispatcher = Dispatcher(self.world, faults=self.faults, journal=self.journal, transport=self._hub)
        self._front = Front(
            self.world,
            faults=self.faults,
            journal=self.journal,
            limiter=self.limiter,
            hub=self._hub,
        )
        self._http: HttpSender | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="playground-slack", daemon=True)
        self._port: Port | None = None
        clock.on_change = self.world.touch
        self.world.on_event = self._queue_event

    # life

    @classmethod
    def start(
        cls,
        *,
        port: int = 0,
        app: AppConfig | None = None,
        clock: Clock | None = None,
        rates: RateRules | None = None,
        seed: int = 1,
        ack_seconds: float = ACKNOWLEDGE_SECONDS,
        routes: Sequence[web.RouteDef] = (),
    ) -> Self:
        """Start a seeded workspace; port 0 takes a free one, `routes` adds pages to the same port."""
        workspace = cls(
            app=app or AppConfig(),
            clock=clock or Clock(),
            rates=rates or RateRules(),
            seed=seed,
            ack_seconds=ack_seconds,
        )
        workspace._thread.start()
        try:
            workspace._run(workspace._open(port, routes))
        except OSError:
            workspace.stop()
            raise
        return workspace

    async def _open(self, port: int, routes: Sequence[web.RouteDef]) -> None:
        application = web.Application(client_max_size=BODY_BYTES_MAX)
        application.add_routes([*self._front.routes(), *routes])
        self._port = await Port.open(application, port, patience=0.2)
        self._front.base_url = f"http://{HOST}:{self._port.number}/api/"

    def stop(self) -> None:
        """Close every connection and end the thread; safe to call twice."""
        if self._loop.is_closed():
            return
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        await self._dispatcher.stop()
        await self._hub.stop()
        if self._http:
            await self._http.stop()
        if self._port:
            await self._port.close()
        await _end_what_is_left()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.stop()

    # what the bot needs to know

    @property
    def base_url(self) -> str:
        return self._front.base_url

    @property
    def bot_token(self) -> str:
        return self.world.app.bot_token

    @property
    def app_token(self) -> str:
        return self.world.app.app_token

    @property
    def signing_secret(self) -> str:
        return self.world.app.signing_secret

    # who and where

    def person(self, name: str) -> Person:
        """A person by name or id."""
        return Person(self, self.world.user_named(name))

    def channel(self, name: str) -> ChannelView:
        """A channel by name or id."""
        return ChannelView(self.world, self.world.channel_named(name).id)

    def direct(self, name: str) -> ChannelView:
        """The conversation between a person and the bot."""
        with self.world.lock:
            return ChannelView(self.world, self.world.direct_channel(self.world.user_named(name).id).id)

    def set_group(self, handle: str, names: Sequence[str]) -> None:
        """Give a user group exactly these members."""
        with self.world.lock:
            group = next(each for each in self.world.groups.values() if each.handle == handle)
            group.members = [self.world.user_named(name).id for name in names]
            self.world.touch()

    # waiting

    def wait_for(self, predicate: Callable[[], T], timeout: float = 30.0) -> T:
        """Block until the predicate is true and answer with its value; it is asked after every change here.

        The predicate may read this workspace only: changes elsewhere wake nobody.
        """
        with self.world.changed:
            value = self.world.changed.wait_for(predicate, timeout)
        if not value:
            raise TimeoutError(f"nothing of the kind within {timeout} s; last entries:\n{self.journal.tail()}")
        return value

    def wait_until_connected(self, sockets: int = 1, timeout: float = 30.0) -> None:
        """Block until so many sockets are open and will stay."""
        self.wait_for(lambda: len(self._hub.ready) >= sockets, timeout)

    def at_once(self, *actions: Callable[[], T]) -> list[T]:
        """Let several people act at the same instant."""
        barrier = threading.Barrier(len(actions))

        def act(action: Callable[[], T]) -> T:
            barrier.wait()
            return action()

        with ThreadPoolExecutor(len(actions)) as pool:
            return list(pool.map(act, actions))

    # deliveries

    def deliver_via(self, way: Literal["socket", "http"], *, request_url: str = "") -> None:
        """Choose how the bot is reached: over its sockets, or by signed posts to its request URL."""
        self._run(self._use(way, request_url))

    async def _use(self, way: Literal["socket", "http"], request_url: str) -> None:
        if self._http:
            await self._http.stop()
            self._http = None
        if way == "http":
            self._http = HttpSender(
                self.world, faults=self.faults, ack_seconds=self._ack_seconds, request_url=request_url
            )
        self._dispatcher.transport = self._http or self._hub

    def verify_request_url(self) -> bool:
        """Send the `url_verification` challenge, as Slack does when the request URL is saved."""
        if self._http is None:
            raise ValueError("no request URL; call deliver_via('http', request_url=...) first")
        return self._run(self._http.verify())

    def deliver(self, delivery: Delivery) -> Answer:
        return self._run(self._dispatcher.deliver(delivery))

    def deliver_event(self, event: Json) -> Answer:
        """Send an event now and wait for the first attempt's answer."""
        return self._run(self._dispatcher.deliver_event(event))

    def refresh_sockets(self, reason: str = "refresh_requested", *, most: int | None = None) -> None:
        """Send `disconnect` with a reason such as `warning` or `refresh_requested` to every socket, or to so many."""
        self._run(self._hub.disconnect(reason, most=most))

    def cut_sockets(self) -> None:
        """Break every connection without a word."""
        self._run(self._hub.cut())

    @property
    def open_sockets(self) -> int:
        return len(self._hub.sockets)

    def revoke_token(self, *, revoked: bool = True) -> None:
        """Let the bot's tokens be refused from now on, or accept them again."""
        with self.world.lock:
            self.world.revoked = revoked
            self.world.emit({"type": "tokens_revoked", "tokens": {"oauth": [], "bot": ["U0RUNBOOKBOT"]}})

    def _queue_event(self, event: Json) -> None:
        self._loop.call_soon_threadsafe(self._spawn_event, event)

    def _spawn_event(self, event: Json) -> None:
        self._dispatcher.spawn(self._dispatcher.deliver_event(event))

    def _fault_struck(self, kind: FaultKind, where: str) -> None:
        self.journal.add("fault", kind.value, note=where)

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        if threading.current_thread() is self._thread:
            work.close()
            raise RuntimeError("the workspace's own thread cannot wait for itself; call from another thread")
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_SECONDS)
        except CancelledError as error:
            raise RuntimeError("the workspace was stopped before the answer came") from error


async def _end_what_is_left() -> None:
    """Deliveries under way, those that a person waits for among them: nothing answers them any more."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
