"""A decision as it arrives at a door: which gate it means, and who may steer a session."""

from __future__ import annotations

from dataclasses import dataclass

from engine import events as ev
from engine.errors import Conflict, NotAllowed, NotFound
from engine.machine import asks_for_choice
from engine.model import Actor, Gate, Person, Session, Verdict
from engine.policy import eligible


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The message that somebody clicked: the decision only counts if it is the one that was posted."""

    channel: str
    ts: str


@dataclass(frozen=True, kw_only=True)
class Ballot:
    """A decision as it arrives at a door.

    Give ``gate_id``, or ``session_id`` with ``step_number``; a step that is not the open gate is refused, never
    replaced by another one. ``delivery`` is the door's own key of this delivery: the same key acts once.
    """

    actor: Actor
    verdict: Verdict
    reason: str = ""
    gate_id: str = ""
    session_id: int | None = None
    step_number: int | None = None
    seen: Seen | None = None
    delivery: str = ""


def person_of(actor: Actor) -> Person:
    """Return the human behind an actor; the system decides nothing."""
    if actor.person is None:
        raise NotAllowed("Only a person can do this.")
    return actor.person


def gate_meant(session: Session, ballot: Ballot) -> Gate:
    """Find the gate that was meant; never fall back to whatever is open now."""
    if ballot.gate_id:
        for step in session.steps:
            if step.gate and step.gate.id == ballot.gate_id:
                return step.gate
        raise Conflict("This request was replaced by a newer one.", hint="Use the newest message in the thread.")
    wanted = session.step(ballot.step_number or 0)
    if wanted is None:
        raise NotFound(f"Session {session.id} has no step {ballot.step_number}.")
    if wanted.gate is None:
        current = session.open_gate
        wait = f"It waits for step {current.step_number}." if current else f"It is {session.status.value}."
        raise Conflict(f"Step {wanted.number} of session {session.id} does not wait for a decision.", hint=wait)
    return wanted.gate


def require_control(session: Session, person: Person, event: ev.Event) -> None:
    """Cancel, pause and resume: the requester or an approver. A choice: an approver, as for the step itself."""
    if isinstance(event, ev.Chosen):
        able, role = _may_choose(session, event.step_number), f"an approver of step {event.step_number}"
    else:
        able, role = {session.requester.person, *_approvers(session)}, f"concerned with session {session.id}"
    if person not in able:
        raise NotAllowed(f"You are not {role}.", hint="Ask one of the people named in its thread.")


def _may_choose(session: Session, step_number: int) -> set[Person | None]:
    step = session.step(step_number)
    if step is None or not asks_for_choice(session, step):
        raise Conflict(f"Step {step_number} of session {session.id} does not wait for a choice.")
    if step.audience is None:
        return {session.requester.person, *_approvers(session)}
    return set(eligible(step.audience, session.requester))


def _approvers(session: Session) -> set[Person]:
    return {p for step in session.steps if step.audience for p in step.audience.approvers}
