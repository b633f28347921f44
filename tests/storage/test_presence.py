"""A replica is seen while it lives, by a row and by a lock that dies with its process."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from datetime import timedelta

import pytest
from sqlalchemy import text

from storage.presence import Presence

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
LEASE = timedelta(seconds=60)
ROW = "SELECT seen_at, gone_since, version FROM replicas WHERE owner = :owner"
CUT = "SELECT pg_terminate_backend(l.pid) FROM pg_locks l WHERE locktype = 'advisory' AND objsubid = 2"


def presence(database, owner, *, lease=LEASE):
    return Presence(database, owner=owner, version="1.2", lease=lease, tick_seconds=0.05)


def ask(database, query, **values):
    with database.engine.begin() as connection:
        return connection.execute(text(query), values).all()


def row(database, owner):
    (found,) = ask(database, ROW, owner=owner)
    return found


def until(condition):
    pause = threading.Event()
    for _ in range(600):
        if condition():
            return
        pause.wait(0.05)
    raise TimeoutError


def test_replica_that_lives_is_not_called_gone(database):
    with presence(database, "a"), presence(database, "b", lease=timedelta(seconds=0.3)):
        first = row(database, "b").seen_at
        until(lambda: row(database, "b").seen_at > first)

        found = [row(database, owner) for owner in "ab"]

    assert [(replica.gone_since, replica.version) for replica in found] == [(None, "1.2"), (None, "1.2")]


def test_replica_that_has_ended_is_noticed_by_another(database):
    with presence(database, "a"):
        with presence(database, "b"):
            before = row(database, "b").gone_since
        until(lambda: row(database, "b").gone_since)

        noticed = row(database, "b").gone_since

        assert (before, row(database, "a").gone_since) == (None, None)
        until(lambda: row(database, "b").gone_since == noticed)


def test_replica_that_lost_its_connection_is_there_again_at_once(database):
    with presence(database, "a"), presence(database, "b"):
        ask(database, CUT)
        until(lambda: len(ask(database, "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2")) == 2)
        until(lambda: not any(row(database, owner).gone_since for owner in "ab"))


def test_replica_that_was_gone_for_long_is_forgotten(database):
    ask(
        database,
        "INSERT INTO replicas VALUES ('old', '', '', now(), now() - interval '8 days') RETURNING owner",
    )

    with presence(database, "a"):
        kept = ask(database, "SELECT owner FROM replicas")

    assert [replica.owner for replica in kept] == ["a"]


def test_end_frees_the_lock_although_the_database_stays_open(database):
    with ExitStack() as stack:
        stack.enter_context(presence(database, "a"))

    assert ask(database, "SELECT pid FROM pg_locks WHERE locktype = 'advisory'") == []
