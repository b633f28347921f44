"""From a row of the outbox to what Slack shall show: everything is read from the database at the moment of sending.

A message is a view of the present, so an old row never shows an old state. Nothing here may write or call Slack.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from bot.views import gate as gates
from bot.views import notices, parts
from bot.views import result as results
from bot.views.card import card
from bot.views.home import HomePage, home
from bot.views.result import OutputFile
from engine.effects import Purpose
from engine.explain import explain
from engine.model import FINAL_SESSIONS, Gate, Output, Person, Session, Step, StepStatus
from engine.ports import Clock, Message, UnitOfWork

HOME_WAITING = 200  #: waiting sessions that are looked through for one person
HOME_LINES = 9  #: one more than is shown, so that the page can say that there are more


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """One message, ready to be sent. Exactly one of ``rendered``, ``file`` and ``view`` is there."""

    message: Message
    rendered: parts.Rendered | None = None
    file: OutputFile | None = None
    instead: parts.Rendered | None = None  #: what to post when the file is refused
    view: dict[str, Any] | None = None
    thread_ts: str = ""
    since: datetime | None = None  #: the message cannot have been posted before


class Renderer:
    """Turns outbox rows into parcels."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def render(self, uow: UnitOfWork, message: Message) -> Parcel | None:
        """Return what to send, or None when there is nothing to show."""
        if message.purpose is Purpose.EPHEMERAL:
            told = notices.ephemeral(message.payload.get("text", ""))
            return Parcel(message=message, rendered=told, thread_ts=message.payload.get("thread_ts", ""))
        if message.purpose is Purpose.HOME:
            return Parcel(message=message, view=self._home(uow, message))
        session = uow.sessions.get(message.session_id) if message.session_id is not None else None
        return self._of_session(uow, message, session) if session else None

    def _of_session(self, uow: UnitOfWork, message: Message, session: Session) -> Parcel | None:
        root = uow.outbox.message(session.id, Purpose.CARD)
        thread = root.ts if root and message.purpose is not Purpose.CARD else ""
        if message.purpose is Purpose.OUTPUT:
            return self._output(uow, message, session, thread)
        rendered = self._message(uow, message, session)
        if rendered is None:
            return None
        return Parcel(message=message, rendered=rendered, thread_ts=thread, since=session.created_at)

    def _message(self, uow: UnitOfWork, message: Message, session: Session) -> parts.Rendered | None:
        if message.purpose is Purpose.CARD:
            return self._card(uow, session)
        if message.purpose is Purpose.CLOSING:
            return notices.closing(session)
        step = session.step(message.step_number)
        if step is None:
            return None
        if message.purpose is Purpose.RESULT:
            return _result(uow, message, session, step)
        if message.purpose is Purpose.ATTENTION:
            return notices.attention(session, step, current=step.attempts == message.ordinal)
        return self._about_gate(message, session, step)

    def _card(self, uow: UnitOfWork, session: Session) -> parts.Rendered:
        now = self._clock.now()
        over = session.status in FINAL_SESSIONS
        queue = () if over else uow.sessions.queue_for(session.plan.target.id)
        return card(session, explain(session, now, queue=queue), now=now, queue=queue)

    def _about_gate(self, message: Message, session: Session, step: Step) -> parts.Rendered | None:
        gate: Gate | None = step.gate
        if gate is None:
            return None
        if gate.serial != message.ordinal:
            return gates.superseded(session, step.number)
        draw = notices.reminder if message.purpose is Purpose.REMINDER else gates.gate_message
        return draw(session, step, gate=gate, now=self._clock.now())

    def _output(self, uow: UnitOfWork, message: Message, session: Session, thread: str) -> Parcel | None:
        step = session.step(message.step_number)
        found = _as_it_ended(uow, message, session, step) if step else None
        if found is None or not results.is_long(found[1]):
            return None
        refused = results.file_refused(session, *found, why="Slack did not take the file")
        since = session.created_at
        return Parcel(
            message=message, file=results.output_file(session, *found), instead=refused, thread_ts=thread, since=since
        )

    def _home(self, uow: UnitOfWork, message: Message) -> dict[str, Any]:
        person = person_of(message)
        recent = uow.sessions.recent(limit=3 * HOME_LINES)
        page = HomePage(
            waiting=uow.sessions.waiting(limit=HOME_WAITING),
            mine=uow.sessions.recent(requester=person, limit=HOME_LINES),
            running=uow.sessions.recent(active=True, limit=HOME_LINES),
            recent=[summary for summary in recent if summary.status in FINAL_SESSIONS],
        )
        return home(page, person=person, now=self._clock.now())


def person_of(message: Message) -> Person:
    """Return whose Home a row is about; its key holds the whole identity."""
    *scope, user = message.key.removeprefix("home/").split("/")
    enterprise = scope[0] if len(scope) == 2 else ""
    return Person(team=message.team, user=user, enterprise=enterprise)


def _result(uow: UnitOfWork, message: Message, session: Session, step: Step) -> parts.Rendered:
    found = _as_it_ended(uow, message, session, step)
    return results.result(session, *found) if found else results.retried(session, step, message.ordinal)


def _as_it_ended(uow: UnitOfWork, message: Message, session: Session, step: Step) -> tuple[Step, Output] | None:
    """Return the step as the message's attempt left it, also when a later attempt has followed."""
    if step.attempt is None or step.attempt.number == message.ordinal:
        return step, uow.sessions.output(session.id, step.number)
    earlier = uow.sessions.earlier(session.id, step.number, message.ordinal)
    if earlier is None:
        return None
    ended = replace(
        step,
        status=StepStatus.QUEUED,
        attempt=earlier.attempt,
        exit_code=earlier.exit_code,
        duration_seconds=earlier.duration_seconds,
        reason=earlier.reason,
        captured=earlier.captured,
    )
    return ended, earlier.output
