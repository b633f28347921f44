"""The embedded queue: it carries jobs after commit, one thread per row, and losing its content loses nothing."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from datetime import timedelta

import pytest

from engine.errors import Bug
from storage.queue import EmbeddedQueue
from tests.storage.builders import NOW, FixedClock, a_target, happened, started, ungated, vote

PATIENCE = 10.0


class Handler:
    """Notes the rows it was called with; can be told to hold or to fail."""

    def __init__(self):
        self.rows = []
        self.changed = threading.Condition()
        self.go_on = threading.Event()
        self.go_on.set()
        self.at_once = self.most_at_once = 0
        self.fails = False

    def __call__(self, row_id):
        with self.changed:
            self.rows.append(row_id)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            self.changed.notify_all()
        self.go_on.wait(PATIENCE)
        with self.changed:
            self.at_once -= 1
        if self.fails:
            raise RuntimeError("handler failed")

    def wait_for(self, count):
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.rows) >= count, PATIENCE), self.rows


@contextmanager
def working(queue, **handlers):
    stop = threading.Event()
    runner = threading.Thread(target=queue.run, args=(handlers, stop))
    runner.start()
    try:
        yield
    finally:
        stop.set()
        runner.join(PATIENCE)
        assert not runner.is_alive()


@pytest.fixture
def clock():
    return FixedClock()


@pytest.fixture
def queue(clock, database):
    queue = EmbeddedQueue(clock, threads=3, sweep_seconds=60)
    queue.sweep_with(database.unit_of_work(queue, owner="me"))
    return queue


@pytest.fixture
def queued(database, queue):
    """Units of work that defer into the queue."""
    return database.unit_of_work(queue, owner="me")


def defer(queued, *jobs, commit=True, **when):
    with queued() as uow:
        for task, row_id in jobs:
            uow.defer(task, row_id, **when)
        if commit:
            uow.commit()


def test_job_is_carried_once_its_transaction_has_committed(queue, queued):
    handler = Handler()

    with working(queue, run=handler):
        defer(queued, ("run", "7"))
        handler.wait_for(1)

    assert handler.rows == ["7"]


def test_job_of_a_transaction_that_was_undone_never_wakes(queue, queued):
    defer(queued, ("run", "7"), commit=False)

    assert queue.waiting() == 0


def test_same_job_deferred_twice_is_carried_once(queue, queued):
    defer(queued, ("run", "7"), ("run", "7"))

    assert queue.waiting() == 1


def test_earlier_time_of_the_same_job_counts(queue, queued):
    handler = Handler()
    defer(queued, ("run", "7"), not_before=NOW + timedelta(hours=1))

    with working(queue, run=handler):
        defer(queued, ("run", "7"))
        handler.wait_for(1)

    assert queue.waiting() == 0


def test_job_for_later_waits_for_its_time(queue, queued, clock):
    handler = Handler()

    with working(queue, run=handler):
        defer(queued, ("run", "later"), not_before=NOW + timedelta(minutes=1))
        defer(queued, ("run", "now"))
        handler.wait_for(1)
        before = list(handler.rows)
        clock.time = NOW + timedelta(minutes=1)
        queue.wake()
        handler.wait_for(2)

    assert (before, handler.rows) == (["now"], ["now", "later"])


def test_emptied_queue_finds_all_work_again_in_the_rows(queue, queued):
    sessions = [started(queued, ungated(a_target(name))) for name in ("web-01", "web-02")]
    gated = started(queued)
    gated = happened(queued, gated, vote(gated))
    defer(queued, ("run", str(gated.id)))
    handler = Handler()

    queue.forget()
    with working(queue, run=handler):
        handler.wait_for(3)

    assert sorted(handler.rows) == sorted(str(session.id) for session in [*sessions, gated])


def test_job_whose_handler_failed_is_left_to_the_next_sweep(queue, queued, caplog):
    session = started(queued, ungated())
    handler = Handler()
    handler.fails = True

    with caplog.at_level(logging.CRITICAL, logger="storage.queue"), working(queue, run=handler):
        handler.wait_for(1)
        while len(handler.rows) < 2:
            queue.wake()
            with handler.changed:
                handler.changed.wait(0.05)

    assert set(handler.rows) == {str(session.id)}


def test_one_row_is_never_worked_on_by_two_threads(queue, queued):
    slow, other = Handler(), Handler()
    slow.go_on.clear()

    with working(queue, observe=slow, cancel=slow, run=other):
        defer(queued, ("observe", "a"))
        slow.wait_for(1)
        defer(queued, ("observe", "a"), ("cancel", "a"), ("run", "b"))
        other.wait_for(1)
        meanwhile = list(slow.rows)
        slow.go_on.set()
        slow.wait_for(3)

    assert meanwhile == ["a"]
    assert slow.most_at_once == 1


def test_different_rows_are_worked_on_at_the_same_time(queue, queued):
    handler = Handler()
    handler.go_on.clear()

    with working(queue, run=handler):
        defer(queued, ("run", "a"), ("run", "b"), ("run", "c"))
        handler.wait_for(3)
        handler.go_on.set()

    assert handler.most_at_once == 3


def test_stop_lets_running_work_finish_and_starts_nothing_new(queue, queued):
    handler = Handler()
    handler.go_on.clear()
    stop = threading.Event()
    runner = threading.Thread(target=queue.run, args=({"run": handler}, stop))
    runner.start()
    defer(queued, *(("run", name) for name in "abcd"))
    handler.wait_for(3)

    stop.set()
    handler.go_on.set()
    runner.join(PATIENCE)

    assert not runner.is_alive()
    assert handler.at_once == 0


def test_queue_that_does_not_know_the_rows_refuses_to_run(clock):
    with pytest.raises(Bug):
        EmbeddedQueue(clock).run({}, threading.Event())
