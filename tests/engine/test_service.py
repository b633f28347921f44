"""The use cases on both databases: one transaction each, every refusal kept, and of two at once one outcome."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from engine.effects import Purpose
from engine.errors import (
    Conflict,
    Expired,
    InvalidInput,
    NotAllowed,
    NotFound,
    Precondition,
    Refused,
    Transient,
    Unverifiable,
)
from engine.model import FINAL_SESSIONS, SYSTEM, GateStatus, Place, Session, Verdict
from engine.model import SessionStatus as N
from engine.model import StepStatus as S
from engine.service import Ballot, Seen, Service
from storage.tables import DecisionRow, SessionRow
from tests.builders import ALICE, BOB, CAROL, DAVE, NOW, WEB, a_step, an_actor, an_audience
from tests.engine.crew import GUEST, OUTSIDER, Crew, refusals, rows_of, together
from tests.policies import a_policy


def seen(crew: Crew, number: int) -> Seen:
    message = crew.gate_message(number)
    return Seen(channel=message.channel, ts=message.ts)


# ------------------------------------------------------------ start


def test_start_stores_the_session_its_steps_its_gate_its_record_and_its_messages_at_once(crew: Crew) -> None:
    session = crew.service.start(crew.request(ticket="INC-1"))

    assert crew.session(session.id) == session
    assert (session.status, session.ticket) == (N.WAITING_APPROVAL, "INC-1")
    assert [record.kind for record in crew.audit()] == ["session_started"]
    with crew.uow() as uow:
        assert uow.outbox.message(session.id, Purpose.CARD)
        assert uow.outbox.message(session.id, Purpose.GATE, step_number=1, ordinal=1)
    assert "[START_EXECUTION] session started" in [event for event, _ in crew.log]


def test_same_request_key_starts_one_session_only(crew: Crew) -> None:
    first = crew.service.start(crew.request())
    again = crew.service.start(crew.request())

    assert again == first
    assert rows_of(crew, SessionRow) == 1
    assert crew.count("session_started") == 1


def test_same_words_under_another_key_start_another_session(crew: Crew) -> None:
    """Wanting the same thing twice in a day is no mistake."""
    first = crew.service.start(crew.request(key="monday"))
    second = crew.service.start(crew.request(key="tuesday"))

    assert first.id != second.id
    assert first.digest == second.digest


def test_request_that_arrives_twice_at_the_same_moment_starts_one_session(crew: Crew) -> None:
    outcomes = together(*[lambda: crew.service.start(crew.request())] * 2)

    assert rows_of(crew, SessionRow) == 1
    assert len(refusals(outcomes)) <= 1


def stopped(crew: Crew) -> None:
    crew.machines.power[WEB.id] = "stopped"


def away(crew: Crew) -> None:
    crew.people.outage = True


def throttled(crew: Crew) -> None:
    crew.machines.breaks("resolve", Transient("Throttled."))


def well(_: Crew) -> None:
    """All is well."""


STARTS: dict[str, tuple[dict[str, Any], Callable[[Crew], None], type[Exception]]] = {
    "guest": ({"actor": an_actor(GUEST)}, well, NotAllowed),
    "outsider": ({"actor": an_actor(OUTSIDER)}, well, NotAllowed),
    "nobody": ({"actor": SYSTEM}, well, NotAllowed),
    "slack is away": ({}, away, Unverifiable),
    "foreign channel": ({"place": Place(team="T0HOME", channel="C0ELSE")}, well, Precondition),
    "unknown runbook": ({"runbook": "restart-wep"}, well, NotFound),
    "bad value": ({"values": {"word": "$(reboot)"}}, well, InvalidInput),
    "unknown machine": ({"vm": "web-77"}, well, NotFound),
    "no machine": ({"vm": ""}, well, InvalidInput),
    "stopped machine": ({}, stopped, Precondition),
    "azure is away": ({}, throttled, Transient),
}


@pytest.mark.parametrize("_", range(3))
def test_same_request_at_the_same_moment_begins_one_session_and_both_get_it(crew: Crew, _: int) -> None:
    outcomes = together(*[lambda: crew.service.start(crew.request())] * 4)

    assert refusals(outcomes) == []
    assert len({session.id for session in outcomes if isinstance(session, Session)}) == 1
    assert rows_of(crew, SessionRow) == 1


@pytest.mark.parametrize(("changes", "arrange", "error"), STARTS.values(), ids=STARTS)
def test_refused_start_stores_nothing(
    crew: Crew, changes: dict[str, Any], arrange: Callable[[Crew], None], error: type[Exception]
) -> None:
    arrange(crew)

    with pytest.raises(error):
        crew.service.start(crew.request(**changes))

    assert rows_of(crew) == 0
    assert crew.machines.submitted == []


def test_session_whose_quorum_cannot_be_reached_is_refused_before_anything_is_stored(crew: Crew) -> None:
    """Two of Alice and Bob must agree, and Alice may not count for her own session."""
    crew.policy = a_policy(default={"approvers": ["U0ALICE", "U0BOB"], "quorum": 2})
    service = Service(crew.parts())

    with pytest.raises(NotAllowed, match="needs 2 approvals"):
        service.start(crew.request())

    assert rows_of(crew) == 0


def test_accepted_request_waits_in_the_inbox_and_is_accepted_once(crew: Crew) -> None:
    first = crew.service.accept(crew.request(), delivery="delivery-1")
    again = crew.service.accept(crew.request(), delivery="delivery-1")

    assert (first, again) == (True, False)
    assert [(job.task, job.id) for job in crew.due()] == [("start", "delivery-1")]
    assert [(job.task, job.id) for job in crew.notebook.noted] == [("start", "delivery-1")]


def test_preview_changes_nothing_and_shows_the_plan_that_a_start_would_freeze(crew: Crew) -> None:
    plan = crew.service.preview(crew.request())

    assert rows_of(crew) == 0
    assert crew.service.start(crew.request()).plan == plan


# ------------------------------------------------------------ decide


def test_approval_is_stored_with_who_when_why_and_what_and_asks_for_the_step_to_run(crew: Crew) -> None:
    number = crew.starts()
    crew.notebook.noted.clear()

    session = crew.approves(number, reason="  looks right ")

    gate = session.steps[0].gate
    assert gate is not None
    [vote] = gate.decisions
    assert (vote.actor.person, vote.at, vote.reason) == (BOB, NOW, "looks right")
    [record] = crew.audit("step_approve")
    assert (record.actor, record.source, record.data["digest"]) == (str(BOB), "slack", session.digest)
    assert ("run", str(number)) in [(job.task, job.id) for job in crew.notebook.noted]
    assert "[APPROVE_STEP] approve recorded" in [event for event, _ in crew.log]


def test_rejection_ends_the_session_and_nothing_is_asked_to_run(crew: Crew) -> None:
    number = crew.starts(a_step(), a_step(name="Second"))
    crew.notebook.noted.clear()

    session = crew.rejects(number)

    assert (session.status, session.open_gate) == (N.REJECTED, None)
    assert "Not now." in session.reason
    assert [job for job in crew.notebook.noted if job.task == "run"] == []
    assert crew.due("run") == []


def past_the_deadline(crew: Crew, number: int) -> None:
    crew.clock.time = crew.gate(number).expires_at


def decided(crew: Crew, number: int) -> None:
    crew.approves(number, CAROL)


def called_off(crew: Crew, number: int) -> None:
    crew.service.cancel(number, an_actor())


def posted(crew: Crew, _: int) -> None:
    crew.posts()


def slack_away(crew: Crew, _: int) -> None:
    crew.people.outage = True


def nothing_else(_: Crew, __: int) -> None:
    """The vote alone is wrong."""


WRONG: dict[str, tuple[dict[str, Any], Callable[[Crew, int], None], type[Refused]]] = {
    "requester": ({"actor": an_actor(ALICE)}, nothing_else, NotAllowed),
    "no approver": ({"actor": an_actor(DAVE)}, nothing_else, NotAllowed),
    "guest": ({"actor": an_actor(GUEST)}, nothing_else, NotAllowed),
    "outsider": ({"actor": an_actor(OUTSIDER)}, nothing_else, NotAllowed),
    "slack is away": ({}, slack_away, Unverifiable),
    "too late": ({}, past_the_deadline, Expired),
    "no reason": ({"verdict": Verdict.REJECT, "reason": "   "}, nothing_else, InvalidInput),
    "decided": ({}, decided, Conflict),
    "called off": ({}, called_off, Conflict),
    "another message": ({"seen": Seen(channel="C0OPS", ts="9999.9")}, posted, Conflict),
    "next step": ({"gate_id": "", "step_number": 2}, nothing_else, Conflict),
    "no such step": ({"gate_id": "", "step_number": 9}, nothing_else, NotFound),
    "no step": ({"gate_id": ""}, nothing_else, NotFound),
}


@pytest.mark.parametrize(("changes", "arrange", "error"), WRONG.values(), ids=WRONG)
def test_refused_vote_changes_nothing_and_leaves_a_record(
    crew: Crew, changes: dict[str, Any], arrange: Callable[[Crew, int], None], error: type[Refused]
) -> None:
    number = crew.starts(a_step(), a_step(name="Second"))
    ballot = replace(crew.ballot(number), session_id=number, **changes)
    arrange(crew, number)
    before = crew.session(number)

    with pytest.raises(error):
        crew.service.decide(ballot)

    assert crew.session(number) == before
    [record] = crew.audit("decision_refused")
    assert (record.session_id, record.actor, record.data["code"]) == (number, str(ballot.actor), error.code)


def test_vote_on_an_unknown_request_is_not_found(crew: Crew) -> None:
    for person in (BOB, GUEST):
        with pytest.raises((NotFound, NotAllowed)):
            crew.service.decide(Ballot(actor=an_actor(person), verdict=Verdict.APPROVE, gate_id="f" * 32))
    with pytest.raises(NotFound):
        crew.service.decide(Ballot(actor=an_actor(BOB), verdict=Verdict.APPROVE, session_id=404, step_number=1))


def test_system_decides_nothing(crew: Crew) -> None:
    number = crew.starts()

    with pytest.raises(NotAllowed):
        crew.service.decide(replace(crew.ballot(number), actor=SYSTEM))

    assert crew.gate(number).decisions == ()


def test_late_click_has_its_message_brought_up_to_date(crew: Crew) -> None:
    number = crew.starts()
    late = Ballot(actor=an_actor(CAROL), verdict=Verdict.APPROVE, gate_id=crew.gate(number).id)
    crew.approves(number, BOB)
    crew.posts()

    with pytest.raises(Conflict):
        crew.service.decide(late)

    message = crew.gate_message(number)
    assert message.revision > message.sent_revision


def test_click_of_somebody_who_may_not_decide_leaves_the_message_alone(crew: Crew) -> None:
    number = crew.starts()
    crew.posts()

    with pytest.raises(NotAllowed):
        crew.approves(number, DAVE)

    message = crew.gate_message(number)
    assert message.revision == message.sent_revision


def test_delivery_that_comes_twice_acts_once(crew: Crew) -> None:
    number = crew.starts(audience=an_audience(quorum=2))
    ballot = crew.ballot(number, delivery="click-1")

    first = crew.service.decide(ballot)
    again = crew.service.decide(ballot)

    assert again == first
    assert len(crew.gate(number).decisions) == 1
    assert crew.count("step_approve") == 1
    assert crew.count("decision_refused") == 0


def test_refused_delivery_that_comes_twice_is_recorded_once(crew: Crew) -> None:
    number = crew.starts()
    ballot = crew.ballot(number, DAVE, delivery="click-1")

    with pytest.raises(NotAllowed) as first:
        crew.service.decide(ballot)
    with pytest.raises(NotAllowed) as again:  # the first answer may never have arrived
        crew.service.decide(ballot)

    assert str(again.value) == str(first.value)
    assert crew.count("decision_refused") == 1
    assert crew.gate(number).decisions == ()


def test_delivery_that_comes_twice_at_the_same_moment_acts_once(crew: Crew) -> None:
    number = crew.starts()
    ballot = crew.ballot(number, delivery="click-1")

    outcomes = together(*[lambda: crew.service.decide(ballot)] * 2)

    assert refusals(outcomes) == []
    assert (crew.count("step_approve"), rows_of(crew, DecisionRow)) == (1, 1)


@pytest.mark.parametrize("_", range(3))
def test_two_voters_at_the_same_moment_both_count(crew: Crew, _: int) -> None:
    number = crew.starts(audience=an_audience(quorum=2))
    ballots = [crew.ballot(number, person) for person in (BOB, CAROL)]

    outcomes = together(*[lambda ballot=ballot: crew.service.decide(ballot) for ballot in ballots])

    assert refusals(outcomes) == []
    gate = crew.step(number).gate
    assert gate is not None
    assert {vote.actor.person for vote in gate.decisions} == {BOB, CAROL}
    assert (gate.status, crew.step(number).status) == (GateStatus.APPROVED, S.APPROVED)


@pytest.mark.parametrize("_", range(3))
def test_two_approvers_at_the_same_moment_run_the_step_once(crew: Crew, _: int) -> None:
    number = crew.starts()
    ballots = [crew.ballot(number, person) for person in (BOB, CAROL)]

    outcomes = together(*[lambda ballot=ballot: crew.service.decide(ballot) for ballot in ballots])
    crew.runs(number)

    [late] = refusals(outcomes)
    assert isinstance(late, Conflict)
    assert "already approved" in late.message
    assert len(crew.machines.submitted) == 1


@pytest.mark.parametrize("_", range(3))
def test_approval_rejection_cancel_and_deadline_at_the_same_moment_have_one_outcome(crew: Crew, _: int) -> None:
    number = crew.starts()
    approval, rejection = crew.ballot(number, BOB), crew.ballot(number, CAROL, Verdict.REJECT)

    outcomes = together(
        lambda: crew.service.decide(approval),
        lambda: crew.service.decide(rejection),
        lambda: crew.service.cancel(number, an_actor()),
    )
    crew.runs(number)

    status = crew.session(number).status
    assert status in FINAL_SESSIONS
    kinds = [record.kind for record in crew.audit("step_approve", "step_reject", "session_cancel_asked")]
    assert len(kinds) == 3 - len(refusals(outcomes))
    ending = {N.REJECTED: "step_reject", N.CANCELLED: "session_cancel_asked", N.COMPLETED: "step_approve"}
    assert ending[status] in kinds
    assert len(crew.machines.submitted) == (1 if status is N.COMPLETED else 0)


# ------------------------------------------------------------ which gate is meant


def test_late_vote_by_number_never_decides_the_gate_that_is_open_now(crew: Crew) -> None:
    number = crew.starts(a_step(), a_step(name="Second"))
    crew.approves(number)
    crew.runs(number)
    waiting = crew.gate(number)

    with pytest.raises(Conflict, match="already approved"):
        crew.approves(number, CAROL, session_id=number, step_number=1)

    assert waiting.step_number == 2
    assert crew.gate(number) == waiting


def test_vote_by_number_on_a_later_step_decides_nothing(crew: Crew) -> None:
    number = crew.starts(a_step(), a_step(name="Second"))

    with pytest.raises(Conflict) as refused:
        crew.approves(number, session_id=number, step_number=2)

    assert refused.value.hint == "It waits for step 1."
    assert crew.gate(number).step_number == 1


def test_vote_by_number_decides_the_step_that_waits(crew: Crew) -> None:
    number = crew.starts()

    crew.approves(number, session_id=number, step_number=1)

    assert crew.step(number).status is S.APPROVED


def test_gate_that_was_asked_again_is_not_decided_by_the_old_message(crew: Crew) -> None:
    number = crew.approved()
    old = crew.step(number).gate
    assert old is not None
    crew.people.members -= {"U0BOB"}
    crew.does("run", number)
    crew.people.members |= {"U0BOB"}

    with pytest.raises(Conflict, match="newer"):
        crew.approves(number, BOB, gate_id=old.id)

    assert crew.gate(number).serial == 2
    assert crew.gate(number).decisions == ()


def test_click_counts_on_the_very_message_that_was_posted(crew: Crew) -> None:
    number = crew.starts()
    crew.posts()

    crew.approves(number, seen=seen(crew, number))

    assert crew.step(number).status is S.APPROVED


@pytest.mark.parametrize("change", [{"channel": "C0ELSE"}, {"ts": "1.5"}], ids=["channel", "message"])
def test_click_on_a_copy_of_the_message_does_not_count(crew: Crew, change: dict[str, str]) -> None:
    number = crew.starts()
    crew.posts()

    with pytest.raises(Conflict, match="not the message"):
        crew.approves(number, seen=replace(seen(crew, number), **change))

    assert crew.gate(number).decisions == ()
