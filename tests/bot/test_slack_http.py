"""Signed HTTP: the guard believes nothing before the signature, and the rest is the same as in Socket Mode."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from urllib.parse import urlencode

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from slack_bolt import App, BoltResponse
from slack_bolt.authorization import AuthorizeResult
from structlog.testing import capture_logs

from bot.slack_http import MOST_BYTES, PATH, Guard, Raw, Rejected, parse_once, slack_router
from engine.errors import Misconfigured
from tests.bot.listeners.conftest import _no_proxy, alice, bob, budget, database_file, migrated_file, office, workspace
from tests.bot.listeners.office import Office

__all__ = ["_no_proxy", "alice", "bob", "budget", "database_file", "migrated_file", "office", "workspace"]

SECRET = "0123456789abcdef0123456789abcdef"
FORM = "application/x-www-form-urlencoded"


class Now:
    """The real time, since Bolt verifies by it as well."""

    def now(self) -> datetime:
        return datetime.now(UTC)


def signed(body: bytes, *, secret: str = SECRET, age: int = 0, content_type: str = FORM) -> dict[str, str]:
    timestamp = str(int(Now().now().timestamp()) - age)
    base = b"v0:" + timestamp.encode() + b":" + body
    signature = "v0=" + hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": timestamp, "X-Slack-Signature": signature, "Content-Type": content_type}


@contextmanager
def served(http: FastAPI) -> Iterator[str]:
    """Serve on a free loopback port and return the address."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(http, log_level="critical", lifespan="off", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


@pytest.fixture(scope="module")
def handled() -> list[dict]:
    return []


@pytest.fixture(scope="module")
def client(handled: list[dict]) -> Iterator[httpx.Client]:
    """A Bolt app that notes what reaches it, behind the guard."""
    bolt = App(
        signing_secret=SECRET,
        authorize=lambda: AuthorizeResult(enterprise_id=None, team_id="T", bot_token="xoxb-x"),
        token_verification_enabled=False,
    )

    @bolt.middleware
    def note(body, next_):
        handled.append(body)
        return BoltResponse(status=200, body="")

    http = FastAPI()
    http.include_router(slack_router(bolt, Guard(SECRET, Now())))
    with served(http) as address, httpx.Client(base_url=address, trust_env=False) as made:
        yield made
    bolt.listener_runner.listener_executor.shutdown()


@pytest.fixture(autouse=True)
def _forget(handled: list[dict]):
    handled.clear()


COMMAND = urlencode({"command": "/runbook", "text": "cancel 3 payload is wrong", "team_id": "T"}).encode()


def test_signed_command_is_handed_over_even_when_its_text_says_payload(client: httpx.Client, handled: list[dict]):
    answer = client.post(PATH, content=COMMAND, headers=signed(COMMAND))

    assert answer.status_code == 200
    assert handled == [{"command": "/runbook", "text": "cancel 3 payload is wrong", "team_id": "T"}]


def test_url_verification_is_answered(client: httpx.Client):
    body = json.dumps({"type": "url_verification", "challenge": "abc"}).encode()

    answer = client.post(PATH, content=body, headers=signed(body, content_type="application/json"))

    assert answer.json()["challenge"] == "abc"


@pytest.mark.parametrize("age", [301, -302, 10_000])
def test_timestamp_outside_five_minutes_either_way_is_refused(age: int, client: httpx.Client, handled: list[dict]):
    answer = client.post(PATH, content=COMMAND, headers=signed(COMMAND, age=age))

    assert (answer.status_code, handled) == (401, [])


@pytest.mark.parametrize("secret", ["", "0", SECRET[:-1], "x" * 32])
def test_forged_signature_is_refused(secret: str, client: httpx.Client, handled: list[dict]):
    answer = client.post(PATH, content=COMMAND, headers=signed(COMMAND, secret=secret))

    assert (answer.status_code, handled) == (401, [])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Slack-Request-Timestamp", "9" * 400),
        ("X-Slack-Request-Timestamp", "soon"),
        ("X-Slack-Request-Timestamp", ""),
        ("X-Slack-Request-Timestamp", "1e9"),
        ("X-Slack-Request-Timestamp", "-1"),
        ("X-Slack-Signature", "v0=\u00e9\u00e8".encode("latin-1")),
        ("X-Slack-Signature", ""),
        ("X-Slack-Signature", "v1=" + "0" * 64),
        ("X-Slack-Signature", "v0=" + "A" * 64),
    ],
)
def test_unsigned_junk_gets_401(name: str, value: str, client: httpx.Client, handled: list[dict]):
    answer = client.post(PATH, content=COMMAND, headers=signed(COMMAND) | {name: value})

    assert (answer.status_code, handled) == (401, [])


def test_body_changed_after_signing_is_refused(client: httpx.Client, handled: list[dict]):
    answer = client.post(PATH, content=COMMAND + b"&x=1", headers=signed(COMMAND))

    assert (answer.status_code, handled) == (401, [])


def test_unsigned_ssl_check_is_no_way_around_the_signature(client: httpx.Client, handled: list[dict]):
    answer = client.post(PATH, content=b"ssl_check=1&command=/runbook", headers={"Content-Type": FORM})

    assert (answer.status_code, handled) == (401, [])


def test_huge_body_is_refused_before_anything_else(client: httpx.Client, handled: list[dict]):
    answer = client.post(PATH, content=b"x" * (MOST_BYTES + 1), headers={"Content-Type": FORM})

    assert (answer.status_code, handled) == (413, [])


def test_largest_allowed_body_is_read(client: httpx.Client, handled: list[dict]):
    body = b"text=" + b"x" * (MOST_BYTES - 5)

    assert client.post(PATH, content=body, headers=signed(body)).status_code == 200
    assert len(handled) == 1


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"payload=%7B%7D&payload=%7B%7D", FORM),
        (b"command=a&command=b", FORM),
        (b"payload=[]", FORM),
        (b"payload=1", FORM),
        (b"payload=null", FORM),
        (b"payload=", FORM),
        (b'payload={"type":"a","type":"b"}', FORM),
        (b'payload={"a":{"b":1,"b":2}}', FORM),
        (b'payload={"a":NaN}', FORM),
        (b"payload=" + b"[" * 100_000, FORM),
        (b"payload=" + b'{"a":' * 50_000, FORM),
        (b"text=%ff", FORM),
        (b"\xff\xfe", FORM),
        (b"no equals sign", FORM),
        (b"[]", "application/json"),
        (b'"x"', "application/json"),
        (b"", "application/json"),
        (b'{"a":1}', FORM),
        (b'{"a":1}', "text/plain"),
        (b'{"a":1}', ""),
        (b"&".join(b"a%d=1" % n for n in range(200)), FORM),
        (b'{"a":' + b"9" * 5000 + b"}", "application/json"),
    ],
)
def test_signed_body_that_two_parsers_could_read_differently_gets_400(
    body: bytes, content_type: str, client: httpx.Client, handled: list[dict]
):
    answer = client.post(PATH, content=body, headers=signed(body, content_type=content_type))

    assert (answer.status_code, handled) == (400, [])


def test_rejection_is_one_harmless_line_without_body_or_signature(client: httpx.Client):
    headers = signed(b"x") | {"User-Agent": b"a\xe9", "X-Slack-Request-Timestamp": b"1\x85\x9b2"}

    with capture_logs() as lines:
        client.post(PATH, content=b"text=very-secret", headers=headers)

    text = json.dumps(lines)
    assert len(lines) == 1
    assert lines[0]["timestamp"] == "1\\x85\\x9b2"
    assert "very-secret" not in text
    assert headers["X-Slack-Signature"] not in text


@pytest.mark.parametrize("age", [301, -302])
def test_guard_itself_keeps_the_window_in_both_directions(age: int):
    headers = {name.lower(): value for name, value in signed(COMMAND, age=age).items()}

    with pytest.raises(Rejected, match="window"):
        Guard(SECRET, Now()).admit(Raw(body=COMMAND, headers=headers))


@pytest.mark.parametrize(
    ("body", "secret"), [(COMMAND + b"&x=1", SECRET), (COMMAND, f"{SECRET}x")], ids=["body", "secret"]
)
def test_guard_itself_refuses_what_was_not_signed_with_the_secret(body: bytes, secret: str):
    """Bolt looks at signatures, too, but only after somebody has parsed the body."""
    headers = {name.lower(): value for name, value in signed(COMMAND, secret=secret).items()}

    with pytest.raises(Rejected, match="signature"):
        Guard(SECRET, Now()).admit(Raw(body=body, headers=headers))


@given(
    body=st.binary(max_size=200),
    timestamp=st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=20),
    signature=st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=80),
    content_type=st.sampled_from([FORM, "application/json", "text/plain"]),
)
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_junk_ever_reaches_bolt_or_causes_an_error(body: bytes, timestamp: str, signature: str, content_type: str):
    headers = {"x-slack-request-timestamp": timestamp, "x-slack-signature": signature, "content-type": content_type}

    with pytest.raises(Rejected) as rejected:
        Guard(SECRET, Now()).admit(Raw(body=body, headers=headers))

    assert rejected.value.status in {400, 401, 413}


@given(st.binary(max_size=300), st.sampled_from([FORM, "application/json"]))
def test_verified_body_is_an_object_or_refused(body: bytes, content_type: str):
    found: object = {}
    with contextlib.suppress(Rejected):
        found = parse_once(body, content_type)

    assert isinstance(found, dict)


@pytest.mark.parametrize("secret", ["", " ", "changeme", "x" * 15, " " * 40])
def test_guard_refuses_to_exist_without_a_real_secret(secret: str):
    with pytest.raises(Misconfigured, match="SLACK_SIGNING_SECRET"):
        Guard(secret, Now())


# ---------------------------------------------------------------- the whole way


@pytest.fixture
def over_http(office: Office) -> Iterator[Office]:
    """The office, reached by signed posts to a real server."""
    http = FastAPI()
    http.include_router(slack_router(office.app, Guard(office.workspace.signing_secret, office.clock)))
    with served(http) as address:
        office.workspace.deliver_via("http", request_url=f"{address}{PATH}")
        yield office
        office.workspace.deliver_via("socket")


def test_commands_and_clicks_work_over_signed_http(over_http: Office, bob):
    over_http.waiting_session()

    click = bob.clicks(over_http.gate(), "Approve & Continue")

    assert click.acked
    assert over_http.session().steps[0].gate.decisions[0].actor.person.user == bob.id


def test_request_url_is_verified_over_http(over_http: Office):
    assert over_http.workspace.verify_request_url()


def test_requests_do_not_wait_for_each_other(over_http: Office, alice, bob):
    answers = over_http.workspace.at_once(
        lambda: alice.types("/runbook help", channel="ops"), lambda: bob.types("/runbook help", channel="ops")
    )

    assert all("execute" in answer.text for answer in answers)
