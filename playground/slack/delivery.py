"""Bringing events, commands and interactions to the bot, over sockets or signed HTTP.

Events are tried again as Slack does it; commands and interactions are sent once and fail visibly for the
person. It must never wait for anything but the bot's acknowledgement.
"""

import asyncio
import json
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol

from playground.slack.blocks import Json
from playground.slack.faults import FaultKind, Faults
from playground.slack.journal import Journal
from playground.slack.model import APP_ID, BOT_USER_ID, TEAM_ID
from playground.slack.state import World

RETRY_AFTER = (0, 60, 300)  # at once, after a minute, after five


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One thing for the bot; the same delivery may be sent more than once."""

    kind: str  # events_api, slash_commands or interactive
    name: str
    payload: Json
    envelope_id: str
    sent_at: float  # by the workspace's clock; the bot's three seconds count from here
    accepts_response: bool = False
    retry_num: int = 0
    retry_reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back: an acknowledgement with its payload, or the reason why there is none."""

    acked: bool
    payload: Json = field(default_factory=dict)
    latency_ms: float = 0.0
    reason: str = ""
    no_retry: bool = False
    headers: dict[str, str] = field(default_factory=dict)  # what went around the payload
    reply_headers: dict[str, str] = field(default_factory=dict)

    @property
    def timed_out(self) -> bool:
        return self.reason in {"timeout", "http_timeout"}


class Transport(Protocol):
    """A way to the bot."""

    async def send(self, delivery: Delivery) -> Answer:
        """Send once and wait at most three seconds for an answer; never raises for the bot's faults."""
        ...


class Dispatcher:
    """Sends deliveries through the chosen transport, applies faults and keeps the journal."""

    def __init__(self, world: World, *, faults: Faults, journal: Journal, transport: Transport) -> None:
        self.world = world
        self.faults = faults
        self.journal = journal
        self.transport = transport
        self._held: list[asyncio.Event] = []
        self._running: set[asyncio.Task[Any]] = set()

    async def deliver(self, delivery: Delivery) -> Answer:
        """Send the delivery, twice if a fault says so, and answer with the first acknowledgement."""
        if self.faults.strike(FaultKind.OUT_OF_ORDER, delivery.kind):
            await self._wait_for_the_next_one()
            delivery = self._resent(delivery)
        copies = [delivery]
        if self.faults.strike(FaultKind.DUPLICATE_SAME_ENVELOPE, delivery.kind):
            copies.append(delivery)
        if self.faults.strike(FaultKind.DUPLICATE_NEW_ENVELOPE, delivery.kind):
            copies.append(self._resent(delivery, envelope_id=new_envelope_id(self.world)))
        answers = await asyncio.gather(*(self._send(copy) for copy in copies))
        return answers[0]

    async def deliver_event(self, event: Json) -> Answer:
        """Send an event; on failure answer at once and keep trying in the background."""
        delivery = event_delivery(self.world, event)
        answer = await self.deliver(delivery)
        if not (answer.acked or answer.no_retry):
            self.spawn(self._try_again(delivery, answer))
        return answer

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run in the background until done or until the workspace stops."""
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def stop(self) -> None:
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _try_again(self, delivery: Delivery, answer: Answer) -> None:
        for attempt, delay in enumerate(RETRY_AFTER, start=1):
            await self.world.clock.sleep(delay)
            again = self._resent(
                delivery,
                envelope_id=new_envelope_id(self.world),
                retry_num=attempt,
                retry_reason=answer.reason,
            )
            answer = await self.deliver(again)
            if answer.acked or answer.no_retry:
                return

    async def _send(self, delivery: Delivery) -> Answer:
        sent = asyncio.ensure_future(self.transport.send(delivery))
        await asyncio.sleep(0)  # let it go out before a held one is released
        answer = await sent
        for event in self._held:
            event.set()
        self._held.clear()
        self.journal.add(
            "delivery",
            delivery.name,
            ok=answer.acked,
            request=delivery.payload,
            reply=answer.payload,
            latency_ms=answer.latency_ms,
            note=_note(delivery, answer),
            headers=answer.headers,
            reply_headers=answer.reply_headers,
        )
        return answer

    def _resent(self, delivery: Delivery, **changes: Any) -> Delivery:
        return Delivery(**(vars(delivery) | {"sent_at": self.world.clock.now()} | changes))

    async def _wait_for_the_next_one(self) -> None:
        overtaken = asyncio.Event()
        self._held.append(overtaken)
        await overtaken.wait()


def _note(delivery: Delivery, answer: Answer) -> str:
    parts = [delivery.kind, f"envelope {delivery.envelope_id}"]
    if delivery.retry_num:
        parts.append(f"retry {delivery.retry_num} ({delivery.retry_reason})")
    return ", ".join([*parts, answer.reason] if answer.reason else parts)


def new_envelope_id(world: World) -> str:
    digits = f"{world.random.getrandbits(128):032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def event_delivery(world: World, event: Json) -> Delivery:
    """The event in its outer envelope, with the id that stays the same over all retries."""
    with world.lock:
        authorization = {"enterprise_id": None, "team_id": TEAM_ID, "user_id": BOT_USER_ID, "is_bot": True}
        payload: Json = {
            "token": "verification-token",
            "team_id": TEAM_ID,
            "context_team_id": TEAM_ID,
            "api_app_id": APP_ID,
            "event": event,
            "type": "event_callback",
            "event_id": world.new_id("Ev"),
            "event_time": int(world.clock.now()),
            "authorizations": [authorization | {"is_enterprise_install": False}],
            "is_ext_shared_channel": False,
            "event_context": f"1-{event['type']}-{TEAM_ID}-{event.get('channel', APP_ID)}",
        }
        ident = new_envelope_id(world)
    now = world.clock.now()
    return Delivery(kind="events_api", name=str(event["type"]), payload=payload, envelope_id=ident, sent_at=now)


def milliseconds_since(started: float) -> float:
    return round((time.monotonic() - started) * 1000, 3)


def parsed_reply(body: str) -> Json:
    """An acknowledgement's body: a JSON object, or text for a person."""
    if not body.strip():
        return {}
    try:
        reply = json.loads(body)
    except ValueError:
        return {"text": body}
    return reply if isinstance(reply, dict) else {"text": body}
