"""Whether a process that began something is still there to end it.

On SQLite one process serves, so what another one began is orphaned at once. On PostgreSQL a replica is believed
while its row in ``replicas`` is fresh by the database's clock and nobody has seen its lock free for a while. Nothing
here writes, and no process's own clock counts between replicas.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import BindParameter, ColumnElement, and_, func, not_, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from engine.model import AttemptStatus
from storage.ledgers import ReplicaRow
from storage.tables import AttemptRow
from storage.transaction import LEASE

#: A replica whose lock is free may have lost only its connection: it takes the lock again within a second.
GRACE = timedelta(seconds=2)


#: How long handing a command over may take before whoever does it counts as stuck.
SENDING = LEASE


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Who asks and when, as values or as the parameters of a statement that is put together once."""

    now: datetime | BindParameter[datetime]
    stuck: datetime | BindParameter[datetime]  #: now, less ``SENDING``
    owner: str | BindParameter[str]
    lease: timedelta | BindParameter[timedelta]
    on_postgres: bool


def gone(
    owner: InstrumentedAttribute[str],
    since: InstrumentedAttribute[datetime] | InstrumentedAttribute[datetime | None],
    lease: timedelta | BindParameter[timedelta],
) -> ColumnElement[bool]:
    """Say of a row that ``owner`` has been at since ``since``: will nobody report on it any more? PostgreSQL only.

    An owner without a row in ``replicas`` is a version that kept none, or was forgotten long ago: then the age of
    the work itself decides.
    """
    lapse = func.clock_timestamp() - lease
    known = select(ReplicaRow.owner).where(ReplicaRow.owner == owner).correlate(owner.class_)
    seen_free = ReplicaRow.gone_since <= func.clock_timestamp() - GRACE
    dead = known.where(or_(ReplicaRow.seen_at <= lapse, seen_free))
    return or_(dead.exists(), and_(not_(known.exists()), since <= lapse))


def unsent(asked: Asked) -> ColumnElement[bool]:
    """Say of an attempt that may have been sent: nobody is sending it any more, so it must be looked up.

    Its sender has been silent for longer than sending takes, by the clock that the sender has: then it is stuck, or
    could not write down what became of it. A sender of another process is judged by whether that process is gone.
    """
    silent = or_(AttemptRow.not_after <= asked.now, AttemptRow.created_at <= asked.stuck)
    foreign = AttemptRow.owner != asked.owner
    if asked.on_postgres:
        lost = gone(AttemptRow.owner, AttemptRow.created_at, asked.lease)
        silent = or_(AttemptRow.not_after <= asked.now, and_(not_(foreign), AttemptRow.created_at <= asked.stuck))
        foreign = and_(foreign, lost)
    return and_(AttemptRow.next_check_at.is_(None), or_(silent, foreign))


def orphaned(asked: Asked) -> ColumnElement[bool]:
    """Say of an attempt that its look-up is due: its sender asked for it, or will never say anything."""
    due = or_(AttemptRow.next_check_at <= asked.now, unsent(asked))
    return and_(AttemptRow.status == AttemptStatus.SUBMITTING, due)


def let_go(asked: Asked) -> ColumnElement[bool]:
    """Say of an attempt that somebody else may follow it now, whether or not that is due."""
    free = or_(AttemptRow.next_check_at.is_not(None), unsent(asked))
    return and_(AttemptRow.status == AttemptStatus.SUBMITTING, free)
