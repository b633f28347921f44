"""A thread with an event loop that serves the cloud on loopback: TLS for ARM, plain HTTP for tokens.

It binds loopback only. Whatever touches the cloud's state from outside goes through `call`, on this loop.
"""

import asyncio
import ssl
import threading
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

import trustme
from aiohttp import web

from playground.azure.arm import FrontDoor
from playground.azure.faults import Fault
from playground.azure.identity import Identity, TokenRefusedError
from playground.azure.platform import Platform
from playground.azure.wire import Wire
from playground.loopback import Port, only_from_here

T = TypeVar("T")
_BIGGEST_BODY = 8 * 1024 * 1024
_START_SECONDS = 20


class Server:
    """Started once, stopped once."""

    def __init__(self, platform: Platform, identity: Identity, ca_file: Path) -> None:
        self._platform = platform
        self._identity = identity
        self._ca_file = ca_file
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="playground-azure", daemon=True)
        self._ports: list[Port] = []
        self._connections: weakref.WeakSet[asyncio.Transport] = weakref.WeakSet()
        self.port = 0
        self.identity_port = 0

    def start(self, *, port: int, identity_port: int) -> None:
        self._thread.start()
        self.await_(self._serve(port, identity_port)).result(_START_SECONDS)

    def stop(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """`last` runs on the loop when requests and tasks have ended, to shut the machines down."""
        self.await_(self._close(last)).result(_START_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_START_SECONDS)

    def call(self, act: Callable[[], T]) -> T:
        """Run something on the loop and wait for what it returns."""

        async def run() -> T:
            return act()

        return self.await_(run()).result(_START_SECONDS)

    def await_(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    async def _serve(self, port: int, identity_port: int) -> None:
        arm = web.Application(client_max_size=_BIGGEST_BODY)
        door = FrontDoor(self._platform, self._identity)

        async def handle(request: web.Request) -> web.StreamResponse:
            if request.transport is not None:
                self._connections.add(request.transport)
            return await door.handle(request)

        arm.router.add_route("*", "/{path:.*}", only_from_here(handle))
        self.port = await self._listen(arm, port, self._tls())
        tokens = web.Application()
        tokens.router.add_get("/msi/token", only_from_here(TokenEndpoint(self._platform, self._identity).handle))
        self.identity_port = await self._listen(tokens, identity_port, None)

    async def _listen(self, app: web.Application, port: int, tls: ssl.SSLContext | None) -> int:
        opened = await Port.open(app, port, tls=tls, patience=0.1, cancelling=True)
        self._ports.append(opened)
        return opened.number

    def _tls(self) -> ssl.SSLContext:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self._ca_file))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
        return context

    async def _close(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        for connection in list(self._connections):
            connection.abort()  # a kept-alive TLS client would be waited for
        for port in self._ports:
            await port.close()
        await self._platform.stop()
        await last()  # when nothing is left that could start another process
        await asyncio.sleep(0.05)  # lets transports of ended processes and cut connections close


class TokenEndpoint:
    """The App Service protocol of a managed identity."""

    def __init__(self, platform: Platform, identity: Identity) -> None:
        self._platform = platform
        self._identity = identity
        self._wire = Wire(platform)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        fault = self._platform.faults.take("identity", request.method, request.path)
        if fault is None:
            return self._give(request)
        return await self._fail(request, fault)

    def _give(self, request: web.Request) -> web.StreamResponse:
        try:
            return web.json_response(self._identity.give(dict(request.query), request.headers.get("X-IDENTITY-HEADER")))
        except TokenRefusedError as refused:
            body = {"statusCode": refused.status, "message": str(refused)}
            return web.json_response(body, status=refused.status)

    async def _fail(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        return await self._wire.send(request, None, fault=fault, headers={}, done=lambda _: None)
