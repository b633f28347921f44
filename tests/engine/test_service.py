"""The use cases on both databases: one transaction each, every refusal kept, and of two at once one outcome."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from engine import events as ev
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
from engine.model import FINAL_SESSIONS, SYSTEM, GateStatus, Person, Place, Verdict
from engine.model import SessionStatus as N
from engine.model import StepStatus as S
from engine.service import Ballot, Seen, Service
from storage.ledgers import AuditRow, InboxRow, OutboxRow
from storage.tables import AttemptRow, DecisionRow, GateRow, SessionRow, StepRow
from tests.builders import ALICE, BOB, CAROL, DAVE, NOW, WEB, a_free_step, a_step, an_actor, an_audience, an_undo
from tests.engine.crew import Crew, api_actor
from tests.fakes.machines import printed
from tests.policies import a_policy

GUEST = Person(team="T0HOME", user="U0GINA")
OUTSIDER = Person(team="T0OTHER", user="U0BOB")
EVERY_TABLE = (SessionRow, StepRow, GateRow, DecisionRow, AttemptRow, OutboxRow, AuditRow, InboxRow)


def rows_of(crew: Crew, *tables: Any) -> int:
    with crew.database.engine.connect() as connection:
        return sum(
            connection.execute(select(func.count()).select_from(table)).scalar_one() for table in tables or EVERY_TABLE
        )


def together(*actions: Callable[[], object]) -> list[object]:
    """Do all at the same moment; give what each returned, or the refusal that it met."""
    barrier = threading.Barrier(len(actions))
    outcomes: list[object] = [None] * len(actions)

    def act(place: int) -> None:
        barrier.wait()
        try:
            outcomes[place] = actions[place]()
        except Refused as refusal:
            outcomes[place] = refusal

    threads = [threading.Thread(target=act, args=(place,)) for place in range(len(actions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def refusals(outcomes: list[object]) -> list[object]:
    return [outcome for outcome in outcomes if isinstance(outcome, Refused)]


def posts(crew: Crew) -> None:
    """Let Slack show every message that is wanted, each under a time stamp of its own."""
    for number in range(40):
        with crew.uow() as uow:
            claimed = uow.outbox.claim(now=crew.clock.now(), limit=10)
            for message in claimed:
                uow.outbox.sent(message, ts=message.ts or f"{number}.{message.id}", now=crew.clock.now())
            uow.commit()
        if not claimed:
            return
    raise AssertionError("There is always something to post.")


def seen(crew: Crew, number: int, serial: int = 1) -> Seen:
    with crew.uow() as uow:
        message = uow.outbox.message(number, Purpose.GATE, step_number=1, ordinal=serial)
    assert message is not None
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


def changed(change: str) -> Callable[[Crew], dict[str, Any]]:
    """Ways in which a start cannot be."""

    def arrange(crew: Crew) -> dict[str, Any]:
        match change:
            case "guest":
                return {"actor": an_actor(GUEST)}
            case "outsider":
                return {"actor": an_actor(OUTSIDER)}
            case "nobody":
                return {"actor": SYSTEM}
            case "slack is away":
                crew.people.outage = True
            case "foreign channel":
                return {"place": Place(team="T0HOME", channel="C0ELSE")}
            case "unknown runbook":
                return {"runbook": "restart-wep"}
            case "bad value":
                return {"values": {"word": "$(reboot)"}}
            case "unknown machine":
                return {"vm": "web-77"}
            case "no machine":
                return {"vm": ""}
            case "stopped machine":
                crew.machines.power[WEB.id] = "stopped"
            case "azure is away":
                crew.machines.breaks("resolve", Transient("Throttled."))
        return {}

    return arrange


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ("guest", NotAllowed),
        ("outsider", NotAllowed),
        ("nobody", NotAllowed),
        ("slack is away", Unverifiable),
        ("foreign channel", Precondition),
        ("unknown runbook", NotFound),
        ("bad value", InvalidInput),
        ("unknown machine", NotFound),
        ("no machine", InvalidInput),
        ("stopped machine", Precondition),
        ("azure is away", Transient),
    ],
)
def test_refused_start_stores_nothing(crew: Crew, change: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        crew.service.start(crew.request(**changed(change)(crew)))

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


def wrong_vote(crew: Crew, number: int, kind: str) -> Ballot:
    """Votes that do not count, each for another reason."""
    gate = crew.gate(number)
    match kind:
        case "requester":
            return crew.ballot(number, ALICE)
        case "no approver":
            return crew.ballot(number, DAVE)
        case "guest":
            return crew.ballot(number, GUEST)
        case "outsider":
            return crew.ballot(number, OUTSIDER)
        case "slack is away":
            crew.people.outage = True
        case "too late":
            crew.clock.time = gate.expires_at
        case "no reason":
            return crew.ballot(number, verdict=Verdict.REJECT, reason="   ")
        case "decided":
            crew.approves(number, CAROL, gate_id=gate.id)
        case "called off":
            crew.service.cancel(number, an_actor())
        case "another message":
            posts(crew)
            return crew.ballot(number, gate_id=gate.id, seen=Seen(channel="C0OPS", ts="9999.9"))
        case "next step":
            return crew.ballot(number, session_id=number, step_number=2)
        case "no such step":
            return crew.ballot(number, session_id=number, step_number=9)
        case "no step":
            return crew.ballot(number, session_id=number)
    return crew.ballot(number, gate_id=gate.id)


WRONG = [
    ("requester", NotAllowed),
    ("no approver", NotAllowed),
    ("guest", NotAllowed),
    ("outsider", NotAllowed),
    ("slack is away", Unverifiable),
    ("too late", Expired),
    ("no reason", InvalidInput),
    ("decided", Conflict),
    ("called off", Conflict),
    ("another message", Conflict),
    ("next step", Conflict),
    ("no such step", NotFound),
    ("no step", NotFound),
]


@pytest.mark.parametrize(("kind", "error"), WRONG, ids=[kind for kind, _ in WRONG])
def test_refused_vote_changes_nothing_and_leaves_a_record(crew: Crew, kind: str, error: type[Refused]) -> None:
    number = crew.starts(a_step(), a_step(name="Second"))
    ballot = wrong_vote(crew, number, kind)
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


def test_refused_click_has_its_message_brought_up_to_date(crew: Crew) -> None:
    number = crew.starts()
    posts(crew)

    with pytest.raises(NotAllowed):
        crew.approves(number, DAVE)

    with crew.uow() as uow:
        message = uow.outbox.message(number, Purpose.GATE, step_number=1, ordinal=1)
    assert message is not None
    assert message.revision > message.sent_revision


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

    with pytest.raises(NotAllowed):
        crew.service.decide(ballot)
    crew.service.decide(ballot)

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

    outcomes = together(*[lambda ballot=ballot: crew.service.decide(ballot) for ballot in ballots])  # type: ignore[misc]

    assert refusals(outcomes) == []
    gate = crew.step(number).gate
    assert gate is not None
    assert {vote.actor.person for vote in gate.decisions} == {BOB, CAROL}
    assert (gate.status, crew.step(number).status) == (GateStatus.APPROVED, S.APPROVED)


@pytest.mark.parametrize("_", range(3))
def test_two_approvers_at_the_same_moment_run_the_step_once(crew: Crew, _: int) -> None:
    number = crew.starts()
    ballots = [crew.ballot(number, person) for person in (BOB, CAROL)]

    outcomes = together(*[lambda ballot=ballot: crew.service.decide(ballot) for ballot in ballots])  # type: ignore[misc]
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
    posts(crew)

    crew.approves(number, seen=seen(crew, number))

    assert crew.step(number).status is S.APPROVED


@pytest.mark.parametrize("change", [{"channel": "C0ELSE"}, {"ts": "1.5"}], ids=["channel", "message"])
def test_click_on_a_copy_of_the_message_does_not_count(crew: Crew, change: dict[str, str]) -> None:
    number = crew.starts()
    posts(crew)

    with pytest.raises(Conflict, match="not the message"):
        crew.approves(number, seen=replace(seen(crew, number), **change))

    assert crew.gate(number).decisions == ()


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
    posts(crew)

    crew.service.cancel(number, an_actor())

    gate = crew.step(number).gate
    assert gate is not None
    assert gate.status is GateStatus.CANCELLED
    with crew.uow() as uow:
        message = uow.outbox.message(number, Purpose.GATE, step_number=1, ordinal=1)
    assert message is not None
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
        crew.service.choose(number, 1, ev.Choice.SKIP, an_actor(person), "I know best.")

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

    crew.service.choose(number, 1, choice, an_actor(BOB), "The disk was full.")
    crew.runs(number)

    assert crew.status(number) == status
    [record] = crew.audit("choice_made")
    assert (record.data["choice"], record.data["reason"]) == (choice.value, "The disk was full.")


def test_choice_without_a_reason_or_without_a_question_is_refused(crew: Crew) -> None:
    number = failed_and_asks(crew)
    waiting = crew.starts()

    with pytest.raises(InvalidInput):
        crew.service.choose(number, 1, ev.Choice.SKIP, an_actor(BOB), "  ")
    with pytest.raises(Conflict):
        crew.service.choose(waiting, 1, ev.Choice.SUCCEEDED, an_actor(BOB), "It surely worked.")

    assert (crew.status(number), crew.status(waiting)) == (N.NEEDS_ATTENTION, N.WAITING_APPROVAL)


def test_two_choices_at_the_same_moment_have_one_outcome(crew: Crew) -> None:
    number = failed_and_asks(crew)

    outcomes = together(
        lambda: crew.service.choose(number, 1, ev.Choice.SKIP, an_actor(BOB), "It is fine."),
        lambda: crew.service.choose(number, 1, ev.Choice.STOP, an_actor(CAROL), "It is not."),
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
    posts(crew)

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
