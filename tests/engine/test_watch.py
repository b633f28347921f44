"""Following a command to its end: looked up and never sent again, judged, cleared up; what is not proven is unknown."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from engine import events as ev
from engine.errors import Conflict, Indeterminate, Permanent, Transient
from engine.model import AttemptStatus, Expect, Output
from engine.model import SessionStatus as N
from engine.model import StepStatus as S
from engine.worker import Patience, Worker
from storage.database import Database
from storage.queue import EmbeddedQueue
from storage.tables import StepRow
from tests.builders import BOB, NOW, a_free_step, a_step, an_actor, an_undo
from tests.engine.crew import Crew
from tests.fakes.clock import MovableClock
from tests.fakes.machines import Lost, printed

TROUBLES = [Transient("Throttled."), Indeterminate("No answer."), Permanent("No right.")]


def sent(crew: Crew, *steps: Any) -> tuple[int, str]:
    """Start a session, approve its first step and send its command."""
    number = crew.approved(*steps)
    crew.does("run", number)
    return number, crew.attempt(number).id


def moments(crew: Crew, attempt_id: str, *, until: timedelta) -> list[float]:
    """Look whenever the rows say so; return the seconds at which it was looked up or at."""
    begin, seen = crew.clock.now(), []
    while crew.clock.now() - begin <= until:
        if [job for job in crew.due("observe") if job.id == attempt_id]:
            seen.append((crew.clock.now() - begin).total_seconds())
            crew.does("observe", attempt_id)
            continue
        with crew.uow() as uow:
            following = uow.next_due(now=crew.clock.now())
        if following is None:
            return seen
        crew.clock.time = following
    return seen


# ------------------------------------------------------------ what may have arrived


def test_uncertain_command_is_looked_up_at_once_and_then_less_and_less_often(crew: Crew) -> None:
    crew.machines.breaks("submit", Lost.REQUEST)
    _, attempt = sent(crew)

    seen = moments(crew, attempt, until=timedelta(minutes=8))

    gaps = [later - earlier for earlier, later in pairwise(seen)]
    assert seen[0] == 0
    assert gaps[:5] == [5, 15, 30, 60, 120]
    assert set(gaps[5:]) <= {120}


def test_uncertain_command_that_arrived_is_found_by_its_name_and_followed(crew: Crew) -> None:
    crew.machines.breaks("submit", Lost.ANSWER)
    number, attempt = sent(crew, a_step(script="echo done\n"))

    crew.runs(number)

    assert (crew.status(number), crew.attempt(number).id) == (N.COMPLETED, attempt)
    assert len(crew.machines.submitted) == 1
    assert crew.service.output(number, 1).stdout == "done\n"


def test_command_that_is_shown_only_later_is_adopted_then(crew: Crew) -> None:
    crew.machines.breaks("submit", Lost.ANSWER)
    number, attempt = sent(crew)
    crew.machines.hide()
    moments(crew, attempt, until=timedelta(minutes=2))
    still_sought = crew.attempt(number).status

    crew.machines.hide(hidden=False)
    crew.runs(number)

    assert still_sought is AttemptStatus.SUBMITTING
    assert crew.status(number) == N.COMPLETED
    assert len(crew.machines.submitted) == 1


def test_command_is_proven_absent_only_when_its_machine_would_refuse_it(crew: Crew) -> None:
    """Not found is no proof while it could still arrive; the margin is for clocks that differ."""
    crew.machines.breaks("submit", Lost.REQUEST)
    number, attempt = sent(crew)

    crew.clock.time = NOW + timedelta(minutes=11)
    for _ in Patience().lookups:
        crew.does("observe", attempt)
    early = crew.step(number).status
    crew.clock.time = NOW + timedelta(minutes=11, seconds=1)
    crew.does("observe", attempt)

    assert early is S.RUNNING
    assert crew.attempt(number).status is AttemptStatus.NOT_STARTED
    assert (crew.status(number), crew.step(number).status) == (N.NEEDS_ATTENTION, S.FAILED)
    assert "never arrived" in crew.step(number).reason


@pytest.mark.parametrize("trouble", TROUBLES, ids=str)
def test_not_being_able_to_look_proves_nothing_and_ends_as_unknown_at_the_hard_deadline(
    crew: Crew, trouble: Any
) -> None:
    crew.machines.breaks("submit", Lost.REQUEST)
    number, attempt = sent(crew)
    crew.machines.breaks("reconcile", *[trouble] * 40)

    crew.clock.time = NOW + timedelta(minutes=12)
    crew.does("observe", attempt)
    early = crew.attempt(number).status
    deadline = crew.attempt(number).hard_deadline
    assert deadline is not None
    crew.clock.time = deadline
    crew.does("observe", attempt)

    assert early is AttemptStatus.SUBMITTING
    assert (crew.step(number).status, crew.status(number)) == (S.UNKNOWN, N.NEEDS_ATTENTION)
    assert len(crew.machines.submitted) == 1


def test_new_process_looks_for_what_the_old_one_was_sending(crew: Crew) -> None:
    class PowerCut(BaseException):
        pass

    def die_behind_the_wire() -> None:
        crew.machines.before.clear()
        crew.machines.submit(crew.machines.submitted[-1])
        raise PowerCut

    number = crew.approved()
    crew.machines.before["submit"] = die_behind_the_wire
    with pytest.raises(PowerCut):
        crew.does("run", number)
    sendings = len(crew.machines.submitted)
    crew.worker = crew.another_worker("worker-2")
    crew.uow = crew.database.unit_of_work(crew.notebook, owner="worker-2")

    crew.waits(minutes=2)
    crew.runs(number)

    assert crew.status(number) == N.COMPLETED
    assert len(crew.machines.submitted) == sendings
    assert len(crew.machines.arrivals()) == 1


# ------------------------------------------------------------ watching


def test_running_command_is_looked_at_less_and_less_often(crew: Crew) -> None:
    crew.machines.holding = True
    _, attempt = sent(crew)

    seen = moments(crew, attempt, until=timedelta(seconds=40))

    assert seen == [2, 7, 17, 27, 37]


def test_command_that_has_begun_is_said_to_run_once(crew: Crew) -> None:
    crew.machines.holding = True
    number, attempt = sent(crew)

    for _ in range(3):
        crew.does("observe", attempt)

    assert crew.attempt(number).status is AttemptStatus.RUNNING
    assert crew.count("step_running") == 1


@pytest.mark.parametrize("trouble", TROUBLES, ids=str)
def test_failing_look_changes_nothing_and_is_tried_again(crew: Crew, trouble: Any) -> None:
    number, attempt = sent(crew)
    crew.machines.breaks("observe", trouble)

    crew.does("observe", attempt)
    after = crew.step(number).status
    crew.runs(number)

    assert after is S.RUNNING
    assert crew.status(number) == N.COMPLETED


def test_end_is_recorded_once_with_its_evidence(crew: Crew) -> None:
    crew.machines.will_end(printed("seen\n", stderr=b"careful\n", stderr_bytes=8, duration_seconds=1.5))
    number, attempt = sent(crew)

    for _ in range(3):
        crew.does("observe", attempt)

    step = crew.step(number)
    assert (step.status, step.exit_code, step.duration_seconds) == (S.SUCCEEDED, 0, 1.5)
    assert crew.service.output(number, 1) == Output(stdout="seen\n", stderr="careful\n", stdout_bytes=5, stderr_bytes=8)
    [record] = crew.audit("step_ended")
    assert (record.data["attempt"], record.data["outcome"], record.data["exit_code"]) == (attempt, "succeeded", 0)


def test_two_workers_that_see_the_same_end_record_it_once(crew: Crew) -> None:
    number, attempt = sent(crew)
    other = crew.another_worker("worker-2")
    crew.machines.once_before("observe", lambda: crew.does("observe", attempt, worker=other))

    crew.does("observe", attempt)

    assert crew.count("step_ended") == 1
    assert crew.status(number) == N.COMPLETED


def test_command_that_fell_silent_is_asked_for_on_its_machine_at_the_deadline(crew: Crew) -> None:
    number, attempt = sent(crew, a_step(script="echo late\n"))
    crew.machines.hide()
    deadline = crew.attempt(number).hard_deadline
    assert deadline is not None

    crew.clock.time = deadline - timedelta(seconds=1)
    crew.does("observe", attempt)
    before = crew.step(number).status
    crew.clock.time = deadline
    crew.does("observe", attempt)

    assert before is S.RUNNING
    assert (crew.step(number).status, crew.service.output(number, 1).stdout) == (S.SUCCEEDED, "late\n")


@pytest.mark.parametrize("trouble", TROUBLES, ids=str)
def test_machine_that_cannot_tell_at_the_deadline_makes_the_outcome_unknown(crew: Crew, trouble: Any) -> None:
    number, attempt = sent(crew)
    crew.machines.hide()
    crew.machines.breaks("probe", trouble)
    crew.clock.time = crew.attempt(number).hard_deadline or NOW

    crew.does("observe", attempt)

    assert (crew.step(number).status, crew.status(number)) == (S.UNKNOWN, N.NEEDS_ATTENTION)
    assert str(trouble) in crew.step(number).reason


def test_command_that_still_runs_long_after_its_time_is_unknown_and_holds_its_machine(crew: Crew) -> None:
    crew.machines.holding = True
    number, attempt = sent(crew)
    crew.clock.time = crew.attempt(number).hard_deadline or NOW

    crew.does("observe", attempt)
    other = crew.approved()
    crew.works()

    assert crew.step(number).status is S.UNKNOWN
    assert "still runs" in crew.step(number).reason
    assert crew.step(other).status is S.QUEUED


def test_running_command_of_a_connector_that_was_switched_off_ends_as_unknown(crew: Crew) -> None:
    number, attempt = sent(crew)
    crew.worker = crew.another_worker("worker-1", connectors={}, preparation=crew.preparation_for({}))

    crew.does("observe", attempt)
    waits = crew.step(number).status
    crew.clock.time = crew.attempt(number).hard_deadline or NOW
    crew.does("observe", attempt)

    assert waits is S.RUNNING
    assert crew.status(number) == N.NEEDS_ATTENTION
    assert "azure" in crew.step(number).reason


# ------------------------------------------------------------ judging


@pytest.mark.parametrize(
    ("script", "expect", "status"),
    [
        ("exit 0\n", Expect(), S.SUCCEEDED),
        ("exit 3\n", Expect(), S.FAILED),
        ("exit 3\n", Expect(exit_codes=(0, 3)), S.SUCCEEDED),
        ("echo all good\n", Expect(contains=("good",)), S.SUCCEEDED),
        ("echo all bad\n", Expect(contains=("good",)), S.FAILED),
        ("echo all bad\n", Expect(not_contains=("bad",)), S.FAILED),
        ("echo 91\n", Expect(number="< 90"), S.FAILED),
        ("echo 89\n", Expect(number="< 90"), S.SUCCEEDED),
        ("echo 12% 89%\n", Expect(number="< 90"), S.FAILED),
    ],
)
def test_expectations_of_the_plan_decide_whether_a_step_succeeded(
    crew: Crew, script: str, expect: Expect, status: S
) -> None:
    number = crew.approved(a_step(script=script, expect=expect))

    crew.runs(number)

    assert crew.step(number).status is status
    assert bool(crew.step(number).reason) == (status is S.FAILED)


def test_result_without_an_exit_code_is_never_a_success(crew: Crew) -> None:
    crew.machines.will_end(printed("looks fine\n", exit_code=None))
    number = crew.approved()

    crew.runs(number)

    assert crew.step(number).status is S.FAILED


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (AttemptStatus.TIMED_OUT, S.TIMED_OUT),
        (AttemptStatus.INFRA_FAILED, S.FAILED),
        (AttemptStatus.REFUSED_LATE, S.FAILED),
        (AttemptStatus.UNKNOWN, S.UNKNOWN),
    ],
)
def test_end_without_a_result_is_not_judged_by_its_output(crew: Crew, end: AttemptStatus, status: S) -> None:
    crew.machines.will_end(printed("good\n", status=end, exit_code=None, message="As the machine says."))
    number = crew.approved(a_step(expect=Expect(contains=("good",))))

    crew.runs(number)

    assert crew.step(number).status is status
    assert crew.step(number).reason == "As the machine says."


def test_captured_values_are_taken_from_the_cleaned_output(crew: Crew) -> None:
    crew.machines.will_end(printed("password=hunter2hunter2\n"))
    number = crew.approved(a_step(capture=(("all", "text"),)))

    crew.runs(number)

    assert crew.step(number).captured == (("all", "password=[redacted]"),)


# ------------------------------------------------------------ hostile output

CANARY = "swordfish-4711"


def test_secrets_are_hidden_before_anything_is_stored(crew: Crew) -> None:
    crew.worker = crew.another_worker("worker-1", secrets=(CANARY,))
    noise = f"value {CANARY}\nAuthorization: Bearer abcdefghijklmnop1234\n"
    crew.machines.will_end(printed(noise, 1, stderr=noise.encode(), stderr_bytes=len(noise)))
    number = crew.approved(a_step(expect=Expect(contains=("nothing like it",)), capture=(("all", "text"),)))

    crew.runs(number)

    with crew.database.engine.connect() as connection:
        [row] = connection.execute(StepRow.__table__.select()).mappings().all()
    for hidden in (CANARY, "abcdefghijklmnop1234"):
        assert hidden not in repr(dict(row))
        assert hidden not in repr(crew.audit())
        assert hidden not in repr(crew.log)


def test_flood_is_capped_and_its_true_size_is_kept(crew: Crew) -> None:
    crew.machines.will_end(printed("x" * 700_000))
    number = crew.approved()

    crew.runs(number)

    kept = crew.service.output(number, 1)
    assert len(kept.stdout) < 300_000
    assert (kept.stdout_bytes, kept.truncated) == (700_000, True)


def test_output_of_which_only_the_end_arrived_is_called_truncated(crew: Crew) -> None:
    crew.machines.will_end(printed("f a line\nthe end\n", stdout_bytes=9_000))
    number = crew.approved()

    crew.runs(number)

    kept = crew.service.output(number, 1)
    assert (kept.stdout, kept.stdout_bytes, kept.truncated) == ("…\nthe end\n", 9_000, True)


@pytest.mark.parametrize("raw", [b"\0\xff\xfe", b"\x1b[31mred\x1b[0m", "rtl \u202e".encode(), b"\xed\xa0\x80"])
def test_whatever_bytes_come_back_the_end_is_recorded(crew: Crew, raw: bytes) -> None:
    crew.machines.will_end(printed(raw))
    number = crew.approved()

    crew.runs(number)

    assert crew.status(number) == N.COMPLETED
    assert crew.service.output(number, 1).stdout_bytes == len(raw)


# ------------------------------------------------------------ calling it off


def test_cancel_during_the_sending_is_passed_on_once_the_command_has_arrived(crew: Crew) -> None:
    crew.machines.holding = True
    number = crew.approved(a_step(), a_free_step())
    crew.machines.before["submit"] = lambda: crew.service.cancel(number, an_actor())

    crew.does("run", number)
    running, asked = crew.status(number), [job.id for job in crew.notebook.noted if job.task == "cancel"]
    crew.runs(number)

    assert (running, asked) == (N.IN_PROGRESS, [crew.attempt(number).id])
    assert (crew.attempt(number).status, crew.status(number)) == (AttemptStatus.CANCELLED, N.CANCELLED)
    assert len(crew.machines.submitted) == 1


def test_cancel_during_the_sending_of_a_command_that_never_arrived_ends_the_session(crew: Crew) -> None:
    crew.machines.breaks("submit", Transient("Throttled."))
    number = crew.approved()
    crew.machines.before["submit"] = lambda: crew.service.cancel(number, an_actor())

    crew.does("run", number)

    assert crew.status(number) == N.CANCELLED
    crew.waits(minutes=5)
    crew.works()
    assert len(crew.machines.submitted) == 1


def test_cancel_of_a_running_command_stops_it_and_nothing_follows(crew: Crew) -> None:
    crew.machines.holding = True
    number, attempt = sent(crew, a_step(), a_free_step())
    crew.does("observe", attempt)

    crew.service.cancel(number, an_actor(), "wrong machine")
    crew.runs(number)

    assert [step.status for step in crew.session(number).steps] == [S.CANCELLED, S.CANCELLED]
    assert crew.status(number) == N.CANCELLED
    [record] = crew.audit("cancel_sent")
    assert record.data["answer"] == "confirmed"


def test_command_that_cannot_be_stopped_runs_to_its_end_is_recorded_and_nothing_follows(crew: Crew) -> None:
    crew.machines.holding, crew.machines.stoppable = True, False
    number, attempt = sent(crew, a_step(script="echo did it\n"), a_free_step())

    crew.service.cancel(number, an_actor())
    crew.does("cancel", attempt)
    crew.does("observe", attempt)
    during = crew.status(number)
    crew.machines.release()
    crew.runs(number)

    assert during == N.IN_PROGRESS
    assert crew.step(number).status is S.SUCCEEDED
    assert crew.service.output(number, 1).stdout == "did it\n"
    assert crew.status(number) == N.CANCELLED
    assert len(crew.machines.submitted) == 1


@pytest.mark.parametrize("trouble", TROUBLES, ids=str)
def test_cancel_that_met_trouble_claims_nothing(crew: Crew, trouble: Any) -> None:
    crew.machines.holding = True
    number, attempt = sent(crew)
    crew.machines.breaks("cancel", trouble)
    crew.service.cancel(number, an_actor())

    crew.does("cancel", attempt)

    [record] = crew.audit("cancel_sent")
    assert "not confirmed" in str(record.data["answer"])
    assert crew.status(number) == N.IN_PROGRESS
    assert crew.step(number).status is S.RUNNING


def test_cancel_task_that_nobody_asked_for_stops_nothing(crew: Crew) -> None:
    crew.machines.holding = True
    number, attempt = sent(crew)

    crew.does("cancel", attempt)
    crew.does("cancel", "01unknown")

    assert crew.count("cancel_sent") == 0
    assert crew.step(number).status is S.RUNNING


# ------------------------------------------------------------ clearing up


def test_leftovers_are_removed_again_and_again_until_they_are_gone(crew: Crew) -> None:
    crew.machines.leftovers = 2
    number, attempt = sent(crew)
    crew.does("observe", attempt)

    times: list[datetime] = []
    while crew.due("cleanup") and len(times) < 9:
        times.append(crew.clock.now())
        crew.does("cleanup", attempt)
        crew.waits(seconds=20)

    assert len(times) == 3
    assert crew.machines.cleaned == [attempt]
    assert crew.status(number) == N.COMPLETED


@pytest.mark.parametrize(
    ("trouble", "seconds"),
    [(Transient("Throttled.", retry_after=45), 45), (Permanent("Locked."), 300), (Indeterminate("Reset."), 300)],
    ids=["throttled", "locked", "reset"],
)
def test_clean_up_that_met_trouble_is_tried_again_later(crew: Crew, trouble: Any, seconds: int) -> None:
    _, attempt = sent(crew)
    crew.does("observe", attempt)
    crew.machines.breaks("cleanup", trouble)

    crew.does("cleanup", attempt)

    crew.waits(seconds=seconds - 1)
    assert crew.due("cleanup") == []
    crew.waits(seconds=1)
    crew.works()
    assert crew.machines.cleaned == [attempt]


def test_running_command_is_never_cleared_away(crew: Crew) -> None:
    crew.machines.holding = True
    _, attempt = sent(crew)

    crew.does("cleanup", attempt)
    crew.does("cleanup", "01unknown")

    assert crew.machines.cleaned == []
    assert crew.due("cleanup") == []


def test_attempt_that_never_arrived_needs_no_clean_up_outside(crew: Crew) -> None:
    crew.machines.breaks("submit", Permanent("A right is missing."))
    sent(crew)

    crew.works()

    assert crew.machines.cleaned == []
    assert crew.due("cleanup") == []


def test_command_that_nobody_ever_found_is_not_looked_for_for_ever(crew: Crew) -> None:
    """Its machine was made again, so no look can prove anything any more."""
    crew.machines.breaks("submit", Lost.REQUEST)
    number, attempt = sent(crew)
    crew.machines.breaks("reconcile", *[Indeterminate("It was made again.")] * 600)
    crew.clock.time = crew.attempt(number).hard_deadline or NOW
    crew.does("observe", attempt)
    stopped = ev.Chosen(step_number=1, choice=ev.Choice.FAILED, actor=an_actor(BOB), reason="Nobody can tell.")
    crew.service.choose(number, stopped)
    crew.works()
    refused = crew.attempt(number).not_after or NOW

    crew.clock.time = refused + timedelta(hours=23)
    crew.works()
    crew.clock.time = refused + timedelta(days=1)
    early = crew.due("cleanup")
    crew.works()
    crew.clock.time = refused + timedelta(days=30)

    assert len(early) == 1
    assert crew.due("cleanup") == []


@pytest.mark.parametrize("choice", [ev.Choice.SUCCEEDED, ev.Choice.FAILED])
def test_evidence_of_an_unknown_outcome_stays_until_a_person_has_chosen(crew: Crew, choice: ev.Choice) -> None:
    crew.machines.will_end(printed(status=AttemptStatus.UNKNOWN, exit_code=None, message="Nobody knows."))
    number, attempt = sent(crew)
    crew.does("observe", attempt)

    crew.runs(number)
    kept = crew.machines.cleaned == []
    crew.service.choose(
        number, ev.Chosen(step_number=1, choice=choice, actor=an_actor(BOB), reason="I looked at the machine.")
    )
    crew.works()

    assert kept
    assert crew.machines.cleaned == [attempt]


def test_choice_about_an_unknown_outcome_frees_the_machine_for_the_next(crew: Crew) -> None:
    crew.machines.will_end(printed(status=AttemptStatus.UNKNOWN, exit_code=None))
    number, attempt = sent(crew)
    crew.does("observe", attempt)
    other = crew.approved()
    crew.works()
    waiting = crew.step(other).status

    crew.service.choose(
        number, ev.Chosen(step_number=1, choice=ev.Choice.FAILED, actor=an_actor(BOB), reason="It did nothing.")
    )
    crew.runs(other)

    assert waiting is S.QUEUED
    assert crew.status(other) == N.COMPLETED


def test_unknown_outcome_is_no_invitation_to_try_again(crew: Crew) -> None:
    crew.machines.will_end(printed(status=AttemptStatus.UNKNOWN, exit_code=None))
    number, attempt = sent(crew)
    crew.does("observe", attempt)

    with pytest.raises(Conflict):
        crew.service.choose(
            number, ev.Chosen(step_number=1, choice=ev.Choice.RETRY, actor=an_actor(BOB), reason="Once more.")
        )

    assert len(crew.machines.submitted) == 1


# ------------------------------------------------------------ rolling back


def test_rollback_runs_on_the_machine_as_steps_with_results_of_their_own(crew: Crew) -> None:
    number = crew.starts(
        a_free_step(script="echo first\n"),
        a_free_step(script="exit 3\n", on_failure="rollback"),
        an_undo(2, script="echo undo second\n"),
        an_undo(1, script="echo undo first\n"),
    )

    crew.runs(number)

    assert crew.machines.arrivals() == ["echo first\n", "exit 3\n", "echo undo second\n", "echo undo first\n"]
    assert [crew.service.output(number, step).stdout for step in (3, 4)] == ["undo second\n", "undo first\n"]
    assert crew.status(number) == N.FAILED


# ------------------------------------------------------------ a queue that forgets


class Forgetful(EmbeddedQueue):
    """Drops every job that it is given; whoever waits is told of each commit."""

    def __init__(self, clock: MovableClock) -> None:
        super().__init__(clock, threads=2, sweep_seconds=0.05)
        self.committed = threading.Condition()

    def after_commit(self, tx: object) -> None:
        super().after_commit(tx)
        self.forget()
        with self.committed:
            self.committed.notify_all()


def test_emptied_queue_loses_nothing_because_the_rows_say_what_is_due(database: Database, tmp_path: Path) -> None:
    crew = Crew(database, tmp_path)
    clock = MovableClock()
    queue = Forgetful(clock)
    crew.clock = crew.machines._clock = clock  # type: ignore[assignment]
    crew.machines.polls = (0.01,)
    crew.uow = database.unit_of_work(queue, owner="worker-1")
    queue.sweep_with(crew.uow)
    worker: Worker = crew.another_worker("worker-1", uow=crew.uow)
    number = crew.starts(a_free_step(script="echo one\n"), a_free_step(script="exit 4\n", retries=0), a_free_step())
    stop = threading.Event()
    runner = threading.Thread(target=queue.run, args=(worker.tasks(), stop))

    runner.start()
    with queue.committed:
        over = queue.committed.wait_for(lambda: crew.status(number) == N.FAILED, 30)
        clean = queue.committed.wait_for(lambda: len(crew.machines.cleaned) == 2, 30)
    stop.set()
    runner.join(30)

    assert (over, clean) == (True, True)
    assert crew.machines.arrivals() == ["echo one\n", "exit 4\n"]
