"""Values of the engine for tests: sensible defaults, and one keyword for what a test is about.

Nothing here may read a runbook file, know a database or ask a clock: ``NOW`` is when everything begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from engine import events as ev
from engine.machine import choices_for
from engine.model import (
    Actor,
    AttemptStatus,
    Audience,
    Decision,
    OnFailure,
    Output,
    Person,
    Phase,
    Place,
    Plan,
    PlannedStep,
    Result,
    Risk,
    Session,
    SessionStatus,
    Source,
    Step,
    StepKind,
    Target,
    Verdict,
)
from engine.plan import digest_of
from engine.reactions import basis_of
from engine.words import TERMINAL_ATTEMPTS

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
NONCE = "0123456789abcdef0123456789abcdef"

ALICE = Person(team="T0HOME", user="U0ALICE")
BOB = Person(team="T0HOME", user="U0BOB")
CAROL = Person(team="T0HOME", user="U0CAROL")
DAVE = Person(team="T0HOME", user="U0DAVE")  #: by default neither requester nor approver

WEB = Target(
    connector="azure",
    id="/subscriptions/0000/resourcegroups/rg-prod/providers/microsoft.compute/virtualmachines/web-1",
    name="web-1",
    group="rg-prod",
    fingerprint="6f0f3c3e-0000-4000-8000-000000000001",
)


def an_actor(person: Person = ALICE, source: Source = Source.SLACK) -> Actor:
    return Actor(person=person, source=source, name=person.user.removeprefix("U0").title())


def an_audience(*approvers: Person, **changes: Any) -> Audience:
    """Bob or Carol decide, one of them is enough, within half an hour."""
    return replace(Audience(approvers=approvers or (BOB, CAROL), rule="default"), **changes)


def a_step(**changes: Any) -> PlannedStep:
    """A main step that changes something and therefore asks first."""
    step = PlannedStep(
        number=1,
        phase=Phase.MAIN,
        name="Restart nginx",
        kind=StepKind.COMMAND,
        risk=Risk.LOW,
        requires_approval=True,
        script="systemctl restart nginx\n",
    )
    return replace(step, **changes)


def a_free_step(**changes: Any) -> PlannedStep:
    """A main step that runs without asking."""
    return a_step(**{"requires_approval": False, "risk": Risk.NONE, **changes})


def a_precheck(**changes: Any) -> PlannedStep:
    return a_free_step(**{"phase": Phase.PRECHECK, "name": "Is it up?", "script": "uptime\n", **changes})


def a_postcheck(**changes: Any) -> PlannedStep:
    return a_free_step(
        **{
            "phase": Phase.POSTCHECK,
            "name": "Does it answer?",
            "script": "curl -fsS localhost\n",
            "on_failure": OnFailure.CONTINUE,
            **changes,
        }
    )


def a_manual_step(**changes: Any) -> PlannedStep:
    facts = {"kind": StepKind.MANUAL, "name": "Tell the customer", "script": "", "instructions": "Call them."}
    return a_free_step(**{**facts, **changes})


def an_undo(of: int, **changes: Any) -> PlannedStep:
    """A rollback step that runs without asking."""
    return a_free_step(**{"phase": Phase.ROLLBACK, "name": f"Undo: step {of}", "undoes": of, **changes})


def a_plan(*steps: PlannedStep, **changes: Any) -> Plan:
    """A plan of these steps, numbered in this order."""
    numbered = tuple(replace(step, number=n) for n, step in enumerate(steps or (a_step(),), start=1))
    plan = Plan(
        runbook="restart-web",
        title="Restart the web server",
        description="Restarts nginx and looks whether it answers.",
        owner="platform-team",
        service="web",
        environment="prod",
        risk=Risk.LOW,
        runbook_digest="a" * 64,
        policy_version="b" * 64,
        parameters=(),
        target=WEB,
        steps=numbered,
    )
    return replace(plan, **changes)


def a_session(
    *steps: PlannedStep, audience: Audience | None = None, requester: Person = ALICE, **changes: Any
) -> Session:
    """Session 12, asked for by Alice, stored and not started; the audience decides every step that asks."""
    plan = a_plan(*steps)
    asked = audience or an_audience()
    session = Session(
        id=12,
        plan=plan,
        digest=digest_of(plan),
        requester=an_actor(requester),
        place=Place(team="T0HOME", channel="C0OPS"),
        status=SessionStatus.PENDING,
        steps=tuple(Step(planned=step, audience=asked if _asks(step) else None) for step in plan.steps),
        created_at=NOW,
        nonce=NONCE,
    )
    return replace(session, **changes)


def _asks(step: PlannedStep) -> bool:
    return step.requires_approval or step.kind is StepKind.MANUAL


def a_vote(person: Person = BOB, verdict: Verdict = Verdict.APPROVE, reason: str = "", at: datetime = NOW) -> Decision:
    return Decision(verdict=verdict, actor=an_actor(person), at=at, reason=reason)


def a_claim(step: Step, attempt_id: str, at: datetime = NOW) -> ev.Claimed:
    return ev.Claimed(
        step_number=step.number,
        attempt_id=attempt_id,
        owner="worker-1",
        not_after=at + timedelta(minutes=10),
        hard_deadline=at + timedelta(minutes=18),
        basis=basis_of(step),
    )


def an_end(attempt_id: str, status: AttemptStatus = AttemptStatus.SUCCEEDED, **changes: Any) -> ev.Ended:
    """How an attempt ends; ``verdict``, ``captured`` and ``retry_at`` are the event's, the rest is the result's."""
    own = {name: changes.pop(name) for name in ("verdict", "captured", "retry_at") if name in changes}
    codes: Mapping[AttemptStatus, int] = {AttemptStatus.SUCCEEDED: 0, AttemptStatus.FAILED: 1}
    facts = {"exit_code": codes.get(status), "output": Output(stdout="seen\n", stdout_bytes=5), **changes}
    return ev.Ended(attempt_id=attempt_id, result=Result(status=status, **facts), **own)


def every_event(session: Session, now: datetime = NOW) -> Iterator[ev.Event]:
    """Every kind of event about every part of a session, the impossible ones included.

    Votes are not among them: who may vote is for ``engine.policy.judge``, see ``every_vote``.
    """
    yield from (ev.Started(), ev.Paused(actor=an_actor()), ev.Resumed(actor=an_actor()))
    yield ev.CancelAsked(actor=an_actor(), reason="wrong machine")
    for step in session.steps:
        number, basis = step.number, basis_of(step)
        if step.gate:
            yield from (ev.GateExpired(gate_id=step.gate.id), ev.Reminded(gate_id=step.gate.id))
        for fatal in (False, True):
            yield ev.ApprovalVoided(step_number=number, reason="Bob has left.", fatal=fatal, basis=basis)
        for at in (None, now + timedelta(seconds=30)):
            yield ev.Delayed(step_number=number, reason="The machine is busy.", not_before=at, basis=basis)
        yield ev.Blocked(step_number=number, reason="The VM is stopped.", basis=basis)
        yield a_claim(step, f"attempt-{number}-{step.attempts + 1}", now)
        for choice in choices_for(session, step) or tuple(ev.Choice):
            yield ev.Chosen(step_number=number, choice=choice, actor=an_actor(BOB), reason="I looked.")
        if step.attempt:
            yield from _every_report(step.attempt.id, now)


def _every_report(attempt_id: str, now: datetime) -> Iterator[ev.Event]:
    yield ev.Submitted(attempt_id=attempt_id, handle={"name": attempt_id})
    yield ev.SeenRunning(attempt_id=attempt_id)
    for status in sorted(TERMINAL_ATTEMPTS):
        yield an_end(attempt_id, status, message="As seen.")
    yield an_end(attempt_id, verdict="The output does not say ok.")
    yield an_end(attempt_id, AttemptStatus.NOT_STARTED, message="Throttled.", retry_at=now + timedelta(seconds=20))


def every_vote(session: Session, now: datetime = NOW) -> Iterator[ev.Voted]:
    """Each person's approval and rejection of every gate that there is, entitled or not, open or not."""
    for step in session.steps:
        for person in (ALICE, BOB, CAROL, DAVE):
            if step.gate:
                yes, no = a_vote(person, at=now), a_vote(person, Verdict.REJECT, "Not now.", at=now)
                yield from (ev.Voted(gate_id=step.gate.id, decision=vote) for vote in (yes, no))
