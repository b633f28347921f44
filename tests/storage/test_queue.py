"""Every work queue: it carries jobs once their transaction has committed, and losing its content loses nothing.

One suite for both adapters, and then what the embedded one promises beyond it.
"""

from __future__ import annotations

import logging
import shutil
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from engine.errors import Bug
from storage.database import open_database
from storage.migrate import upgrade
from storage.queue import EmbeddedQueue
from storage.team_queue import TeamQueue
from tests.storage.builders import FixedClock, a_target, happened, started, ungated, vote

PATIENCE = 30.0


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


@pytest.fixture(params=["embedded on sqlite", "embedded on postgresql", "team on postgresql"])
def adapter(request):
    return request.param


@pytest.fixture
def database(adapter, request, tmp_path):
    if adapter.endswith("sqlite"):
        path = tmp_path / "runbook.db"
        shutil.copy(request.getfixturevalue("migrated_file"), path)
        url, server = f"sqlite:///{path}", None
    else:
        server = request.getfixturevalue("postgres_server")
        url = server.create_database(template=server.create_template("storage", upgrade))
    opened = open_database(url)
    yield opened
    opened.close()
    if server:
        server.drop_database(url)


@pytest.fixture
def queue(adapter, clock, database):
    if adapter.startswith("team"):
        queue = TeamQueue(database.engine.url, clock, threads=3, sweep_seconds=60)
    else:
        queue = EmbeddedQueue(clock, threads=3, sweep_seconds=60)
    queue.sweep_with(database.unit_of_work(queue, owner="me"))
    return queue


@dataclass
class Time:
    """The clock that a queue compares its jobs with: the process's own, or the database's."""

    queue: object
    clock: FixedClock
    database: object

    def in_an_hour(self):
        now = datetime.now(UTC) if isinstance(self.queue, TeamQueue) else self.clock.now()
        return now + timedelta(hours=1)

    def pass_an_hour(self):
        self.clock.time += timedelta(hours=1)
        if isinstance(self.queue, TeamQueue):
            with self.database.engine.begin() as connection:
                connection.execute(text("UPDATE procrastinate_jobs SET scheduled_at = scheduled_at - interval '1h'"))
        self.queue.wake()


@pytest.fixture
def time(queue, clock, database):
    return Time(queue, clock, database)


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


def test_earlier_time_of_the_same_job_counts(queue, queued, time):
    handler = Handler()
    defer(queued, ("run", "7"), not_before=time.in_an_hour())

    with working(queue, run=handler):
        defer(queued, ("run", "7"))
        handler.wait_for(1)

    assert queue.waiting() == 0


def test_later_time_of_the_same_job_does_not_put_it_off(queue, queued, time):
    handler = Handler()
    defer(queued, ("run", "7"))
    defer(queued, ("run", "7"), not_before=time.in_an_hour())

    with working(queue, run=handler):
        handler.wait_for(1)

    assert handler.rows == ["7"]


def test_job_for_later_waits_for_its_time(queue, queued, time):
    handler = Handler()

    with working(queue, run=handler):
        defer(queued, ("run", "later"), not_before=time.in_an_hour())
        defer(queued, ("run", "now"))
        handler.wait_for(1)
        before = list(handler.rows)
        time.pass_an_hour()
        handler.wait_for(2)

    assert (before, handler.rows) == (["now"], ["now", "later"])


def test_job_deferred_while_the_same_one_runs_is_carried_again(queue, queued):
    handler = Handler()
    handler.go_on.clear()

    with working(queue, run=handler):
        defer(queued, ("run", "7"))
        handler.wait_for(1)
        defer(queued, ("run", "7"))
        handler.go_on.set()
        handler.wait_for(2)

    assert handler.rows == ["7", "7"]


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


def test_queue_that_does_not_know_the_rows_refuses_to_run(adapter, clock, database):
    queue = TeamQueue(database.engine.url, clock) if adapter.startswith("team") else EmbeddedQueue(clock)

    with pytest.raises(Bug):
        queue.run({}, threading.Event())


@pytest.mark.parametrize("adapter", ["embedded on sqlite"], indirect=True)
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
