"""The simulated Slack and Azure answer programs of this machine, never a web page and never under another name."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from playground.loopback import HOST, LETTING_IN_TURNS, Port
from playground.stage import Stage

PATIENCE_SECONDS = 30
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


def listening() -> list[tuple[str, int]]:
    """The addresses, in hexadecimal as the kernel keeps them, and ports at which this machine is listening."""
    tables = [Path(f"/proc/net/{name}").read_text().splitlines()[1:] for name in ("tcp", "tcp6")]
    places = [line.split()[1].split(":") for table in tables for line in table if line.split()[3] == "0A"]
    return [(address, int(port, 16)) for address, port in places]


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
    ports = {urlsplit(url).port for url in (stage.slack.base_url, stage.cloud.url, stage.cloud.identity_url)}

    assert len(ports) == 3
    assert {address for address, port in listening() if port in ports} == {"0100007F"}  # 127.0.0.1


@pytest.mark.parametrize("turns", range(2 * LETTING_IN_TURNS))
@pytest.mark.parametrize("caller_first", [True, False])
def test_caller_who_comes_while_the_port_is_being_closed_is_hung_up_on(*, caller_first: bool, turns: int) -> None:
    async def call_and_close() -> socket.socket:
        port = await Port.open(web.Application(), patience=0.1)
        caller = socket.socket()
        caller.settimeout(1)
        acts = [lambda: caller.connect_ex((HOST, port.number)), lambda: asyncio.ensure_future(port.close())]
        first, second = acts if caller_first else acts[::-1]
        done = [first()]
        for _ in range(turns):
            await asyncio.sleep(0)
        done.append(second())  # who calls second may be refused: nobody listens any more
        await done[caller_first]
        return caller

    loop = asyncio.new_event_loop()
    gc.disable()  # it would hang up on a connection that was lost
    try:
        with loop.run_until_complete(call_and_close()) as caller:
            loop.run_until_complete(asyncio.sleep(0))
            said = heard(caller)
    finally:
        gc.enable()
        loop.close()
    assert said == "hung up"


def heard(caller: socket.socket) -> str:
    try:
        return caller.recv(1).decode() or "hung up"
    except TimeoutError:
        return "nothing"
    except OSError:
        return "hung up"
