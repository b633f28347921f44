"""Recording one event by compare-and-set: a lost race is run again, and what no longer fits is dropped, not forced."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from engine import events as ev
from engine.errors import Bug, Permanent, Stale, TargetBusy
from engine.model import AttemptStatus
from engine.model import SessionStatus as N
from engine.model import StepStatus as S
from engine.recorder import RACES, Recorder, look_again
from tests.builders import NOW, WEB, a_claim, a_free_step, a_step, an_actor
from tests.engine.crew import Crew
from tests.storage.builders import FixedClock


class ActingClock(FixedClock):
    """Lets something happen between a reading and a writing: at the moment when the time is asked for."""

    then: Callable[[], object] | None = None

    def now(self) -> datetime:
        act, self.then = self.then, None
        if act:
            act()
        return super().now()


@pytest.fixture
def clock() -> ActingClock:
    return ActingClock(NOW)


@pytest.fixture
def rows(crew: Crew, clock: ActingClock) -> Recorder:
    return Recorder(crew.worker_parts(clock=clock))


def test_lost_race_is_run_again_on_the_newest_rows() -> None:
    outcomes = [Stale(), Stale(), None]

    def work() -> str:
        trouble = outcomes.pop(0)
        if trouble:
            raise trouble
        return "done"

    assert look_again(work) == "done"


def test_race_that_is_lost_again_and_again_is_reported_in_the_end() -> None:
    calls = []

    def work() -> None:
        calls.append(1)
        raise Stale

    with pytest.raises(Stale):
        look_again(work)

    assert len(calls) == RACES + 1


def test_event_is_recorded_although_somebody_else_wrote_in_between(
    crew: Crew, rows: Recorder, clock: ActingClock
) -> None:
    """The command ends while its session is being called off: neither is lost."""
    crew.machines.holding = True
    number = crew.starts(a_free_step())
    crew.does("run", number)
    clock.then = lambda: crew.service.cancel(number, an_actor(), "wrong one")

    after = rows.record(
        crew.session(number), ev.SeenRunning(attempt_id=crew.attempt(number).id), "step_running", step_number=1
    )

    assert after is not None
    session = crew.session(number)
    assert session == after
    assert session.cancelled_by
    assert crew.attempt(number).status is AttemptStatus.RUNNING
    assert (crew.count("session_cancel_asked"), crew.count("step_running")) == (1, 1)


def test_event_that_no_longer_fits_is_dropped_and_noted(crew: Crew, rows: Recorder, clock: ActingClock) -> None:
    number = crew.starts(a_step())
    crew.approves(number)
    looked_at = crew.session(number)
    clock.then = lambda: crew.service.cancel(number, an_actor())

    after = rows.record(looked_at, a_claim(looked_at.steps[0], "01late"), "step_claimed", step_number=1)

    assert after is None
    assert (crew.status(number), crew.count("step_claimed")) == (N.CANCELLED, 0)
    assert ("event_dropped", "step_claimed") in [(event, fields.get("kind")) for event, fields in crew.log]


def test_end_that_comes_after_the_session_is_over_does_not_overwrite_it(crew: Crew, rows: Recorder) -> None:
    number = crew.starts(a_free_step())
    crew.runs(number)
    before = crew.session(number)
    attempt = crew.attempt(number).id

    late = rows.record(before, ev.SeenRunning(attempt_id=attempt), "step_running", step_number=1)

    assert late is None
    assert crew.session(number) == before
    assert rows.attempt(attempt) is None


def test_busy_machine_is_an_answer_and_leaves_no_attempt_behind(crew: Crew, rows: Recorder) -> None:
    crew.machines.holding = True
    first, second = crew.starts(a_free_step()), crew.starts(a_free_step())
    crew.does("run", first)
    waiting = crew.session(second)

    with pytest.raises(TargetBusy, match=f"Session {first}"):
        rows.record(waiting, a_claim(waiting.steps[0], "01second"), "step_claimed", step_number=1)

    assert crew.step(second).attempt is None
    assert crew.step(second).status is S.APPROVED
    assert crew.count("step_claimed") == 1


def test_attempt_is_loaded_while_it_lives_with_the_number_of_its_looks(crew: Crew, rows: Recorder) -> None:
    crew.machines.holding = True
    number = crew.starts(a_free_step())
    crew.does("run", number)
    attempt = crew.attempt(number)

    found = rows.attempt(attempt.id)

    assert found is not None
    session, step, live, looks = found
    assert (session.id, step.number, live, looks) == (number, 1, attempt, 1)
    assert rows.attempt("01unknown") is None


def test_later_look_is_noted_in_the_row_and_asked_of_the_queue(crew: Crew, rows: Recorder) -> None:
    crew.machines.holding = True
    number = crew.starts(a_free_step())
    crew.does("run", number)
    attempt, at = crew.attempt(number).id, NOW + timedelta(seconds=40)
    crew.notebook.noted.clear()

    rows.observe_again(attempt, at)

    assert [(job.task, job.id, job.not_before) for job in crew.notebook.noted] == [("observe", attempt, at)]
    crew.waits(seconds=39)
    assert crew.due("observe") == []
    crew.waits(seconds=1)
    assert [job.id for job in crew.due("observe")] == [attempt]


def test_state_and_audit_record_are_written_together(crew: Crew, rows: Recorder) -> None:
    number = crew.starts(a_free_step())
    before = crew.session(number)

    after = rows.record(before, a_claim(before.steps[0], "01one"), "step_claimed", 1, {"attempt": "01one"})

    assert after is not None
    [record] = crew.audit("step_claimed")
    assert record.data == {"attempt": "01one", "status": after.status.value, "version": after.version}
    assert (record.session_id, record.step_number, record.actor) == (number, 1, "system")


def test_hands_that_were_switched_off_are_named(crew: Crew, rows: Recorder) -> None:
    assert rows.connector(WEB) is crew.machines

    with pytest.raises(Permanent, match="'azure'"):
        Recorder(crew.worker_parts(connectors={})).connector(WEB)


def test_time_without_a_zone_never_reaches_the_database(crew: Crew, rows: Recorder, clock: ActingClock) -> None:
    number = crew.starts(a_free_step())
    before = crew.session(number)
    clock.time = NOW.replace(tzinfo=None)

    with pytest.raises(Bug, match="without a zone"):
        rows.record(before, a_claim(before.steps[0], "01naive"), "step_claimed", step_number=1)

    assert crew.session(number) == before
