"""What is noted about attempts apart from their session: when to look again, what is left to clean up.

Nothing here moves a status; that is done by saving the session.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import bindparam, select, update

from engine.model import Attempt, Target
from storage.leases import SENDING, Asked, let_go
from storage.loading import FRESH
from storage.mapping import Values
from storage.restoring import attempt_from, target_from
from storage.tables import AttemptRow, SessionRow
from storage.transaction import Transaction

_WANTED = AttemptRow.id == bindparam("wanted")
_WITH_TARGET = select(AttemptRow, SessionRow).join(SessionRow, SessionRow.id == AttemptRow.session_id).where(_WANTED)
_CHECKS = select(AttemptRow.checks).where(_WANTED)
_NOTE = update(AttemptRow).where(_WANTED)
_LOOK_AGAIN = _NOTE.values(checks=AttemptRow.checks + 1)


class SqlAttempts:
    """See ``engine.ports.Attempts``."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def get(self, attempt_id: str) -> tuple[Attempt, Target] | None:
        wanted = {"wanted": attempt_id}
        found = self._tx.db.execute(_WITH_TARGET, wanted, execution_options=FRESH).one_or_none()
        return (attempt_from(found[0]), target_from(found[1])) if found else None

    def look_again(self, attempt_id: str, *, at: datetime) -> None:
        self._tx.write(_LOOK_AGAIN, {"wanted": attempt_id, "next_check_at": at})

    def checks(self, attempt_id: str) -> int:
        return self._tx.one(_CHECKS, {"wanted": attempt_id}) or 0

    def take_over(self, attempt_id: str, *, now: datetime) -> bool:
        tx = self._tx
        asked = Asked(now=now, stuck=now - SENDING, owner=tx.owner, lease=tx.lease, on_postgres=tx.on_postgres)
        free = update(AttemptRow).where(AttemptRow.id == attempt_id, let_go(asked))
        return self._tx.write(free.values(owner=self._tx.owner)) > 0

    def cleaned(self, attempt_id: str, *, at: datetime) -> None:
        self._note(attempt_id, {"cleaned_at": at, "clean_due_at": None})

    def clean_later(self, attempt_id: str, *, at: datetime) -> None:
        self._note(attempt_id, {"clean_due_at": at})

    def _note(self, attempt_id: str, values: Values) -> None:
        self._tx.write(_NOTE, {**values, "wanted": attempt_id})
