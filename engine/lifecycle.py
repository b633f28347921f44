"""The one door to a session's state: (session, event, now) -> (session, effects).

Pure: the same arguments give the same answer. Whoever calls it has checked with ``engine.policy`` that a
decision counts, and writes the whole transition in one transaction with ``engine.apply``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from engine.effects import Effect, Purpose
from engine.errors import Conflict
from engine.events import Event
from engine.machine import check_session_move
from engine.model import FINAL_SESSIONS, Session
from engine.reactions import REACTIONS
from engine.settling import settle
from engine.work import Work


@dataclass(frozen=True, kw_only=True)
class Transition:
    session: Session
    effects: tuple[Effect, ...]


def advance(session: Session, event: Event, now: datetime) -> Transition:
    """Accept one event: the next session, one version higher, and what must be done because of it.

    Raises ``Conflict`` when the event does not fit the state; then nothing happened.
    """
    if session.status in FINAL_SESSIONS:
        raise Conflict(f"Session {session.id} is over: it is {session.status.value}.")
    work = Work(session, now)
    REACTIONS[type(event)](work, event)
    settle(work)
    work.show(Purpose.CARD)
    check_session_move(session.status, work.session.status)
    after = replace(work.session, version=session.version + 1)
    return Transition(session=after, effects=tuple(dict.fromkeys(work.effects)))
