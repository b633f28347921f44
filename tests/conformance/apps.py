"""One description of an app, run by every official client: four for Socket Mode, and signed HTTP.

A handler is a generator: it yields what it calls and is sent the reply, so that the same lines serve Bolt's
blocking and its asynchronous app. Nothing here may know the simulated Slack better than an app could: it gets
a base URL, tokens and a secret.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Self

from slack_bolt import App, BoltRequest, BoltResponse
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler as AiohttpHandler
from slack_bolt.adapter.socket_mode.builtin import SocketModeHandler as BuiltinHandler
from slack_bolt.adapter.socket_mode.websocket_client import SocketModeHandler as WebsocketClientHandler
from slack_bolt.adapter.socket_mode.websockets import AsyncSocketModeHandler as WebsocketsHandler
from slack_bolt.app.async_app import AsyncApp
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from playground.slack import SlackWorkspace

Way = Literal["builtin", "websocket-client", "websockets", "aiohttp", "http", "http, async"]
SOCKETS: tuple[Way, ...] = ("builtin", "websocket-client", "websockets", "aiohttp")
HTTP: tuple[Way, ...] = ("http", "http, async")
WAYS = SOCKETS + HTTP
PING_SECONDS = 0.3  # how soon the clients look whether their connection is still there
PATIENCE_SECONDS = 30
LOG = logging.getLogger("app under test")
LOG.setLevel(logging.CRITICAL)  # what the clients log about lost connections is what these tests cause

Steps = Generator[Any, Any, None]
Kind = Literal["command", "action", "view", "view_closed", "shortcut", "event"]


@dataclass(frozen=True)
class Tools:
    """What Bolt hands to a listener; with an asynchronous app every call answers with an awaitable."""

    ack: Any
    client: Any
    respond: Any
    body: dict[str, Any]
    retry: tuple[str | None, str | None]  # number and reason, as an app reads them from the headers
    complete: Any
    fail: Any

    @classmethod
    def of(cls, args: Any) -> Self:
        headers = args.request.headers
        number, reason = (headers.get(f"x-slack-retry-{word}", [None])[0] for word in ("num", "reason"))
        return cls(args.ack, args.client, args.respond, args.body, (number, reason), args.complete, args.fail)


Handler = Callable[[Tools], Steps]


class BlockingBot:
    """The app on Bolt's blocking `App`."""

    def __init__(self, ws: SlackWorkspace) -> None:
        self.client = WebClient(ws.bot_token, base_url=ws.base_url, timeout=30, retry_handlers=[])
        self.app = App(
            client=self.client, signing_secret=ws.signing_secret, logger=LOG, token_verification_enabled=False
        )
        self._ws = ws
        self._close: Callable[[], Any] = lambda: None

    def on(self, kind: Kind, name: Any, handler: Handler) -> None:
        def listener(args: Any) -> None:
            steps = handler(Tools.of(args))
            reply = None
            with suppress(StopIteration):
                while True:
                    reply = steps.send(reply)

        getattr(self.app, kind)(name)(listener)

    def connect(self, way: Way) -> None:
        if way == "http":
            server = _serve(lambda body, headers: self.app.dispatch(BoltRequest(body=body, headers=headers)))
            self._ws.deliver_via("http", request_url=_url(server))
            self._close = lambda: _stop(server)
            return
        kind: Any = BuiltinHandler if way == "builtin" else WebsocketClientHandler
        ping = PING_SECONDS if way == "builtin" else 6  # with less, websocket-client replaces what it is opening
        handler = kind(self.app, self._ws.app_token, ping_interval=ping)
        is_open = threading.Event()
        if way == "websocket-client":  # closed while it opens, it leaves its socket to the garbage collector
            handler.client.on_open_listeners.append(lambda _: is_open.set())
        else:
            is_open.set()
        handler.connect()
        assert is_open.wait(PATIENCE_SECONDS), "the service let it in, and it never said that it is open"
        self._close = lambda: self._hang_up(handler)

    def _hang_up(self, handler: Any) -> None:
        """Break the connections first and wait for nothing: the clients' own close waits for their reads, a second
        more for their queue, and for ever when it overtakes their start.
        """
        handler.client.auto_reconnect_enabled = handler.client.default_auto_reconnect_enabled = False
        with handler.client.connect_operation_lock:  # one that is being opened is let in before it is cut
            self._ws.cut_sockets()
        threading.Thread(target=handler.close, daemon=True).start()

    def call(self, method: str, **arguments: Any) -> Any:
        """Call the Web API as the app would."""
        return getattr(self.client, method)(**arguments)

    def close(self) -> None:
        """End every connection; safe to call twice."""
        close, self._close = self._close, lambda: None
        close()


class AsynchronousBot:
    """The app on Bolt's `AsyncApp`, with an event loop and a thread of its own."""

    def __init__(self, ws: SlackWorkspace) -> None:
        self._ws = ws
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="async bot", daemon=True)
        self._thread.start()
        self._closing: list[Callable[[], Any]] = []
        self._joining: list[Callable[[], Any]] = []
        self._run(self._make())

    async def _make(self) -> None:
        ws = self._ws
        self.client = AsyncWebClient(ws.bot_token, base_url=ws.base_url, timeout=30, retry_handlers=[])
        self.app = AsyncApp(client=self.client, signing_secret=ws.signing_secret, logger=LOG)

    def on(self, kind: Kind, name: Any, handler: Handler) -> None:
        async def listener(args: Any) -> None:
            await _follow(handler(Tools.of(args)))

        getattr(self.app, kind)(name)(listener)

    def connect(self, way: Way) -> None:
        if way == "http, async":
            server = _serve(lambda body, headers: self._run(self._dispatch(body, headers)))
            self._ws.deliver_via("http", request_url=_url(server))
            self._closing.append(server.shutdown)
            self._joining.append(server.server_close)  # waits for requests that are being answered
        else:
            self._run(self._open(way))

    async def _dispatch(self, body: str, headers: dict[str, Any]) -> BoltResponse:
        return await self.app.async_dispatch(AsyncBoltRequest(body=body, headers=headers))

    async def _open(self, way: Way) -> None:
        kind: Any = WebsocketsHandler if way == "websockets" else AiohttpHandler
        handler = kind(self.app, self._ws.app_token, logger=LOG, ping_interval=PING_SECONDS)
        await handler.connect_async()
        self._closing.append(lambda: self._run(handler.close_async()))

    def call(self, method: str, **arguments: Any) -> Any:
        return self._run(getattr(self.client, method)(**arguments))

    def close(self) -> None:
        """End every connection and the loop; safe to call twice."""
        if self._loop.is_closed():
            return
        for close in self._closing:
            close()
        self._run(_end_all_tasks())
        for join in self._joining:
            join()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Awaitable[Any]) -> Any:
        async def wait() -> Any:
            return await work

        return asyncio.run_coroutine_threadsafe(wait(), self._loop).result(PATIENCE_SECONDS)


Bot = BlockingBot | AsynchronousBot


def bot_for(way: Way, ws: SlackWorkspace) -> Bot:
    """The app for this way, not connected yet."""
    return BlockingBot(ws) if way in {"builtin", "websocket-client", "http"} else AsynchronousBot(ws)


async def _follow(steps: Steps) -> None:
    """Await what the handler calls and send it the reply, or throw it the refusal."""
    reply, refusal = None, None
    with suppress(StopIteration):
        while True:
            called = steps.throw(refusal) if refusal else steps.send(reply)
            try:
                reply, refusal = await called, None
            except SlackApiError as problem:
                reply, refusal = None, problem


async def _end_all_tasks() -> None:
    """The clients leave some of their tasks behind; a loop must not be closed over them."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _serve(answer: Callable[[str, dict[str, Any]], BoltResponse]) -> ThreadingHTTPServer:
    class Requests(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            with suppress(ConnectionError, CancelledError):  # the workspace hangs up after its three seconds
                reply = answer(body, dict(self.headers.items()))
                self.send_response(reply.status)
                for name, values in reply.headers.items():
                    self.send_header(name, values[0])
                self.end_headers()
                self.wfile.write((reply.body or "").encode())

        def log_message(self, *_args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Requests)
    server.daemon_threads = False  # closing it waits for its threads
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    return server


def _url(server: ThreadingHTTPServer) -> str:
    return f"http://127.0.0.1:{server.server_port}/slack/events"


def _stop(server: ThreadingHTTPServer) -> None:
    server.shutdown()
    server.server_close()
