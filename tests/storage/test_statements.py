"""How many statements a use case costs: numbers that do not depend on the machine, unlike seconds.

A statement is a round trip to PostgreSQL. Whoever raises a number here has made every click slower and says why.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import event

from storage.database import Database
from tests.builders import a_step
from tests.engine.crew import Crew


class Counted:
    """Counts statements and commits of a database while it is open."""

    def __init__(self, database: Database) -> None:
        self.statements: list[str] = []
        self.commits = 0
        event.listen(database.engine, "before_cursor_execute", lambda *told: self.statements.append(told[2]))
        event.listen(database.engine, "commit", self._committed)

    def _committed(self, _connection: object) -> None:
        self.commits += 1

    def during(self, work: Callable[[], object]) -> tuple[int, int]:
        """Return how many statements and commits a piece of work takes."""
        self.statements, self.commits = [], 0
        work()
        return len(self.statements), self.commits


@pytest.fixture
def crew(database: Database, tmp_path: Path) -> Crew:
    return Crew(database, tmp_path)


def test_click_is_one_commit_of_few_statements(crew: Crew) -> None:
    number = crew.starts(a_step(), a_step())
    ballot = crew.ballot(number, delivery="click-1")
    counted = Counted(crew.database)

    statements, commits = counted.during(lambda: crew.service.decide(ballot))

    assert commits == 1
    assert statements <= 16, counted.statements


def test_command_is_sent_after_one_commit_more_and_recorded_with_another(crew: Crew) -> None:
    number = crew.approved(a_step())
    counted = Counted(crew.database)
    before: list[tuple[int, int]] = []
    crew.machines.before["submit"] = lambda: before.append((len(counted.statements), counted.commits))

    statements, commits = counted.during(lambda: crew.does("run", number))

    assert (before[0][1], commits) == (1, 2)
    assert before[0][0] <= 16, counted.statements
    assert statements <= 28, counted.statements


def test_sweep_asks_the_same_few_questions_however_much_is_due(crew: Crew) -> None:
    counted = Counted(crew.database)
    alone = counted.during(crew.due)
    for _ in range(5):
        crew.approved(a_step())

    crowded = counted.during(crew.due)

    assert alone == crowded
    assert alone[0] <= 9


def test_batch_of_messages_is_put_off_with_one_statement(crew: Crew) -> None:
    for _ in range(5):
        crew.starts(a_step())
    counted = Counted(crew.database)

    def put_off() -> None:
        with crew.uow() as uow:
            claimed = uow.outbox.claim(now=crew.clock.now(), limit=10)
            assert len(claimed) == 5
            for message in claimed:
                uow.outbox.postpone(message, until=crew.clock.now(), error="ratelimited")
            uow.commit()

    statements, commits = counted.during(put_off)

    assert commits == 1
    assert statements <= 6, counted.statements  # one of them asks PostgreSQL for its time
