"""Migrations: from nothing to the tables of this version, once, and never onto tables that are newer."""

from __future__ import annotations

import threading

import pytest
from alembic import command
from sqlalchemy import CheckConstraint, create_engine, inspect, text

from engine.errors import Misconfigured, RunbookError
from storage.columns import Base
from storage.connecting import connect_to_migrate
from storage.database import open_database
from storage.migrate import configuration, current, newest, upgrade


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

    assert (before, current(empty_url)) == (None, newest())


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
    assert current(empty_url) == newest()


def test_database_of_a_newer_version_is_refused_and_left_alone(database_url):
    execute(database_url, "UPDATE alembic_version SET version_num = '9999'")

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
