"""Only this machine's own browser, with this run's token, may read or do anything here."""

from __future__ import annotations

import re

import pytest

from playground.web.guard import TOKEN_HEADER
from playground.web.page import STATIC
from tests.playground.web.conftest import Client

EVERY_READ = ("/page/live", "/page/log", "/page/entry/1", "/page/request/0", "/page/file/F0")
JSON = "application/json"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "192.0.2.7:{port}"]
)
@pytest.mark.parametrize("path", ["/", "/page/static/main.js", "/page/log"])
def test_another_host_name_is_refused(client: Client, path: str, host: str) -> None:
    reply = client.ask("GET", path, Host=host.format(port=client.port))

    assert reply.status == 403
    assert "127.0.0.1" in reply.json["error"]


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://evil.example:{port}"])
def test_another_site_is_refused(client: Client, origin: str) -> None:
    reply = client.ask("GET", "/page/log", Origin=origin.format(port=client.port))

    assert reply.status == 403
    assert "Another site" in reply.json["error"]


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_browser_that_says_the_request_is_from_elsewhere_is_refused(client: Client, site: str) -> None:
    assert client.ask("GET", "/page/log", Sec_Fetch_Site=site).status == 403


def test_the_page_s_own_origin_is_let_in(client: Client) -> None:
    own = {"Origin": f"http://127.0.0.1:{client.port}", "Sec_Fetch_Site": "same-origin"}

    assert client.ask("GET", "/page/log", **own).status == 200
    assert client.ask("GET", "/page/log", Host=f"localhost:{client.port}").status == 200


@pytest.mark.parametrize("token", [None, "", "wrong"])
@pytest.mark.parametrize("path", EVERY_READ)
def test_nothing_is_read_without_the_token(client: Client, path: str, token: str | None) -> None:
    reply = client.ask("GET", path, **{TOKEN_HEADER: token})

    assert reply.status == 403
    assert "token" in reply.json["error"]


def test_nothing_is_done_without_the_token(client: Client) -> None:
    reply = client.ask("POST", "/page/act/bot", b'{"deed": "kill"}', Content_Type=JSON, **{TOKEN_HEADER: "wrong"})

    assert reply.status == 403


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_what_a_form_of_another_site_could_send_is_refused(client: Client, content_type: str | None) -> None:
    reply = client.ask("POST", "/page/act/bot", b'{"deed": "kill"}', Content_Type=content_type)

    assert reply.status == 403
    assert "application/json" in reply.json["error"]


def test_every_answer_forbids_foreign_scripts_frames_and_caches(client: Client) -> None:
    for reply in (client.ask("GET", "/"), client.ask("GET", "/page/log"), client.ask("GET", "/", Host="evil.example")):
        policy = reply.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert reply.headers["Cache-Control"] == "no-store"
        assert reply.headers["X-Content-Type-Options"] == "nosniff"


def test_the_page_itself_holds_no_token(client: Client) -> None:
    everything = [client.ask("GET", "/")] + [
        client.ask("GET", f"/page/static/{path.name}") for path in STATIC.iterdir()
    ]

    assert {reply.status for reply in everything} == {200}
    assert not [reply for reply in everything if client.token in reply.text]


@pytest.mark.parametrize("name", ["..%2Fpage.py", "%2e%2e%2fpage.py", "missing.js", "%2fetc%2fpasswd"])
def test_only_the_page_s_own_files_are_served(client: Client, name: str) -> None:
    assert client.ask("GET", f"/page/static/{name}").status == 404


def test_the_page_loads_nothing_from_elsewhere() -> None:
    for path in STATIC.iterdir():
        loaded = re.findall(r"""(?:src|href|from|import|url)\s*[=(]?\s*["'(](?:https?:)?//""", path.read_text())
        assert loaded == [], path.name


def test_the_page_s_scripts_never_make_markup_out_of_text() -> None:
    forbidden = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\(|new Function")
    for path in STATIC.glob("*.js"):
        assert not forbidden.search(path.read_text()), path.name
