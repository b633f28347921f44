"""What the rows themselves say is due: everything that a lost queue would have had to hold.

One small query on a partial index per kind of work, so that a hundred thousand waiting sessions cost nothing. Nothing
here may write, and nothing may be due only because a queue knows it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, TextClause, and_, exists, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from engine.model import AttemptStatus, SessionStatus, StepStatus
from engine.ports import Job
from storage.leases import orphaned
from storage.ledgers import InboxRow
from storage.tables import (
    HOLDS_TARGET,
    IS_LIVE,
    IS_OPEN,
    IS_OVER,
    IS_UNREMINDED,
    AttemptRow,
    GateRow,
    SessionRow,
    StepRow,
)
from storage.transaction import Transaction

_SENT = AttemptRow.status.in_([AttemptStatus.ACCEPTED, AttemptStatus.RUNNING])
_MAY_RUN = StepRow.queue_number.is_not(None)
_UNCLEAN = and_(
    AttemptRow.cleaned_at.is_(None), IS_OVER, AttemptRow.status != AttemptStatus.PLANNED, ~AttemptRow.holds_target
)


@dataclass(frozen=True, kw_only=True)
class Due:
    """A look at the rows at one moment."""

    tx: Transaction
    now: datetime
    limit: int

    def jobs(self) -> tuple[Job, ...]:
        found = [
            *self._jobs("start", _undone()),
            *self._jobs("run", self._approved()),
            *self._jobs("run", self._queued()),
            *self._jobs("cancel", self._unwatched().where(AttemptRow.cancel_requested)),
            *self._jobs("observe", self._unwatched()),
            *self._jobs("observe", self._attempts().where(IS_LIVE, orphaned(self.tx, self.now))),
            *self._jobs("expire", self._gates().where(GateRow.expires_at <= self.now)),
            *self._jobs("remind", self._gates().where(self._reminds())),
            *self._jobs("cleanup", self._attempts().where(_UNCLEAN, self._dirty())),
        ]
        return tuple(dict.fromkeys(found))

    def next(self) -> datetime | None:
        """Return the moment after now at which the next row becomes due."""
        moments = (
            self._after(GateRow.expires_at, IS_OPEN),
            self._after(GateRow.remind_at, IS_OPEN, IS_UNREMINDED),
            self._after(StepRow.not_before, _MAY_RUN),
            self._after(AttemptRow.next_check_at, IS_LIVE),
            self._after(AttemptRow.clean_due_at, _UNCLEAN),
        )
        return min((moment for moment in moments if moment is not None), default=None)

    # ------------------------------------------------------------ what is due

    def _approved(self) -> Select[Any]:
        """Steps that may run now and were not tried yet."""
        return self._steps().where(StepRow.status == StepStatus.APPROVED).order_by(StepRow.queue_number)

    def _queued(self) -> Select[Any]:
        """For each free machine, the session that has waited longest for it."""
        busy = exists().where(AttemptRow.target_id == SessionRow.target_id, HOLDS_TARGET)
        turn = func.row_number().over(
            partition_by=SessionRow.target_id, order_by=[StepRow.queue_number, StepRow.session_id]
        )
        waiting = self._steps().add_columns(turn.label("turn"))
        first = waiting.where(StepRow.status == StepStatus.QUEUED, ~busy).subquery()
        return select(first.c.session_id).where(first.c.turn == 1)

    def _steps(self) -> Select[Any]:
        return (
            select(StepRow.session_id)
            .join(SessionRow, SessionRow.id == StepRow.session_id)
            .where(_MAY_RUN, SessionRow.status == SessionStatus.IN_PROGRESS)
            .where(or_(StepRow.not_before.is_(None), StepRow.not_before <= self.now))
        )

    def _attempts(self) -> Select[Any]:
        return select(AttemptRow.id)

    def _gates(self) -> Select[Any]:
        return select(GateRow.id).where(IS_OPEN).order_by(GateRow.expires_at)

    def _unwatched(self) -> Select[Any]:
        time_has_come = or_(AttemptRow.next_check_at.is_(None), AttemptRow.next_check_at <= self.now)
        return self._attempts().where(IS_LIVE, _SENT, time_has_come)

    def _reminds(self) -> ColumnElement[bool]:
        return and_(IS_UNREMINDED, GateRow.remind_at <= self.now, GateRow.expires_at > self.now)

    def _dirty(self) -> ColumnElement[bool]:
        return or_(AttemptRow.clean_due_at.is_(None), AttemptRow.clean_due_at <= self.now)

    # ------------------------------------------------------------ asking

    def _jobs(self, task: str, query: Select[Any]) -> Iterator[Job]:
        for row_id in self.tx.db.execute(query.limit(self.limit)).scalars():
            yield Job(task=task, id=str(row_id))

    def _after(
        self,
        column: InstrumentedAttribute[datetime] | InstrumentedAttribute[datetime | None],
        *where: ColumnElement[bool] | TextClause,
    ) -> datetime | None:
        query = select(column).where(column > self.now, *where).order_by(column).limit(1)
        return self.tx.db.execute(query).scalar_one_or_none()


def _undone() -> Select[Any]:
    undone = select(InboxRow.key).where(InboxRow.done_at.is_(None), InboxRow.kind == "start")
    return undone.order_by(InboxRow.received_at)
