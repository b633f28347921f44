"""Two at once, on both databases: exactly one wins, the other is told, nothing is half done."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from engine import events as ev
from engine.effects import Purpose
from engine.errors import Conflict, Stale, StorageUnavailable, TargetBusy
from engine.lifecycle import advance
from engine.model import SessionStatus, Verdict
from tests.storage.builders import ANNA, BERT, NOW, a_draft, a_target, an_audience, claim, started, ungated, vote

ROUNDS = 5


def together(*actions: Callable[[], object]) -> list[object]:
    """Do all at the same moment; give what each returned, or the error that it met."""
    start = threading.Barrier(len(actions))
    outcomes: list[object] = [None] * len(actions)

    def run(place: int) -> None:
        start.wait()
        while True:
            try:
                outcomes[place] = actions[place]()
            except StorageUnavailable:
                continue  # a machine too busy to give the lock in time: nothing was changed, so try again
            except (Conflict, AssertionError) as error:
                outcomes[place] = error
            return

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(actions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def attempt(units, session, make_event, now=NOW):
    """Load, advance and save, as a use case does."""

    def act():
        with units() as uow:
            current = uow.sessions.get(session.id)
            after = advance(current, make_event(current), now).session
            uow.sessions.save(after, was=current)
            uow.audit.append("something", at=NOW, session_id=session.id)
            uow.outbox.show(after, Purpose.CARD)
            uow.commit()
            return after

    return act


def winners(outcomes):
    return [outcome for outcome in outcomes if not isinstance(outcome, Exception)]


@pytest.mark.parametrize("_", range(ROUNDS))
def test_of_two_voters_one_decides_and_the_other_is_told(units, _):
    session = started(units)
    approve = attempt(units, session, lambda _: ev.Voted(gate_id=session.open_gate.id, decision=by_anna(session)))
    reject = attempt(units, session, lambda _: ev.Voted(gate_id=session.open_gate.id, decision=by_bert(session)))

    outcomes = together(approve, reject)

    (winner,) = winners(outcomes)
    with units() as uow:
        assert uow.sessions.get(session.id) == winner
        assert len(uow.audit.records()) == 1


def by_anna(session):
    return vote(session, ANNA).decision


def by_bert(session):
    return vote(session, BERT, Verdict.REJECT).decision


def test_double_click_of_one_person_counts_once(units):
    session = started(units, a_draft(audience=an_audience(quorum=2)))
    stale = vote(session)

    def click():
        with units() as uow:
            uow.sessions.save(advance(session, stale, NOW).session, was=session)
            uow.commit()

    outcomes = together(click, click, click)

    with units() as uow:
        gate = uow.sessions.get(session.id).open_gate
    assert [type(outcome) for outcome in outcomes].count(Stale) == 2
    assert len(gate.decisions) == 1


@pytest.mark.parametrize("_", range(ROUNDS))
def test_of_two_sessions_one_gets_the_machine(units, _):
    sessions = [started(units, ungated()), started(units, ungated())]

    outcomes = together(*(attempt(units, session, claim) for session in sessions))

    (winner,) = winners(outcomes)
    (loser,) = (outcome for outcome in outcomes if isinstance(outcome, Exception))
    assert isinstance(loser, TargetBusy)
    assert f"Session {winner.id} " in loser.message


def test_two_machines_are_taken_at_the_same_time(units):
    sessions = [started(units, ungated(a_target(name))) for name in ("web-01", "web-02")]

    outcomes = together(*(attempt(units, session, claim) for session in sessions))

    assert len(winners(outcomes)) == 2


def test_of_two_workers_one_claims_the_step(units):
    session = started(units, ungated())

    outcomes = together(attempt(units, session, claim), attempt(units, session, claim))

    assert len(winners(outcomes)) == 1


@pytest.mark.parametrize("_", range(ROUNDS))
def test_click_at_the_deadline_or_expiry_wins_never_both(units, _):
    session = started(units)
    gate = session.open_gate
    click = attempt(units, session, lambda _: ev.Voted(gate_id=gate.id, decision=by_anna(session)))
    expiry = attempt(units, session, lambda _: ev.GateExpired(gate_id=gate.id), now=gate.expires_at)

    outcomes = together(click, expiry)

    (winner,) = winners(outcomes)
    assert winner.status in {SessionStatus.IN_PROGRESS, SessionStatus.EXPIRED}
    with units() as uow:
        assert uow.sessions.get(session.id) == winner


def test_same_request_at_the_same_time_starts_one_session(units):
    def start():
        with units() as uow:
            added = uow.sessions.add(a_draft(), request_key="click-1")
            uow.commit()
            return added

    outcomes = together(start, start, start)

    assert len(winners(outcomes)) == 1


def test_same_delivery_at_the_same_time_is_accepted_once(units):
    def accept():
        with units() as uow:
            fresh = uow.inbox.accept("delivery-1", "decision", {}, at=NOW, done=True)
            uow.commit()
            return fresh

    outcomes = together(accept, accept, accept)

    assert sorted(outcomes) == [False, False, True]


def test_message_is_claimed_by_one_sender(units):
    for _ in range(5):
        session = started(units)
        with units() as uow:
            uow.outbox.show(session, Purpose.CARD)
            uow.commit()

    def take():
        with units() as uow:
            claimed = uow.outbox.claim(now=NOW, limit=10)
            uow.commit()
            return claimed

    outcomes = together(take, take, take)

    taken = [message.id for claimed in outcomes for message in claimed]
    assert sorted(taken) == sorted(set(taken))
    assert len(taken) == 5


def test_reader_never_sees_half_a_change(units):
    session = started(units, a_draft(audience=an_audience(quorum=2)))
    stop = threading.Event()
    torn = []

    def read():
        while not stop.is_set():
            with units() as uow:
                seen = uow.sessions.get(session.id)
            if seen.version - session.version != len(seen.steps[0].gate.decisions):
                torn.append(seen)

    def decide():
        attempt(units, session, lambda s: vote(s, ANNA))()
        attempt(units, session, lambda s: vote(s, BERT))()
        stop.set()

    together(read, decide)

    assert torn == []
