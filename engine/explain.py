"""One sentence for any state of a session: who must do what by when, and what follows.

Reads a session, changes nothing. Every state that can be reached has a sentence here; a property test
walks through them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from engine.machine import choices_for, next_pending
from engine.model import (
    FINAL_SESSIONS,
    Attempt,
    AttemptStatus,
    Gate,
    Person,
    Session,
    SessionStatus,
    Step,
    StepKind,
    StepStatus,
)
from engine.policy import eligible


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Why a session stands where it stands."""

    sentence: str  #: the whole answer, readable alone
    waits_for: tuple[Person, ...] = ()  #: people who can move it now
    since: datetime | None = None
    until: datetime | None = None
    next: str = ""  #: what happens after that


def explain(session: Session, now: datetime, *, queue: tuple[int, ...] = ()) -> Explanation:
    """Say what the session waits for. ``queue``: sessions that hold or want its machine, the holder first."""
    if session.status in FINAL_SESSIONS:
        return _final(session)
    match session.status:
        case SessionStatus.WAITING_APPROVAL:
            return _waiting(session, now)
        case SessionStatus.IN_PROGRESS:
            return _in_progress(session, now, queue)
        case SessionStatus.PAUSED:
            return _paused(session)
        case SessionStatus.NEEDS_ATTENTION:
            return _needs_attention(session)
        case _:
            return Explanation(sentence="Stored, about to start.", next="The first step is looked at.")


def missing_approvals(gate: Gate) -> int:
    """Return how many more people must approve."""
    return max(0, gate.audience.quorum - len({vote.actor.person for vote in gate.approvals}))


def _waiting(session: Session, now: datetime) -> Explanation:
    gate = session.open_gate
    step = session.step(gate.step_number) if gate else None
    assert gate is not None
    assert step is not None
    voted = {vote.actor.person for vote in gate.approvals}
    people = tuple(p for p in eligible(gate.audience, session.requester) if p not in voted)
    need = missing_approvals(gate)
    manual = step.planned.kind is StepKind.MANUAL
    what = "to do and report" if manual else "to approve"
    many = f"{need} of" if need > 1 or len(people) > 1 else ""
    who = " ".join(part for part in (many, _people(people)) if part)
    follow = (
        "When it is reported done, the next step is looked at"
        if manual
        else f"When it is approved, it runs on {session.plan.target.name}"
    )
    return Explanation(
        sentence=(
            f"Waiting for {who} {what} step {step.number} ({step.planned.name}) since {_clock(gate.opened_at)}, "
            f"until {_clock(gate.expires_at)} ({_minutes(gate.expires_at, now)} left); nothing runs before that."
        ),
        waits_for=people,
        since=gate.opened_at,
        until=gate.expires_at,
        next=f"{follow}; when nobody decides in time, the session expires.",
    )


def _in_progress(session: Session, now: datetime, queue: tuple[int, ...]) -> Explanation:
    step = session.current_step
    if step is None:
        return Explanation(sentence="Between two steps: the next one is looked at now.", since=session.started_at)
    name = f"step {step.number} ({step.planned.name})"
    in_line = step.status is StepStatus.APPROVED and session.id in queue[1:]
    if in_line or step.status is StepStatus.QUEUED:
        return _queued(session, step, name, queue)
    if step.status is StepStatus.RUNNING and step.attempt:
        return _running(session, step, step.attempt, now)
    return Explanation(
        sentence=f"About to start {name} on {session.plan.target.name}.",
        since=step.started_at,
        next="The command is sent to the machine; its output comes into the thread.",
    )


def _queued(session: Session, step: Step, name: str, queue: tuple[int, ...]) -> Explanation:
    where = session.plan.target.name
    ahead = queue[: queue.index(session.id)] if session.id in queue else ()
    if ahead:
        place = f", number {len(ahead)} in line" if len(ahead) > 1 else ""
        why = f"session {ahead[0]} holds {where}{place}"
    else:
        why = step.reason.rstrip(".") or f"{where} asked for patience"
    again = f"; next try at {_clock(step.not_before)}" if step.not_before else ""
    return Explanation(
        sentence=f"{name[0].upper()}{name[1:]} is approved and waits: {why}{again}.",
        until=step.not_before,
        next="It starts by itself; nobody has to do anything.",
    )


def _running(session: Session, step: Step, attempt: Attempt, now: datetime) -> Explanation:
    since = attempt.created_at or now
    where = session.plan.target.name
    state = {
        AttemptStatus.SUBMITTING: f"is being sent to {where}; whether it arrived is being checked",
        AttemptStatus.ACCEPTED: f"was accepted for {where} and has not reported a start yet",
    }.get(attempt.status, f"is running on {where}")
    asked = " It was asked to stop, which is not confirmed yet." if attempt.cancel_requested else ""
    if session.paused_by:
        asked += f" {session.paused_by} paused the session: nothing follows by itself."
    return Explanation(
        sentence=f"Step {step.number} ({step.planned.name}) {state} since {_clock(since)}.{asked}",
        since=since,
        until=attempt.hard_deadline,
        next=f"If it says nothing by {_clock(attempt.hard_deadline)}, its outcome is unknown and a person decides.",
    )


def _needs_attention(session: Session) -> Explanation:
    step = next((s for s in session.steps if choices_for(session, s)), None)
    if step is None:
        return Explanation(sentence="Needs a person, but no step asks for one.", waits_for=_requester(session))
    choices = ", ".join(choice.value for choice in choices_for(session, step))
    people = eligible(step.audience, session.requester) if step.audience else _requester(session)
    what = (
        "has an unknown outcome: nobody can prove whether it ran"
        if step.status is StepStatus.UNKNOWN
        else f"{step.status.value.replace('_', ' ')}"
    )
    why = f" ({step.reason})" if step.reason else ""
    whom = f"waiting for {_people(people)} to choose: {choices}"
    return Explanation(
        sentence=f"Step {step.number} ({step.planned.name}) {what}{why}; {whom}.",
        waits_for=people,
        since=step.finished_at,
        next="Nothing runs until somebody chooses; there is no deadline.",
    )


FINAL_SENTENCES: Mapping[SessionStatus, str] = {
    SessionStatus.COMPLETED: "Completed: every step did what was expected.",
    SessionStatus.COMPLETED_UNVERIFIED: "The changes are done but not verified.",
    SessionStatus.FAILED: "Failed.",
    SessionStatus.REJECTED: "Rejected: nothing more was run.",
    SessionStatus.EXPIRED: "Expired: nothing more was run.",
    SessionStatus.CANCELLED: "Cancelled.",
}


def _final(session: Session) -> Explanation:
    tail = f" {session.reason}" if session.reason else ""
    sentence = f"{FINAL_SENTENCES[session.status]}{tail}"
    return Explanation(sentence=sentence, since=session.finished_at, next="This session is over.")


def _paused(session: Session) -> Explanation:
    return Explanation(
        sentence=f"Paused by {session.paused_by} before {_next_name(session)}; nothing runs.",
        waits_for=_requester(session),
        next=f"`/runbook resume {session.id}` goes on, `/runbook cancel {session.id}` ends it.",
    )


def _requester(session: Session) -> tuple[Person, ...]:
    return (session.requester.person,) if session.requester.person else ()


def _next_name(session: Session) -> str:
    step = session.current_step or next_pending(session)
    return f"step {step.number} ({step.planned.name})" if step else "its end"


def _people(people: tuple[Person, ...]) -> str:
    return ", ".join(person.user for person in people) or "nobody who may"


def _clock(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else "an unknown time"


def _minutes(moment: datetime, now: datetime) -> str:
    left = max(0, int((moment - now).total_seconds()))
    return f"{left // 60} min" if left >= 60 else f"{left} s"
