"""The rows of a simulated installation, behind units of work that are interrupted where a process can die.

The memory of it is ``tests/simulation/memory.py``. What judges read here is what is committed, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, Self, cast

from engine.errors import StorageUnavailable
from engine.model import AttemptStatus, Session, SessionStatus
from engine.ports import AuditRecord, Message, UnitOfWork
from tests.simulation.chance import Fault
from tests.simulation.memory import MemoryUnit, Tables, moments

if TYPE_CHECKING:
    from tests.simulation.world import Process, World


class Store(Protocol):
    """What world and judges need of the rows."""

    def units(self, process: Process) -> Callable[[], UnitOfWork]: ...
    def session(self, number: int) -> Session: ...
    def sessions(self) -> list[Session]: ...
    def message(self, key: str) -> Message | None: ...
    def outbox(self) -> list[Message]: ...
    def undone(self) -> list[str]: ...
    def new_audit(self) -> list[AuditRecord]: ...
    def next_moment(self, now: datetime) -> datetime | None: ...
    def is_busy(self) -> bool: ...
    def is_followed(self, attempt_id: str) -> bool: ...
    def tamper(self, number: int) -> None: ...
    def close(self) -> None: ...


def interrupted(world: World, process: Process, commit: Callable[[], None]) -> None:
    """Commit, with everything that can happen to a commit."""
    world.at(process, "commit before")
    if world.dice.strikes(Fault.COMMIT_REFUSED):
        raise StorageUnavailable("The database cannot be used now.")
    commit()
    world.at(process, "commit after")
    if world.dice.strikes(Fault.COMMIT_UNSURE):
        raise StorageUnavailable("The database did not answer.")


class WatchedUnit(MemoryUnit):
    """A unit in memory that can be interrupted."""

    def __init__(self, world: World, process: Process, tables: Tables) -> None:
        super().__init__(tables, process.owner, lambda: world.at(process, "first write"))
        self._world, self._process = world, process

    def __enter__(self) -> Self:
        self._world.at(self._process, "unit begin")
        return self

    def commit(self) -> None:
        interrupted(self._world, self._process, self._commit)
        self._process.hint(self.hints)

    def _commit(self) -> None:
        self.outbox.flush()
        self.audit.flush()
        touched = set(self.tx.touched)
        self.tx.commit()
        self._world.committed(touched)


class MemoryStore:
    """Rows in memory."""

    def __init__(self, world: World, *, shared: bool) -> None:
        self._world = world
        self.tables = Tables(shared=shared)
        self._told = 0

    def units(self, process: Process) -> Callable[[], UnitOfWork]:
        return lambda: cast("UnitOfWork", WatchedUnit(self._world, process, self.tables))

    def session(self, number: int) -> Session:
        return self.tables.sessions[number]

    def sessions(self) -> list[Session]:
        return list(self.tables.sessions.values())

    def message(self, key: str) -> Message | None:
        return self.tables.outbox.get(key)

    def outbox(self) -> list[Message]:
        return list(self.tables.outbox.values())

    def undone(self) -> list[str]:
        return [key for key, (_, done, _) in self.tables.inbox.items() if done is None]

    def new_audit(self) -> list[AuditRecord]:
        fresh = self.tables.audit[self._told :]
        self._told = len(self.tables.audit)
        return fresh

    def next_moment(self, now: datetime) -> datetime | None:
        return min((moment for moment in self._moments() if moment > now), default=None)

    def _moments(self) -> Iterator[datetime]:
        yield from moments(self.tables)
        yield from (row.not_before for row in self.tables.outbox.values() if _waits(row) and row.not_before)

    def is_busy(self) -> bool:
        """Say whether something is not at rest that time alone can bring to rest."""
        goes_on = any(one.status is SessionStatus.IN_PROGRESS for one in self.tables.sessions.values())
        unsent = any(row.state in {"ready", "unknown", "sending"} for row in self.tables.outbox.values())
        return goes_on or unsent or bool(self.undone())

    def is_followed(self, attempt_id: str) -> bool:
        """Say whether the rows know that the command of an attempt has arrived."""
        return self.tables.attempts[attempt_id].attempt.status is not AttemptStatus.SUBMITTING

    def tamper(self, number: int) -> None:
        session = self.tables.sessions[number]
        self.tables.sessions[number] = tampered(session)

    def close(self) -> None:
        """Nothing to let go of."""


def _waits(row: Message) -> bool:
    return row.state in {"ready", "unknown"}


def tampered(session: Session) -> Session:
    """Return the session with another script in its last step, as somebody with access to the database could write."""
    last = session.steps[-1]
    planned = replace(last.planned, script=f"{last.planned.script}# and more\n")
    steps = (*session.steps[:-1], replace(last, planned=planned))
    plan = replace(session.plan, steps=tuple(step.planned for step in steps))
    return replace(session, steps=steps, plan=plan)
