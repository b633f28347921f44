"""Ports on loopback, and whom they answer: programs of this machine that know them by their own name, and no web page.

A page of another site may be open in a browser on this machine, and another name may resolve to this address: neither
may reach a simulated service. Who is answered depends on who asks, never on what is asked.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Self

from aiohttp import web

HOST = "127.0.0.1"
#: turns of the event loop until a caller that was let in is known to the application: task, transport, connection
LETTING_IN_TURNS = 3
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
ANOTHER_SITE = "Another site asked for this. Only programs and pages of this machine's playground may."


def foreign(request: web.Request, *, portless: bool = False) -> str:
    """Say why a request comes from elsewhere, or nothing when it does not.

    ``portless``: also the bare name will do. Slack's own client leaves the port out when it opens a socket; a browser
    never does, and it is the name that gives a foreign page away.
    """
    port = request.transport.get_extra_info("sockname")[1] if request.transport else 0
    hosts = {f"{HOST}:{port}", f"localhost:{port}"}
    named = hosts | {HOST, "localhost"} if portless else hosts
    if request.headers.get("Host", "") not in named:
        return f"The playground answers only as {HOST}:{port}; use that address."
    origin = request.headers.get("Origin")
    if origin is not None and origin.partition("://")[2] not in hosts:
        return ANOTHER_SITE
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
        return ANOTHER_SITE
    return ""


def only_from_here(handler: Handler, *, portless: bool = False) -> Handler:
    """Refuse whatever comes from elsewhere, before anything is read, done or written down."""

    async def checked(request: web.Request) -> web.StreamResponse:
        if problem := foreign(request, portless=portless):
            body = {"ok": False, "error": {"code": "NotFromHere", "message": problem}}
            return web.json_response(body, status=403, headers={"Connection": "close"})
        return await handler(request)

    return checked


class Port:
    """One port that serves an application until it is closed; everything happens on one event loop."""

    def __init__(self, runner: web.AppRunner, listening: socket.socket) -> None:
        self._runner = runner
        self._listening = listening
        self.number: int = listening.getsockname()[1]

    @classmethod
    async def open(
        cls,
        app: web.Application,
        number: int = 0,
        *,
        tls: ssl.SSLContext | None = None,
        patience: float,
        cancelling: bool = False,
    ) -> Self:
        """Listen; 0 takes a free port.

        ``patience``: seconds that closing waits for answers under way; ``cancelling``: end the work for a caller that
        has gone. Raises OSError when the port is taken.
        """
        runner = web.AppRunner(app, access_log=None, handler_cancellation=cancelling, shutdown_timeout=patience)
        listening = socket.create_server((HOST, number))
        await runner.setup()
        await web.SockSite(runner, listening, ssl_context=tls).start()
        return cls(runner, listening)

    async def close(self) -> None:
        """Let nobody in any more, then hang up on everybody.

        In this order: asyncio loses a connection that is let in while the port is being closed, and its caller waits.
        """
        asyncio.get_running_loop().remove_reader(self._listening)
        for _ in range(LETTING_IN_TURNS):
            await asyncio.sleep(0)
        await self._runner.cleanup()
