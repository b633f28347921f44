"""Whatever happens to a session, in whatever order, the promises of the machine hold.

``SessionLife`` throws random events at random plans and keeps its own simple record of who voted for what, so
that no claim is judged by the machine that allowed it. ``test_machine_walk`` looks at small plans exhaustively.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engine import events as ev
from engine.effects import RunStep
from engine.errors import Conflict, RunbookError
from engine.explain import explain
from engine.lifecycle import Transition, advance
from engine.machine import SESSION_MOVES, choices_for
from engine.model import (
    ACTIVE_STEPS,
    FINAL_SESSIONS,
    TERMINAL_ATTEMPTS,
    AttemptStatus,
    Audience,
    GateStatus,
    Person,
    PlannedStep,
    Session,
    Step,
    Verdict,
)
from engine.model import SessionStatus as N
from engine.model import StepStatus as S
from engine.policy import judge
from tests.builders import NOW, a_claim, a_session, an_end, every_event, every_vote
from tests.strategies import audiences, plans

SETTLED = {S.SUCCEEDED, S.SKIPPED, S.FAILED, S.TIMED_OUT, S.REJECTED, S.EXPIRED, S.CANCELLED}
READY = {S.APPROVED, S.QUEUED}


def counts(session: Session, vote: ev.Voted, now: datetime) -> bool:
    """Say whether the use case would let this vote through."""
    gate = next(s.gate for s in session.steps if s.gate and s.gate.id == vote.gate_id)
    try:
        judge(session, gate, vote.decision, now)
    except RunbookError:
        return False
    return True


def says_yes(vote: ev.Voted) -> bool:
    return vote.decision.verdict is Verdict.APPROVE


def tried(session: Session, event: ev.Event, now: datetime) -> Transition | None:
    try:
        return advance(session, event, now)
    except Conflict:
        return None


class SessionLife(RuleBasedStateMachine):
    """One session, shaken."""

    session: Session
    now: datetime

    @initialize(steps=plans(), audience=audiences())
    def begin(self, steps: tuple[PlannedStep, ...], audience: Audience) -> None:
        self.first = self.session = a_session(*steps, audience=audience)
        self.now = NOW
        self.history: list[tuple[ev.Event, datetime]] = []
        self.yes: dict[str, set[Person]] = {}
        self.happens(ev.Started())

    # ------------------------------------------------------------ what happens

    @rule(data=st.data())
    def somebody_votes(self, data: st.DataObject) -> None:
        votes = [vote for vote in every_vote(self.session, self.now) if counts(self.session, vote, self.now)]
        if votes:
            vote = data.draw(st.sampled_from(votes + 4 * [vote for vote in votes if says_yes(vote)]))
            self.yes.setdefault(vote.gate_id, set())
            if says_yes(vote) and vote.decision.actor.person:
                self.yes[vote.gate_id].add(vote.decision.actor.person)
            self.happens(vote)

    @precondition(lambda self: self.session.current_step and self.session.current_step.status in READY)
    @rule()
    def worker_claims(self) -> None:
        step = self.session.current_step
        assert step is not None
        self.happens(next(e for e in self.every() if isinstance(e, ev.Claimed) and e.step_number == step.number))

    @precondition(lambda self: self.session.current_step and self.session.current_step.status is S.RUNNING)
    @rule(data=st.data())
    def machine_reports(self, data: st.DataObject) -> None:
        reports = [e for e in self.every() if isinstance(e, ev.Submitted | ev.SeenRunning | ev.Ended)]
        self.happens(data.draw(st.sampled_from(reports)))

    @precondition(lambda self: self.session.status is N.NEEDS_ATTENTION)
    @rule(data=st.data())
    def somebody_chooses(self, data: st.DataObject) -> None:
        self.happens(data.draw(st.sampled_from([e for e in self.every() if isinstance(e, ev.Chosen)])))

    @rule(data=st.data())
    def anything_else_happens(self, data: st.DataObject) -> None:
        self.happens(data.draw(st.sampled_from(self.every())))

    @rule(seconds=st.sampled_from([1, 20, 900, 1800]))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    def every(self) -> list[ev.Event]:
        return list(every_event(self.session, self.now))

    # ------------------------------------------------------------ what must hold of every event

    def happens(self, event: ev.Event) -> None:
        before, transition = self.session, tried(self.session, event, self.now)
        if transition is None:
            return
        self.session = transition.session
        self.history.append((event, self.now))
        assert before.status not in FINAL_SESSIONS
        assert self.session.version == before.version + 1
        assert self.session.status is before.status or self.session.status in SESSION_MOVES[before.status]
        self.check_claim(event)
        assert ran(transition) == may_run_now(before, transition.session, event)
        check_final_steps_stay(before, self.session)

    def check_claim(self, event: ev.Event) -> None:
        """Nothing reaches a machine without the votes, counted here, of enough people other than the requester."""
        if not isinstance(event, ev.Claimed):
            return
        step = self.session.step(event.step_number)
        assert step is not None
        assert not self.session.paused_by
        if step.audience is None:
            assert not step.planned.requires_approval
            return
        assert step.gate is not None
        voters = self.yes[step.gate.id]
        if not step.audience.requester_may_approve:
            assert self.session.requester.person not in voters
        assert voters <= set(step.audience.approvers)
        assert len(voters) >= step.audience.quorum
        assert step.gate.attempt <= step.attempts <= step.gate.attempt + step.planned.retries

    # ------------------------------------------------------------ what must hold always

    @invariant()
    def at_most_one_thing_is_under_way(self) -> None:
        steps = self.session.steps
        live = [s for s in steps if s.attempt and s.attempt.status not in TERMINAL_ATTEMPTS]
        gates = [s for s in steps if s.gate and s.gate.status is GateStatus.OPEN]

        assert len(live) + len(gates) <= 1
        assert [s.number for s in steps if s.status in ACTIVE_STEPS] == [
            s.number for s in steps if s is self.session.current_step
        ]
        assert [s.number for s in live] == [s.number for s in steps if s.status is S.RUNNING]
        assert [s.number for s in gates] == [s.number for s in steps if s.status is S.WAITING_APPROVAL]

    @invariant()
    def steps_begin_in_order(self) -> None:
        """No step has begun while one before it is unsettled; rollback steps stand in their own order."""
        for phase_is_rollback in (False, True):
            row = [s for s in self.session.steps if (s.planned.undoes > 0) is phase_is_rollback]
            for earlier, later in pairwise(row):
                if later.attempts or later.status in ACTIVE_STEPS:
                    assert earlier.status in SETTLED or phase_is_rollback

    @invariant()
    def status_of_the_session_follows_from_its_steps(self) -> None:
        session, current = self.session, self.session.current_step
        assert (session.status is N.WAITING_APPROVAL) == (session.open_gate is not None)
        assert (session.finished_at is not None) == (session.status in FINAL_SESSIONS)
        if session.status in FINAL_SESSIONS:
            assert all(step.status in SETTLED for step in session.steps)
        if session.status is N.NEEDS_ATTENTION:
            assert sum(bool(choices_for(session, step)) for step in session.steps) == 1
        if session.status is N.PAUSED:
            assert session.paused_by
            assert current is None or current.status in READY
        if session.status is N.IN_PROGRESS:
            assert current is not None
            assert current.status in READY | {S.RUNNING}

    @invariant()
    def explanation_says_what_it_waits_for(self) -> None:
        check_explained(self.session, self.now)

    @invariant()
    def something_can_move_it_unless_it_is_over(self) -> None:
        assert movable(self.session, self.now) == (self.session.status not in FINAL_SESSIONS)

    def teardown(self) -> None:
        """The same events give the same session."""
        if not hasattr(self, "first"):
            return
        again = self.first
        for event, at in self.history:
            again = advance(again, event, at).session
        assert again == self.session


def ran(transition: Transition) -> list[tuple[int, datetime | None]]:
    return [(e.step_number, e.not_before) for e in transition.effects if isinstance(e, RunStep)]


def may_run_now(before: Session, after: Session, event: ev.Event) -> list[tuple[int, datetime | None]]:
    """A worker is called when a step gets approved, gets a time to try again, or is resumed; never otherwise."""
    found = []
    for was, step in zip(before.steps, after.steps, strict=True):
        cleared = step.status is S.APPROVED and was.status is not S.APPROVED
        timed = step.status is S.QUEUED and step.not_before is not None and isinstance(event, ev.Ended | ev.Delayed)
        resumed = step.status in READY and isinstance(event, ev.Resumed)
        again = step.status is S.APPROVED and isinstance(event, ev.ApprovalVoided)  # an ungated one is cleared anew
        if cleared or timed or resumed or again:
            found.append((step.number, step.not_before))
    return found


def check_final_steps_stay(before: Session, after: Session) -> None:
    final = {S.SUCCEEDED, S.SKIPPED, S.REJECTED, S.EXPIRED, S.CANCELLED}
    for was, step in zip(before.steps, after.steps, strict=True):
        if was.status in final:
            assert step == was


def check_explained(session: Session, now: datetime) -> None:
    """A sentence always; and while it is not over, a person, an attempt's deadline, a time or a machine to wait for."""
    told = explain(session, now)
    assert told.sentence.strip()
    assert told.next.strip()
    if session.status in {N.WAITING_APPROVAL, N.NEEDS_ATTENTION, N.PAUSED}:
        assert told.waits_for
        assert all(person.user in told.sentence for person in told.waits_for) or session.status is N.PAUSED
    if session.status is N.WAITING_APPROVAL or _running(session.current_step):
        assert told.until is not None


def _running(step: Step | None) -> bool:
    return step is not None and step.status is S.RUNNING


def movable(session: Session, now: datetime) -> bool:
    """Say whether some event is accepted that is not merely a cancel or a pause."""
    dull = (ev.CancelAsked, ev.Paused, ev.Delayed)
    events = [e for e in every_event(session, now) if not isinstance(e, dull)]
    votes = [vote for vote in every_vote(session, now) if counts(session, vote, now)]
    later = now + timedelta(days=1)
    return any(tried(session, e, later if isinstance(e, ev.GateExpired) else now) for e in [*votes, *events])


SessionLife.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck)
)
test_session_keeps_its_promises_whatever_happens = SessionLife.TestCase


@given(steps=plans(), audience=audiences(), data=st.data())
@settings(max_examples=40, derandomize=True, deadline=None)
def test_session_in_which_all_goes_well_comes_to_its_end(
    steps: tuple[PlannedStep, ...], audience: Audience, data: st.DataObject
) -> None:
    session = advance(a_session(*steps, audience=audience), ev.Started(), NOW).session

    for _ in range(100):
        if session.status in FINAL_SESSIONS:
            break
        session = advance(session, good_event(session), NOW).session

    assert session.status is N.COMPLETED


def good_event(session: Session) -> ev.Event:
    """The next thing that happens when people approve and machines succeed."""
    step = session.current_step
    assert step is not None
    if step.status is S.WAITING_APPROVAL:
        return next(vote for vote in every_vote(session) if says_yes(vote) and counts(session, vote, NOW))
    if step.status is S.APPROVED:
        return a_claim(step, f"attempt-{step.number}")
    assert step.attempt is not None
    if step.attempt.status is AttemptStatus.SUBMITTING:
        return ev.Submitted(attempt_id=step.attempt.id)
    return an_end(step.attempt.id)
