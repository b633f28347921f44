"""What the rows themselves say is due: everything that a lost queue would have had to hold.

One small query on a partial index per kind of work, so that a hundred thousand waiting sessions cost nothing. Nothing
here may write, and nothing may be due only because a queue knows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Interval,
    Select,
    TextClause,
    and_,
    bindparam,
    exists,
    func,
    or_,
    select,
)
from sqlalchemy.orm import InstrumentedAttribute

from engine.model import AttemptStatus, SessionStatus, StepStatus
from engine.ports import Job
from storage.columns import UtcDateTime
from storage.leases import SENDING, Asked, orphaned
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


#: What the statements are asked with. They are put together once, because the rows are asked every few seconds.
_NOW = bindparam("now", type_=UtcDateTime())
_STUCK = bindparam("stuck", type_=UtcDateTime())
_LEASE = bindparam("lease", type_=Interval())
_OWNER: BindParameter[str] = bindparam("owner")
_MOST: BindParameter[int] = bindparam("most")


@dataclass(frozen=True, kw_only=True)
class Due:
    """A look at the rows at one moment."""

    tx: Transaction
    now: datetime
    limit: int

    def jobs(self) -> tuple[Job, ...]:
        tx = self.tx
        asked = {"now": self.now, "stuck": self.now - SENDING, "owner": tx.owner, "lease": tx.lease}
        bounds = {**asked, "most": self.limit}
        found = [
            Job(task=task, id=str(row_id))
            for task, query in _kinds(self.tx.on_postgres)
            for row_id in self.tx.db.execute(query, bounds).scalars()
        ]
        return tuple(dict.fromkeys(found))

    def next(self) -> datetime | None:
        """Return the moment after now at which the next row becomes due."""
        found = (self.tx.db.execute(query, {"now": self.now}).scalar_one_or_none() for query in _moments())
        return min((moment for moment in found if moment is not None), default=None)


@cache
def _kinds(on_postgres: bool) -> tuple[tuple[str, Select[Any]], ...]:  # noqa: FBT001 - the key of the cache
    """For each task, whose rows are due."""
    asked = Asked(now=_NOW, stuck=_STUCK, owner=_OWNER, lease=_LEASE, on_postgres=on_postgres)
    found = (
        ("start", _undone()),
        ("run", _approved()),
        ("run", _queued()),
        ("cancel", _unwatched().where(AttemptRow.cancel_requested)),
        ("observe", _unwatched()),
        ("observe", _attempts().where(IS_LIVE, orphaned(asked))),
        ("expire", _gates().where(GateRow.expires_at <= _NOW)),
        ("remind", _gates().where(_reminds())),
        ("cleanup", _attempts().where(_UNCLEAN, _dirty())),
    )
    return tuple((task, query.limit(_MOST)) for task, query in found)


@cache
def _moments() -> tuple[Select[Any], ...]:
    """For each column that holds a time, the next one."""
    return (
        _after(GateRow.expires_at, IS_OPEN),
        _after(GateRow.remind_at, IS_OPEN, IS_UNREMINDED),
        _after(StepRow.not_before, _MAY_RUN),
        _after(AttemptRow.next_check_at, IS_LIVE),
        _after(AttemptRow.clean_due_at, _UNCLEAN),
    )


# ---------------------------------------------------------------- what is due


def _approved() -> Select[Any]:
    """Steps that may run now and were not tried yet."""
    return _steps().where(StepRow.status == StepStatus.APPROVED).order_by(StepRow.queue_number)


def _queued() -> Select[Any]:
    """For each free machine, the session that has waited longest for it."""
    busy = exists().where(AttemptRow.target_id == SessionRow.target_id, HOLDS_TARGET)
    turn = func.row_number().over(
        partition_by=SessionRow.target_id, order_by=[StepRow.queue_number, StepRow.session_id]
    )
    waiting = _steps().add_columns(turn.label("turn"))
    first = waiting.where(StepRow.status == StepStatus.QUEUED, ~busy).subquery()
    return select(first.c.session_id).where(first.c.turn == 1)


def _steps() -> Select[Any]:
    return (
        select(StepRow.session_id)
        .join(SessionRow, SessionRow.id == StepRow.session_id)
        .where(_MAY_RUN, SessionRow.status == SessionStatus.IN_PROGRESS)
        .where(or_(StepRow.not_before.is_(None), StepRow.not_before <= _NOW))
    )


def _attempts() -> Select[Any]:
    return select(AttemptRow.id)


def _gates() -> Select[Any]:
    return select(GateRow.id).where(IS_OPEN).order_by(GateRow.expires_at)


def _unwatched() -> Select[Any]:
    time_has_come = or_(AttemptRow.next_check_at.is_(None), AttemptRow.next_check_at <= _NOW)
    return _attempts().where(IS_LIVE, _SENT, time_has_come)


def _reminds() -> ColumnElement[bool]:
    return and_(IS_UNREMINDED, GateRow.remind_at <= _NOW, GateRow.expires_at > _NOW)


def _dirty() -> ColumnElement[bool]:
    return or_(AttemptRow.clean_due_at.is_(None), AttemptRow.clean_due_at <= _NOW)


def _undone() -> Select[Any]:
    undone = select(InboxRow.key).where(InboxRow.done_at.is_(None), InboxRow.kind == "start")
    return undone.order_by(InboxRow.received_at)


def _after(
    column: InstrumentedAttribute[datetime] | InstrumentedAttribute[datetime | None],
    *where: ColumnElement[bool] | TextClause,
) -> Select[Any]:
    return select(column).where(column > _NOW, *where).order_by(column).limit(1)
