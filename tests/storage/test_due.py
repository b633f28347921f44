"""What the rows say is due: nothing that a queue could forget is missing, and nothing else is in it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from engine import events as ev
from engine.errors import Stale
from engine.model import AttemptStatus
from engine.ports import Job
from tests.storage.builders import (
    NOW,
    NoQueue,
    a_draft,
    a_plan,
    a_target,
    attempt_of,
    claim,
    delayed,
    ended,
    happened,
    planned,
    running,
    started,
    stored,
    ungated,
    vote,
)

MINUTE = timedelta(minutes=1)


def due(units, now=NOW):
    with units() as uow:
        return {(job.task, job.id) for job in uow.due(now=now)}


def next_due(units, now=NOW):
    with units() as uow:
        return uow.next_due(now=now)


def note(units, verb, attempt_id, at):
    with units() as uow:
        getattr(uow.attempts, verb)(attempt_id, at=at)
        uow.commit()


def test_nothing_is_due_in_an_empty_database(units):
    assert due(units) == set()
    assert next_due(units) is None


def test_request_that_was_not_carried_out_is_due_until_it_is_done(units):
    with units() as uow:
        uow.inbox.accept("d1", "start", {}, at=NOW, done=False)
        uow.inbox.accept("d2", "decision", {}, at=NOW, done=True)
        uow.commit()
    before = due(units)

    with units() as uow:
        uow.inbox.done("d1", at=NOW)
        uow.commit()

    assert before == {("start", "d1")}
    assert due(units) == set()


def test_approved_step_is_due_to_run(units):
    session = started(units)
    waiting = due(units)

    happened(units, session, vote(session))

    assert waiting == set()
    assert due(units) == {("run", str(session.id))}


def test_queued_step_is_due_when_its_patience_is_over(units):
    session = started(units, ungated())

    happened(units, session, delayed(session, until=NOW + MINUTE))

    assert due(units) == set()
    assert next_due(units) == NOW + MINUTE
    assert due(units, NOW + MINUTE) == {("run", str(session.id))}


def test_free_machine_is_offered_to_who_waits_longest_only(units):
    first, second = stored(units, ungated()), stored(units, ungated())
    for session in (second, first):
        begun = happened(units, session, ev.Started())
        happened(units, begun, delayed(begun))

    assert due(units) == {("run", str(second.id))}


def test_queued_step_of_a_busy_machine_is_not_due(units):
    holder = running(units)
    note(units, "look_again", attempt_of(holder), NOW + MINUTE)
    waits = started(units, ungated())
    happened(units, waits, delayed(waits))
    elsewhere = started(units, ungated(a_target("db-01")))
    happened(units, elsewhere, delayed(elsewhere))

    assert due(units) == {("run", str(elsewhere.id))}


def test_running_attempt_is_due_to_be_observed_when_its_time_has_come(units):
    session = running(units)
    attempt_id = attempt_of(session)
    never_looked_at = due(units)

    note(units, "look_again", attempt_id, NOW + MINUTE)

    assert never_looked_at == due(units, NOW + MINUTE) == {("observe", attempt_id)}
    assert due(units) == set()
    assert next_due(units) == NOW + MINUTE


def test_attempt_whose_process_died_while_sending_is_due_and_one_that_is_being_sent_is_not(database):
    me = database.unit_of_work(NoQueue(), owner="me")
    other = database.unit_of_work(NoQueue(), owner="my successor")
    session = started(me, ungated())
    session = happened(me, session, claim(session, owner="me"))
    if database.kind == "postgresql":
        replica(database, "me", seen=60)

    assert due(me, NOW + MINUTE / 2) == set()
    assert due(other) == {("observe", attempt_of(session))}


def replica(database, owner, *, seen, free="NULL"):
    """Let a process have been seen so many seconds ago, by the database's clock."""
    with database.engine.begin() as connection:
        connection.execute(text("DELETE FROM replicas"))
        connection.execute(
            text(
                "INSERT INTO replicas (owner, host, version, started_at, seen_at, gone_since) "
                f"VALUES (:owner, 'h', '1', now(), clock_timestamp() - make_interval(secs => :seen), {free})"
            ),
            {"owner": owner, "seen": seen},
        )


@pytest.mark.parametrize(
    ("seen", "free", "believed"),
    [
        (1, "NULL", True),
        (50, "NULL", True),
        (60, "NULL", False),
        (1, "clock_timestamp()", True),
        (1, "clock_timestamp() - interval '2 s'", False),
    ],
    ids=["fresh", "silent", "silent past the lease", "lock just found free", "lock free for a while"],
)
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_replica_is_believed_while_it_was_seen_and_its_lock_is_held(database, seen, free, believed):
    me = database.unit_of_work(NoQueue(), owner="me")
    other = database.unit_of_work(NoQueue(), owner="another")
    session = started(me, ungated())
    session = happened(me, session, claim(session, owner="me"))
    replica(database, "me", seen=seen, free=free)

    found = due(other)

    with other() as uow:
        taken = uow.attempts.take_over(attempt_of(session), now=NOW)
    assert (found == set(), taken) == (believed, not believed)


def test_attempt_that_was_taken_over_refuses_what_its_former_owner_writes(database):
    me = database.unit_of_work(NoQueue(), owner="me")
    other = database.unit_of_work(NoQueue(), owner="another")
    session = started(me, ungated())
    session = happened(me, session, claim(session, owner="me"))
    note(me, "look_again", attempt_of(session), NOW)
    with other() as uow:
        assert uow.attempts.take_over(attempt_of(session), now=NOW)
        uow.commit()

    with pytest.raises(Stale, match="taken over"):
        happened(me, session, ev.Submitted(attempt_id=attempt_of(session), handle={"name": "x"}))


def test_attempt_cannot_be_taken_from_a_process_that_still_sends(units):
    session = started(units, ungated())
    session = happened(units, session, claim(session, owner="me"))

    with units() as uow:
        taken = uow.attempts.take_over(attempt_of(session), now=NOW)

    assert not taken


def test_attempt_that_may_have_been_sent_is_due_when_its_sender_asks_for_a_look_up(units):
    session = started(units, ungated())
    session = happened(units, session, claim(session))

    note(units, "look_again", attempt_of(session), NOW + MINUTE)

    assert due(units) == set()
    assert due(units, NOW + MINUTE) == {("observe", attempt_of(session))}


def test_attempt_is_due_for_a_look_up_once_sending_has_taken_too_long_even_if_it_is_our_own(units):
    """Its sender may have sent it and then not reached the database; nobody waits ten minutes for that."""
    session = started(units, ungated())
    session = happened(units, session, claim(session))

    assert due(units, NOW + MINUTE / 2) == set()
    assert due(units, NOW + MINUTE) == {("observe", attempt_of(session))}


def test_asked_cancel_is_due_as_long_as_the_attempt_lives(units):
    session = running(units)
    attempt_id = attempt_of(session)

    happened(units, session, ev.CancelAsked(actor=session.requester))

    assert due(units) == {("cancel", attempt_id), ("observe", attempt_id)}


def test_open_gate_is_due_for_its_reminder_and_then_for_its_end(units):
    session = started(units)
    gate = session.open_gate

    assert next_due(units) == gate.remind_at
    assert due(units, gate.remind_at) == {("remind", gate.id)}
    assert due(units, gate.expires_at) == {("expire", gate.id)}


def test_reminded_gate_is_not_reminded_again(units):
    session = started(units)
    gate = session.open_gate

    happened(units, session, ev.Reminded(gate_id=gate.id))

    assert due(units, gate.remind_at) == set()
    assert next_due(units) == gate.expires_at


def test_closed_gate_is_due_for_nothing(units):
    session = started(units, a_draft(a_plan(planned(1, requires_approval=True))))

    happened(units, session, ev.CancelAsked(actor=session.requester))

    assert due(units, NOW + timedelta(days=1)) == set()
    assert next_due(units) is None


def test_ended_attempt_is_due_for_cleaning_until_nothing_is_left(units):
    session = running(units, a_draft(a_plan(planned(1))))
    attempt_id = attempt_of(session)
    happened(units, session, ended(session))
    at_first = due(units)

    note(units, "clean_later", attempt_id, NOW + MINUTE)
    meanwhile, later = due(units), due(units, NOW + MINUTE)
    note(units, "cleaned", attempt_id, NOW + MINUTE)

    assert at_first == later == {("cleanup", attempt_id)}
    assert meanwhile == due(units, NOW + MINUTE) == set()


def test_traces_of_an_unknown_outcome_stay_until_a_person_has_decided(units):
    session = running(units, a_draft(a_plan(planned(1))))
    attempt_id = attempt_of(session)
    session = happened(units, session, ended(session, AttemptStatus.UNKNOWN))
    undecided = due(units)

    chosen = ev.Chosen(step_number=1, choice=ev.Choice.SUCCEEDED, actor=session.requester, reason="I looked")
    happened(units, session, chosen)

    assert undecided == set()
    assert due(units) == {("cleanup", attempt_id)}


def test_paused_session_runs_nothing(units):
    session = started(units, ungated())
    session = happened(units, session, claim(session))
    session = happened(units, session, ev.Paused(actor=session.requester))

    happened(units, session, ended(session))

    assert {task for task, _ in due(units)} == {"cleanup"}


def test_each_kind_of_work_is_limited_and_named_once(units):
    for name in ("web-01", "web-02", "web-03"):
        started(units, ungated(a_target(name)))

    with units() as uow:
        jobs = uow.due(now=NOW, limit=2)

    assert jobs == (Job(task="run", id="1"), Job(task="run", id="2"))
