"""The HTTP routes of the workspace: Web API, uploads, downloads and response URLs.

Faults strike here, where the network is. It must never decide a business question: those belong to the
methods.
"""

import asyncio
import json
import socket
import struct
import time
from collections.abc import Mapping

from aiohttp import web

from playground.headers import shown
from playground.loopback import only_from_here
from playground.slack import api_chat, api_conversations, api_files, api_users, api_views
from playground.slack.api import (
    ApiError,
    Call,
    Method,
    RateLimited,
    dispatch,
    failure,
    parse_arguments,
    unpack_json_fields,
)
from playground.slack.blocks import Json
from playground.slack.delivery import milliseconds_since
from playground.slack.faults import FaultKind, Faults
from playground.slack.journal import Journal
from playground.slack.limits import RateLimiter
from playground.slack.responses import answer_response_url
from playground.slack.sockets import SocketHub
from playground.slack.state import World

BODY_BYTES_MAX = 64 * 1024 * 1024


class Front:
    """Answers the bot's requests."""

    def __init__(self, world: World, *, faults: Faults, journal: Journal, limiter: RateLimiter, hub: SocketHub) -> None:
        self._world = world
        self._faults = faults
        self._journal = journal
        self._limiter = limiter
        self.base_url = ""
        self.methods: dict[str, Method] = {
            **api_chat.METHODS,
            **api_conversations.METHODS,
            **api_files.METHODS,
            **api_users.METHODS,
            **api_views.METHODS,
            "apps.connections.open": Method(handler=self._open_connection, token="app", tier=3),
        }
        self._hub = hub

    def routes(self) -> list[web.RouteDef]:
        here = only_from_here
        return [
            web.post("/api/{method}", here(self.call)),
            web.get("/api/{method}", here(self.call)),
            web.get("/link", here(self._hub.accept, portless=True)),
            web.get("/link/", here(self._hub.accept, portless=True)),
            web.post("/upload/v1/{id}", here(self.upload)),
            web.get("/files/{id}/{name}", here(self.download)),
            web.post("/response/{token}", here(self.respond)),
        ]

    def _open_connection(self, call: Call) -> Json:
        host = call.base_url.removesuffix("/api/").replace("http://", "ws://", 1)
        return {"url": f"{host}/link/?ticket={self._hub.issue_ticket()}&app_id=A0RUNBOOKBOT"}

    # Web API

    async def call(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["method"]
        started = time.monotonic()
        if self._faults.strike(FaultKind.RESET_BEFORE_WORK, name):
            return _reset(request)
        reply = self._struck(name)
        args: Json = {}
        if reply is None:
            args, reply = await self._perform(name, request)
        slow = self._faults.strike(FaultKind.SLOW_REPLY, name)
        if slow:
            await asyncio.sleep(slow.seconds)
        self._note(name, request, args, reply=reply, latency_ms=milliseconds_since(started))
        if self._faults.strike(FaultKind.DROP_AFTER_WORK, name):
            return _drop(request)
        return reply

    def _struck(self, name: str) -> web.Response | None:
        """The answer of a fault that replaces the work, if one is switched on."""
        if fault := self._faults.strike(FaultKind.RATE_LIMITED, name):
            return _too_many(int(fault.seconds))
        if fault := self._faults.strike(FaultKind.RATE_LIMITED_EMPTY, name):
            return web.Response(status=429, headers={"Retry-After": str(int(fault.seconds))})
        if self._faults.strike(FaultKind.SERVER_ERROR, name):
            return web.json_response({"ok": False, "error": "internal_error"}, status=500)
        if self._faults.strike(FaultKind.TOKEN_REVOKED, name):
            return web.json_response({"ok": False, "error": "token_revoked"})
        return None

    async def _perform(self, name: str, request: web.Request) -> tuple[Json, web.Response]:
        args: Json = {}
        try:
            args = await _arguments(request)
            return args, web.json_response(self._answer(name, args, request.headers), headers=self._scopes())
        except ApiError as problem:
            return args, web.json_response(failure(problem), headers=self._scopes())
        except RateLimited as limit:
            return args, _too_many(limit.seconds)

    def _answer(self, name: str, args: Json, headers: Mapping[str, str]) -> Json:
        token = args.pop("token", None) or headers.get("Authorization", "").removeprefix("Bearer ").strip()
        method = self.methods.get(name)
        if method is None:
            raise ApiError("unknown_method", req_method=name)
        call = Call(self._world, self._limiter, name, args, self.base_url)
        return dispatch(call, method, token)

    def _scopes(self) -> dict[str, str]:
        return {"X-OAuth-Scopes": ",".join(sorted(self._world.app.scopes))}

    def _note(self, name: str, request: web.Request, args: Json, *, reply: web.Response, latency_ms: float) -> None:
        text = reply.text or ""
        body = json.loads(text) if text.startswith("{") else {}
        error = str(body.get("error", ""))
        note = error if reply.status == 200 else f"HTTP {reply.status} {error}".strip()
        ok = bool(body.get("ok"))
        around = {"headers": shown(request.headers), "reply_headers": shown(reply.headers)}
        self._journal.add("call", name, ok=ok, request=args, reply=body, latency_ms=latency_ms, note=note, **around)

    # files

    async def upload(self, request: web.Request) -> web.Response:
        body = await _raw_upload(request)
        with self._world.lock:
            file = self._world.files.get(request.match_info["id"])
            known = file is not None and file.content is None
            if file is not None and known:
                file.content = body
        self._journal.add("upload", request.match_info["id"], ok=known, note=f"{len(body)} bytes")
        if not known:
            return web.Response(status=404, text="no upload is expected here")
        return web.Response(text=f"OK - {len(body)}")

    async def download(self, request: web.Request) -> web.Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        allowed = token == self._world.app.bot_token and "files:read" in self._world.app.scopes
        file = self._world.files.get(request.match_info["id"])
        found = file is not None and file.content is not None
        self._journal.add("download", request.match_info["id"], ok=allowed and found)
        if not allowed:
            return web.Response(status=403, text="the token may not read files")
        if file is None or file.content is None:
            return web.Response(status=404)
        return web.Response(body=file.content, content_type="application/octet-stream")

    # response URLs

    async def respond(self, request: web.Request) -> web.Response:
        args = await _arguments(request)
        if "payload" in args:
            args = unpack_json_fields(json.loads(args["payload"]))
        status, body = answer_response_url(self._world, self._limiter, request.match_info["token"], args)
        around = {"headers": shown(request.headers)}
        self._journal.add(
            "response_url", "response_url", ok=status == 200, request=args, reply=body, note=body, **around
        )
        return web.Response(status=status, text=body)


async def _arguments(request: web.Request) -> Json:
    query = dict(request.query)
    if request.content_type == "multipart/form-data":
        form = await request.post()
        fields = {key: value for key, value in form.items() if isinstance(value, str)}
        return unpack_json_fields(query | fields)
    return parse_arguments(request.content_type, await request.read(), query)


async def _raw_upload(request: web.Request) -> bytes:
    """The file's bytes. A form content type says nothing: the official SDK sends raw bytes under it."""
    if request.content_type != "multipart/form-data":
        return await request.read()
    form = await request.post()
    for value in form.values():
        if isinstance(value, web.FileField):
            return value.file.read()
    return b""


def _too_many(seconds: int) -> web.Response:
    body = {"ok": False, "error": "ratelimited"}
    return web.json_response(body, status=429, headers={"Retry-After": str(seconds)})


def _reset(request: web.Request) -> web.Response:
    """Reset the connection: the client sees it break before any answer."""
    if request.transport:
        connection = request.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
    return web.Response(status=500)


def _drop(request: web.Request) -> web.Response:
    """Close the connection: the work is done, the answer never arrives."""
    if request.transport:
        request.transport.abort()
    return web.Response(status=500)
