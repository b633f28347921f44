"""Whose decision counts, what a late click is told, and whom a bearer token stands for."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest

from engine.errors import Conflict, Expired, InvalidInput, NotAllowed
from engine.model import SYSTEM, Gate, GateStatus, Person, Session, Verdict
from engine.policy import judge
from tests.builders import ALICE, BOB, CAROL, DAVE, NOW, a_step, a_vote, an_actor, an_audience
from tests.engine.story import Story
from tests.policies import a_policy

TOKEN = "rb_not-a-secret"


def asked_for(**changes: Any) -> tuple[Session, Gate]:
    story = Story(a_step(), **changes)
    return story.session, story.gate


@pytest.mark.parametrize("verdict", Verdict)
@pytest.mark.parametrize("person", [BOB, CAROL])
def test_decision_of_an_approver_counts(person: Person, verdict: Verdict) -> None:
    session, gate = asked_for()

    judge(session, gate, a_vote(person, verdict, "because"), NOW)


@pytest.mark.parametrize("verdict", Verdict)
def test_person_who_is_no_approver_decides_nothing(verdict: Verdict) -> None:
    session, gate = asked_for()

    with pytest.raises(NotAllowed, match="not an approver of step 1"):
        judge(session, gate, a_vote(DAVE, verdict, "because"), NOW)


@pytest.mark.parametrize("verdict", Verdict)
def test_requester_decides_nothing_of_their_own_even_as_an_approver(verdict: Verdict) -> None:
    session, gate = asked_for(audience=an_audience(ALICE, BOB))

    with pytest.raises(NotAllowed, match="/runbook cancel 12"):
        judge(session, gate, a_vote(ALICE, verdict, "because"), NOW)


def test_requester_may_approve_where_the_policy_says_so() -> None:
    session, gate = asked_for(audience=an_audience(ALICE, requester_may_approve=True))

    judge(session, gate, a_vote(ALICE), NOW)


def test_same_user_id_in_another_workspace_is_another_person() -> None:
    session, gate = asked_for()

    with pytest.raises(NotAllowed):
        judge(session, gate, a_vote(replace(BOB, team="T0AWAY")), NOW)


def test_system_decides_nothing() -> None:
    session, gate = asked_for()

    with pytest.raises(NotAllowed):
        judge(session, gate, replace(a_vote(), actor=SYSTEM), NOW)


def test_decision_counts_until_the_deadline_and_not_at_it() -> None:
    session, gate = asked_for()

    judge(session, gate, a_vote(), gate.expires_at - timedelta(microseconds=1))
    with pytest.raises(Expired, match="/runbook execute restart-web"):
        judge(session, gate, a_vote(), gate.expires_at)


def test_second_approval_of_one_person_is_answered_with_what_is_missing() -> None:
    story = Story(a_step(), audience=an_audience(BOB, CAROL, DAVE, quorum=3)).approves(BOB)

    with pytest.raises(Conflict, match=r"already approved step 1\. It needs 2 more from other people"):
        judge(story.session, story.gate, a_vote(BOB), NOW)


@pytest.mark.parametrize("reason", ["", "  ", "\n"])
def test_rejection_needs_a_reason(reason: str) -> None:
    session, gate = asked_for()

    with pytest.raises(InvalidInput, match="needs a reason"):
        judge(session, gate, a_vote(BOB, Verdict.REJECT, reason), NOW)


@pytest.mark.parametrize(
    ("close", "answer"),
    [
        (lambda it: it.approves(CAROL), "Step 1 was already approved by Carol at 09:00 UTC."),
        (lambda it: it.rejects(CAROL), "Step 1 was already rejected by Carol at 09:00 UTC."),
        (lambda it: it.expires(), "This request for step 1 was expired at 09:30 UTC; nothing was changed."),
        (lambda it: it.cancels(), "This request for step 1 was cancelled at 09:00 UTC; nothing was changed."),
    ],
    ids=["approved", "rejected", "expired", "cancelled"],
)
def test_late_click_is_told_what_became_of_the_request(close: Any, answer: str) -> None:
    story = Story(a_step())
    close(story)
    gate = story.step(1).gate
    assert gate is not None
    assert gate.status is not GateStatus.OPEN

    with pytest.raises(Conflict) as refusal:
        judge(story.session, gate, a_vote(BOB), NOW)

    assert refusal.value.message == answer


def test_closed_gate_without_a_time_or_name_is_still_answered() -> None:
    session, gate = asked_for()
    nameless = replace(a_vote(CAROL), actor=replace(an_actor(CAROL), name=""))
    closed = replace(gate, status=GateStatus.APPROVED, decisions=(nameless,))

    with pytest.raises(Conflict, match=r"already approved by T0HOME/U0CAROL\."):
        judge(session, closed, a_vote(BOB), NOW)


def token(name: str, secret: str, person: str) -> dict[str, str]:
    return {"name": name, "sha256": sha256(secret.encode()).hexdigest(), "person": person}


@pytest.mark.parametrize("position", [0, 1, 2])
def test_token_stands_for_its_person_wherever_it_is_listed(position: int) -> None:
    listed = [token(f"other-{n}", f"other {n}", "U0CAROL") for n in range(2)]
    listed.insert(position, token("ci", TOKEN, "U0BOB"))

    assert a_policy(tokens=listed).bearer(TOKEN) == (BOB, "ci")


@pytest.mark.parametrize("wrong", ["", "rb_not-a-secre", "RB_NOT-A-SECRET", "rb_not-a-secret "])
def test_token_that_is_not_listed_stands_for_nobody(wrong: str) -> None:
    assert a_policy(tokens=[token("ci", TOKEN, "U0BOB")]).bearer(wrong) is None


def test_hash_from_the_policy_file_is_no_token() -> None:
    listed = token("ci", TOKEN, "U0BOB")

    assert a_policy(tokens=[listed]).bearer(listed["sha256"]) is None


def test_policy_without_tokens_lets_nobody_in() -> None:
    assert a_policy().bearer(TOKEN) is None
