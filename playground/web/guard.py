"""Who may use the page: this machine's own browser, at this address, with this run's token.

A page of another site may be open in the same browser, and another name may resolve to this address: neither may
read or do anything here. It must never answer with anything but a refusal before all checks have passed.
"""

from __future__ import annotations

import hmac
import secrets

from aiohttp import web

from playground.loopback import Handler, foreign

TOKEN_HEADER = "X-Playground-Token"
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Guard:
    """Holds this run's token."""

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(24)

    def anyone_here(self, handler: Handler) -> Handler:
        """Let the page itself and its scripts be loaded: they hold no secret."""

        async def checked(request: web.Request) -> web.StreamResponse:
            problem = foreign(request)
            return _refused(problem) if problem else _sealed(await handler(request))

        return checked

    def with_token(self, handler: Handler) -> Handler:
        """Let only those in who hold the token; what is posted must say that it is JSON."""

        async def checked(request: web.Request) -> web.StreamResponse:
            problem = foreign(request) or self._unknown(request) or _not_json(request)
            return _refused(problem) if problem else _sealed(await handler(request))

        return checked

    def _unknown(self, request: web.Request) -> str:
        given = request.headers.get(TOKEN_HEADER, "")
        if hmac.compare_digest(given.encode(), self.token.encode()):
            return ""
        return "The token is missing or of an earlier run. Open the address that the terminal printed."


def _not_json(request: web.Request) -> str:
    if request.method == "POST" and request.content_type != "application/json":
        return "What is posted must have the content type application/json."
    return ""


def _refused(problem: str) -> web.Response:
    return web.json_response({"error": problem}, status=403, headers=HEADERS)


def _sealed(response: web.StreamResponse) -> web.StreamResponse:
    if not response.prepared:
        response.headers.update(HEADERS)
    return response
