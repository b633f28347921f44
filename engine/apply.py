"""Writes a transition: state, audit record, messages and work, all in the caller's transaction.

This is the only place where effects become rows. It must never call anything but the unit of work.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from engine.effects import (
    CancelAttempt,
    CleanUpAttempt,
    Effect,
    FreeTarget,
    ObserveAttempt,
    Purpose,
    RunStep,
    Show,
    StoreOutput,
)
from engine.lifecycle import Transition
from engine.model import Actor, Person, Session
from engine.ports import UnitOfWork


def store(
    uow: UnitOfWork,
    was: Session,
    transition: Transition,
    *,
    actor: Actor,
    kind: str,
    now: datetime,
    step_number: int | None = None,
    data: Mapping[str, object] | None = None,
) -> None:
    """Write everything that follows from a transition. The caller commits."""
    session = transition.session
    uow.sessions.save(session, was=was)
    uow.audit.append(
        kind,
        at=now,
        session_id=session.id,
        step_number=step_number,
        actor=str(actor),
        source=actor.source.value,
        data=dict(data or {}) | {"status": session.status.value, "version": session.version},
    )
    for effect in transition.effects:
        _write(uow, session, effect)
    for person in _people_concerned(was, session):
        uow.outbox.publish_home(person)


def _write(uow: UnitOfWork, session: Session, effect: Effect) -> None:
    match effect:
        case Show():
            _show(uow, session, effect)
        case RunStep():
            uow.defer("run", str(session.id), not_before=effect.not_before)
        case ObserveAttempt():
            uow.defer("observe", effect.attempt_id, not_before=effect.not_before)
        case CancelAttempt():
            uow.defer("cancel", effect.attempt_id)
        case CleanUpAttempt():
            uow.defer("cleanup", effect.attempt_id)
        case StoreOutput():
            uow.sessions.store_output(session.id, effect.step_number, effect.output)
        case FreeTarget():
            for waiting in uow.sessions.queue_for(effect.target_id)[:2]:
                uow.defer("run", str(waiting))


def _show(uow: UnitOfWork, session: Session, effect: Show) -> None:
    uow.outbox.show(session, effect.purpose, step_number=effect.step_number, ordinal=effect.ordinal)
    if effect.purpose is Purpose.RESULT:
        uow.outbox.show(session, Purpose.OUTPUT, step_number=effect.step_number, ordinal=effect.ordinal)


def _people_concerned(was: Session, session: Session) -> tuple[Person, ...]:
    """Those whose App Home shows this session: its requester, and the approvers of a gate that opened or closed."""
    people = {session.requester.person} if session.requester.person else set()
    for step, before in zip(session.steps, was.steps, strict=True):
        if step.gate and step.gate != before.gate:
            people.update(step.gate.audience.approvers)
    return tuple(sorted(people, key=str))
