"""Who a server on loopback answers: programs of this machine that know it by its own name, and no web page.

A page of another site may be open in a browser on this machine, and another name may resolve to this address: neither
may reach a simulated service. It must never look at anything but who asks.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
ANOTHER_SITE = "Another site asked for this. Only programs and pages of this machine's playground may."


def foreign(request: web.Request, *, portless: bool = False) -> str:
    """Say why a request comes from elsewhere, or nothing when it does not.

    ``portless``: also the bare name will do. Slack's own client leaves the port out when it opens a socket; a browser
    never does, and it is the name that gives a foreign page away.
    """
    port = request.transport.get_extra_info("sockname")[1] if request.transport else 0
    hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
    named = hosts | {"127.0.0.1", "localhost"} if portless else hosts
    if request.headers.get("Host", "") not in named:
        return f"The playground answers only as 127.0.0.1:{port}; use that address."
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
