"""Whether a process that began something is still there to end it.

On SQLite one process serves, so what another one began is orphaned at once. On PostgreSQL a replica is believed
while its row in ``replicas`` is fresh by the database's clock and nobody has seen its lock free for a while. Nothing
here writes, and no process's own clock counts between replicas.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, func, not_, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from engine.model import AttemptStatus
from storage.ledgers import ReplicaRow
from storage.tables import AttemptRow
from storage.transaction import Transaction

#: A replica whose lock is free may have lost only its connection: it takes the lock again within a second.
GRACE = timedelta(seconds=2)


def gone(
    tx: Transaction,
    owner: InstrumentedAttribute[str],
    since: InstrumentedAttribute[datetime] | InstrumentedAttribute[datetime | None],
) -> ColumnElement[bool]:
    """Say of a row that ``owner`` has been at since ``since``: will nobody report on it any more? PostgreSQL only.

    An owner without a row in ``replicas`` is a version that kept none, or was forgotten long ago: then the age of
    the work itself decides.
    """
    lapse = func.clock_timestamp() - tx.lease
    known = select(ReplicaRow.owner).where(ReplicaRow.owner == owner).correlate(owner.class_)
    seen_free = ReplicaRow.gone_since <= func.clock_timestamp() - GRACE
    dead = known.where(or_(ReplicaRow.seen_at <= lapse, seen_free))
    return or_(dead.exists(), and_(not_(known.exists()), since <= lapse))


def unsent(tx: Transaction, now: datetime) -> ColumnElement[bool]:
    """Say of an attempt that may have been sent: nobody is sending it any more, so it must be looked up.

    Its sender is gone. Our own process may still be sending, until the machine itself would refuse the command.
    """
    foreign = AttemptRow.owner != tx.owner
    if tx.on_postgres:
        foreign = and_(foreign, gone(tx, AttemptRow.owner, AttemptRow.created_at))
    return and_(AttemptRow.next_check_at.is_(None), or_(AttemptRow.not_after <= now, foreign))


def orphaned(tx: Transaction, now: datetime) -> ColumnElement[bool]:
    """Say of an attempt that its look-up is due: its sender asked for it, or will never say anything."""
    return and_(AttemptRow.status == AttemptStatus.SUBMITTING, or_(AttemptRow.next_check_at <= now, unsent(tx, now)))


def let_go(tx: Transaction, now: datetime) -> ColumnElement[bool]:
    """Say of an attempt that somebody else may follow it now, whether or not that is due."""
    asked = AttemptRow.next_check_at.is_not(None)
    return and_(AttemptRow.status == AttemptStatus.SUBMITTING, or_(asked, unsent(tx, now)))
