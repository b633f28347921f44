"""The contract of ``engine.ports`` for memory, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from engine import events as ev
from engine.effects import Purpose
from engine.errors import Bug, Conflict, TargetBusy
from engine.lifecycle import advance
from engine.model import AttemptStatus, Output, SessionStatus, StepStatus, Verdict
from engine.plan import digest_of
from engine.ports import Job, Reply
from storage.ledgers import InboxRow
from tests.storage.builders import (
    ANNA,
    BERT,
    NOW,
    PLACE,
    RUTH,
    a_draft,
    a_plan,
    a_target,
    an_audience,
    attempt_of,
    claim,
    ended,
    every_kind_of_step,
    happened,
    planned,
    running,
    started,
    stored,
    ungated,
    voided,
    vote,
)
from tests.storage.databases import database, database_url, migrated_file, units

__all__ = ["database", "database_url", "migrated_file", "units"]


class RecordingQueue:
    """Keeps what was deferred, and what was woken."""

    def __init__(self) -> None:
        self.deferred: list[Job] = []
        self.woken = 0

    def defer(self, _tx, task, row_id, not_before=None):
        self.deferred.append(Job(task=task, id=row_id, not_before=not_before))

    def after_commit(self, _tx):
        self.woken += 1

    def run(self, _handlers, stop):
        stop.wait()


def load(units, session):
    with units() as uow:
        return uow.sessions.get(session.id)


# ---------------------------------------------------------------- sessions


def test_session_comes_back_exactly_as_it_was_stored(units):
    draft = a_draft(a_plan(*every_kind_of_step()), audience=an_audience(quorum=2, requester_may_approve=True))

    session = stored(units, draft)

    assert load(units, session) == replace(draft, id=session.id)


def test_plan_rebuilt_from_rows_has_the_same_digest(units):
    plan = a_plan(*every_kind_of_step())

    session = stored(units, a_draft(plan))

    assert digest_of(load(units, session).plan) == digest_of(plan) == session.digest


def test_every_state_of_a_whole_run_comes_back_as_it_was_saved(units):
    session = started(units, a_draft(a_plan(planned(1, requires_approval=True), planned(2, requires_approval=True))))
    states = [load(units, session) == session]

    for event in (vote, claim, submit, seen_running, ended):
        session = happened(units, session, event(session))
        states.append(load(units, session) == session)
    session = happened(units, session, vote(session, BERT, Verdict.REJECT))

    assert load(units, session) == session
    assert session.status is SessionStatus.REJECTED
    assert all(states)


def submit(session):
    return ev.Submitted(attempt_id=attempt_of(session), handle={"name": "rb-1", "group": "rg"})


def seen_running(session):
    return ev.SeenRunning(attempt_id=attempt_of(session))


def test_session_without_a_place_or_a_ticket_comes_back_without_them(units):
    draft = a_draft(place=None, ticket="")

    session = stored(units, draft)

    assert load(units, session).place is None


def test_unknown_session_is_none(units):
    with units() as uow:
        assert uow.sessions.get(4711) is None


def test_request_key_starts_one_session_only(units):
    with units() as uow:
        uow.sessions.add(a_draft(), request_key="same")
        uow.commit()

    with units() as uow, pytest.raises(Conflict):
        uow.sessions.add(a_draft(), request_key="same")


def test_session_is_found_by_request_gate_and_attempt(units):
    with units() as uow:
        waiting = uow.sessions.add(a_draft(), request_key="key")
        uow.commit()
    waiting = happened(units, waiting, ev.Started())
    busy = running(units, ungated(a_target("db-01")))

    with units() as uow:
        assert uow.sessions.by_request("key") == waiting.id
        assert uow.sessions.by_gate(waiting.open_gate.id) == waiting.id
        assert uow.sessions.by_attempt(attempt_of(busy)) == busy.id
        assert (
            uow.sessions.by_gate("none") is uow.sessions.by_attempt("none") is uow.sessions.by_request("none") is None
        )


def test_second_writer_of_the_same_version_gets_a_conflict_and_changes_nothing(units):
    session = started(units)
    first = advance(session, vote(session, ANNA), NOW).session
    second = advance(session, vote(session, BERT, Verdict.REJECT), NOW).session
    with units() as uow:
        uow.sessions.save(first, was=session)
        uow.commit()

    with units() as uow, pytest.raises(Conflict):
        uow.sessions.save(second, was=session)

    assert load(units, session) == first


def test_change_without_a_higher_version_is_a_bug(units):
    session = started(units)

    with units() as uow, pytest.raises(Bug):
        uow.sessions.save(replace(session, reason="unnoticed"), was=session)


def test_one_person_has_one_vote_on_a_gate_whatever_the_caller_believes(units):
    session = started(units, a_draft(audience=an_audience(quorum=3)))
    once = happened(units, session, vote(session, ANNA))
    gate = once.open_gate
    twice_on_gate = replace(gate, decisions=gate.decisions * 2)
    step = replace(once.steps[0], gate=twice_on_gate)
    twice = replace(once, version=once.version + 1, steps=(step, *once.steps[1:]))

    with units() as uow, pytest.raises(Conflict):
        uow.sessions.save(twice, was=once)


def test_votes_come_back_in_the_order_they_were_given(units):
    session = started(units, a_draft(audience=an_audience(quorum=3)))

    session = happened(units, session, vote(session, BERT))
    session = happened(units, session, vote(session, ANNA))

    assert [d.actor.person for d in load(units, session).open_gate.decisions] == [BERT, ANNA]


def test_gate_asked_again_is_the_one_that_is_loaded(units):
    session = started(units)
    session = happened(units, session, vote(session))

    session = happened(units, session, voided(session))

    assert load(units, session).open_gate == session.open_gate
    assert session.open_gate.serial == 2


def test_retried_step_shows_its_newest_attempt(units):
    session = running(units, a_draft(a_plan(planned(1, retries=1), planned(2))))
    session = happened(units, session, ended(session, AttemptStatus.FAILED))
    later = NOW + timedelta(minutes=1)

    session = happened(units, session, claim(session), now=later)

    assert load(units, session) == session
    assert session.steps[0].attempt.number == 2


def test_machine_is_held_by_one_attempt(units):
    holder = running(units)
    other = started(units, ungated())
    claimed = advance(other, claim(other), NOW).session

    with units() as uow, pytest.raises(TargetBusy, match=f"Session {holder.id} .* web-01"):
        uow.sessions.save(claimed, was=other)

    assert load(units, other) == other


def test_machine_is_free_again_once_the_attempt_has_ended(units):
    first = running(units, a_draft(a_plan(planned(1))))
    happened(units, first, ended(first))

    second = running(units)

    assert load(units, second).steps[0].status is StepStatus.RUNNING


def test_machine_stays_held_while_nobody_knows_the_outcome(units):
    lost = running(units)
    lost = happened(units, lost, ended(lost, AttemptStatus.UNKNOWN))
    other = started(units, ungated())

    with units() as uow, pytest.raises(TargetBusy):
        uow.sessions.save(advance(other, claim(other), NOW).session, was=other)
    happened(units, lost, ev.Chosen(step_number=1, choice=ev.Choice.FAILED, actor=lost.requester, reason="I looked"))

    assert happened(units, other, claim(other)).steps[0].status is StepStatus.RUNNING


def test_output_is_kept_and_does_not_burden_the_session(units):
    session = running(units)
    output = Output(stdout="fine\n", stderr="warning", stdout_bytes=9_000_000_000, stderr_bytes=7, truncated=True)

    with units() as uow:
        uow.sessions.store_output(session.id, 1, output)
        uow.commit()

    with units() as uow:
        assert uow.sessions.output(session.id, 1) == output
        assert uow.sessions.output(session.id, 2) == Output()


def test_the_result_of_an_attempt_is_still_there_when_another_one_has_followed(units):
    session = running(units, a_draft(a_plan(planned(1, retries=1, requires_approval=False))))
    with units() as uow:
        uow.sessions.store_output(session.id, 1, Output(stdout="first try", stdout_bytes=9))
        uow.commit()
    queued = happened(units, session, ended(session, AttemptStatus.FAILED))

    second = happened(units, queued, claim(queued, attempt_id="b" * 26), now=NOW + timedelta(minutes=1))

    with units() as uow:
        earlier = uow.sessions.earlier(session.id, 1, 1)
        assert earlier is not None
        assert (earlier.attempt.number, earlier.output.stdout) == (1, "first try")
        assert uow.sessions.earlier(session.id, 1, second.steps[0].attempts) is None


def test_output_that_no_database_can_keep_is_kept_with_replacement_marks(units):
    session = running(units)

    with units() as uow:
        uow.sessions.store_output(session.id, 1, Output(stdout="a\0b\ud800c"))
        uow.commit()

    with units() as uow:
        assert uow.sessions.output(session.id, 1).stdout == "a\ufffdb\ufffdc"


# ---------------------------------------------------------------- lists


def test_recent_sessions_come_newest_first_and_page_by_id(units):
    ids = [stored(units).id for _ in range(5)]

    with units() as uow:
        first = [line.id for line in uow.sessions.recent(limit=3)]
        rest = [line.id for line in uow.sessions.recent(limit=3, before=first[-1])]

    assert [*first, *rest] == ids[::-1]


def test_recent_sessions_can_be_asked_by_status_ticket_requester_and_activity(units):
    waiting = started(units)
    over = happened(units, started(units, a_draft(ticket="INC-2")), ev.CancelAsked(actor=waiting.requester))

    with units() as uow:
        found = {
            "status": uow.sessions.recent(status=SessionStatus.WAITING_APPROVAL),
            "ticket": uow.sessions.recent(ticket="INC-2"),
            "active": uow.sessions.recent(active=True),
            "requester": uow.sessions.recent(requester=RUTH),
            "stranger": uow.sessions.recent(requester=replace(RUTH, enterprise="E2")),
        }

    assert {key: [line.id for line in lines] for key, lines in found.items()} == {
        "status": [waiting.id],
        "ticket": [over.id],
        "active": [waiting.id],
        "requester": [over.id, waiting.id],
        "stranger": [],
    }


def test_line_about_a_session_names_its_step_and_thread(units):
    session = started(units)
    with units() as uow:
        uow.outbox.show(session, Purpose.CARD)
        uow.commit()
    with units() as uow:
        (card,) = uow.outbox.claim(now=NOW, limit=10)
        uow.outbox.sent(card, ts="1.5", now=NOW)
        uow.commit()

    with units() as uow:
        (line,) = uow.sessions.recent()

    assert (line.waiting_step, line.current_step, line.channel, line.thread_ts) == (1, 1, "C_OPS", "1.5")
    assert (line.requester, line.target, line.runbook) == ("U_RUTH", "web-01", "restart-web")


def test_waiting_sessions_come_whole_oldest_first_and_page(units):
    first, second, third = started(units), started(units), started(units)
    happened(units, second, vote(second))

    with units() as uow:
        assert uow.sessions.waiting() == (first, third)
        assert uow.sessions.waiting(after=first.id) == (third,)
        assert uow.sessions.waiting(limit=1) == (first,)


def test_queue_of_a_machine_names_the_holder_then_who_waits_longest(units):
    late_created_early_queued = [stored(units, ungated()) for _ in range(3)]
    holder = running(units)
    order = late_created_early_queued[::-1]

    for session in order:
        happened(units, session, ev.Started())

    with units() as uow:
        assert uow.sessions.queue_for(a_target().id) == (holder.id, *(session.id for session in order))
        assert uow.sessions.queue_for("elsewhere") == ()


def test_last_run_is_the_newest_finished_one_on_the_same_machine(units):
    over = [finished(units), finished(units)]
    finished(units, "db-01")
    now = started(units)

    with units() as uow:
        found = uow.sessions.last_run("restart-web", a_target().id, now.id)
        before = uow.sessions.last_run("restart-web", a_target().id, over[0])

    assert found.id == over[1]
    assert before is None


def finished(units, target: str = "web-01") -> int:
    session = running(units, a_draft(a_plan(planned(1), target=a_target(target))))
    return happened(units, session, ended(session)).id


# ---------------------------------------------------------------- attempts


def test_attempt_comes_with_its_machine_and_counts_its_looks(units):
    session = running(units)
    attempt_id = attempt_of(session)

    with units() as uow:
        uow.attempts.look_again(attempt_id, at=NOW)
        uow.attempts.look_again(attempt_id, at=NOW)
        uow.commit()

    with units() as uow:
        assert uow.attempts.get(attempt_id) == (session.steps[0].attempt, a_target())
        assert uow.attempts.checks(attempt_id) == 2
        assert uow.attempts.get("none") is None


# ---------------------------------------------------------------- inbox and settings


def test_delivery_is_accepted_once(units):
    with units() as uow:
        first = uow.inbox.accept("d1", "start", {"runbook": "restart-web"}, at=NOW, done=False)
        uow.commit()

    with units() as uow:
        again = uow.inbox.accept("d1", "start", {"runbook": "other"}, at=NOW, done=False)
        item = uow.inbox.get("d1")

    assert (first, again) == (True, False)
    assert item.payload == {"runbook": "restart-web"}


def test_delivery_that_another_process_has_accepted_is_not_accepted_again(database, units):
    values = {"key": "d1", "kind": "start", "payload": {}, "received_at": NOW, "done_at": NOW, "answer": ""}
    with database.engine.begin() as other_process:
        other_process.execute(sa.insert(InboxRow).values(values))

    with units() as uow:
        again = uow.inbox.accept("d1", "start", {}, at=NOW, done=False)

    assert again is False


def test_delivery_whose_transaction_was_undone_is_accepted_when_it_comes_again(units):
    with units() as uow:
        first = uow.inbox.accept("d1", "decision", {}, at=NOW, done=True)

    with units() as uow:
        again = uow.inbox.accept("d1", "decision", {}, at=NOW, done=True)

    assert (first, again) == (True, True)


def test_done_delivery_is_not_handed_out_again(units):
    with units() as uow:
        uow.inbox.accept("d1", "start", {}, at=NOW, done=False)
        uow.inbox.accept("d2", "decision", {}, at=NOW, done=True)
        uow.inbox.done("d1", at=NOW, answer="started session 1")
        uow.commit()

    with units() as uow:
        assert uow.inbox.get("d1") is uow.inbox.get("d2") is None


def test_setting_keeps_its_newest_value(units):
    for value in ("one", "two"):
        with units() as uow:
            uow.set_setting("team", value)
            uow.commit()

    with units() as uow:
        assert uow.setting("team") == "two"
        assert uow.setting("nothing") is None


# ---------------------------------------------------------------- the unit of work


def write_everywhere(uow) -> None:
    session = uow.sessions.add(a_draft(), request_key="k")
    uow.audit.append("session_started", at=NOW, session_id=session.id)
    uow.outbox.show(session, Purpose.CARD)
    uow.outbox.tell(PLACE, ANNA, "Hello", key="t", reply=Reply())
    uow.inbox.accept("d", "start", {}, at=NOW, done=False)
    uow.set_setting("name", "value")
    uow.outbox.stats(), uow.audit.records()  # both write what was only collected so far
    uow.defer("run", "1")


def what_is_there(units) -> tuple[object, ...]:
    with units() as uow:
        return (
            uow.sessions.recent(),
            uow.audit.records(),
            dict(uow.outbox.stats()),
            uow.inbox.get("d"),
            uow.setting("name"),
        )


def test_leaving_without_commit_undoes_everything(database):
    queue = RecordingQueue()
    units = database.unit_of_work(queue, owner="me")

    with units() as uow:
        write_everywhere(uow)

    assert what_is_there(units) == ((), (), {}, None, None)
    assert queue.woken == 0


def test_error_in_the_block_undoes_everything(units):
    def fail() -> None:
        with units() as uow:
            write_everywhere(uow)
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        fail()

    assert what_is_there(units) == ((), (), {}, None, None)


def test_commit_makes_everything_last_and_then_wakes_the_queue(database):
    queue = RecordingQueue()
    units = database.unit_of_work(queue, owner="me")

    with units() as uow:
        write_everywhere(uow)
        before = queue.woken
        uow.commit()

    assert (before, queue.woken) == (0, 1)
    assert queue.deferred == [Job(task="run", id="1")]
    assert all(what_is_there(units))


def test_one_unit_is_one_commit_with_everything_in_it(database, units):
    """A process that dies between two commits would leave a change without its message or its record."""
    seen = []
    session = started(units)

    def look(_connection) -> None:
        with units() as uow:
            seen.append((len(uow.audit.records()), dict(uow.outbox.stats()), uow.setting("name")))

    with units() as uow:
        uow.audit.append("session_paused", at=NOW, session_id=session.id)
        uow.outbox.show(session, Purpose.CLOSING)
        uow.set_setting("name", "value")
        sa.event.listen(database.engine, "commit", look)
        uow.commit()
        sa.event.remove(database.engine, "commit", look)
    look(None)

    assert len(seen) == 2
    before, after = seen
    assert before[2] is None
    assert after[2] == "value"
    assert (after[0] - before[0], sum(after[1].values()) - sum(before[1].values())) == (1, 1)


def test_queue_is_woken_only_when_others_can_see_the_change(database):
    class LookingQueue(RecordingQueue):
        def after_commit(self, tx):
            super().after_commit(tx)
            with database.unit_of_work(RecordingQueue(), owner="somebody else")() as uow:
                seen.append(uow.setting("name"))

    seen = []

    with database.unit_of_work(LookingQueue(), owner="me")() as uow:
        uow.set_setting("name", "value")
        uow.commit()

    assert seen == ["value"]


def test_unit_can_be_used_for_reading_after_its_commit(units):
    with units() as uow:
        session = uow.sessions.add(a_draft(), request_key="k")
        uow.commit()

        assert uow.sessions.get(session.id) == session


def test_reading_sees_what_somebody_else_committed_meanwhile(units):
    session = started(units)

    with units() as uow:
        uow.sessions.get(session.id)
        after = happened(units, session, vote(session))

        assert uow.sessions.get(session.id) == after


@pytest.mark.parametrize("number", [0, 1, 2])
def test_saved_changes_are_kept_whatever_was_read_before(units, number):
    draft = a_draft(a_plan(*(planned(n, requires_approval=n == 2) for n in (1, 2, 3))))
    session = started(units, draft)
    actions: list[Callable] = [claim, submit, ended]

    for action in actions[: number + 1]:
        session = happened(units, session, action(session))

    assert load(units, session) == session


def test_open_sessions_are_counted_by_status(units):
    stored(units)
    started(units, ungated(a_target("web-07")))
    over = running(units, ungated(a_target("web-08")))
    happened(units, over, ev.CancelAsked(actor=over.requester))

    with units() as uow:
        counts = uow.sessions.counts()

    assert counts == {"pending": 1, "in_progress": 2}
