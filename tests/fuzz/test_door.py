"""Junk through a real server on a real socket: a refusal, one line in the log, and nothing left hanging."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from bot.http import BodyLimit
from bot.slack_http import MOST_BYTES, PATH
from tests.bot.served import Front, served
from tests.fuzz.door import (
    FORM,
    Heard,
    Knock,
    application,
    assert_body_not_repeated,
    assert_one_line,
    call,
    door,
)
from tests.fuzz.target import controls_in

EXECUTE = "/api/v1/agent/execute"
JSON = "application/json"


@pytest.fixture(scope="module")
def handled() -> list[dict[str, Any]]:
    return []


@pytest.fixture(scope="module")
def front(handled: list[dict[str, Any]]) -> Front:
    made = Front()
    made.app = application(handled.append)
    return made


@pytest.fixture(scope="module")
def client(front: Front) -> Iterator[httpx.Client]:
    with served(front) as made:
        yield made


HEADERS: list[dict[str, Any]] = [
    {},
    {"X-Slack-Request-Timestamp": "9" * 400, "X-Slack-Signature": "v0=" + "0" * 64},
    {"X-Slack-Request-Timestamp": "1700000000", "X-Slack-Signature": "v0=\u00e9\u00e8".encode("latin-1")},
    {"X-Slack-Request-Timestamp": b"\xb2\xb3", "X-Slack-Signature": "v0=" + "0" * 64},
    {"User-Agent": b"\x9b31m\x85next", "Authorization": b"Bearer \xff"},
    {"Authorization": "Bearer " + "x" * 9000},
    {"Content-Encoding": "gzip"},
    {"Expect": "100-continue"},
]
BODIES = [
    b"",
    b"null",
    b"payload=%7B%7D&payload=%7B%7D",
    b'{"runbook": "a", "runbook": "b"}',
    b"[" * 50_000,
    b"\xff\xfe\0",
    b"\x1b[2J\r\nfalse line",
    b"x" * (MOST_BYTES + 1),
]


@pytest.mark.parametrize("headers", HEADERS, ids=[str(number) for number in range(len(HEADERS))])
@pytest.mark.parametrize("body", BODIES, ids=[str(number) for number in range(len(BODIES))])
@pytest.mark.parametrize("door_", [(PATH, FORM), (PATH, JSON), (PATH, "text/plain"), (EXECUTE, JSON)])
def test_junk_from_outside_is_refused_in_one_harmless_line(
    client: httpx.Client, handled: list[dict[str, Any]], headers: dict[str, Any], body: bytes, door_: tuple[str, str]
) -> None:
    path, kind = door_

    with capture_logs() as lines:
        answer = client.post(path, content=body, headers=headers | {"Content-Type": kind})

    assert answer.status_code in {400, 401, 413}
    assert handled == []
    assert len(lines) == 1
    assert not [value for value in lines[0].values() if controls_in(str(value)) or "\n" in str(value)]
    assert "false line" not in str(lines)


@pytest.mark.parametrize("path", [PATH, EXECUTE])
def test_body_in_many_pieces_is_judged_like_any_other(client: httpx.Client, path: str) -> None:
    answer = client.post(path, content=iter([b"[", b"]"] * 50), headers={"Content-Type": JSON})

    assert answer.status_code in {400, 401}


def raw(client: httpx.Client, *pieces: bytes) -> bytes:
    """Send bytes as they are and return all that comes back."""
    address = (client.base_url.host, client.base_url.port or 80)
    with socket.create_connection(address, timeout=30) as connection:
        for piece in pieces:
            connection.sendall(piece)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while received := connection.recv(65536):
            answer += received
    return answer


@pytest.mark.parametrize("path", [PATH, EXECUTE])
def test_connection_that_breaks_inside_a_body_leaves_one_line_and_no_traceback(client: httpx.Client, path: str) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {JSON}\r\nContent-Length: 100\r\n\r\n".encode()

    with capture_logs() as lines:
        raw(client, head, b'{"a":')
        client.get("/healthz")  # answered after the broken one was given up

    assert [(line["status"], line["log_level"]) for line in lines] == [(400, "warning")]


@pytest.mark.parametrize(
    "junk", [b"\0\0\0\r\n\r\n", b"GET / HTTP/9\r\n\r\n", b"POST /\x80 HTTP/1.1\r\n\r\n", b"x" * 70_000]
)
def test_what_is_no_http_is_refused_and_the_next_one_is_served(client: httpx.Client, junk: bytes) -> None:
    answer = raw(client, junk)

    assert answer == b"" or b" 400 " in answer.split(b"\r\n")[0]
    assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize("path", [PATH, EXECUTE])
def test_body_that_never_arrives_whole_is_given_up(front: Front, client: httpx.Client, path: str) -> None:
    """The connection stays open and silent, so that only the server's patience can end it."""
    whole, front.app = front.app, BodyLimit(front.app, seconds=0.05)
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {JSON}\r\nContent-Length: 100\r\n\r\n".encode()
    try:
        with socket.create_connection((client.base_url.host, client.base_url.port or 80), timeout=30) as connection:
            connection.sendall(head + b'{"a":')
            answer = b""
            while b"}" not in answer and (received := connection.recv(65536)):
                answer += received  # headers and body may come one after the other
    finally:
        front.app = whole

    assert b" 400 " in answer.split(b"\r\n")[0]
    assert b"did not arrive whole" in answer or b"parsing the body" in answer


def test_genuine_request_is_still_handed_over() -> None:
    here = door()

    heard = here.knock(
        Knock.of(b"POST /slack/events\n@sign\n@pieces 3\ncontent-type: application/json\n\n" + b'{"a": {"b": 1}}')
    )

    assert (heard.status, here.handled) == (200, [{"a": {"b": 1}}])
    assert heard.lines == []


def test_judge_of_the_log_would_see_a_body_in_it() -> None:
    leak = Heard(status=400, lines=[{"event": "x", "said": "very-secret-body-of-a-request"}])

    with pytest.raises(AssertionError, match="repeats the body"):
        assert_body_not_repeated(leak, b"very-secret-body-of-a-request", str)
    with pytest.raises(AssertionError, match="lines in the log"):
        assert_one_line(Heard(status=400))


def test_judge_of_the_log_knows_what_would_be_there_without_the_body() -> None:
    knock = b"ODD /slack/events\n\n/slack/eventMethod Not Allowed"
    [line] = door().knock(Knock.of(knock)).lines

    assert (line["reason"], line["path"]) == ("Method Not Allowed", "/slack/events")
    call(knock)
