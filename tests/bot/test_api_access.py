"""Nobody passes the HTTP API without a known token, and every odd request is answered with what is wrong with it."""

from __future__ import annotations

import json

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from bot.api import status_for
from bot.http import MOST_BYTES
from engine.errors import Bug, NotAllowed, RunbookError, Unverifiable
from engine.model import Place, Source, Verdict
from engine.service import Ballot
from storage.database import Database
from storage.errors import StorageUnavailable
from tests.bot.calling import AGENT, OPENAPI, YES, api, bearer, decide, execute, http, look
from tests.bot.works import TOKENS, Works, actor

__all__ = ["api", "http"]

one_database = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  #: what no database sees
ROUTES = [
    ("POST", "/execute"),
    ("GET", "/pending-approvals"),
    ("GET", "/sessions"),
    ("GET", "/1"),
    ("GET", "/1/steps"),
    ("POST", "/1/approve-step?step_number=1"),
    ("POST", "/1/cancel"),
]


# ---------------------------------------------------------------- who calls


@one_database
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic Ym9iOmJvYg=="}])
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_nobody_passes_without_a_known_token(api: httpx.Client, method: str, path: str, headers: dict):
    answer = api.request(method, f"{AGENT}{path}", headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@one_database
def test_every_route_of_the_api_is_among_those_that_were_tried_without_a_token(http: FastAPI):
    tried = {(method, path.split("?")[0].replace("/1", "/{session_id}")) for method, path in ROUTES}

    there = {
        (method, path.removeprefix(AGENT))
        for method, path in routes(http)
        if path.startswith("/api") and path != OPENAPI
    }

    assert there == tried


OPEN = {("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/metrics"), ("GET", OPENAPI)}


def routes(http: FastAPI) -> set[tuple[str, str]]:
    """Every way in: what the application would answer, by looking at the application itself."""
    found = set()
    for route in flattened(http.routes):
        found |= {(method, route.path) for method in route.methods - {"HEAD"}}
    return found


def flattened(here):
    """Routes, and those of included routers, which FastAPI keeps inside a route of their own."""
    for route in here:
        inner = getattr(route, "original_router", route)
        yield from flattened(inner.routes) if inner is not route else [route]


@one_database
def test_only_health_and_the_description_are_open_to_everybody(http: FastAPI):
    closed = {(method, path) for method, path in routes(http) if path.startswith(AGENT)}

    assert routes(http) - closed == OPEN


@one_database
@pytest.mark.parametrize(
    "token", ["0", TOKENS["bob"][:-1], TOKENS["bob"] + "x", TOKENS["bob"].upper(), "\u00e9" * 30, "x" * 9000, "null"]
)
def test_token_that_is_nearly_right_is_wrong(api: httpx.Client, token: str):
    answer = api.get(f"{AGENT}/sessions", headers={"Authorization": f"Bearer {token}".encode("latin-1")})

    assert answer.status_code == 401


@one_database
def test_hash_of_a_token_is_not_a_token(api: httpx.Client, works: Works):
    for known in works.policy.document.tokens:
        assert api.get(f"{AGENT}/sessions", headers={"Authorization": f"Bearer {known.sha256}"}).status_code == 401


@one_database
def test_token_is_found_neither_in_the_address_nor_in_a_cookie(api: httpx.Client):
    token = TOKENS["bob"]

    assert api.get(f"{AGENT}/sessions?token={token}&access_token={token}").status_code == 401
    assert api.get(f"{AGENT}/sessions", headers={"Cookie": f"token={token}; session={token}"}).status_code == 401


@one_database
def test_no_answer_sets_cookies_or_lets_other_origins_in(api: httpx.Client, works: Works):
    works.start()
    origin = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"}

    answers = [api.request(method, f"{AGENT}{path}", headers=bearer("bob") | origin) for method, path in ROUTES]
    answers += [api.options(f"{AGENT}/execute", headers=origin), api.get("/healthz", headers=origin)]

    for answer in answers:
        assert not [name for name in answer.headers if name.startswith("access-control") or name == "set-cookie"]


# ---------------------------------------------------------------- days without Slack


def test_token_works_while_slack_cannot_be_asked(api: httpx.Client, works: Works):
    works.people.outage = True

    session = execute(api).json()["session_id"]

    assert decide(api, session).status_code == 200
    assert api.post(f"{AGENT}/{session}/cancel", headers=bearer("alice")).status_code == 200


def test_click_counts_for_nothing_while_slack_cannot_be_asked(works: Works):
    session = works.start()
    works.people.outage = True
    click = Ballot(actor=actor("bob", Source.SLACK), verdict=Verdict.APPROVE, session_id=session.id, step_number=1)

    with pytest.raises(Unverifiable):
        works.service.decide(click)

    assert works.session(session.id).open_gate.decisions == ()


def test_session_with_a_channel_starts_by_token_while_slack_cannot_be_asked(api: httpx.Client, works: Works):
    works.people.outage = True

    answer = execute(api, channel="C0OPS")

    assert answer.status_code == 201
    assert works.session(answer.json()["session_id"]).place == Place(team="T0HOME", channel="C0OPS")


def test_database_that_is_away_gets_503_and_says_no_address(api: httpx.Client, works: Works, database: Database):
    with database.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE execution_sessions RENAME TO moved_away")

    answer = look(api, "/sessions")

    assert (answer.status_code, answer.json()["code"]) == (503, "misconfigured")
    assert "runbook migrate" in answer.json()["hint"]
    assert str(database.engine.url.database) not in answer.text


@pytest.mark.parametrize(
    ("error", "status"), [(NotAllowed(), 403), (Unverifiable(), 503), (StorageUnavailable(), 503), (Bug(), 500)]
)
def test_status_says_whose_fault_it_is(error: RunbookError, status: int):
    assert status_for(error) == status


# ---------------------------------------------------------------- odd input


ODD_BODIES = [
    b"",
    b"null",
    b"[]",
    b'"yes"',
    b"{",
    b"\xff\xfe",
    b'{"approve": NaN}',
    b'{"approve": true, "force": true}',
    b'{"approve": "perhaps"}',
    b'{"approve": false, "approve": true}',
    b'{"approve": true, "notes": "a", "notes": "b"}',
    '{"approve": true}'.encode("utf-16"),
    b'{"approve": null}',
    b'{"notes": "no verdict"}',
    b'{"approve": true, "notes": 7}',
    b'{"approve": true, "notes": "\\ud800"}',
    b'{"approve": true, "\\ud800": 1}',
    b'{"approve": true, "notes": "' + b"x" * 1001 + b'"}',
    b"[" * 100_000,
    b'{"approve": ' + b"9" * 5000 + b"}",
]


@pytest.mark.parametrize("body", ODD_BODIES, ids=lambda body: body[:30])
def test_body_that_is_no_decision_decides_nothing(api: httpx.Client, works: Works, body: bytes):
    session = works.start()
    headers = bearer("bob") | {"Content-Type": "application/json"}

    answer = api.post(f"{AGENT}/{session.id}/approve-step?step_number=1", content=body, headers=headers)

    assert (answer.status_code, answer.json()["code"]) in {(400, "invalid_input"), (400, "http_error")}
    assert works.session(session.id).open_gate.decisions == ()


@pytest.mark.parametrize(
    "path",
    [
        "/0",
        "/-1",
        "/abc",
        "/1.5",
        f"/{2**31}",
        f"/{10**40}",
        "/1/approve-step",
        "/sessions?limit=0",
        "/sessions?limit=101",
        "/sessions?before=0",
        f"/sessions?before={10**40}",
        f"/pending-approvals?after={10**40}",
        "/pending-approvals?after=-1",
        "/sessions?status=sleeping",
        "/sessions?ticket=" + "x" * 201,
    ],
)
def test_odd_address_is_refused_as_bad_input(api: httpx.Client, path: str):
    answer = look(api, path)

    assert answer.status_code in ({404, 405} if path.endswith("approve-step") else {400})


@pytest.mark.parametrize("query", ["", "?step_number=", "?step_number=0", "?step_number=one", "?step_number=101"])
def test_decision_must_name_a_step(api: httpx.Client, works: Works, query: str):
    session = works.start()

    answer = api.post(f"{AGENT}/{session.id}/approve-step{query}", json=YES, headers=bearer("bob"))

    assert answer.status_code == 400
    assert "step_number" in answer.json()["message"]
    assert works.session(session.id).open_gate.decisions == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"colour": "red"},
        {"runbook": "x" * 201},
        {"runbook": "a\u0000b"},
        {"vm": "\u0000"},
        {"ticket": "a\u0000b"},
        {"ticket": "INC-1\nfalse line"},
        {"ticket": "INC-1\u202e"},
        {"parameters": {f"p{n}": "x" for n in range(21)}},
        {"parameters": {"service": "x" * 1001}},
        {"parameters": {"service": "a\u0000b"}},
        {"parameters": ["service=nginx"]},
    ],
)
def test_odd_start_is_never_an_error_of_ours(api: httpx.Client, changes: dict):
    answer = execute(api, **changes)

    assert answer.status_code in {400, 404}
    assert look(api, "/sessions").json()["sessions"] == []


def test_odd_ticket_finds_nothing(api: httpx.Client, works: Works):
    works.start(ticket="INC-1")

    answer = look(api, "/sessions?ticket=%00")

    assert answer.status_code == 400 or answer.json()["sessions"] == []


@one_database
@pytest.mark.parametrize("known", [True, False])
def test_flood_is_cut_off_before_it_is_read(api: httpx.Client, known: bool):
    body = b'{"runbook": "' + b"x" * MOST_BYTES + b'"}'
    headers = bearer("alice") if known else {}

    answer = api.post(f"{AGENT}/execute", content=body, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


@one_database
def test_flood_without_a_length_is_cut_off_as_well(api: httpx.Client):
    answer = api.post(f"{AGENT}/execute", content=iter([b"x" * MOST_BYTES, b"x"]), headers=bearer("alice"))

    assert answer.status_code == 413


@one_database
def test_unknown_address_and_wrong_verb_are_answered_in_json(api: httpx.Client):
    assert api.get("/nowhere").json()["code"] == "http_error"
    assert (look(api, "/execute").status_code, api.delete(f"{AGENT}/sessions").status_code) == (400, 405)


# ---------------------------------------------------------------- the description


@one_database
def test_description_names_every_route_and_every_status(api: httpx.Client, http: FastAPI):
    paths = api.get(OPENAPI).json()["paths"]

    described = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    assert described == routes(http) - {("GET", OPENAPI)}
    for path, methods in paths.items():
        for described_route in methods.values():
            expected = {"400", "401", "403", "404", "409", "410", "412", "413", "503"} if "/agent/" in path else {"200"}
            assert expected <= set(described_route["responses"])
            assert "422" not in described_route["responses"]


@one_database
def test_description_says_that_a_bearer_token_is_needed(api: httpx.Client):
    document = api.get(OPENAPI).json()

    assert document["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
    assert all(
        operation["security"] == [{"HTTPBearer": []}]
        for path, methods in document["paths"].items()
        if path.startswith(AGENT)
        for operation in methods.values()
    )


@one_database
def test_description_holds_no_secret(api: httpx.Client):
    text = json.dumps(api.get(OPENAPI).json())

    assert not [token for token in TOKENS.values() if token in text]


@one_database
def test_every_handler_is_a_plain_function_so_that_it_blocks_nobody(http: FastAPI):
    handlers = [route.endpoint for route in flattened(http.routes) if isinstance(route, APIRoute)]

    assert handlers
    assert not [handler.__name__ for handler in handlers if handler.__code__.co_flags & 0x80]
