"""Small plans, walked through every state that any order of events can reach.

Where the property test samples, this one counts: no reachable state is a dead end, none raises a ``Bug``, none is
without an explanation, and the two tables hold exactly the moves that can happen.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import cache

import pytest

from engine import events as ev
from engine.errors import Conflict
from engine.lifecycle import advance
from engine.machine import SESSION_MOVES
from engine.model import FINAL_SESSIONS, OnFailure, PlannedStep, Session, Step
from tests.builders import (
    NOW,
    a_free_step,
    a_manual_step,
    a_postcheck,
    a_session,
    a_step,
    an_undo,
    every_event,
    every_vote,
)
from tests.engine.test_machine_properties import check_explained, counts

#: attempts and gates of one step that are looked at further; a person may choose to retry for ever
CAPS = {"gated step that is retried": 2}
PLANS: dict[str, tuple[PlannedStep, ...]] = {
    "gated step that is retried": (a_step(retries=1),),
    "change, person, check": (a_free_step(on_failure=OnFailure.CONTINUE), a_manual_step()),
    "check that stops": (a_free_step(), a_postcheck(on_failure=OnFailure.STOP)),
    "change that is undone": (a_free_step(on_failure=OnFailure.ROLLBACK), an_undo(1, requires_approval=True)),
}
Shape = tuple[object, ...]


def shape(session: Session) -> Shape:
    """What of a session decides its future: everything but names, times and the version."""
    flags = (session.status, session.rolling_back, bool(session.paused_by), bool(session.cancelled_by))
    return (*flags, *(step_shape(step) for step in session.steps))


def step_shape(step: Step) -> Shape:
    gate = step.gate and (step.gate.serial, step.gate.attempt, step.gate.status, step.gate.reminded)
    attempt = step.attempt and (step.attempt.status, step.attempt.cancel_requested)
    return (step.status, step.attempts, gate, attempt, step.not_before is None)


def beyond(cap: int, session: Session) -> bool:
    return any(step.attempts > cap or (step.gate and step.gate.serial > cap) for step in session.steps)


def successors(session: Session) -> Iterator[Session]:
    votes = (vote for vote in every_vote(session) if counts(session, vote, NOW))
    for event in (*every_event(session), *votes):
        now = NOW + timedelta(hours=1) if isinstance(event, ev.GateExpired) else NOW
        try:
            yield replace(advance(session, event, now).session, version=0)
        except Conflict:
            continue


@cache
def reachable(plan: str) -> dict[Shape, tuple[Session, tuple[Session, ...]]]:
    """Every state of a plan within the cap, by shape, with the states that follow it."""
    found: dict[Shape, tuple[Session, tuple[Session, ...]]] = {}
    queue = deque([a_session(*PLANS[plan])])
    while queue:
        session = queue.popleft()
        if shape(session) in found or beyond(CAPS.get(plan, 1), session):
            continue
        after = tuple(successors(session))
        found[shape(session)] = session, after
        queue.extend(after)
    return found


@pytest.mark.parametrize("plan", PLANS)
def test_only_a_session_that_is_over_has_no_way_on(plan: str) -> None:
    stuck = {session.status for session, after in reachable(plan).values() if not after}

    assert stuck <= FINAL_SESSIONS
    assert not any(after for session, after in reachable(plan).values() if session.status in FINAL_SESSIONS)


@pytest.mark.parametrize("plan", PLANS)
def test_every_reachable_state_has_an_explanation(plan: str) -> None:
    for session, _ in reachable(plan).values():
        check_explained(session, NOW)


def test_sessions_make_no_move_that_is_not_in_the_table_and_most_that_are() -> None:
    made = {
        (session.status, follower.status)
        for plan in PLANS
        for session, after in reachable(plan).values()
        for follower in after
        if follower.status is not session.status
    }
    listed = {(before, after) for before, ends in SESSION_MOVES.items() for after in ends}

    assert made <= listed
    assert len(made) >= len(listed) * 3 // 4
