"""Target ``http``: whoever knocks without a signature or token is answered 4xx, in one harmless line of the log.

The application is the product's own, with nothing behind it: a request that got past the door would fail loudly.
An input is a request as text: a line with method and address, header lines, an empty line, the body. The line
``@sign`` has it signed as Slack would, ``@cut`` lets the connection break, ``@pieces N`` sends the body in pieces.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, unquote

from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from slack_bolt import App, BoltResponse
from slack_bolt.authorization import AuthorizeResult
from structlog.testing import capture_logs

from bot.api import build_router
from bot.http import Readiness, build_http
from bot.slack_http import PATH, Guard, slack_router
from bot.world import RandomIds, SystemClock
from tests.fuzz.target import Target, controls_in
from tests.policies import a_policy

SECRET = "0123456789abcdef0123456789abcdef"
SIGNED = (b"x-slack-request-timestamp", b"x-slack-signature")
FORM = "application/x-www-form-urlencoded"
OPEN = frozenset({"/healthz", "/readyz", "/metrics", "/api/v1/openapi.json"})
REFUSED = frozenset({400, 401, 404, 405, 413})
Headers = list[tuple[bytes, bytes]]


class Nothing:
    """What is behind the door. Nobody without a name may get here."""

    def __getattr__(self, name: str) -> Any:
        raise LookupError(f"somebody without a token got to {name}")


@dataclass(kw_only=True)
class Knock:
    """One request."""

    method: str
    path: str
    query: bytes
    headers: Headers
    body: bytes
    signed: bool = False
    cut: bool = False
    pieces: int = 1

    @classmethod
    def of(cls, data: bytes) -> Knock:
        head, _, body = data.partition(b"\n\n")
        first, *lines = head.split(b"\n")
        method, _, address = first.partition(b" ")
        path, _, query = address.partition(b"?")
        knock = cls(method=_token(method), path=unquote(path.decode("latin-1")), query=query, headers=[], body=body)
        for line in lines:
            knock._line(line)
        return knock.sealed()

    def sealed(self) -> Knock:
        """Sign it as Slack would, if it is to be signed."""
        return replace(self, headers=self.headers + _signature(self.body)) if self.signed else self

    def with_junk(self) -> Knock:
        """The same request with a body that says nothing and is refused."""
        rest = [(name, value) for name, value in self.headers if name not in SIGNED]
        return replace(self, body=b"\xff", headers=rest).sealed()

    def said(self) -> str:
        """Everything around the body."""
        around = [self.method.encode(), *(value for _, value in self.headers), self.path.encode(), self.query]
        return b"\n".join(around).decode("latin-1")

    def _line(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if line.startswith(b"@"):
            word, _, number = line[1:].partition(b" ")
            self.signed |= word == b"sign"
            self.cut |= word == b"cut"
            if word == b"pieces" and number.isdigit():
                self.pieces = min(max(int(number[:3]), 1), 50)
        elif name:
            self.headers.append((name.lower(), value.strip()))


@dataclass(kw_only=True)
class Heard:
    """What came back, and what was written down."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    lines: list[dict[str, Any]] = field(default_factory=list)
    body: bytes = b""

    def written(self) -> str:
        return "\n".join(str(value) for line in self.lines for value in line.values())


class Door:
    """The application and a loop to run it in."""

    def __init__(self) -> None:
        self.handled: list[dict[str, Any]] = []
        self._loop = asyncio.new_event_loop()
        self.app = application(self.handled.append)

    def knock(self, knock: Knock) -> Heard:
        heard = Heard()
        self.handled.clear()
        with capture_logs() as lines:
            self._loop.run_until_complete(asyncio.wait_for(_ask(self.app, knock, heard), 30))
        heard.lines = [dict(line) for line in lines]
        return heard

    def close(self) -> None:
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()


def application(note: Callable[[dict[str, Any]], None]) -> FastAPI:
    """Build the product's whole HTTP side with nothing behind it; ``note`` gets what Bolt is handed."""
    bolt = App(
        signing_secret=SECRET,
        authorize=lambda: AuthorizeResult(enterprise_id=None, team_id="T", bot_token="xoxb-x"),
        token_verification_enabled=False,
    )

    @bolt.middleware
    def keep(body: dict[str, Any], next_: Callable[[], None]) -> BoltResponse:
        note(body)
        return BoltResponse(status=200, body="")

    clock, nothing = SystemClock(), Nothing()
    api: Any = nothing
    routers = [
        build_router(api, a_policy(), RandomIds(clock), default_channel=""),
        slack_router(bolt, Guard(SECRET, clock)),
    ]
    fine = Readiness(database=str, slack=str, workers=str)
    return build_http(fine, CollectorRegistry(), routers)


@cache
def door() -> Door:
    return Door()


def call(data: bytes) -> None:
    knock = Knock.of(data)
    here = door()
    heard = here.knock(knock)
    if knock.path in OPEN and knock.method == "GET":
        assert heard.status == 200, heard
    elif knock.path == PATH and knock.method == "POST" and knock.signed and heard.status == 200:
        assert here.handled, "answered 200 and handed to nobody"
        _assert_read_in_one_way(knock, here.handled[0])
    elif not knock.cut or heard.status:
        assert heard.status in REFUSED, f"{heard.status} for {data!r}"
        assert not here.handled, "junk got to Bolt"
        assert_one_line(heard)
        assert_body_not_repeated(heard, knock.body, lambda: knock.said() + here.knock(knock.with_junk()).written())


def assert_one_line(heard: Heard) -> None:
    assert len(heard.lines) == 1, f"{len(heard.lines)} lines in the log: {heard.lines}"
    [line] = heard.lines
    for value in line.values():
        assert not controls_in(str(value)), f"control characters in the log: {value!r}"
        assert "\n" not in str(value), f"two lines in one: {value!r}"
        assert len(str(value)) <= 1000, "a flood in the log"


def assert_body_not_repeated(heard: Heard, body: bytes, around: Callable[[], str]) -> None:
    """Look for the body in the log; a piece that is around it as well, or in the log of another, is not its own."""
    written = heard.written()
    for start in range(0, max(len(body) - 12, 0), 12):
        piece = body[start : start + 12].decode("latin-1")
        if piece in written and not piece.isspace():
            assert piece in around(), f"the log repeats the body: {piece!r}"


def _assert_read_in_one_way(knock: Knock, handled: dict[str, Any]) -> None:
    """Every other way to read the body must find the same: whoever looks at it on its way sees what we act on."""
    kinds = [value.partition(b";")[0].strip().lower() for name, value in knock.headers if name == b"content-type"]
    text = knock.body.decode("utf-8")
    if kinds[-1] == FORM.encode():
        pairs = parse_qsl(text, keep_blank_values=True)
        assert max(Counter(name for name, _ in pairs).values(), default=1) == 1, "a name is given twice"
        fields = dict(pairs)
        if "payload" not in fields:
            assert handled == fields
            return
        text = fields["payload"]
    first = json.loads(text, object_pairs_hook=lambda pairs: dict(reversed(pairs)))
    assert handled == first == json.loads(text)


async def _ask(app: FastAPI, knock: Knock, heard: Heard) -> None:
    size = -(-max(len(knock.body), 1) // knock.pieces)
    chunks = [knock.body[start : start + size] for start in range(0, max(len(knock.body), 1), size)]

    async def receive() -> dict[str, Any]:
        if not chunks or (knock.cut and len(chunks) == 1):
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": chunks.pop(0), "more_body": bool(chunks)}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            heard.status = message["status"]
            heard.headers = {name.decode(): value.decode("latin-1") for name, value in message["headers"]}
        heard.body += message.get("body", b"")

    await app(_scope(knock), receive, send)


def _scope(knock: Knock) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": knock.method,
        "scheme": "http",
        "path": knock.path,
        "raw_path": knock.path.encode("utf-8", errors="replace"),
        "query_string": knock.query,
        "root_path": "",
        "headers": knock.headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
    }


def _signature(body: bytes) -> Headers:
    timestamp = str(int(datetime.now(UTC).timestamp())).encode()
    digest = hmac.new(SECRET.encode(), b"v0:" + timestamp + b":" + body, hashlib.sha256).hexdigest()
    return list(zip(SIGNED, (timestamp, b"v0=" + digest.encode()), strict=True))


def _token(method: bytes) -> str:
    """A server lets through no method that is not letters."""
    letters = "".join(chr(byte) for byte in method[:20] if chr(byte).isalpha() and byte < 128)
    return letters.upper() or "POST"


HTTP = Target(
    name="http",
    holds="who has no signature or token gets 400, 401, 404, 405 or 413, and one harmless line in the log",
    call=call,
    words=(
        f"POST {PATH}\n",
        "GET /api/v1/agent/sessions\n",
        "POST /api/v1/agent/execute\n",
        "GET /healthz\n",
        "@sign\n",
        "@cut\n",
        "@pieces 3\n",
        f"content-type: {FORM}\n",
        "content-type: application/json\n",
        "authorization: Bearer ",
        "x-slack-signature: v0=",
        "x-slack-request-timestamp: ",
        "user-agent: ",
        "payload=",
        "%7B%7D",
        '{"a":1,"a":2}',
    ),
)
