"""The HTTP API decides by the same rules as a click, on exactly the named step, and answers every odd request."""

from __future__ import annotations

import json
import threading

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from prometheus_client import CollectorRegistry

from bot.api import build_router, status_for
from bot.http import MOST_BYTES, Readiness, build_http
from engine.errors import Bug, NotAllowed, RunbookError, Unverifiable
from engine.model import GateStatus, SessionStatus, Source, StepStatus, Verdict
from engine.service import Ballot
from storage.database import Database
from storage.errors import StorageUnavailable
from tests.bot.served import Front
from tests.bot.works import TOKENS, Works, actor

one_database = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  #: what no database sees
AGENT = "/api/v1/agent"
START = {"runbook": "restart-web", "vm": "local"}
YES = {"approve": True}
NO = {"approve": False, "notes": "Not now."}
ROUTES = [
    ("POST", "/execute"),
    ("GET", "/pending-approvals"),
    ("GET", "/sessions"),
    ("GET", "/1"),
    ("GET", "/1/steps"),
    ("POST", "/1/approve-step?step_number=1"),
    ("POST", "/1/cancel"),
]


def fine() -> str:
    return ""


def application(works: Works) -> FastAPI:
    readiness = Readiness(database=fine, slack=fine, workers=fine)
    router = build_router(works.service, works.policy, works.ids, default_channel="")
    return build_http(readiness, CollectorRegistry(), [router])


@pytest.fixture
def http(works: Works) -> FastAPI:
    return application(works)


@pytest.fixture
def api(http: FastAPI, front: Front, client: httpx.Client) -> httpx.Client:
    front.app = http
    return client


def bearer(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKENS[name]}"}


def execute(api: httpx.Client, name: str = "alice", **changes):
    return api.post(f"{AGENT}/execute", json=START | changes, headers=bearer(name))


def decide(api: httpx.Client, session: int, step: int = 1, *, name: str = "bob", body: dict = YES):
    return api.post(f"{AGENT}/{session}/approve-step?step_number={step}", json=body, headers=bearer(name))


def look(api: httpx.Client, path: str):
    return api.get(f"{AGENT}{path}", headers=bearer("alice"))


# ---------------------------------------------------------------- starting


def test_execute_starts_a_session_that_says_what_it_waits_for(api: httpx.Client):
    answer = execute(api, ticket="INC-1042", parameters={"service": "apache"})

    body = answer.json()
    assert answer.status_code == 201
    assert (body["status"], body["waiting_for_approval"], body["approval_step_number"]) == ("waiting_approval", True, 1)
    assert (body["requester"], body["ticket"], body["target"]) == ("T0HOME/U0ALICE", "INC-1042", "local")
    assert "to approve step 1" in body["explanation"]
    assert body["waits_for"] == ["T0HOME/U0BOB", "T0HOME/U0CAROL", "T0HOME/U0GINA"]


def test_same_idempotency_key_starts_one_session(api: httpx.Client):
    headers = bearer("alice") | {"Idempotency-Key": "deploy-77"}

    answers = [api.post(f"{AGENT}/execute", json=START, headers=headers).json()["session_id"] for _ in range(3)]

    assert len(set(answers)) == 1
    assert len(look(api, "/sessions").json()["sessions"]) == 1


def test_idempotency_key_of_one_person_is_not_that_of_another(api: httpx.Client):
    key = {"Idempotency-Key": "deploy-77"}

    mine, yours = (
        api.post(f"{AGENT}/execute", json=START, headers=bearer(name) | key).json() for name in ("alice", "dave")
    )

    assert mine["session_id"] != yours["session_id"]
    assert yours["requester"] == "T0HOME/U0DAVE"


def test_without_a_key_each_request_starts_a_session(api: httpx.Client):
    assert execute(api).json()["session_id"] != execute(api).json()["session_id"]


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"runbook": "restart-wep"}, 404, "restart-web"),
        ({"runbook": "../../etc/passwd"}, 404, ""),
        ({"vm": "web-99"}, 404, "web-99"),
        ({"vm": ""}, 400, "where to run"),
        ({"parameters": {"service": "a; rm -rf /"}}, 400, "service"),
        ({"parameters": {"servise": "nginx"}}, 400, "servise"),
        ({"channel": "C0ELSEWHERE"}, 412, "Invite"),
        ({"channel": "general"}, 400, "channel"),
    ],
)
def test_start_that_cannot_be_is_refused_with_the_reason(api: httpx.Client, changes: dict, status: int, words: str):
    answer = execute(api, **changes)

    assert answer.status_code == status
    assert set(answer.json()) == {"code", "message", "hint"}
    assert words in str(answer.json())
    assert look(api, "/sessions").json()["sessions"] == []


def test_guest_with_a_token_may_not_start_anything(api: httpx.Client):
    answer = execute(api, "gina")

    assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")


# ---------------------------------------------------------------- deciding


def test_approval_lets_the_step_go_and_is_recorded_with_door_and_reason(api: httpx.Client, works: Works):
    session = works.start().id

    answer = decide(api, session, body={"approve": True, "notes": "Load is low."})

    vote = works.session(session).steps[0].gate.decisions[0]
    assert (answer.status_code, answer.json()["status"]) == (200, "in_progress")
    assert (vote.actor.person.user, vote.actor.source, vote.reason) == ("U0BOB", Source.API, "Load is low.")


def test_rejection_with_notes_ends_the_session(api: httpx.Client, works: Works):
    answer = decide(api, works.start().id, body=NO)

    assert (answer.status_code, answer.json()["status"]) == (200, "rejected")


def test_rejection_without_notes_is_refused(api: httpx.Client, works: Works):
    session = works.start()

    answer = decide(api, session.id, body={"approve": False, "notes": " "})

    assert (answer.status_code, answer.json()["message"]) == (400, "A rejection needs a reason.")
    assert works.session(session.id).open_gate is not None


@pytest.mark.parametrize("step", [2, 3])
def test_approving_a_later_step_decides_nothing(api: httpx.Client, works: Works, step: int):
    session = works.start()

    answer = decide(api, session.id, step)

    assert (answer.status_code, answer.json()["hint"]) == (409, "It waits for step 1.")
    assert all(not (each.gate and each.gate.decisions) for each in works.session(session.id).steps)


def test_late_call_for_a_decided_step_never_decides_the_one_that_waits_now(api: httpx.Client, works: Works):
    session = works.start()
    with works.working():
        works.vote(session)
        works.wait_until(lambda: works.session(session.id).status is SessionStatus.WAITING_APPROVAL)

    answer = decide(api, session.id, 1, name="carol")

    second = works.session(session.id).steps[1]
    assert answer.status_code == 409
    assert "already approved" in answer.json()["message"]
    assert (second.status, second.gate.status, second.gate.decisions) == (
        StepStatus.WAITING_APPROVAL,
        GateStatus.OPEN,
        (),
    )


def test_step_that_does_not_exist_is_not_found(api: httpx.Client, works: Works):
    assert decide(api, works.start().id, 99).status_code == 404


def test_session_that_does_not_exist_is_not_found(api: httpx.Client):
    assert [decide(api, 404).status_code, look(api, "/404").status_code, look(api, "/404/steps").status_code] == [
        404,
        404,
        404,
    ]
    assert api.post(f"{AGENT}/404/cancel", headers=bearer("bob")).status_code == 404


@pytest.mark.parametrize("name", ["alice", "dave", "gina"])
def test_requester_stranger_and_guest_cannot_decide(api: httpx.Client, works: Works, name: str):
    session = works.start()

    answer = decide(api, session.id, name=name)

    assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")
    assert works.session(session.id).open_gate.decisions == ()


def test_refused_decision_is_kept_as_evidence(api: httpx.Client, works: Works):
    session = works.start()

    decide(api, session.id, name="dave")

    refused = works.audit("decision_refused")
    assert [(each.actor, each.source, each.step_number) for each in refused] == [("T0HOME/U0DAVE", "api", 1)]


def test_second_call_of_the_same_person_is_told_that_it_is_decided(api: httpx.Client, works: Works):
    session = works.start()

    first, second = decide(api, session.id), decide(api, session.id)

    assert (first.status_code, second.status_code) == (200, 409)
    assert len(works.session(session.id).steps[0].gate.decisions) == 1


def test_one_person_does_not_make_a_quorum_of_two(database: Database, front: Front, client: httpx.Client, tmp_path):
    works = Works(database, tmp_path, quorum=2)
    session = works.start()
    front.app = application(works)

    answers = [decide(client, session.id, name=name) for name in ("bob", "bob", "carol")]

    assert [answer.status_code for answer in answers] == [200, 409, 200]
    assert [answers[0].json()["status"], answers[2].json()["status"]] == ["waiting_approval", "in_progress"]


def test_two_calls_at_once_are_decided_once(api: httpx.Client, works: Works):
    session = works.start()
    together = threading.Barrier(2)
    codes: list[int] = []

    def call(name: str, body: dict) -> None:
        together.wait()
        codes.append(decide(api, session.id, name=name, body=body).status_code)

    threads = [threading.Thread(target=call, args=each) for each in (("bob", YES), ("carol", NO))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(codes) == [200, 409]
    assert len(works.session(session.id).steps[0].gate.decisions) == 1


def test_decision_after_the_deadline_is_gone(api: httpx.Client, works: Works):
    session = works.start()
    works.clock.advance(minutes=31)

    answer = decide(api, session.id)

    assert (answer.status_code, answer.json()["code"]) == (410, "expired")
    assert "execute restart-web" in answer.json()["hint"]


def test_decision_after_cancelling_is_a_conflict(api: httpx.Client, works: Works):
    session = works.start()
    api.post(f"{AGENT}/{session.id}/cancel", headers=bearer("alice"))

    assert decide(api, session.id).status_code == 409


# ---------------------------------------------------------------- calling off


@pytest.mark.parametrize("body", [None, {}, {"reason": "Wrong machine."}])
def test_requester_calls_a_session_off_with_or_without_a_reason(api: httpx.Client, works: Works, body: dict | None):
    session = works.start()

    answer = api.post(f"{AGENT}/{session.id}/cancel", json=body, headers=bearer("alice"))

    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")


def test_stranger_cannot_call_a_session_off(api: httpx.Client, works: Works):
    session = works.start()

    assert api.post(f"{AGENT}/{session.id}/cancel", headers=bearer("dave")).status_code == 403
    assert works.session(session.id).status is SessionStatus.WAITING_APPROVAL


def test_calling_off_twice_is_a_conflict(api: httpx.Client, works: Works):
    session = works.start()

    codes = [api.post(f"{AGENT}/{session.id}/cancel", headers=bearer("alice")).status_code for _ in range(2)]

    assert codes == [200, 409]


# ---------------------------------------------------------------- looking


def test_session_shows_status_steps_output_and_the_sentence(api: httpx.Client, works: Works):
    session = works.start()
    with works.working():
        works.vote(session)
        works.wait_until(lambda: works.session(session.id).open_gate is not None)
        works.vote(session, 2)
        works.wait_until(lambda: works.session(session.id).status is SessionStatus.COMPLETED)

    body = look(api, f"/{session.id}").json()

    first, second, third = body["steps"]
    assert (body["status"], body["waits_for"], body["current_step"]) == ("completed", [], None)
    assert (first["step_type"], first["output"], first["approved"]) == ("precheck", "state of nginx\n", True)
    assert (second["output"], second["error"], second["exit_code"]) == ("restarting nginx\n", "careful\n", 0)
    assert (second["completed"], second["success"]) == (True, True)
    assert (third["step_type"], third["requires_approval"], third["approved"]) == ("postcheck", False, None)
    assert look(api, f"/{session.id}/steps").json() == body


def test_pending_approvals_show_every_byte_and_who_may_decide(api: httpx.Client, works: Works):
    session = works.start()

    (waiting,) = look(api, "/pending-approvals").json()["pending_approvals"]

    assert (waiting["session_id"], waiting["step_number"], waiting["quorum"]) == (session.id, 1, 1)
    assert waiting["command"] == session.steps[0].planned.script
    assert waiting["plan_digest"] == session.digest
    assert waiting["approvers"] == ["T0HOME/U0BOB", "T0HOME/U0CAROL", "T0HOME/U0GINA"]


def test_pending_approvals_are_paged_oldest_first(api: httpx.Client, works: Works):
    made = [works.start().id for _ in range(3)]

    first = look(api, "/pending-approvals?limit=2").json()
    second = look(api, f"/pending-approvals?limit=2&after={first['next_after']}").json()

    shown = [each["session_id"] for page in (first, second) for each in page["pending_approvals"]]
    assert (shown, second["next_after"]) == (made, None)


def test_sessions_are_paged_newest_first(api: httpx.Client, works: Works):
    made = [works.start().id for _ in range(3)]

    first = look(api, "/sessions?limit=2").json()
    second = look(api, f"/sessions?limit=2&before={first['next_before']}").json()

    shown = [each["session_id"] for page in (first, second) for each in page["sessions"]]
    assert (shown, second["next_before"]) == (made[::-1], None)


def test_sessions_are_found_by_status_and_ticket(api: httpx.Client, works: Works):
    kept, other = works.start(ticket="INC-1"), works.start(ticket="INC-2")
    works.vote(other, verdict=Verdict.REJECT)

    by_status = look(api, "/sessions?status=rejected").json()["sessions"]
    by_ticket = look(api, "/sessions?ticket=INC-1").json()["sessions"]

    assert [[each["session_id"] for each in found] for found in (by_status, by_ticket)] == [[other.id], [kept.id]]


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


OPENAPI = "/api/v1/openapi.json"
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


def test_channel_that_cannot_be_checked_now_gets_503(api: httpx.Client, works: Works):
    works.people.outage = True

    answer = execute(api, channel="C0OPS")

    assert (answer.status_code, answer.json()["code"]) == (503, "unverifiable")


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


# ---------------------------------------------------------------- the call that everybody knows


def test_the_well_known_powershell_call_approves_step_1_of_session_12(api: httpx.Client, works: Works):
    twelfth = [works.start() for _ in range(12)][-1]
    body = b'{\r\n    "approve":  true\r\n}'  # what ConvertTo-Json makes of @{approve = $true}

    answer = api.post(
        "/api/v1/agent/12/approve-step?step_number=1",
        content=body,
        headers=bearer("bob") | {"Content-Type": "application/json", "Host": "localhost:8000"},
    )

    assert twelfth.id == 12
    assert (answer.status_code, answer.json()["session_id"]) == (200, 12)
    assert works.session(12).steps[0].gate.status is GateStatus.APPROVED
    assert all(works.session(number).open_gate for number in range(1, 12))


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
