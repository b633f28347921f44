"""How an answer leaves, or does not: resets, silence, halves and rubbish on a real connection.

Whatever is done to the bytes, the caller is told exactly once what the client can have seen.
"""

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import Callable
from datetime import timedelta
from email.utils import format_datetime

from aiohttp import web

from playground.azure.errors import ArmError
from playground.azure.faults import Fault
from playground.azure.platform import Answer, Platform

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Wire:
    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def send(
        self,
        request: web.Request,
        answer: Answer | None,
        *,
        fault: Fault | None,
        headers: dict[str, str],
        done: Callable[[int | None], None],
    ) -> web.StreamResponse:
        kind = fault.kind if fault is not None else None
        if fault is not None and kind in {"reset", "hang"}:
            return await self._say_nothing(request, fault, done)
        if fault is not None and kind == "answer":
            answer = _replacement(fault)
        answer = answer or Answer(status=200, body={})
        if fault is not None and kind == "slow" and fault.after_work:
            await self.pause(fault.seconds)
        payload = b"" if answer.body is None else json.dumps(answer.body).encode()
        if kind == "half":
            return await self._send_half(request, answer.status, payload=payload, done=done)
        if kind == "garbage":
            payload = b'<html>{"value": [ not json'
        done(answer.status)
        return web.Response(status=answer.status, body=payload, headers={**self._common(), **headers, **answer.headers})

    def _common(self) -> dict[str, str]:
        moment = self._platform.clock.now() + timedelta(seconds=self._platform.faults.clock_skew)
        return {
            "Date": format_datetime(moment, usegmt=True),
            "Content-Type": "application/json; charset=utf-8",
        }

    async def _say_nothing(
        self, request: web.Request, fault: Fault, done: Callable[[int | None], None]
    ) -> web.StreamResponse:
        done(None)
        if fault.kind == "hang":
            await self.pause(fault.seconds)
        return _cut(request)

    async def _send_half(
        self, request: web.Request, status: int, *, payload: bytes, done: Callable[[int | None], None]
    ) -> web.StreamResponse:
        response = web.StreamResponse(status=status, headers=self._common())
        response.content_length = max(2, len(payload))
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            await response.write(payload[: len(payload) // 2] or b"{")
        done(None)
        _cut(request)
        return response


def _replacement(fault: Fault) -> Answer:
    refused = ArmError(fault.status, fault.code, fault.message)
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    return Answer(status=fault.status, body=refused.body(), headers=headers)


def _cut(request: web.Request) -> web.StreamResponse:
    """Reset the connection, so that the client cannot take the end for an answer."""
    transport = request.transport
    if transport is not None:
        connection = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        transport.abort()
    return web.Response()
