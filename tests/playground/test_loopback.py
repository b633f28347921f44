"""The simulated Slack and Azure answer programs of this machine, never a web page and never under another name."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection, HTTPSConnection
from urllib.parse import urlsplit

import pytest

from playground.stage import Stage

PATIENCE_SECONDS = 10
#: what is asked of each server, and what it answers a program of this machine that has no token
DOORS = {
    "web api": ("slack", "POST", "/api/chat.postMessage", 200),
    "socket": ("slack", "GET", "/link/?ticket=none", 403),
    "upload": ("slack", "POST", "/upload/v1/F0", 404),
    "file": ("slack", "GET", "/files/F0/a.txt", 403),
    "response url": ("slack", "POST", "/response/none", 404),
    "machines": ("azure", "GET", "/subscriptions?api-version=2024-07-01", 401),
    "token": ("identity", "GET", "/msi/token", 401),
}


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage() as stage:
        yield stage


def connect(stage: Stage, server: str) -> tuple[HTTPConnection, str]:
    urls = {"slack": stage.slack.base_url, "azure": stage.cloud.url, "identity": stage.cloud.identity_url}
    place = urlsplit(urls[server])
    assert place.port
    if server == "azure":
        trusted = ssl.create_default_context(cafile=str(stage.cloud.ca_file))
        return HTTPSConnection("localhost", place.port, timeout=PATIENCE_SECONDS, context=trusted), place.netloc
    return HTTPConnection("127.0.0.1", place.port, timeout=PATIENCE_SECONDS), place.netloc


def ask(stage: Stage, door: str, **headers: str) -> tuple[int, str]:
    server, method, path, _ = DOORS[door]
    connection, own = connect(stage, server)
    with closing(connection):
        connection.putrequest(method, path, skip_host=True)
        given = {"Host": own, "Content-Length": "0"} | {
            k.replace("_", "-"): v.format(own=own, port=own.split(":")[1]) for k, v in headers.items()
        }
        for name, value in given.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.2:{port}"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
    ids=lambda headers: "=".join(*headers.items()),
)
def test_what_a_page_of_another_site_could_send_is_refused(stage: Stage, door: str, headers: dict[str, str]) -> None:
    before = len(stage.slack.journal), len(stage.cloud.ledger.requests())

    status, text = ask(stage, door, **headers)

    assert (status, "NotFromHere" in text) == (403, True)
    assert (len(stage.slack.journal), len(stage.cloud.ledger.requests())) == before


@pytest.mark.parametrize("door", DOORS)
def test_a_program_of_this_machine_reaches_the_service_itself(stage: Stage, door: str) -> None:
    for headers in ({}, {"Origin": "http://{own}", "Sec_Fetch_Site": "none"}):
        status, text = ask(stage, door, **headers)

        assert (status, "NotFromHere" in text) == (DOORS[door][3], False)


def test_every_server_listens_on_loopback_only(stage: Stage) -> None:
    for runner in (stage.slack._runner, *stage.cloud._server._runners):
        assert runner is not None
        assert {address[0] for address in runner.addresses} == {"127.0.0.1"}
