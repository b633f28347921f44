"""What an operator sees with SQL: the two queries of every runbook about this bot, and no contradictions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy import text

from engine.errors import Bug
from engine.model import AttemptStatus, Phase, Verdict
from storage.columns import Base
from tests.storage.builders import (
    a_draft,
    a_plan,
    claim,
    ended,
    happened,
    planned,
    running,
    started,
    stored,
    voided,
    vote,
)

SESSION_QUERY = """
-- Check session status
SELECT id, status, waiting_for_approval, approval_step_number, current_step
FROM execution_sessions WHERE id = 12;
"""

STEPS_QUERY = """
-- Check steps
SELECT step_number, step_type, requires_approval, approved, completed, command
FROM execution_steps WHERE session_id = 12 ORDER BY step_number;
"""


VOTE_ON_NO_GATE = """
INSERT INTO decisions (gate_id, verdict, person_enterprise, person_team, person_user, source, name, reason, at)
VALUES ('no such gate', 'approve', '', 'T1', 'U1', 'slack', '', '', '2026-01-01 00:00:00')
"""


def rows(database, query):
    with database.engine.connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(query)]


def session_12(units):
    for _ in range(11):
        stored(units)
    steps = planned(1, phase=Phase.PRECHECK, requires_approval=True), planned(2), planned(3, phase=Phase.POSTCHECK)
    return started(units, a_draft(a_plan(*steps)))


def test_query_for_the_session_tells_that_it_waits_at_step_1(database, units):
    session_12(units)

    found = rows(database, SESSION_QUERY)

    assert found == [(12, "waiting_approval", True, 1, 1)]


def test_query_for_the_steps_tells_type_approval_and_command(database, units):
    session_12(units)

    found = rows(database, STEPS_QUERY)

    assert found == [
        (1, "precheck", True, None, False, "echo 'step 1'\n"),
        (2, "main", False, None, False, "echo 'step 2'\n"),
        (3, "postcheck", False, None, False, "echo 'step 3'\n"),
    ]


def test_approved_step_that_ran_shows_as_approved_completed_and_successful(database, units):
    session = session_12(units)

    for event in (vote, claim, ended):
        session = happened(units, session, event(session))

    assert rows(database, SESSION_QUERY) == [(12, "in_progress", False, None, 2)]
    assert rows(database, STEPS_QUERY)[0][3:5] == (True, True)
    assert rows(database, "SELECT success FROM execution_steps WHERE session_id = 12") == [(True,), (None,), (None,)]


def test_rejected_step_shows_as_refused_and_never_run(database, units):
    session = session_12(units)

    happened(units, session, vote(session, verdict=Verdict.REJECT))

    assert rows(database, SESSION_QUERY) == [(12, "rejected", False, None, None)]
    assert rows(database, STEPS_QUERY)[0][3:5] == (False, False)


def test_step_asked_again_shows_as_undecided(database, units):
    session = session_12(units)
    session = happened(units, session, vote(session))

    happened(units, session, voided(session))

    assert rows(database, STEPS_QUERY)[0][3] is None


def test_failed_step_shows_as_completed_without_success(database, units):
    session = running(units)

    happened(units, session, ended(session, AttemptStatus.FAILED))

    found = "SELECT completed, success FROM execution_steps WHERE step_number = 1"
    assert rows(database, found) == [(True, False)]


@pytest.mark.parametrize(
    "contradiction",
    [
        "UPDATE execution_sessions SET waiting_for_approval = false",
        "UPDATE execution_sessions SET status = 'in_progress'",
        "UPDATE execution_sessions SET approval_step_number = NULL",
        "UPDATE execution_sessions SET status = 'stuck'",
        "UPDATE execution_sessions SET status = 'completed', waiting_for_approval = false, approval_step_number = NULL",
        "UPDATE execution_sessions SET channel = NULL",
        "UPDATE execution_steps SET approved = true",
        "UPDATE execution_steps SET completed = true",
        "UPDATE execution_steps SET success = true",
        "UPDATE execution_steps SET status = 'succeeded'",
        "UPDATE execution_steps SET status = 'approved' WHERE step_number = 1",
        "UPDATE gates SET status = 'approved'",
        "UPDATE gates SET session_id = 4711",
        VOTE_ON_NO_GATE,
        "DELETE FROM execution_steps",
    ],
)
def test_contradiction_cannot_be_stored(database, units, contradiction):
    started(units, a_draft(a_plan(planned(1, requires_approval=True))))

    with pytest.raises(Bug), database.engine.begin() as connection:
        connection.execute(text(contradiction))


@pytest.mark.parametrize(
    "contradiction",
    [
        "UPDATE attempts SET holds_target = false",
        "UPDATE attempts SET status = 'succeeded'",
        "UPDATE execution_steps SET queue_number = 7 WHERE step_number = 1",
    ],
)
def test_running_attempt_cannot_be_said_to_hold_nothing(database, units, contradiction):
    running(units)

    with pytest.raises(Bug), database.engine.begin() as connection:
        connection.execute(text(contradiction))


def test_session_has_at_most_one_open_gate(database, units):
    started(units, a_draft(a_plan(planned(1, requires_approval=True), planned(2))))
    copy = (
        "INSERT INTO gates SELECT 'second', session_id, 2, serial, attempt, status, plan_digest, opened_at, remind_at,"
        " expires_at, reminded, closed_at FROM gates"
    )

    with pytest.raises(Bug), database.engine.begin() as connection:
        connection.execute(text(copy))


def test_message_about_a_contradiction_shows_no_values(database, units):
    started(units)

    with pytest.raises(Bug) as caught, database.engine.begin() as connection:
        connection.execute(text("UPDATE execution_steps SET completed = true"))

    assert "echo" not in str(caught.value)


def documented_queries():
    page = Path(__file__).parents[2] / "docs" / "sql.md"
    return re.findall(r"```sql\n(.*?)```", page.read_text(), re.DOTALL)


@pytest.mark.parametrize("number", range(len(documented_queries())))
def test_documented_query_works_on_both_databases(database, units, number):
    session_12(units)
    running(units)

    with database.engine.connect() as connection:
        connection.exec_driver_sql(documented_queries()[number])


def test_documented_queries_begin_with_the_two_that_everybody_needs():
    first, second = documented_queries()[:2]

    assert first.split() == SESSION_QUERY.split()
    assert second.split() == STEPS_QUERY.split()


def test_every_table_and_column_is_documented():
    page = (Path(__file__).parents[2] / "docs" / "sql.md").read_text()

    missing = [
        f"{table.name}.{column.name}"
        for table in Base.metadata.tables.values()
        for column in table.columns
        if f"`{table.name}`" not in page or f"`{column.name}`" not in page
    ]

    assert missing == []
