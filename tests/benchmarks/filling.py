"""Many rows quickly: sessions copied by SQL from one that the product itself has made.

The copies are as real as their original in every column; only their keys, machines and channels differ. The audit
chain is not copied: its hashes cannot be.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, text

from storage.columns import Base
from storage.connecting import connect_to_migrate
from storage.ledgers import OutboxRow
from storage.tables import AttemptRow, DecisionRow, EarlierResultRow, GateRow, SessionRow, StepRow

SERIES = "WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < :copies)"
#: For each table what differs in a copy, and which of its rows are the original's. ``n`` counts the copies.
OF_SESSION = "{table}.session_id = :original"
COPIED: tuple[tuple[type[Base], Mapping[str, str], str], ...] = (
    (
        SessionRow,
        {
            "id": ":base + n",
            "request_key": "'copy-' || (:base + n)",
            "target_id": "target_id || '-' || (:base + n)",
            "channel": "'C0COPY' || (:base + n)",
        },
        "{table}.id = :original",
    ),
    (StepRow, {"session_id": ":base + n"}, OF_SESSION),
    (GateRow, {"session_id": ":base + n", "id": "id || '-' || (:base + n)"}, OF_SESSION),
    (
        DecisionRow,
        {"id": None, "gate_id": "gate_id || '-' || (:base + n)"},  # type: ignore[dict-item]
        "gate_id IN (SELECT id FROM gates WHERE session_id = :original)",
    ),
    (
        AttemptRow,
        {
            "session_id": ":base + n",
            "id": "id || '-' || (:base + n)",
            "target_id": "target_id || '-' || (:base + n)",
        },
        OF_SESSION,
    ),
    (
        OutboxRow,
        {
            "id": None,  # type: ignore[dict-item]
            "session_id": ":base + n",
            "channel": "'C0COPY' || (:base + n)",
            "key": "'session/' || (:base + n) || '/' || purpose || '/' || step_number || '/' || ordinal",
        },
        OF_SESSION,
    ),
)
#: Slack's limits keep messages back that a real history has shown long ago.
ALL_SHOWN = "UPDATE outbox SET state = 'sent', sent_revision = revision, not_before = NULL"
NOT_COPIED = (EarlierResultRow,)


def copy_session(url: str, original: int, copies: int) -> None:
    """Copy a session with everything that belongs to it. Nobody may be using the database."""
    engine = connect_to_migrate(url)
    with engine.begin() as connection:
        base = connection.execute(text("SELECT max(id) FROM execution_sessions")).scalar_one()
        connection.execute(text(ALL_SHOWN))
        for table, differs, where in COPIED:
            _copy(connection, table, differs, where, {"original": original, "copies": copies, "base": base})
        if engine.dialect.name == "postgresql":
            connection.execute(text(f"SELECT setval('execution_sessions_id_seq', {base + copies})"))
            connection.execute(text("ANALYZE"))  # as PostgreSQL does by itself, a little later
    engine.dispose()


def _copy(
    connection: Connection, table: type[Base], differs: Mapping[str, str | None], where: str, values: dict[str, Any]
) -> None:
    """Insert one table's copies. A column that differs by nothing at all is left to the database to number."""
    names = [column.name for column in table.__table__.columns]
    chosen = {name: differs.get(name, name) for name in names}
    columns = [name for name, value in chosen.items() if value is not None]
    wanted = ", ".join(str(chosen[name]) for name in columns)
    source = where.format(table=table.__tablename__)
    connection.execute(
        text(
            f"INSERT INTO {table.__tablename__} ({', '.join(columns)}) {SERIES} "
            f"SELECT {wanted} FROM {table.__tablename__} CROSS JOIN series WHERE {source}"
        ),
        values,
    )
