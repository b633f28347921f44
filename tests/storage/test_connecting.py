"""Opening a database: what is refused at once, and how trouble with it is told."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import event, make_url, text

from engine.errors import InvalidInput, Misconfigured, StorageUnavailable
from storage.columns import Base
from storage.database import acquire_process_lock, open_database
from storage.migrate import upgrade
from storage.team_queue import TeamQueue
from tests.storage.builders import NOW, FixedClock, NoQueue, a_draft, a_plan, happened, planned, started, stored, vote
from tests.wire import Wire

ROOT = Path(__file__).parents[2]


@pytest.fixture
def sqlite_url(migrated_file, tmp_path):
    path = tmp_path / "runbook.db"
    path.write_bytes(migrated_file.read_bytes())
    return f"sqlite:///{path}"


@pytest.fixture
def on_sqlite(sqlite_url):
    database = open_database(sqlite_url)
    yield database
    database.close()


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "not an address"),
        ("nonsense", "not an address"),
        ("mysql://localhost/x", "mysql"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("sqlite:////no/such/folder/runbook.db", "/no/such/folder"),
    ],
)
def test_address_that_cannot_be_right_is_refused_with_the_cure(url, problem):
    with pytest.raises(Misconfigured, match=problem) as caught:
        open_database(url)

    assert caught.value.hint


def test_opening_connects_to_nothing():
    database = open_database("postgresql://u:secret@127.0.0.1:1/x")

    assert "secret" not in repr(database)


@pytest.mark.skipif(
    not hasattr(socket, "TCP_USER_TIMEOUT"), reason="only Linux lets us read the limits of a connection"
)
def test_connection_that_the_network_swallows_is_given_up_after_fifteen_seconds(postgres_url):
    wire = Wire(postgres_url)
    database = open_database(wire.url)

    with database.engine.connect() as connection:
        limits = limits_of(connection.connection.driver_connection)
    queue = asyncio.run(of_its_queue(wire.url))
    database.close()
    wire.close()

    assert limits == queue == {"silent for": 10, "then after": 5, "not taken for": 15_000}


def limits_of(connection):
    with socket.socket(fileno=os.dup(connection.fileno())) as end:
        assert end.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_USER_TIMEOUT)
        values = (end.getsockopt(socket.IPPROTO_TCP, option) for option in options)
        return dict(zip(("silent for", "then after", "not taken for"), values, strict=True))


async def of_its_queue(url):
    app = TeamQueue(make_url(url), FixedClock())._app({})
    async with app.open_async(), app.connector.pool.connection() as connection:
        return limits_of(connection)


def test_unreachable_server_is_told_without_its_password():
    database = open_database("postgresql://u:secret@127.0.0.1:1/x")

    with pytest.raises(StorageUnavailable, match="cannot be reached") as caught:
        database.check()

    assert "secret" not in str(caught.value)


def test_upgrade_of_an_unreachable_server_refuses_to_start():
    with pytest.raises(Misconfigured, match="cannot be reached"):
        upgrade("postgresql://u:secret@127.0.0.1:1/x")


def test_file_that_is_no_database_refuses_to_start(tmp_path):
    path = tmp_path / "letter.txt"
    path.write_text("Dear database,\n" * 100)

    with pytest.raises(Misconfigured, match="cannot be opened"):
        upgrade(f"sqlite:///{path}")


def test_sqlite_keeps_what_it_has_committed_even_without_power(on_sqlite):
    with on_sqlite.engine.connect() as connection:
        found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")]
        references = connection.exec_driver_sql("PRAGMA foreign_keys").scalar()

    assert (found, references) == (["wal", 2], 1)


def test_write_that_waits_too_long_for_another_process_is_told_and_changes_nothing(on_sqlite, sqlite_url):
    units = on_sqlite.unit_of_work(NoQueue(), owner="me")
    other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(StorageUnavailable, match="busy"):
        stored(units)
    other.execute("ROLLBACK")
    other.close()

    assert stored(units).id == 1


def test_reader_does_not_wait_for_a_writer(on_sqlite):
    units = on_sqlite.unit_of_work(NoQueue(), owner="me")
    with units() as writer:
        writer.set_setting("name", "new")

        with units() as reader:
            seen = reader.setting("name")

        writer.commit()

    assert seen is None


def test_unit_undone_after_others_committed_leaves_no_trace_and_no_lock(database, units):
    session = started(units)
    with units() as uow:
        uow.set_setting("name", "value")

    happened(units, session, vote(session))

    with units() as uow:
        assert uow.setting("name") is None


def test_writer_that_dies_in_its_thread_releases_the_others(on_sqlite):
    units = on_sqlite.unit_of_work(NoQueue(), owner="me")

    def die():
        with units() as uow:
            uow.set_setting("name", "value")
            raise KeyboardInterrupt

    with ThreadPoolExecutor() as pool, pytest.raises(KeyboardInterrupt):
        pool.submit(die).result()

    assert stored(units).id == 1


def test_read_only_file_is_told(on_sqlite):
    with on_sqlite.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA query_only = 1")

        with pytest.raises(StorageUnavailable, match="only be read"):
            connection.execute(text("DELETE FROM settings"))
        connection.exec_driver_sql("PRAGMA query_only = 0")


def test_full_disk_is_told(on_sqlite):
    with on_sqlite.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

        with pytest.raises(StorageUnavailable, match="full"):
            connection.execute(text("INSERT INTO settings VALUES ('x', hex(zeroblob(1000000)))"))


def test_value_that_no_database_keeps_is_refused(units):
    with pytest.raises(InvalidInput):
        stored(units, a_draft(a_plan(planned(2**70))))


def test_second_serving_process_is_refused_and_told_who_serves(sqlite_url):
    first = acquire_process_lock(sqlite_url)

    with pytest.raises(Misconfigured, match=f"Process {os.getpid()} already serves"):
        acquire_process_lock(sqlite_url)

    first.release()
    acquire_process_lock(sqlite_url).release()


def test_lock_of_a_killed_process_is_free(sqlite_url):
    script = (
        "from storage.database import acquire_process_lock\n"
        f"lock = acquire_process_lock({sqlite_url!r})\nprint('held', flush=True)\ninput()"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stdin=subprocess.PIPE) as holder:
        holder.stdout.readline()
        with pytest.raises(Misconfigured):
            acquire_process_lock(sqlite_url)
        holder.kill()
        holder.wait()

    acquire_process_lock(sqlite_url).release()


def test_any_number_of_processes_may_serve_postgresql():
    acquire_process_lock("postgresql://u@127.0.0.1/x")

    acquire_process_lock("postgresql://u@127.0.0.1/x").release()


# ---------------------------------------------------------------- how much is asked


class Statements(list):
    """The statements that an engine executes."""

    def __init__(self, engine):
        super().__init__()
        event.listen(engine, "before_cursor_execute", lambda *told: self.append(told[2]))


def test_loading_a_session_takes_four_statements_however_many_steps(database, units):
    small = started(units)
    large = stored(units, a_draft(a_plan(*(planned(number) for number in range(1, 31)))))
    statements = Statements(database.engine)

    with units() as uow:
        uow.sessions.get(small.id)
        uow.sessions.get(large.id)

    assert len(statements) == 8


def test_decision_takes_few_statements(database, units):
    session = started(units, a_draft(a_plan(*(planned(n, requires_approval=n == 1) for n in range(1, 31)))))
    statements = Statements(database.engine)

    happened(units, session, vote(session))

    assert len(statements) <= 4


def test_lists_and_due_work_are_found_by_index(on_sqlite):
    units = on_sqlite.unit_of_work(NoQueue(), owner="me")
    statements = Statements(on_sqlite.engine)
    with units() as uow:
        uow.due(now=NOW)
        uow.next_due(now=NOW)
        uow.sessions.recent(active=True)
        uow.sessions.recent(ticket="INC-1")
        uow.sessions.waiting()
        uow.sessions.queue_for("vm")
        uow.sessions.last_run("restart-web", "vm", 9)
        uow.outbox.claim(now=NOW, limit=10)

    read = [s for s in statements if s.startswith(("SELECT", "UPDATE"))]
    steps = [(line[3], statement) for statement in read for line in explained(on_sqlite, statement)]
    scans = [(step, statement) for step, statement in steps if WHOLE_TABLE.match(step)]
    assert scans == []


#: Walking an index of all rows is as slow as walking the table; one of some rows holds only what is of interest now.
SOME_ROWS = [
    index.name
    for table in Base.metadata.tables.values()
    for index in table.indexes
    if index.dialect_options["sqlite"]["where"] is not None
]
WHOLE_TABLE = re.compile(rf"SCAN (?!\(|anon_|CONSTANT)(?!.*INDEX ({'|'.join(SOME_ROWS)})\b)")


def explained(database, statement):
    connection = database.engine.raw_connection()
    try:
        return connection.cursor().execute(f"EXPLAIN QUERY PLAN {statement}", ["x"] * statement.count("?")).fetchall()
    finally:
        connection.close()


def test_sqlite_is_used_without_the_driver_of_postgresql(migrated_file):
    code = (
        "import sys; import bot.bootstrap; from storage.database import open_database; "
        "open_database(sys.argv[1]).check(); sys.exit('psycopg' in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", code, f"sqlite:///{migrated_file}"], check=False, cwd=ROOT)

    assert done.returncode == 0
