"""Leaving SQLite for PostgreSQL: every row comes along, and the installation goes on counting where it was."""

from __future__ import annotations

import shutil

import pytest
from sqlalchemy import func, select, text

from engine import events as ev
from engine.errors import Misconfigured
from engine.ports import Reply
from storage.audit import verify
from storage.columns import Base
from storage.database import acquire_process_lock, open_database
from storage.migrate import upgrade
from storage.moving import copy_rows
from tests.storage.builders import NOW, PLACE, RUTH, NoQueue, claim, happened, started, ungated, vote


@pytest.fixture
def old(migrated_file, tmp_path):
    path = tmp_path / "runbook.db"
    shutil.copy(migrated_file, path)
    opened = open_database(f"sqlite:///{path}")
    yield opened
    opened.close()


@pytest.fixture
def new(postgres_url):
    upgrade(postgres_url)
    opened = open_database(postgres_url)
    yield opened
    opened.close()


def fill(units):
    gated = started(units)
    happened(units, gated, vote(gated))
    running = started(units, ungated())
    running = happened(units, running, claim(running))
    with units() as uow:
        uow.audit.append("told", at=NOW, session_id=gated.id, data={"word": "Grüße"})
        uow.audit.append("told", at=NOW, session_id=gated.id)
        uow.outbox.tell(PLACE, RUTH, "hello", key="k", reply=Reply())
        uow.commit()
    return gated.id, running.id


def everything(database):
    with database.engine.connect() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))]
            for table in Base.metadata.sorted_tables
        }


def url_of(database):
    return database.engine.url.render_as_string(hide_password=False)


def test_every_row_comes_along(old, new):
    fill(old.unit_of_work(NoQueue(), owner="me"))
    before = everything(old)

    copied = copy_rows(url_of(old), url_of(new))

    assert everything(new) == before == everything(old)
    assert copied == sum(map(len, before.values()))


def test_installation_goes_on_where_it_was(old, new):
    _, running = fill(old.unit_of_work(NoQueue(), owner="me"))
    copy_rows(url_of(old), url_of(new))
    units = new.unit_of_work(NoQueue(), owner="another")

    following = started(units, ungated())
    with units() as uow:
        uow.audit.append("more", at=NOW)
        uow.commit()
        records = uow.audit.records()
        session = uow.sessions.get(running)

    assert following.id == running + 1
    assert verify(list(records)) == []
    ended = ev.Submitted(attempt_id=session.steps[0].attempt.id, owner="me")
    assert happened(units, session, ended).steps[0].attempt.status.value == "accepted"


def test_database_that_is_in_use_is_not_filled(old, new):
    fill(old.unit_of_work(NoQueue(), owner="me"))
    fill(new.unit_of_work(NoQueue(), owner="me"))
    before = everything(new)

    with pytest.raises(Misconfigured, match="already holds 2 sessions"):
        copy_rows(url_of(old), url_of(new))

    assert everything(new) == before


def test_database_that_a_process_serves_is_not_copied(old, new):
    with acquire_process_lock(url_of(old)), pytest.raises(Misconfigured, match="already serves"):
        copy_rows(url_of(old), url_of(new))

    with new.engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(text("execution_sessions"))).scalar_one() == 0
