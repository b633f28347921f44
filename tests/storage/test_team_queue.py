"""The team queue beyond the common suite: several replicas, jobs of dead workers, a table that vanishes."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path

import procrastinate
import pytest
from sqlalchemy import text

from engine.errors import Misconfigured
from storage.migrations.versions import __file__ as versions
from storage.team_queue import TeamQueue, require_known_schema
from tests.storage.builders import FixedClock, started, ungated
from tests.storage.test_queue import Handler, defer, working

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
DOING = "INSERT INTO procrastinate_jobs (queue_name, task_name, queueing_lock, args, status, worker_id) "


def replica(database, name="me"):
    queue = TeamQueue(database.engine.url, FixedClock(), threads=3, sweep_seconds=60)
    units = database.unit_of_work(queue, owner=name)
    queue.sweep_with(units)
    return queue, units


def execute(database, statement, **values):
    with database.engine.begin() as connection:
        return connection.execute(text(statement), values)


def test_every_job_is_carried_once_however_many_replicas_work(database):
    first, units = replica(database)
    replicas = [first, replica(database, "b")[0], replica(database, "c")[0]]
    handler = Handler()
    names = [f"row-{number}" for number in range(60)]

    with ExitStack() as stack:
        for queue in replicas:
            stack.enter_context(working(queue, run=handler))
        for name in names:
            defer(units, ("run", name))
        handler.wait_for(len(names))

    assert sorted(handler.rows) == sorted(names)


def test_work_that_all_replicas_find_in_the_rows_becomes_one_job(database):
    first, units = replica(database)
    queues = [first, replica(database, "b")[0], replica(database, "c")[0]]
    started(units, ungated())
    first.forget()

    threads = [threading.Thread(target=queue._sweep, args=(units,)) for queue in queues]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert first.waiting() == 1


def test_work_that_a_living_worker_is_at_becomes_no_second_job(database):
    queue, units = replica(database)
    session = started(units, ungated())
    queue.forget()
    execute(database, "INSERT INTO procrastinate_workers DEFAULT VALUES")
    execute(
        database, DOING + f"SELECT 'runbook', 'run', 'run:{session.id}', '{{}}', 'doing', id FROM procrastinate_workers"
    )

    queue._sweep(units)

    assert queue.waiting() == 0


def test_work_of_a_worker_that_is_gone_becomes_a_new_job(database):
    queue, units = replica(database)
    session = started(units, ungated())
    queue.forget()
    execute(database, "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (clock_timestamp() - interval '11 s')")
    execute(
        database, DOING + f"SELECT 'runbook', 'run', 'run:{session.id}', '{{}}', 'doing', id FROM procrastinate_workers"
    )

    queue._sweep(units)

    assert queue.waiting() == 1
    assert execute(database, "SELECT count(*) FROM procrastinate_jobs").scalar_one() == 1


def test_job_whose_row_vanishes_while_it_is_worked_on_disturbs_nobody(database):
    queue, units = replica(database)
    handler = Handler()
    handler.go_on.clear()

    with working(queue, run=handler):
        defer(units, ("run", "a"))
        handler.wait_for(1)
        execute(database, "TRUNCATE procrastinate_jobs CASCADE")
        handler.go_on.set()
        defer(units, ("run", "b"))
        handler.wait_for(2)

    assert handler.rows == ["a", "b"]


def test_worker_that_loses_its_connections_goes_on_with_new_ones(database):
    queue, units = replica(database)
    handler = Handler()

    with working(queue, run=handler):
        defer(units, ("run", "a"))
        handler.wait_for(1)
        execute(
            database,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name = 'runbook-bot queue'",
        )
        defer(units, ("run", "b"))
        handler.wait_for(2)

    assert handler.rows == ["a", "b"]


def test_job_table_of_our_revision_is_that_of_the_installed_procrastinate(database):
    ours = Path(str(versions)).with_name("procrastinate_3_10.sql").read_text(encoding="utf-8")
    theirs = Path(procrastinate.__file__).parent.joinpath("sql", "schema.sql").read_text(encoding="utf-8")

    assert ours.endswith(theirs)


def test_procrastinate_with_another_job_table_is_refused(database):
    require_known_schema()

    with pytest.raises(Misconfigured, match="job table"):
        require_known_schema("03.03.00_01_pre_priority_lock_fetch_job.sql")
