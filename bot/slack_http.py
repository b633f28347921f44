"""Slack's requests by HTTP: a guard that believes nothing before the signature, then Bolt in a thread.

The raw bytes are measured, verified and parsed once, and Bolt gets what was parsed: no second parser can see
something else. Junk is answered 400, 401 or 413, never 5xx, with one harmless line in the log.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn
from urllib.parse import parse_qsl

import anyio
import anyio.to_thread
import structlog
from fastapi import APIRouter, Request, Response
from slack_bolt import App, BoltRequest, BoltResponse
from starlette.requests import ClientDisconnect

from engine.errors import Misconfigured
from engine.ports import Clock

log = structlog.get_logger(__name__)

PATH = "/slack/events"
MOST_BYTES = 256 * 1024
WINDOW_SECONDS = 300  #: into the past and into the future
SHORTEST_SECRET = 16
THREADS = 40  #: requests in work at the same time; health checks have threads of their own
FIELDS = 100
_TIMESTAMP = re.compile(r"[0-9]{1,12}", re.ASCII)
_SIGNATURE = re.compile(r"v0=[0-9a-f]{64}", re.ASCII)
_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"


class Rejected(Exception):
    """A request that is not Slack's, or not one that can be understood."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class Raw:
    """A request as it came: header names in lower case, one value each."""

    body: bytes
    headers: Mapping[str, str]


class Guard:
    """Tells Slack's requests from everything else."""

    def __init__(self, signing_secret: str, clock: Clock) -> None:
        if len(signing_secret.strip()) < SHORTEST_SECRET:
            raise Misconfigured(
                "SLACK_SIGNING_SECRET is missing or too short, so anybody could forge Slack's requests.",
                hint="api.slack.com/apps > your app > Basic Information > Signing Secret.",
            )
        self._secret = signing_secret.encode()
        self._clock = clock

    def admit(self, raw: Raw) -> dict[str, Any]:
        """Return the parsed body of a genuine request; else ``Rejected``."""
        if len(raw.body) > MOST_BYTES:
            raise Rejected(413, "too large")
        self._verify(raw)
        return parse_once(raw.body, raw.headers.get("content-type", ""))

    def _verify(self, raw: Raw) -> None:
        timestamp = raw.headers.get("x-slack-request-timestamp", "")
        signature = raw.headers.get("x-slack-signature", "")
        if not _TIMESTAMP.fullmatch(timestamp) or not _SIGNATURE.fullmatch(signature):
            raise Rejected(401, "no valid signature headers")
        if abs(self._clock.now().timestamp() - int(timestamp)) > WINDOW_SECONDS:
            raise Rejected(401, "timestamp outside the window")
        signed = b"v0:" + timestamp.encode() + b":" + raw.body
        expected = "v0=" + hmac.new(self._secret, signed, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected, signature):
            raise Rejected(401, "wrong signature")


def parse_once(body: bytes, content_type: str) -> dict[str, Any]:
    """Parse a verified body strictly: one value per name, and an object where an object belongs."""
    kind = content_type.partition(";")[0].strip(" \t").lower()
    if kind not in {_FORM, _JSON}:
        raise Rejected(400, "unknown content type")
    try:
        text = body.decode("utf-8")
        if kind == _JSON:
            return _object(text)
        fields = _fields(text)
        return _object(fields["payload"]) if "payload" in fields else dict(fields)
    except (ValueError, RecursionError):
        raise Rejected(400, "malformed body") from None


def slack_router(app: App, guard: Guard) -> APIRouter:
    """Return the route of all Slack requests."""
    router = APIRouter()
    limiter = anyio.CapacityLimiter(THREADS)

    @router.post(PATH, include_in_schema=False)
    async def slack_events(request: Request) -> Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            body = await _read(request)
            raw = Raw(body=body, headers=headers)
            parsed = guard.admit(raw)
        except Rejected as rejected:
            return _reject(rejected, headers)
        # Bolt waits for the listener: never on the event loop.
        answer = await anyio.to_thread.run_sync(partial(_dispatch, app, raw, parsed), limiter=limiter)
        return _response(answer)

    return router


async def _read(request: Request) -> bytes:
    """Read the body, but never more than is allowed."""
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_BYTES:
                raise Rejected(413, "too large")
    except ClientDisconnect:
        raise Rejected(400, "cut off") from None
    return bytes(body)


def _dispatch(app: App, raw: Raw, parsed: dict[str, Any]) -> BoltResponse:
    """Hand over what was parsed together with the raw text, which Bolt verifies once more."""
    request = BoltRequest(mode="socket_mode", body=parsed, headers=dict(raw.headers))
    request.mode = "http"
    request.raw_body = raw.body.decode("utf-8")
    return app.dispatch(request)


def _response(answer: BoltResponse) -> Response:
    """A request of ours that was not acknowledged is unavailable, whatever Bolt calls it."""
    status = answer.status if answer.status < 400 or answer.status == 401 else 503
    headers = {
        name: value for name, value in answer.first_headers_without_set_cookie().items() if name != "content-length"
    }
    return Response(content=answer.body, status_code=status, headers=headers)


def _reject(rejected: Rejected, headers: Mapping[str, str]) -> Response:
    log.warning(
        "slack_request_rejected",
        status=rejected.status,
        reason=rejected.reason,
        timestamp=harmless(headers.get("x-slack-request-timestamp", "")),
        agent=harmless(headers.get("user-agent", "")),
    )
    body = json.dumps({"error": rejected.reason})
    return Response(content=body, status_code=rejected.status, media_type=_JSON)


def harmless(text: str) -> str:
    """Return at most 80 characters with everything but printable ASCII escaped."""
    return text[:80].encode("unicode_escape").decode("ascii")


def _fields(text: str) -> dict[str, str]:
    pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True, max_num_fields=FIELDS, errors="strict")
    return single(pairs)


def _object(text: str) -> dict[str, Any]:
    found = json.loads(text, object_pairs_hook=single, parse_constant=_no_constant)
    if not isinstance(found, dict):
        raise Rejected(400, "the payload is not an object")
    return found


def single(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a mapping of pairs; a name that is given twice could mean either, so it is refused."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Rejected(400, "a name is given twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise Rejected(400, f"{name} is not JSON")
