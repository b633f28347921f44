"""The use cases: check, decide, commit. Every door (Slack, API, command line, clock) comes through here.

Each method that changes something does so in exactly one transaction; the network is asked before it or, by a
worker, after it, never inside. Nothing here may format a message or know which door a request came through,
beyond recording it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from engine import events as ev
from engine.admission import require_member, require_place, same_answer, same_request
from engine.apply import store
from engine.ballots import Ballot, Seen, gate_meant, person_of, require_control
from engine.effects import Purpose
from engine.errors import Conflict, Expired, InvalidInput, NotAllowed, NotFound, Refused
from engine.explain import Explanation, explain
from engine.lifecycle import advance
from engine.model import (
    FINAL_SESSIONS,
    SYSTEM,
    Actor,
    Decision,
    Gate,
    GateStatus,
    Output,
    Person,
    Plan,
    Session,
    SessionStatus,
)
from engine.policy import Policy, judge
from engine.ports import Clock, Connector, Directory, Ids, Summary, UnitOfWork, UnitOfWorkFactory
from engine.preparation import Preparation, StartRequest
from engine.recorder import look_again


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What the use cases work with; put together by the composition root."""

    uow: UnitOfWorkFactory
    clock: Clock
    ids: Ids
    policy: Policy
    directory: Directory
    connectors: Mapping[str, Connector]
    preparation: Preparation
    log: Callable[..., None]  #: takes an event name and fields


@dataclass(frozen=True, kw_only=True)
class View:
    """A session with what people ask about it: the sentence, and where its thread is."""

    session: Session
    explanation: Explanation
    channel: str = ""
    thread_ts: str = ""
    queue: tuple[int, ...] = field(default=())


Steering = ev.CancelAsked | ev.Paused | ev.Resumed | ev.Chosen
KINDS: Mapping[type, str] = {
    ev.CancelAsked: "session_cancel_asked",
    ev.Paused: "session_paused",
    ev.Resumed: "session_resumed",
    ev.Chosen: "choice_made",
}


class Service:
    """All use cases of people."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._uow = parts.uow

    # ------------------------------------------------------------ start

    def preview(self, request: StartRequest) -> Plan:
        """Return the plan that a start would freeze now; changes nothing."""
        return self._parts.preparation.plan(request).plan

    def accept(self, request: StartRequest, *, delivery: str) -> bool:
        """Store a start request to be carried out by a worker; False when this delivery was seen before."""
        with self._uow() as uow:
            fresh = uow.inbox.accept(delivery, "start", request.to_payload(), at=self._now(), done=False)
            if fresh:
                uow.defer("start", delivery)
                uow.commit()
            return fresh

    def start(self, request: StartRequest) -> Session:
        """Resolve, check, freeze the plan and begin. The same request key begins one session only, also at once."""
        return look_again(lambda: self._start(request))

    def _start(self, request: StartRequest) -> Session:
        with self._uow() as uow:
            known = uow.sessions.by_request(request.key)
            if known is not None:
                return same_request(self._load(uow, known), request)
        require_member(self._parts.directory, request.actor)
        require_place(self._parts.directory, request)
        draft = self._parts.preparation.draft(request, nonce=self._parts.ids.token(), now=self._now())
        with self._uow() as uow:
            session = uow.sessions.add(draft, request_key=request.key)
            started = advance(session, ev.Started(), self._now())
            store(uow, session, started, actor=request.actor, kind="session_started", now=self._now())
            uow.commit()
        self._parts.log(
            "[START_EXECUTION] session started",
            session_id=session.id,
            actor=str(request.actor),
            runbook=request.runbook,
            target=session.plan.target.id,
            status=started.session.status.value,
        )
        return started.session

    # ------------------------------------------------------------ decide

    def decide(self, ballot: Ballot) -> Session:
        """Count one person's vote on one open gate, or say why it does not count."""
        try:
            person = require_member(self._parts.directory, ballot.actor)
        except NotAllowed as refusal:
            self._record_stranger(ballot, refusal)
            raise
        return look_again(lambda: self._count(ballot, person))

    def _count(self, ballot: Ballot, person: Person) -> Session:
        """One transaction: the delivery's key, the judgement and the vote."""
        with self._uow() as uow:
            now = self._now()
            first = not ballot.delivery or uow.inbox.accept(
                ballot.delivery, "decision", {"actor": str(person)}, at=now, done=True
            )
            session = self._session_of(uow, ballot)
            if not first:
                return same_answer(uow.inbox.answer(ballot.delivery), session)
            decision = Decision(verdict=ballot.verdict, actor=ballot.actor, at=now, reason=ballot.reason.strip())
            gate: Gate | None = None
            try:
                gate = gate_meant(session, ballot)
                self._check_seen(uow, session, gate, ballot.seen)
                judge(session, gate, decision, now)
            except Refused as refusal:
                self._record_refusal(uow, session, ballot, refusal, gate)
                raise
            transition = advance(session, ev.Voted(gate_id=gate.id, decision=decision), now)
            store(
                uow,
                session,
                transition,
                actor=ballot.actor,
                kind=f"step_{ballot.verdict.value}",
                now=now,
                step_number=gate.step_number,
                data={"gate": gate.id, "digest": session.digest, "reason": decision.reason},
            )
            uow.commit()
        self._parts.log(
            f"[APPROVE_STEP] {ballot.verdict.value} recorded",
            session_id=session.id,
            step=gate.step_number,
            actor=str(person),
            source=ballot.actor.source.value,
            status=transition.session.status.value,
        )
        return transition.session

    # ------------------------------------------------------------ control

    def cancel(self, session_id: int, actor: Actor, reason: str = "", *, delivery: str = "") -> Session:
        """Call a session off. The requester and every approver of any of its steps may."""
        return self._control(session_id, actor, ev.CancelAsked(actor=actor, reason=reason), delivery)

    def pause(self, session_id: int, actor: Actor, *, delivery: str = "") -> Session:
        """Keep the next step from starting."""
        return self._control(session_id, actor, ev.Paused(actor=actor), delivery)

    def resume(self, session_id: int, actor: Actor, *, delivery: str = "") -> Session:
        """Let a paused session go on."""
        return self._control(session_id, actor, ev.Resumed(actor=actor), delivery)

    def choose(self, session_id: int, chosen: ev.Chosen, *, delivery: str = "") -> Session:
        """Say how to go on after a failure or an unknown outcome; needs a reason."""
        if not chosen.reason.strip():
            raise InvalidInput("A choice needs a reason.", hint="Say in one sentence what you know.")
        return self._control(session_id, chosen.actor, replace(chosen, reason=chosen.reason.strip()), delivery)

    # ------------------------------------------------------------ clock

    def expire(self, gate_id: str) -> None:
        """Close a gate whose deadline has passed; does nothing if it was decided meanwhile."""
        self._tick(gate_id, ev.GateExpired(gate_id=gate_id), "gate_expired")

    def remind(self, gate_id: str) -> None:
        """Remind the approvers of a gate, once."""
        self._tick(gate_id, ev.Reminded(gate_id=gate_id), "approvers_reminded")

    # ------------------------------------------------------------ look

    def view(self, session_id: int) -> View:
        """Return a session with its explanation."""
        with self._uow() as uow:
            return self._view(uow, self._load(uow, session_id))

    def output(self, session_id: int, step_number: int) -> Output:
        """Return what a step's newest attempt printed, as stored."""
        with self._uow() as uow:
            return uow.sessions.output(session_id, step_number)

    def waiting(self, *, limit: int = 50, after: int = 0) -> tuple[View, ...]:
        """Return the sessions that wait for an approval, oldest first."""
        with self._uow() as uow:
            return tuple(self._view(uow, session) for session in uow.sessions.waiting(limit=limit, after=after))

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
        """Return the newest sessions, newest first."""
        with self._uow() as uow:
            return uow.sessions.recent(
                status=status, ticket=ticket, requester=requester, limit=limit, before=before, active=active
            )

    # ------------------------------------------------------------ inside

    def _now(self) -> datetime:
        return self._parts.clock.now()

    def _load(self, uow: UnitOfWork, session_id: int) -> Session:
        session = uow.sessions.get(session_id)
        if session is None:
            raise NotFound(f"There is no session {session_id}.", hint="`/runbook status` lists the recent ones.")
        return session

    def _view(self, uow: UnitOfWork, session: Session) -> View:
        queue = uow.sessions.queue_for(session.plan.target.id) if session.status not in FINAL_SESSIONS else ()
        card = uow.outbox.message(session.id, Purpose.CARD)
        return View(
            session=session,
            explanation=explain(session, self._now(), queue=queue),
            channel=card.channel if card else "",
            thread_ts=card.ts if card else "",
            queue=queue,
        )

    def _session_of(self, uow: UnitOfWork, ballot: Ballot) -> Session:
        session_id = ballot.session_id
        if ballot.gate_id:
            session_id = uow.sessions.by_gate(ballot.gate_id)
        if session_id is None:
            raise NotFound("This approval request is not known here.", hint="`/runbook pending` lists the open ones.")
        return self._load(uow, session_id)

    def _check_seen(self, uow: UnitOfWork, session: Session, gate: Gate, seen: Seen | None) -> None:
        """A click counts only on the very message that was posted for this gate."""
        if seen is None:
            return
        message = uow.outbox.message(session.id, Purpose.GATE, step_number=gate.step_number, ordinal=gate.serial)
        if message and message.ts and (message.channel, message.ts) != (seen.channel, seen.ts):
            raise Conflict(
                "This is not the message that was posted for this approval.",
                hint="Use the one in the thread.",
            )

    def _record_stranger(self, ballot: Ballot, refusal: NotAllowed) -> None:
        with self._uow() as uow, suppress(NotFound):
            self._record_refusal(uow, self._session_of(uow, ballot), ballot, refusal)

    def _record_refusal(
        self, uow: UnitOfWork, session: Session, ballot: Ballot, refusal: Refused, gate: Gate | None = None
    ) -> None:
        """Keep the refused attempt as evidence; a message that invited a stale click is brought up to date."""
        uow.audit.append(
            "decision_refused",
            at=self._now(),
            session_id=session.id,
            step_number=gate.step_number if gate else ballot.step_number,
            actor=str(ballot.actor),
            source=ballot.actor.source.value,
            data={"code": refusal.code, "verdict": ballot.verdict.value, "gate": gate.id if gate else ballot.gate_id},
        )
        if gate and isinstance(refusal, (Conflict, Expired)):
            uow.outbox.show(session, Purpose.GATE, step_number=gate.step_number, ordinal=gate.serial)
        if ballot.delivery:
            uow.inbox.done(ballot.delivery, at=self._now(), answer=refusal.to_text())
        uow.commit()

    def _control(self, session_id: int, actor: Actor, event: Steering, delivery: str) -> Session:
        require_member(self._parts.directory, actor)
        return look_again(lambda: self._steer(session_id, actor, event, delivery))

    def _steer(self, session_id: int, actor: Actor, event: Steering, delivery: str) -> Session:
        """One transaction: the delivery's key, so that a repeated one does nothing, and the event."""
        with self._uow() as uow:
            now = self._now()
            who = {"actor": str(actor)}
            first = not delivery or uow.inbox.accept(delivery, "control", who, at=now, done=True)
            session = self._load(uow, session_id)
            if not first:
                return session
            require_control(session, person_of(actor), event)
            transition = advance(session, event, now)
            chosen = event if isinstance(event, ev.Chosen) else None
            data = {"reason": getattr(event, "reason", "")} | ({"choice": chosen.choice.value} if chosen else {})
            number = chosen.step_number if chosen else None
            store(
                uow, session, transition, actor=actor, kind=KINDS[type(event)], now=now, step_number=number, data=data
            )
            uow.commit()
            return transition.session

    def _tick(self, gate_id: str, event: ev.GateExpired | ev.Reminded, kind: str) -> None:
        look_again(lambda: self._record_tick(gate_id, event, kind))

    def _record_tick(self, gate_id: str, event: ev.GateExpired | ev.Reminded, kind: str) -> None:
        with self._uow() as uow:
            session_id = uow.sessions.by_gate(gate_id)
            session = uow.sessions.get(session_id) if session_id is not None else None
            gate = session.open_gate if session else None
            if session is None or gate is None or gate.id != gate_id:
                return
            if isinstance(event, ev.Reminded) and gate.reminded:
                return
            transition = advance(session, event, self._now())
            store(uow, session, transition, actor=SYSTEM, kind=kind, now=self._now(), step_number=gate.step_number)
            uow.commit()


__all__ = ["Ballot", "GateStatus", "Parts", "Seen", "Service", "StartRequest", "View"]
