"""A worker that was replaced, or that must end: what it brings counts no more, and it sends nothing."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from engine.errors import Indeterminate, Transient
from engine.model import AttemptStatus
from engine.model import SessionStatus as N
from engine.model import StepStatus as S
from engine.worker import Worker
from tests.engine.crew import Crew


def replaced(crew: Crew, number: int, successor: Worker) -> None:
    """Let another process follow the attempt, as it does when the sender is thought dead."""
    attempt = crew.attempt(number).id
    crew.changes_attempt(attempt, next_check_at=crew.clock.now())
    crew.does("observe", attempt, worker=successor)


@pytest.mark.parametrize(
    "answer",
    [None, Indeterminate("the connection was cut"), Transient("too many requests")],
    ids=["accepted", "unsure", "refused"],
)
def test_sender_that_was_replaced_while_it_waited_for_the_answer_writes_nothing(
    crew: Crew, answer: Exception | None
) -> None:
    number = crew.approved()
    successor = crew.another_worker("worker-2")
    crew.machines.once_before("submit", lambda: replaced(crew, number, successor))
    if answer:
        crew.machines.breaks("submit", answer)

    crew.does("run", number)

    assert [record.kind for record in crew.audit()][-1] == "attempt_taken_over"
    assert (crew.attempt(number).owner, crew.attempt(number).status) == ("worker-2", AttemptStatus.SUBMITTING)
    assert "event_dropped" in [event for event, _ in crew.log]


def test_successor_adopts_what_the_replaced_one_sent_and_it_runs_once(crew: Crew) -> None:
    number = crew.approved()
    crew.worker, sender = crew.another_worker("worker-2"), crew.worker
    crew.machines.once_before("submit", lambda: replaced(crew, number, crew.worker))
    crew.does("run", number, worker=sender)

    crew.runs(number)

    assert crew.status(number) == N.COMPLETED
    assert len(crew.machines.submitted) == 1


def moments(*acts: object) -> Iterator[object]:
    """Each time the worker asks whether it must end, do the next of these and return what it returns."""
    for act in acts:
        yield act() if callable(act) else act


def test_worker_that_was_held_up_before_sending_and_replaced_sends_nothing(crew: Crew) -> None:
    number = crew.approved()
    successor = crew.another_worker("worker-2")

    def held_up() -> bool:
        crew.waits(seconds=6)
        replaced(crew, number, successor)
        return False

    asked = moments(False, held_up)
    frozen = crew.another_worker("worker-1", stopping=lambda: bool(next(asked)))

    crew.does("run", number, worker=frozen)

    assert crew.machines.submitted == []
    assert crew.attempt(number).owner == "worker-2"


def test_worker_that_was_held_up_and_not_replaced_sends(crew: Crew) -> None:
    number = crew.approved()
    asked = moments(False, lambda: crew.waits(seconds=6))
    slow = crew.another_worker("worker-1", stopping=lambda: bool(next(asked)))

    crew.does("run", number, worker=slow)

    assert len(crew.machines.submitted) == 1


def test_worker_that_was_held_up_until_the_machine_would_refuse_sends_nothing(crew: Crew) -> None:
    number = crew.approved()
    asked = moments(False, lambda: crew.waits(minutes=10))
    slow = crew.another_worker("worker-1", stopping=lambda: bool(next(asked)))

    crew.does("run", number, worker=slow)

    assert crew.machines.submitted == []


@pytest.mark.parametrize("asked_at", [0, 1], ids=["before the claim", "between claim and sending"])
def test_worker_that_must_end_sends_nothing_and_another_one_does(crew: Crew, asked_at: int) -> None:
    number = crew.approved()
    times = count()
    ending = crew.another_worker("worker-1", stopping=lambda: next(times) >= asked_at)

    crew.does("run", number, worker=ending)
    left = crew.step(number).status, list(crew.machines.submitted)
    crew.worker = crew.another_worker("worker-2")
    crew.waits(seconds=2)
    crew.runs(number)

    assert left in [(S.APPROVED, []), (S.QUEUED, [])]
    assert len(crew.machines.submitted) == 1
    assert crew.status(number) == N.COMPLETED
