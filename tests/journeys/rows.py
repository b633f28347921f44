"""What an auditor reads beside Slack: the rows of the product's database, and what the cloud's ledger counted.

It only reads, but for one thing: `age_gate` moves an open request into the past, because nobody waits for half
an hour in a test. It must never wake the bot or decide anything.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from sqlalchemy import Connection, select, text, update
from sqlalchemy.engine import RowMapping

from engine.model import Session
from playground.stage import Stage
from storage.connecting import connect_to_migrate
from storage.database import open_database
from storage.ledgers import OutboxRow, ReplicaRow
from storage.tables import AttemptRow, GateRow
from tests.storage.builders import NoQueue

T = TypeVar("T")
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Rows:
    """The database of one stage; every question opens and closes its own connection."""

    stage: Stage

    def all(self, query: str, **values: Any) -> list[RowMapping]:
        database = open_database(self.stage.database_url)
        try:
            with database.engine.connect() as connection:
                return list(connection.execute(text(query), values).mappings())
        finally:
            database.close()

    def one(self, query: str, **values: Any) -> RowMapping:
        (found,) = self.all(query, **values)
        return found

    def session(self, number: int) -> Session:
        """Restore a session from its rows, as the bot does."""
        database = open_database(self.stage.database_url)
        try:
            with database.unit_of_work(NoQueue(), owner="auditor")() as uow:
                found = uow.sessions.get(number)
        finally:
            database.close()
        assert found is not None
        return found

    def status(self, number: int) -> str:
        return self.session(number).status.value

    def count(self, table: str, where: str = "1 = 1") -> int:
        return int(self.one(f"SELECT count(*) AS n FROM {table} WHERE {where}")["n"])

    def age_gate(self, gate_id: str, **by: float) -> None:
        """Let a request be older by so much, given as for `timedelta`; its opening and deadlines move together."""
        age = timedelta(**by)
        self._change(
            lambda row: {
                "opened_at": row["opened_at"] - age,
                "remind_at": row["remind_at"] - age,
                "expires_at": row["expires_at"] - age,
            },
            gate_id,
        )

    def _change(self, change: Callable[[RowMapping], Mapping[str, Any]], gate_id: str) -> None:
        with self._writing() as connection:
            mine = GateRow.id == gate_id
            row = connection.execute(select(*GateRow.__table__.columns).where(mine)).mappings().one()
            connection.execute(update(GateRow).where(mine).values(**change(row)))

    def end_leases(self) -> None:
        """Let the minute pass in which a sender that is silent, of commands or of messages, is believed to be alive."""
        age = timedelta(minutes=2)
        with self._writing() as connection:
            for table, key, column in (
                (AttemptRow, AttemptRow.id, AttemptRow.created_at),
                (OutboxRow, OutboxRow.id, OutboxRow.sending_since),
                (ReplicaRow, ReplicaRow.owner, ReplicaRow.seen_at),
            ):
                for found in connection.execute(select(key, column).where(column.is_not(None))).all():
                    connection.execute(update(table).where(key == found[0]).values({column.key: found[1] - age}))

    def keep_busy(self, seconds: float) -> None:
        """Hold a file's only place for a writer for so long."""
        with self._writing():
            threading.Event().wait(seconds)

    def number_from(self, number: int) -> None:
        """Let the next session have this number, as if those before it had been."""
        with self._writing() as connection:
            if connection.dialect.name == "sqlite":
                connection.execute(text("DELETE FROM sqlite_sequence WHERE name = 'execution_sessions'"))
                connection.execute(text(f"INSERT INTO sqlite_sequence VALUES ('execution_sessions', {number - 1})"))
            else:
                table = "pg_get_serial_sequence('execution_sessions', 'id')"
                connection.execute(text(f"SELECT setval({table}, {number - 1})"))

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """Write with more patience than the bot has: on a busy machine it may be in the middle of something."""
        engine = connect_to_migrate(self.stage.database_url)
        try:
            with engine.begin() as connection:
                yield connection
        finally:
            engine.dispose()

    def attempts(self, number: int) -> list[RowMapping]:
        return self.all("SELECT * FROM attempts WHERE session_id = :n ORDER BY step_number, number", n=number)

    def wait_for(self, predicate: Callable[[], T], what: str) -> T:
        """Wait for something in the rows; another process writes them, so there is no condition to wait on."""
        pause = threading.Event()
        for _ in range(int(PATIENCE_SECONDS / 0.1)):
            if found := predicate():
                return found
            pause.wait(0.1)
        raise TimeoutError(f"waited {PATIENCE_SECONDS:.0f} s for {what}")

    def puts(self, session: int) -> list[int]:
        """How often the cloud carried out the sending of each attempt, whatever was answered; refusals do not count."""
        requests = self.stage.cloud.ledger.requests(method="PUT", path_contains="/runcommands/")
        return [
            sum(request.path.lower().endswith(f"rb-{row['id']}-{row['number']}".lower()) for request in requests)
            for row in self.attempts(session)
        ]
