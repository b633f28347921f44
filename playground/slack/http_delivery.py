"""HTTP mode: deliveries as signed posts to the bot's request URL.

The signature uses the real time, since the bot checks it against its own clock; the workspace's clock only
decides how long to wait. It must never post anywhere but to loopback.
"""

import asyncio
import hashlib
import hmac
import json
import time
from dataclasses import replace
from urllib.parse import urlencode, urlsplit

import aiohttp

from playground.headers import shown
from playground.slack.blocks import Json
from playground.slack.delivery import Answer, Delivery, milliseconds_since, parsed_reply
from playground.slack.faults import FaultKind, Faults
from playground.slack.state import World

LOOPBACK = {"127.0.0.1", "localhost", "::1"}
STALE_SECONDS = 301


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Slack's v0 signature over timestamp and raw body."""
    base = b"v0:" + timestamp.encode() + b":" + body
    return "v0=" + hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()


class HttpSender:
    """Posts to one request URL."""

    def __init__(self, world: World, *, faults: Faults, ack_seconds: float, request_url: str) -> None:
        if urlsplit(request_url).hostname not in LOOPBACK:
            raise ValueError(f"the request URL {request_url} leaves this machine; use http://127.0.0.1:PORT/...")
        self._world = world
        self._faults = faults
        self._ack_seconds = ack_seconds
        self._url = request_url
        self._session: aiohttp.ClientSession | None = None

    async def send(self, delivery: Delivery) -> Answer:
        """Post once; any 2xx within the time is an acknowledgement."""
        body, content_type = _body(delivery)
        headers = self._headers(delivery.kind, body) | {"Content-Type": content_type}
        if delivery.retry_num:
            headers["x-slack-retry-num"] = str(delivery.retry_num)
            headers["x-slack-retry-reason"] = delivery.retry_reason
        started = time.monotonic()
        posting = asyncio.ensure_future(self._post(body, headers))
        if await self._world.clock.expires(posting, delivery.sent_at + self._ack_seconds):
            posting.cancel()
            await asyncio.gather(posting, return_exceptions=True)
            answer = Answer(acked=False, reason="http_timeout")
        else:
            answer = posting.result()
        return replace(answer, latency_ms=milliseconds_since(started), headers=shown(headers))

    async def verify(self) -> bool:
        """Post the `url_verification` challenge and say whether it came back."""
        challenge = self._world.new_id("", 32)
        payload: Json = {"type": "url_verification", "token": "verification-token", "challenge": challenge}
        now = self._world.clock.now()
        delivery = Delivery(kind="events_api", name="url_verification", payload=payload, envelope_id="", sent_at=now)
        answer = await self.send(delivery)
        return answer.acked and challenge in (answer.payload.get("challenge"), answer.payload.get("text"))

    async def stop(self) -> None:
        if self._session:
            await self._session.close()

    def _headers(self, kind: str, body: bytes) -> dict[str, str]:
        stale = self._faults.strike(FaultKind.STALE_TIMESTAMP, kind) is not None
        timestamp = str(int(time.time()) - (STALE_SECONDS if stale else 0))
        secret = self._world.app.signing_secret
        if self._faults.strike(FaultKind.BAD_SIGNATURE, kind):
            secret += "-forged"
        return {
            "User-Agent": "Slackbot 1.0 (playground)",
            "X-Slack-Request-Timestamp": timestamp,
            "X-Slack-Signature": signature(secret, timestamp, body),
        }

    async def _post(self, body: bytes, headers: dict[str, str]) -> Answer:
        if self._session is None:
            self._session = aiohttp.ClientSession(trust_env=False)
        try:
            async with self._session.post(self._url, data=body, headers=headers, allow_redirects=False) as reply:
                return _answer(reply, await reply.text())
        except aiohttp.ClientError:
            return Answer(acked=False, reason="connection_failed")


def _answer(reply: aiohttp.ClientResponse, text: str) -> Answer:
    no_retry = reply.headers.get("x-slack-no-retry") == "1"
    if not 200 <= reply.status < 300:
        refused = Answer(acked=False, reason="http_error", payload={"status": reply.status}, no_retry=no_retry)
        return replace(refused, reply_headers=shown(reply.headers))
    return Answer(acked=True, payload=parsed_reply(text), reply_headers=shown(reply.headers))


def _body(delivery: Delivery) -> tuple[bytes, str]:
    if delivery.kind == "events_api":
        return json.dumps(delivery.payload).encode(), "application/json"
    form = "application/x-www-form-urlencoded"
    if delivery.kind == "interactive":
        return urlencode({"payload": json.dumps(delivery.payload)}).encode(), form
    return urlencode(delivery.payload).encode(), form
