"""Clocks that jump: no approval comes back to life, no timer fires twice, no command is sent again.

The clock of the bot is set ahead and back at the moments that matter; rows and the machines' ledger are the judges.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from engine.errors import Refused, RunbookError
from engine.model import AttemptStatus, GateStatus, SessionStatus, StepStatus
from engine.ports import Job
from storage.database import Database, open_database
from tests.builders import CAROL
from tests.engine.crew import Crew
from tests.fakes.machines import Lost
from tests.storage.databases import migrated_file

__all__ = ["migrated_file"]

SIZES = {"second": 1, "minutes": 300, "hour": 3600, "day": 86_400}
JUMPS = {f"{sign}{name}": factor * size for name, size in SIZES.items() for sign, factor in (("+", 1), ("-", -1))}
LIFE = 1800  #: seconds until a request for approval expires

jumps = pytest.mark.parametrize("jump", JUMPS.values(), ids=JUMPS)


@pytest.fixture
def database(tmp_path: Path, migrated_file: Path) -> Iterator[Database]:
    file = tmp_path / "runbook.db"
    file.write_bytes(migrated_file.read_bytes())
    opened = open_database(f"sqlite:///{file}")
    yield opened
    opened.close()


@pytest.fixture
def crew(database: Database, tmp_path: Path) -> Crew:
    return Crew(database, tmp_path)


def jump_by(crew: Crew, seconds: float) -> None:
    crew.clock.time += timedelta(seconds=seconds)


def tick(crew: Crew, *jobs: Job) -> None:
    """Do what is due, or was a moment ago; a job that fails is left to the next sweep, as the queue does."""
    tasks = {**crew.worker.tasks(), "expire": crew.service.expire, "remind": crew.service.remind}
    for job in jobs or tuple(crew.due()):
        with contextlib.suppress(RunbookError):
            tasks[job.task](job.id)


def follow(crew: Crew, *, rounds: int = 60) -> None:
    """Let the rows' own times come until nothing is due for a week."""
    end = crew.clock.time + timedelta(days=7)
    for _ in range(rounds):
        tick(crew)
        with crew.uow() as uow:
            following = uow.next_due(now=crew.clock.now())
        if not crew.due():
            if following is None or following > end:
                return
            crew.clock.time = following
    raise AssertionError(f"It never comes to rest: {crew.due()}")


# ---------------------------------------------------------------- requests for approval


@jumps
def test_approval_that_has_expired_never_comes_back_to_life(crew: Crew, jump: int):
    number = crew.starts()
    crew.waits(seconds=LIFE + 1)
    tick(crew)

    jump_by(crew, jump)
    tick(crew)
    with contextlib.suppress(Refused):
        crew.approves(number, session_id=number, step_number=1)
    follow(crew)

    assert crew.status(number) == SessionStatus.EXPIRED
    assert crew.count("gate_expired") == 1
    assert crew.machines.submitted == []


@jumps
def test_request_is_never_approved_after_its_time_by_the_clock_of_that_moment(crew: Crew, jump: int):
    number = crew.starts()
    gate = crew.gate(number)
    crew.waits(seconds=LIFE / 2)

    jump_by(crew, jump)
    late = crew.clock.now() >= gate.expires_at
    with contextlib.suppress(Refused):
        crew.approves(number, CAROL, session_id=number, step_number=1)

    found = crew.step(number).gate
    assert found
    assert found.status is (GateStatus.OPEN if late else GateStatus.APPROVED)


@jumps
def test_expiry_that_was_due_before_the_jump_fires_once_and_never_early(crew: Crew, jump: int):
    """The job was taken while the time had come; when it runs, the clock may say otherwise."""
    number = crew.starts()
    expires_at = crew.gate(number).expires_at
    crew.waits(seconds=LIFE + 1)
    due = crew.due("expire")

    jump_by(crew, jump)
    tick(crew, *due)
    early = crew.status(number) == SessionStatus.EXPIRED and crew.clock.now() < expires_at
    follow(crew)

    assert due
    assert not early
    assert crew.status(number) == SessionStatus.EXPIRED
    assert crew.count("gate_expired") == 1


@jumps
def test_reminder_fires_once_whatever_the_clock_does(crew: Crew, jump: int):
    number = crew.starts()
    crew.waits(seconds=LIFE / 2 + 1)
    tick(crew)

    jump_by(crew, jump)
    tick(crew)
    crew.clock.time = crew.session(number).created_at + timedelta(seconds=LIFE / 2 + 2)
    tick(crew)
    follow(crew)

    assert crew.count("approvers_reminded") == 1


# ---------------------------------------------------------------- commands


@jumps
@pytest.mark.parametrize("when", ["before", "between", "after"])
def test_jump_around_the_sending_never_sends_again(crew: Crew, jump: int, when: str):
    number = crew.approved()
    if when == "before":
        jump_by(crew, jump)
    crew.does("run", number)
    if when == "between":
        jump_by(crew, jump)
    tick(crew)
    if when == "after":
        jump_by(crew, jump)
    tick(crew)
    follow(crew)

    assert len(crew.machines.submitted) <= 1
    assert crew.step(number).attempts <= 1


@jumps
def test_command_whose_answer_was_lost_is_not_sent_again_and_not_declared_dead_without_a_look(crew: Crew, jump: int):
    number = crew.approved()
    crew.machines.breaks("submit", Lost.ANSWER)
    crew.does("run", number)

    jump_by(crew, jump)
    tick(crew)
    follow(crew)

    assert len(crew.machines.submitted) == 1
    assert crew.step(number).status in {StepStatus.SUCCEEDED, StepStatus.UNKNOWN}


@jumps
def test_running_command_is_called_unknown_only_when_the_machine_cannot_tell(crew: Crew, jump: int):
    number = crew.approved()
    crew.does("run", number)
    attempt = crew.attempt(number)
    assert attempt.hard_deadline
    crew.clock.time = attempt.hard_deadline - timedelta(seconds=2)

    jump_by(crew, jump)
    tick(crew)
    follow(crew)

    assert crew.attempt(number).status in {AttemptStatus.SUCCEEDED, AttemptStatus.UNKNOWN}
    assert len(crew.machines.submitted) == 1


@jumps
def test_command_that_is_not_shown_yet_is_not_called_lost_because_the_clock_jumped(crew: Crew, jump: int):
    """Azure may hide for a while what it has accepted; one look after a jump proves nothing."""
    number = crew.approved()
    crew.machines.breaks("submit", Lost.ANSWER)
    crew.does("run", number)
    crew.machines.hide()

    jump_by(crew, jump)
    tick(crew)
    crew.machines.hide(hidden=False)
    follow(crew)

    assert crew.step(number).status is StepStatus.SUCCEEDED
    assert len(crew.machines.submitted) == 1
