"""Migrations: from nothing to the tables of this version, once, and never onto tables that are newer."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import CheckConstraint, create_engine, inspect, text

from engine.errors import Misconfigured, RunbookError
from storage.columns import Base
from storage.connecting import connect_to_migrate
from storage.database import open_database
from storage.migrate import REVISIONS, configuration, current, upgrade

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    return request.getfixturevalue("postgres_url")


def execute(url, statement):
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def test_migrations_and_tables_in_the_code_agree(database_url):
    engine = connect_to_migrate(database_url)

    with engine.begin() as connection:
        command.check(configuration(connection))
    engine.dispose()


def test_revisions_are_numbered_in_the_order_in_which_alembic_runs_them(database_url):
    engine = connect_to_migrate(database_url)

    with engine.connect() as connection:
        scripts = ScriptDirectory.from_config(configuration(connection))
        found = [script.revision for script in scripts.walk_revisions()]
    engine.dispose()

    assert list(REVISIONS) == found[::-1]
    assert scripts.get_heads() == [REVISIONS[-1]]


def test_database_that_needs_no_migration_is_opened_without_alembic(database_url):
    code = (
        "import sys; from storage.database import open_database; from storage.migrate import upgrade; "
        "upgrade(sys.argv[1]); open_database(sys.argv[1]).check(); "
        "sys.exit('alembic' in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", code, database_url], check=False, cwd=ROOT)

    assert done.returncode == 0


def test_constraints_in_the_database_and_in_the_code_agree(database):
    inspector = inspect(database.engine)

    stored = {name: {c["name"] for c in inspector.get_check_constraints(name)} for name in Base.metadata.tables}

    assert stored == {
        name: {str(c.name) for c in table.constraints if isinstance(c, CheckConstraint)}
        for name, table in Base.metadata.tables.items()
    }


def test_empty_database_is_brought_to_the_newest_revision(empty_url):
    before = current(empty_url)

    upgrade(empty_url)
    upgrade(empty_url)

    assert (before, current(empty_url)) == (None, REVISIONS[-1])


def test_two_processes_that_upgrade_at_once_do_not_disturb_each_other(empty_url):
    start, errors = threading.Barrier(2), []

    def run():
        start.wait()
        try:
            upgrade(empty_url)
        except Misconfigured as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert current(empty_url) == REVISIONS[-1]


def test_database_of_a_newer_version_is_refused_and_left_alone(database_url):
    upgrade(database_url)
    served_by(database_url, "9999")

    with pytest.raises(Misconfigured, match="9999"):
        upgrade(database_url)

    assert current(database_url) == "9999"


def test_readiness_names_missing_tables_and_the_cure(empty_url):
    database = open_database(empty_url)

    with pytest.raises(Misconfigured, match="runbook migrate"):
        database.check()
    database.close()


def test_migrated_database_is_ready(database):
    assert database.check() is None


def test_failed_upgrade_leaves_nothing_behind(empty_url):
    execute(empty_url, "CREATE TABLE settings (somebody_elses int)")

    with pytest.raises(RunbookError):
        upgrade(empty_url)

    engine = create_engine(empty_url)
    assert inspect(engine).get_table_names() == ["settings"]
    engine.dispose()


def served_by(url, revision, *, tables="9999"):
    """Let a newer version have changed the tables, and have said whose code still serves them."""
    execute(url, f"UPDATE alembic_version SET version_num = '{tables}'")
    execute(url, f"UPDATE settings SET value = '{revision}' WHERE name = 'schema.served_by'")


def test_newer_tables_that_this_version_may_serve_are_served_and_left_alone(database_url, database):
    upgrade(database_url)
    served_by(database_url, REVISIONS[-1])

    upgrade(database_url)

    assert current(database_url) == "9999"
    assert database.check() is None


def test_newer_tables_that_this_version_may_not_serve_are_refused(database_url, database):
    upgrade(database_url)
    served_by(database_url, "9998")

    with pytest.raises(Misconfigured, match="9999"):
        upgrade(database_url)
    with pytest.raises(Misconfigured, match="9999"):
        database.check()


def test_newest_migration_only_adds_what_the_version_before_can_leave_empty(empty_url):
    """Both versions write these tables during an upgrade: nothing may vanish, and what is new needs a default."""
    before = tables_at(empty_url, REVISIONS[-2])

    after = tables_at(empty_url, "head")

    lost = {name: set(before[name]) - set(after.get(name, {})) for name in before}
    demanded = [
        f"{table}.{name}"
        for table in before
        for name, column in after[table].items()
        if name not in before[table] and not column["nullable"] and column["default"] is None
    ]
    changed = [
        f"{table}.{name}"
        for table, columns in before.items()
        for name, column in columns.items()
        if (str(after[table][name]["type"]), after[table][name]["nullable"])
        != (str(column["type"]), column["nullable"])
    ]
    assert (lost, demanded, changed) == ({name: set() for name in before}, [], [])


def tables_at(url, revision):
    engine = connect_to_migrate(url)
    with engine.begin() as connection:
        command.upgrade(configuration(connection), revision)
    found = inspect(engine)
    tables = {
        table: {column["name"]: column for column in found.get_columns(table)} for table in found.get_table_names()
    }
    engine.dispose()
    return tables
