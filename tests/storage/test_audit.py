"""The audit chain: it grows, it is never changed, and whoever tampers with it is found out."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from engine.errors import Bug
from storage.audit import GENESIS, hash_of, verify
from tests.storage.builders import NOW, a_draft


def record(units, *kinds, **facts):
    with units() as uow:
        for kind in kinds:
            uow.audit.append(kind, at=NOW, **facts)
        uow.commit()


def chain(units, **which):
    with units() as uow:
        return uow.audit.records(**which)


@pytest.fixture
def records(units):
    record(units, "session_started", session_id=1, actor="T1/U1", source="slack", data={"digest": "abc", "n": [1, 2.5]})
    record(units, "step_approve", session_id=1, step_number=1, actor="T1/U2", data={"reason": "Gr\u00fc\u00dfe"})
    record(units, "session_started", "step_claimed", session_id=2)
    return chain(units)


def test_whole_chain_has_no_problems(records):
    assert verify(records) == []
    assert [r.seq for r in records] == [1, 2, 3, 4]
    assert records[0].previous == GENESIS


def test_facts_come_back_as_they_were_told(records):
    assert records[0].data == {"digest": "abc", "n": [1, 2.5]}
    assert (records[1].at, records[1].actor, records[1].step_number) == (NOW, "T1/U2", 1)


def test_records_can_be_read_in_pages_and_by_session(units, records):
    assert chain(units, after=1, limit=2) == records[1:3]
    assert chain(units, session_id=1) == records[:2]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("seq", 9),
        ("at", NOW + timedelta(microseconds=1)),
        ("kind", "step_reject"),
        ("session_id", 7),
        ("session_id", None),
        ("step_number", 2),
        ("actor", "T1/U3"),
        ("source", "cli"),
        ("data", {}),
        ("previous", "f" * 64),
        ("hash", "f" * 64),
    ],
)
@pytest.mark.parametrize("row", [0, 1, 3])
def test_change_of_any_column_is_detected(records, column, value, row):
    tampered = [*records]
    tampered[row] = replace(records[row], **{column: value})

    assert (tampered == list(records)) == (verify(tampered) == [])


def test_removed_and_reordered_records_are_detected(records):
    first, second, third, fourth = records

    assert verify([first, third, fourth])
    assert verify([second, third, fourth])
    assert verify([first, third, second, fourth])


def test_cut_tail_is_detected_with_an_anchor_kept_elsewhere(records):
    anchor = records[-1].seq, records[-1].hash

    assert verify(records, anchor=anchor) == []
    assert verify(records[:-1]) == []
    assert verify(records[:-1], anchor=anchor)


def test_wholly_rewritten_chain_is_detected_with_an_anchor_kept_elsewhere(records):
    anchor = records[0].seq, records[0].hash
    forged = replace(records[0], actor="somebody else")
    forged = replace(forged, hash=hash_of(forged))  # a forger can compute hashes, too

    assert verify([forged]) == []
    assert verify([forged], anchor=anchor)


@pytest.mark.parametrize("tampering", ["UPDATE audit_events SET actor = 'x'", "DELETE FROM audit_events"])
def test_database_refuses_to_change_or_delete_records(database, units, records, tampering):
    with pytest.raises(Bug, match="append-only"), database.engine.begin() as connection:
        connection.execute(text(tampering))

    assert chain(units) == records


def test_database_refuses_to_replace_or_truncate_records(database, units, records):
    tampering = "TRUNCATE audit_events"
    if database.kind == "sqlite":
        tampering = (
            "REPLACE INTO audit_events SELECT seq, at, 'x', 1, 1, '', '', data, previous, hash FROM audit_events"
        )

    with pytest.raises(Bug, match="append-only"), database.engine.begin() as connection:
        connection.execute(text(tampering))

    assert chain(units) == records


def test_record_and_what_it_tells_of_are_written_together_or_not_at_all(units):
    with units() as uow:
        session = uow.sessions.add(a_draft(), request_key="k")
        uow.audit.append("session_started", at=NOW, session_id=session.id)

    assert chain(units) == ()


def test_chain_stays_whole_when_many_write_at_once(units):
    start = threading.Barrier(4)

    def write():
        start.wait()
        for _ in range(5):
            record(units, "one", "two")

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    found = chain(units)
    assert len(found) == 40
    assert verify(found) == []
