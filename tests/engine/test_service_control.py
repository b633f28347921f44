"""Steering and looking: who may call off, pause and choose; what the clock does; what a look shows and leaves alone."""

from __future__ import annotations

from datetime import timedelta

import pytest

from engine import events as ev
from engine.errors import Conflict, InvalidInput, NotAllowed, NotFound, Unverifiable
from engine.model import GateStatus, OnFailure, Person
from engine.model import SessionStatus as N
from engine.model import StepStatus as S
from tests.builders import ALICE, BOB, CAROL, DAVE, NOW, a_free_step, a_step, an_actor, an_undo
from tests.engine.crew import GUEST, OUTSIDER, Crew, api_actor, refusals, rows_of, together
from tests.fakes.machines import printed

# ------------------------------------------------------------ control


@pytest.mark.parametrize("person", [ALICE, BOB, CAROL], ids=str)
def test_requester_and_approvers_may_call_off(crew: Crew, person: Person) -> None:
    number = crew.starts()

    session = crew.service.cancel(number, an_actor(person), "wrong machine")

    assert session.status is N.CANCELLED
    assert "wrong machine" in session.reason
    assert crew.audit("session_cancel_asked")[0].actor == str(person)


@pytest.mark.parametrize("person", [DAVE, GUEST, OUTSIDER], ids=str)
def test_nobody_else_may_steer_a_session(crew: Crew, person: Person) -> None:
    crew.machines.holding = True
    number = crew.approved()
    crew.works()
    before = crew.session(number)

    for act in (crew.service.cancel, crew.service.pause, crew.service.resume):
        with pytest.raises(NotAllowed):
            act(number, an_actor(person))

    assert crew.session(number) == before


def test_control_over_a_session_that_does_not_exist_is_not_found(crew: Crew) -> None:
    with pytest.raises(NotFound):
        crew.service.cancel(404, an_actor())


def test_session_is_called_off_once(crew: Crew) -> None:
    number = crew.starts()
    crew.service.cancel(number, an_actor())

    with pytest.raises(Conflict):
        crew.service.cancel(number, an_actor(BOB))

    assert crew.count("session_cancel_asked") == 1


def test_cancel_closes_the_gate_and_has_its_message_redrawn(crew: Crew) -> None:
    number = crew.starts()
    crew.posts()

    crew.service.cancel(number, an_actor())

    gate = crew.step(number).gate
    assert gate is not None
    assert gate.status is GateStatus.CANCELLED
    message = crew.gate_message(number)
    assert message.revision > message.sent_revision


def failed_and_asks(crew: Crew) -> int:
    crew.machines.will_end(printed("no\n", 7))
    number = crew.approved(a_step(on_failure="ask"), an_undo(1))
    crew.runs(number)
    assert crew.status(number) == N.NEEDS_ATTENTION
    return number


@pytest.mark.parametrize("person", [ALICE, DAVE, GUEST], ids=str)
def test_only_an_approver_of_the_step_chooses_how_to_go_on(crew: Crew, person: Person) -> None:
    number = failed_and_asks(crew)

    with pytest.raises(NotAllowed):
        crew.service.choose(
            number, ev.Chosen(step_number=1, choice=ev.Choice.SKIP, actor=an_actor(person), reason="I know best.")
        )

    assert crew.status(number) == N.NEEDS_ATTENTION


@pytest.mark.parametrize(
    ("choice", "status"),
    [
        (ev.Choice.STOP, N.FAILED),
        (ev.Choice.SKIP, N.COMPLETED_UNVERIFIED),
        (ev.Choice.RETRY, N.WAITING_APPROVAL),
        (ev.Choice.ROLLBACK, N.FAILED),
    ],
)
def test_choice_of_an_approver_is_carried_out_and_recorded(crew: Crew, choice: ev.Choice, status: N) -> None:
    number = failed_and_asks(crew)

    crew.service.choose(
        number, ev.Chosen(step_number=1, choice=choice, actor=an_actor(BOB), reason="The disk was full.")
    )
    crew.runs(number)

    assert crew.status(number) == status
    [record] = crew.audit("choice_made")
    assert (record.data["choice"], record.data["reason"]) == (choice.value, "The disk was full.")


def test_choice_without_a_reason_or_without_a_question_is_refused(crew: Crew) -> None:
    number = failed_and_asks(crew)
    waiting = crew.starts()

    with pytest.raises(InvalidInput):
        crew.service.choose(number, ev.Chosen(step_number=1, choice=ev.Choice.SKIP, actor=an_actor(BOB), reason="  "))
    with pytest.raises(Conflict):
        crew.service.choose(
            waiting,
            ev.Chosen(step_number=1, choice=ev.Choice.SUCCEEDED, actor=an_actor(BOB), reason="It surely worked."),
        )

    assert (crew.status(number), crew.status(waiting)) == (N.NEEDS_ATTENTION, N.WAITING_APPROVAL)


def test_two_choices_at_the_same_moment_have_one_outcome(crew: Crew) -> None:
    number = failed_and_asks(crew)

    outcomes = together(
        lambda: crew.service.choose(
            number, ev.Chosen(step_number=1, choice=ev.Choice.SKIP, actor=an_actor(BOB), reason="It is fine.")
        ),
        lambda: crew.service.choose(
            number, ev.Chosen(step_number=1, choice=ev.Choice.STOP, actor=an_actor(CAROL), reason="It is not.")
        ),
    )

    assert len(refusals(outcomes)) == 1
    assert crew.count("choice_made") == 1
    assert crew.status(number) in {N.FAILED, N.COMPLETED_UNVERIFIED}


# ------------------------------------------------------------ people while Slack is away


def test_bearer_of_a_token_may_act_while_slack_cannot_be_asked_but_a_click_does_not_count(crew: Crew) -> None:
    number = crew.starts()
    crew.people.outage = True

    with pytest.raises(Unverifiable):
        crew.approves(number)
    crew.approves(number, actor=api_actor(BOB))

    assert crew.step(number).status is S.APPROVED


def test_bearer_of_a_token_who_is_no_member_any_more_may_nothing(crew: Crew) -> None:
    number = crew.starts()
    crew.people.members -= {"U0BOB"}

    with pytest.raises(NotAllowed):
        crew.approves(number, actor=api_actor(BOB))
    with pytest.raises(NotAllowed):
        crew.service.cancel(number, api_actor(BOB))

    assert crew.status(number) == N.WAITING_APPROVAL


# ------------------------------------------------------------ clock


def test_gate_expires_at_its_deadline_and_not_before(crew: Crew) -> None:
    number = crew.starts()
    gate = crew.gate(number)

    with pytest.raises(Conflict):
        crew.service.expire(gate.id)
    crew.clock.time = gate.expires_at
    for _ in range(2):
        crew.service.expire(gate.id)

    assert crew.status(number) == N.EXPIRED
    assert crew.count("gate_expired") == 1
    assert crew.due("run") == []


def test_clock_that_comes_after_the_decision_changes_nothing(crew: Crew) -> None:
    number = crew.starts()
    gate = crew.gate(number)
    crew.approves(number)
    before = crew.session(number)
    crew.clock.time = gate.expires_at

    crew.service.expire(gate.id)
    crew.service.remind(gate.id)
    crew.service.expire("f" * 32)

    assert crew.session(number) == before


def test_approvers_are_reminded_once_at_half_time(crew: Crew) -> None:
    number = crew.starts()
    gate = crew.gate(number)
    early = crew.due("remind")
    crew.clock.time = NOW + timedelta(minutes=15)

    due = crew.due("remind")
    for _ in range(2):
        crew.service.remind(gate.id)

    assert (early, [job.id for job in due]) == ([], [gate.id])
    assert crew.count("approvers_reminded") == 1
    assert crew.due("remind") == []


def test_deadline_and_vote_at_the_same_moment_have_one_outcome(crew: Crew) -> None:
    number = crew.starts()
    gate = crew.gate(number)
    ballot = crew.ballot(number)
    late = crew.another_service(crew.clock.time + timedelta(hours=1))

    together(lambda: crew.service.decide(ballot), lambda: late.expire(gate.id))

    kinds = [record.kind for record in crew.audit("step_approve", "gate_expired")]
    assert kinds in (["step_approve"], ["gate_expired"])
    assert crew.status(number) == (N.EXPIRED if kinds == ["gate_expired"] else N.IN_PROGRESS)


# ------------------------------------------------------------ look


def test_view_says_what_the_session_waits_for_and_where_its_thread_is(crew: Crew) -> None:
    number = crew.starts()
    crew.posts()

    view = crew.service.view(number)

    assert (view.session.id, view.channel) == (number, "C0OPS")
    assert view.thread_ts
    assert "approv" in view.explanation.sentence


def test_view_of_a_session_in_a_queue_names_its_place(crew: Crew) -> None:
    crew.machines.holding = True
    first, second = crew.approved(), crew.approved()
    crew.works()

    assert crew.service.view(second).queue == (first, second)


def test_looking_changes_nothing(crew: Crew) -> None:
    number = crew.starts()
    before = rows_of(crew)

    crew.service.view(number)
    crew.service.waiting()
    crew.service.recent()
    crew.service.output(number, 1)

    assert rows_of(crew) == before
    assert crew.session(number).version == 1
    assert crew.machines.submitted == []


def test_waiting_sessions_are_listed_oldest_first_and_no_other(crew: Crew) -> None:
    first, second, done = crew.starts(), crew.starts(), crew.starts(a_free_step())
    crew.runs(done)

    assert [view.session.id for view in crew.service.waiting()] == [first, second]
    assert [view.session.id for view in crew.service.waiting(limit=1, after=first)] == [second]
    assert [line.id for line in crew.service.recent()] == [done, second, first]
    assert [line.id for line in crew.service.recent(active=True)] == [second, first]


def test_unknown_session_is_not_found(crew: Crew) -> None:
    with pytest.raises(NotFound, match="no session 404"):
        crew.service.view(404)


def test_choice_that_is_delivered_again_does_not_run_the_step_again(crew: Crew) -> None:
    number = crew.starts(a_free_step(on_failure=OnFailure.ASK))
    crew.machines.will_end(*[printed("no\n", 7)] * 3)
    crew.runs(number)
    retry = ev.Chosen(step_number=1, choice=ev.Choice.RETRY, actor=an_actor(ALICE), reason="Once more.")
    crew.service.choose(number, retry, delivery="click-1")
    crew.runs(number)

    crew.service.choose(number, retry, delivery="click-1")
    crew.runs(number)

    assert len(crew.machines.submitted) == 2
    assert crew.status(number) == N.NEEDS_ATTENTION


@pytest.mark.parametrize("act", ["pause", "resume", "cancel"])
def test_control_that_is_delivered_again_is_silent_and_changes_nothing(crew: Crew, act: str) -> None:
    number = crew.starts(a_free_step())
    if act == "resume":
        crew.service.pause(number, an_actor(ALICE))
    getattr(crew.service, act)(number, an_actor(ALICE), delivery="click-1")
    before = crew.session(number)

    getattr(crew.service, act)(number, an_actor(ALICE), delivery="click-1")

    assert crew.session(number) == before
