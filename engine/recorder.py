"""What every task of a worker shares: loading rows, and recording one event by compare-and-set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from engine import events as ev
from engine.apply import store
from engine.errors import Conflict, Permanent, Stale, TargetBusy
from engine.lifecycle import advance
from engine.model import FINAL_SESSIONS, SYSTEM, TERMINAL_ATTEMPTS, Attempt, Session, Step, Target
from engine.ports import Clock, Connector, Directory, Ids, UnitOfWork, UnitOfWorkFactory
from engine.preparation import SWITCH_ON, Preparation

Facts = Mapping[str, object]
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long the worker waits for what."""

    start_within: timedelta = timedelta(minutes=10)  #: from the claim; later the guard on the machine refuses to start
    clock_skew: timedelta = timedelta(seconds=60)  #: between this clock and a machine's
    answer_grace: timedelta = timedelta(minutes=3)  #: after the command's own time limit
    throttled: timedelta = timedelta(seconds=30)  #: when the other side asked for patience without saying how long
    guard: timedelta | None = None  #: where several processes serve: from the claim to the look whether its owner lives
    held_up: timedelta = timedelta(seconds=5)  #: between claim and sending; then look whether the claim still holds
    lookups: tuple[float, ...] = (0, 5, 15, 30, 60, 120)  #: seconds between look-ups of what may have been sent


@dataclass(frozen=True, kw_only=True)
class WorkerParts:
    """What a worker works with; put together by the composition root."""

    uow: UnitOfWorkFactory
    clock: Clock
    ids: Ids
    connectors: Mapping[str, Connector]
    directory: Directory
    preparation: Preparation
    owner: str  #: names this process among all that ever ran
    log: Callable[..., None]
    secrets: tuple[str, ...] = ()  #: values that must never be stored or shown
    patience: Patience = Patience()
    stopping: Callable[[], bool] = lambda: False  #: true once the process was asked to end: nothing new is sent


class Recorder:
    """Reads and writes sessions for a worker."""

    def __init__(self, parts: WorkerParts) -> None:
        self.parts = parts
        self.uow = parts.uow

    def now(self) -> datetime:
        return self.parts.clock.now()

    def connector(self, target: Target) -> Connector:
        """Return the hands for a machine; ``Permanent`` when they were switched off since."""
        connector = self.parts.connectors.get(target.connector)
        if connector is None:
            raise Permanent(f"The connector {target.connector!r} is not switched on.", hint=SWITCH_ON)
        return connector

    def get(self, session_id: int) -> Session | None:
        with self.uow() as uow:
            return uow.sessions.get(session_id)

    def attempt(self, attempt_id: str) -> tuple[Session, Step, Attempt, int] | None:
        """Load a live attempt with its session, and how often it was looked at."""
        with self.uow() as uow:
            session_id = uow.sessions.by_attempt(attempt_id)
            session = uow.sessions.get(session_id) if session_id is not None else None
            looks = uow.attempts.checks(attempt_id)
        if session is None or session.status in FINAL_SESSIONS:
            return None
        for step in session.steps:
            attempt = step.attempt
            if attempt and attempt.id == attempt_id and attempt.status not in TERMINAL_ATTEMPTS:
                return session, step, attempt, looks
        return None

    def observe_again(self, attempt_id: str, at: datetime) -> None:
        with self.uow() as uow:
            uow.attempts.look_again(attempt_id, at=at)
            uow.defer("observe", attempt_id, not_before=at)
            uow.commit()

    def record(
        self, session: Session, event: ev.Event, kind: str, step_number: int, data: Facts | None = None
    ) -> Session | None:
        """Commit one event; None when it no longer fits, because somebody else moved the session first."""

        def attempt() -> Session | None:
            with self.uow() as uow:
                after = self.write(uow, session.id, event, kind=kind, step_number=step_number, data=data)
                if after is not None:
                    uow.commit()
                return after

        return look_again(attempt)

    def write(
        self, uow: UnitOfWork, session_id: int, event: ev.Event, *, kind: str, step_number: int, data: Facts | None
    ) -> Session | None:
        """Apply an event to the session as it is now; a step that moved on meanwhile refuses it."""
        session = uow.sessions.get(session_id)
        assert session is not None
        now = self.now()
        try:
            change = advance(session, event, now)
            store(uow, session, change, actor=SYSTEM, kind=kind, now=now, step_number=step_number, data=data)
        except (TargetBusy, Stale):
            raise
        except Conflict as late:
            self.parts.log("event_dropped", session_id=session_id, kind=kind, reason=late.message)
            return None
        return change.session


RACES = 5  #: how often a lost race is run again; each time somebody else has made progress


def look_again(work: Callable[[], T]) -> T:
    """Do something again on the newest rows when somebody else wrote first."""
    for _ in range(RACES):
        try:
            return work()
        except Stale:
            continue
    return work()
