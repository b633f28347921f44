"""Reading sessions: one by its id, or lists of them for people and for the queue of a machine.

Loading costs four statements, however many sessions are asked for. Nothing here may write.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Select, and_, bindparam, func, select

from engine.effects import Purpose
from engine.errors import Conflict
from engine.model import FINAL_SESSIONS, Person, Session, SessionStatus
from engine.ports import Summary
from storage.ledgers import OutboxRow
from storage.loading import FRESH, Loading
from storage.restoring import summary_from
from storage.tables import HOLDS_TARGET, IS_ACTIVE, IS_OPEN, AttemptRow, GateRow, SessionRow, StepRow
from storage.transaction import Transaction

_TRIES = 5

# Put together once, because they are asked all the time.
_BY_REQUEST = select(SessionRow.id).where(SessionRow.request_key == bindparam("wanted"))
_BY_GATE = select(GateRow.session_id).where(GateRow.id == bindparam("wanted"))
_BY_ATTEMPT = select(AttemptRow.session_id).where(AttemptRow.id == bindparam("wanted"))
_HOLDERS = select(AttemptRow.session_id).where(AttemptRow.target_id == bindparam("target"), HOLDS_TARGET)
_QUEUE = (
    select(StepRow.session_id)
    .join(SessionRow, SessionRow.id == StepRow.session_id)
    .where(SessionRow.target_id == bindparam("target"), IS_ACTIVE, StepRow.queue_number.is_not(None))
    .order_by(StepRow.queue_number, StepRow.session_id)
)


class Listings:
    """The reading half of ``engine.ports.Sessions``."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def get(self, session_id: int) -> Session | None:
        return self._load([session_id]).get(session_id)

    def by_request(self, request_key: str) -> int | None:
        return self._id(_BY_REQUEST, request_key)

    def by_gate(self, gate_id: str) -> int | None:
        return self._id(_BY_GATE, gate_id)

    def by_attempt(self, attempt_id: str) -> int | None:
        return self._id(_BY_ATTEMPT, attempt_id)

    def waiting(self, *, limit: int = 50, after: int = 0) -> tuple[Session, ...]:
        ids = self._tx.db.execute(
            select(GateRow.session_id)
            .where(IS_OPEN, GateRow.session_id > after)
            .order_by(GateRow.session_id)
            .limit(limit)
        ).scalars()
        loaded = self._load(list(ids))
        return tuple(session for session in loaded.values() if session.open_gate)

    def counts(self) -> dict[str, int]:
        query = select(SessionRow.status, func.count()).where(IS_ACTIVE).group_by(SessionRow.status)
        return {status.value: count for status, count in self._tx.db.execute(query)}

    def recent(
        self,
        *,
        status: SessionStatus | None = None,
        ticket: str = "",
        requester: Person | None = None,
        limit: int = 20,
        before: int | None = None,
        active: bool = False,
    ) -> tuple[Summary, ...]:
        query = _summaries()
        if status is not None:
            query = query.where(SessionRow.status == status)
        if ticket:
            query = query.where(SessionRow.ticket == ticket)
        if requester is not None:
            query = query.where(
                SessionRow.requester_user == requester.user,
                SessionRow.requester_team == requester.team,
                SessionRow.requester_enterprise == requester.enterprise,
            )
        if before is not None:
            query = query.where(SessionRow.id < before)
        if active:
            query = query.where(IS_ACTIVE)
        return self._summarise(query.limit(limit))

    def last_run(self, runbook: str, target_id: str, before: int) -> Summary | None:
        query = _summaries().where(
            SessionRow.runbook_name == runbook,
            SessionRow.target_id == target_id,
            SessionRow.id < before,
            SessionRow.status.in_(FINAL_SESSIONS),
        )
        return next(iter(self._summarise(query.limit(1))), None)

    def queue_for(self, target_id: str) -> tuple[int, ...]:
        target = {"target": target_id}
        ids = [*self._tx.db.execute(_HOLDERS, target).scalars(), *self._tx.db.execute(_QUEUE, target).scalars()]
        return tuple(dict.fromkeys(ids))

    # ------------------------------------------------------------ loading

    def _id(self, query: Select[int], wanted: str) -> int | None:
        found: int | None = self._tx.one(query, {"wanted": wanted})
        return found

    def _summarise(self, query: Select[SessionRow, str]) -> tuple[Summary, ...]:
        rows = self._tx.db.execute(query, execution_options=FRESH)
        return tuple(summary_from(row, ts) for row, ts in rows)

    def _load(self, ids: Collection[int]) -> dict[int, Session]:
        """Load whole sessions. Each statement sees its own moment, so one that changed in between is read again."""
        loaded: dict[int, Session] = {}
        missing = list(ids)
        for _ in range(_TRIES):
            loaded |= Loading(self._tx, missing).sessions
            missing = [session_id for session_id in missing if session_id not in loaded]
            missing = _existing(self._tx, missing) if missing else []
            if not missing:
                return {session_id: loaded[session_id] for session_id in ids if session_id in loaded}
        raise Conflict("This session changes faster than it can be read.", hint="Try again.")


def _existing(tx: Transaction, ids: Collection[int]) -> list[int]:
    return list(tx.db.execute(select(SessionRow.id).where(SessionRow.id.in_(ids))).scalars())


def _summaries() -> Select[SessionRow, str]:
    root = and_(OutboxRow.session_id == SessionRow.id, OutboxRow.purpose == Purpose.CARD)
    return select(SessionRow, OutboxRow.ts).join(OutboxRow, root, isouter=True).order_by(SessionRow.id.desc())
