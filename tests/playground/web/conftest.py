"""A stage with its page and without a bot, and a plain HTTP client that may say anything in its headers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any

import pytest

from playground.stage import Stage
from playground.web import Page
from playground.web.guard import TOKEN_HEADER

PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Client:
    """Sends exactly the headers it is given, besides Host and the token."""

    def __init__(self, port: int, token: str) -> None:
        self.port = port
        self.token = token

    def ask(self, method: str, path: str, body: bytes = b"", /, **headers: str | None) -> Reply:
        given: dict[str, str | None] = {"Host": f"127.0.0.1:{self.port}", TOKEN_HEADER: self.token}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)) as connection:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in (given | {"Content-Length": str(len(body))}).items():
                if value is not None:
                    connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return Reply(answer.status, dict(answer.getheaders()), answer.read().decode())

    def act(self, name: str, /, **body: Any) -> Reply:
        content = {"Content_Type": "application/json"}
        return self.ask("POST", f"/page/act/{name}", json.dumps(body).encode(), **content)


@pytest.fixture(scope="module")
def page() -> Page:
    return Page()


@pytest.fixture(scope="module")
def stage(page: Page) -> Iterator[Stage]:
    with Stage(routes=page.routes()) as stage:
        page.open(stage)
        yield stage
        page.close()


@pytest.fixture
def client(stage: Stage, page: Page) -> Client:
    port = int(stage.slack.base_url.split(":")[2].split("/")[0])
    return Client(port, page.guard.token)


@pytest.fixture
def live(client: Client) -> Iterator[Callable[[Callable[[dict[str, Any]], bool]], dict[str, Any]]]:
    """The stream as a tab reads it: give a condition, get the records once it holds."""
    connection = HTTPConnection("127.0.0.1", client.port, timeout=PATIENCE_SECONDS)
    connection.request("GET", "/page/live", headers={TOKEN_HEADER: client.token})
    answer = connection.getresponse()
    records: dict[str, Any] = {}

    def read_until(holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        until = time.monotonic() + PATIENCE_SECONDS  # signs of life come for ever
        while not (records and seen(holds, records)):
            assert time.monotonic() < until, f"it never held of {sorted(records)}"
            line = answer.readline().decode()
            if line.startswith("data: "):
                take(records, json.loads(line.removeprefix("data: ")))
        return records

    yield read_until
    answer.close()
    connection.close()


def seen(holds: Callable[[dict[str, Any]], bool], records: dict[str, Any]) -> bool:
    """What has not been told yet does not hold yet."""
    try:
        return holds(records)
    except KeyError:
        return False


def take(records: dict[str, Any], message: dict[str, Any]) -> None:
    if message["reset"]:
        records.clear()
    for key in message["drop"]:
        records.pop(key, None)
    records.update(message["put"])
