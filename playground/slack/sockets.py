"""Socket Mode: tickets, hello, up to ten sockets, deliveries to any one of them, acknowledgements on any.

A ticket opens one socket. The choice among sockets comes from the world's seeded generator. It must never
read anything into which socket an acknowledgement arrives on: clients change sockets during a refresh.
"""

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMessage, WSMsgType, web

from playground.slack.blocks import Json
from playground.slack.delivery import Answer, Delivery, milliseconds_since
from playground.slack.faults import FaultKind, Faults
from playground.slack.journal import Journal
from playground.slack.limits import SOCKETS_MAX
from playground.slack.model import APP_ID
from playground.slack.state import World

PING_SECONDS = 10
WARNING_SECONDS = 10
DEBUG_CONNECTION_SECONDS = 360
CONNECTION_SECONDS = 18_060
CLOSE_SECONDS = 0.5


@dataclass(eq=False)
class Socket:
    """One open connection; a leaving one is closed as soon as its successor has come, and gets nothing then."""

    number: int
    stream: web.WebSocketResponse
    request: web.Request
    leaving: bool = False
    jobs: list[asyncio.Task[None]] = field(default_factory=list)


class SocketHub:
    """All sockets of the app."""

    def __init__(self, world: World, *, faults: Faults, journal: Journal, ack_seconds: float) -> None:
        self._world = world
        self._faults = faults
        self._journal = journal
        self._ack_seconds = ack_seconds
        self._tickets: set[str] = set()
        self._waiting: dict[str, asyncio.Future[Json]] = {}
        self._opened = 0
        self._closing: set[asyncio.Task[None]] = set()
        self.sockets: list[Socket] = []

    def issue_ticket(self) -> str:
        ticket = self._world.new_id("", 24).lower()
        self._tickets.add(ticket)
        return ticket

    @property
    def ready(self) -> list[Socket]:
        """Sockets that a delivery can be sent to and that are not about to be replaced."""
        return [each for each in self.sockets if not (each.leaving or each.stream.closed)]

    # connections

    async def accept(self, request: web.Request) -> web.StreamResponse:
        """Serve one WebSocket from its ticket to its end."""
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            return web.Response(status=403, text="the ticket is unknown or already used")
        self._tickets.discard(ticket)
        stream = web.WebSocketResponse(autoping=False, timeout=CLOSE_SECONDS)
        await stream.prepare(request)
        if len(self.sockets) >= SOCKETS_MAX:
            await self._turn_away(stream)
            return stream
        await self._serve(stream, request, debug=request.query.get("debug_reconnects") == "true")
        return stream

    async def _turn_away(self, stream: web.WebSocketResponse) -> None:
        self._journal.add("socket", "disconnect", ok=False, note="too_many_websockets")
        await stream.send_json(_disconnect("too_many_websockets"))
        await stream.close()

    async def _serve(self, stream: web.WebSocketResponse, request: web.Request, *, debug: bool) -> None:
        self._opened += 1
        socket = Socket(self._opened, stream, request)
        self.sockets.append(socket)
        lifetime = DEBUG_CONNECTION_SECONDS if debug else CONNECTION_SECONDS
        try:
            await stream.send_json(self._hello(lifetime))
            self._journal.add("socket", "open", note=f"socket {socket.number}")
            self._close_the_leaving()
            socket.jobs.append(asyncio.ensure_future(self._ping(socket)))
            if debug:
                socket.jobs.append(asyncio.ensure_future(self._retire(socket)))
            await self._read(socket)
        except ConnectionError:
            self._journal.add("socket", "lost", ok=False, note=f"socket {socket.number}")
        finally:
            self._forget(socket)

    def _hello(self, lifetime: int) -> Json:
        debug = {"host": "playground", "started": f"{self._world.clock.today():%Y-%m-%d %H:%M:%S.%f}"}
        return {
            "type": "hello",
            "num_connections": len(self.sockets),
            "debug_info": debug | {"build_number": 1, "approximate_connection_time": lifetime},
            "connection_info": {"app_id": APP_ID},
        }

    def _close_the_leaving(self) -> None:
        """Say goodbye to the sockets whose successor has come; the client may still read them until then."""
        for socket in self.sockets:
            if socket.leaving:
                closing = asyncio.ensure_future(_close(socket))
                self._closing.add(closing)
                closing.add_done_callback(self._closing.discard)

    def _forget(self, socket: Socket) -> None:
        for job in socket.jobs:
            job.cancel()
        if socket in self.sockets:
            self.sockets.remove(socket)
        self._journal.add("socket", "closed", note=f"socket {socket.number}")

    async def _read(self, socket: Socket) -> None:
        async for message in socket.stream:
            if message.type is WSMsgType.PING:
                if not self._faults.is_on(FaultKind.SILENT_SOCKET):
                    await socket.stream.pong(message.data)
            elif message.type is WSMsgType.TEXT:
                self._acknowledged(message)

    def _acknowledged(self, message: WSMessage) -> None:
        try:
            reply: Any = json.loads(message.data)
        except ValueError:
            return
        waiting = self._waiting.get(str(reply.get("envelope_id"))) if isinstance(reply, dict) else None
        if waiting is None:
            self._journal.add("socket", "stray", ok=False, note="an acknowledgement nobody waits for")
        elif not waiting.done():
            payload = reply.get("payload")
            waiting.set_result(payload if isinstance(payload, dict) else {})

    async def _ping(self, socket: Socket) -> None:
        while not socket.stream.closed:
            await asyncio.sleep(PING_SECONDS)
            if not self._faults.is_on(FaultKind.SILENT_SOCKET):
                await socket.stream.ping(f"Ping from {socket.number}".encode())

    async def _retire(self, socket: Socket) -> None:
        await self._world.clock.sleep(DEBUG_CONNECTION_SECONDS - WARNING_SECONDS)
        await self._ask_to_leave(socket, "warning")
        await self._world.clock.sleep(WARNING_SECONDS)
        await self._ask_to_leave(socket, "refresh_requested")

    # on demand

    async def disconnect(self, reason: str, *, most: int | None = None) -> None:
        """Tell every socket, or so many, to reconnect; one stays open until the client has done so."""
        for socket in self.ready[:most]:
            await self._ask_to_leave(socket, reason)

    async def cut(self) -> None:
        """Close every connection without a word, as a lost network does."""
        for socket in list(self.sockets):
            if socket.request.transport:
                socket.request.transport.abort()

    async def _ask_to_leave(self, socket: Socket, reason: str) -> None:
        socket.leaving = reason != "warning"  # after a warning it lives on for some ten seconds
        self._journal.add("socket", "disconnect", note=f"socket {socket.number}, {reason}")
        await socket.stream.send_json(_disconnect(reason))

    async def stop(self) -> None:
        await asyncio.gather(*self._closing, *(_close(socket) for socket in list(self.sockets)))

    # deliveries

    async def send(self, delivery: Delivery) -> Answer:
        """Send to one socket and wait for an acknowledgement on any of them."""
        candidates = self.ready or [each for each in self.sockets if not each.stream.closed]
        if not candidates:
            return Answer(acked=False, reason="connection_failed")
        socket = self._world.random.choice(candidates)
        waiting = self._waiting.get(delivery.envelope_id)
        if waiting is None:
            waiting = self._waiting[delivery.envelope_id] = asyncio.get_running_loop().create_future()
        started = time.monotonic()
        if not self._faults.strike(FaultKind.SILENT_SOCKET, delivery.kind):
            await self._write(socket, delivery)
        return await self._await(waiting, delivery, started)

    async def _write(self, socket: Socket, delivery: Delivery) -> None:
        try:
            await socket.stream.send_json(_envelope(delivery))
        except ConnectionError:
            self._journal.add("socket", "lost", ok=False, note=f"socket {socket.number}, while sending")

    async def _await(self, waiting: asyncio.Future[Json], delivery: Delivery, started: float) -> Answer:
        deadline = delivery.sent_at + self._ack_seconds
        timed_out = await self._world.clock.expires(waiting, deadline)
        latency = milliseconds_since(started)
        self._waiting.pop(delivery.envelope_id, None)
        around = {key: str(value) for key, value in _envelope(delivery).items() if key != "payload"}
        if timed_out:
            return Answer(acked=False, reason="timeout", latency_ms=latency, headers=around)
        return Answer(acked=True, payload=waiting.result(), latency_ms=latency, headers=around)


async def _close(socket: Socket) -> None:
    await socket.stream.close(code=1001)


def _disconnect(reason: str) -> Json:
    return {"type": "disconnect", "reason": reason, "debug_info": {"host": "playground"}}


def _envelope(delivery: Delivery) -> Json:
    envelope: Json = {
        "envelope_id": delivery.envelope_id,
        "type": delivery.kind,
        "payload": delivery.payload,
        "accepts_response_payload": delivery.accepts_response,
    }
    if delivery.kind == "events_api":
        envelope |= {"retry_attempt": delivery.retry_num, "retry_reason": delivery.retry_reason}
    return envelope
