"""The HTTP API decides by the same rules as a click, on exactly the named step, whoever calls how often."""

from __future__ import annotations

import threading

import httpx
import pytest

from engine.model import GateStatus, SessionStatus, Source, StepStatus, Verdict
from storage.database import Database
from tests.bot.calling import AGENT, NO, START, YES, api, application, bearer, decide, execute, http, look
from tests.bot.served import Front
from tests.bot.works import Works

__all__ = ["api", "http"]


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


def test_idempotency_key_of_another_request_is_refused(api: httpx.Client):
    headers = bearer("alice") | {"Idempotency-Key": "deploy-77"}
    api.post(f"{AGENT}/execute", json=START, headers=headers)

    answer = api.post(f"{AGENT}/execute", json=START | {"ticket": "INC-9"}, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert len(look(api, "/sessions").json()["sessions"]) == 1


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
