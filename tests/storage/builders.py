"""Values for the tests of storage: a plan with everything in it, sessions in any state, people, times."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

from engine import events as ev
from engine.lifecycle import advance
from engine.model import (
    Actor,
    AttemptStatus,
    Audience,
    Decision,
    Expect,
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
    Shell,
    Source,
    Step,
    StepKind,
    Target,
    Verdict,
)
from engine.plan import digest_of
from engine.reactions import basis_of

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
RUTH = Person(enterprise="E1", team="T1", user="U_RUTH")
ANNA = Person(enterprise="E1", team="T1", user="U_ANNA")
BERT = Person(enterprise="E1", team="T1", user="U_BERT")
PLACE = Place(team="T1", channel="C_OPS")
_numbers = count(1)


class FixedClock:
    """A clock that stands still until it is told otherwise."""

    def __init__(self, now: datetime = NOW) -> None:
        self.time = now

    def now(self) -> datetime:
        return self.time


class NoQueue:
    """A work queue for tests that look at rows alone: it takes jobs, counts commits and does nothing."""

    def __init__(self):
        self.commits = 0

    def defer(self, tx, task, row_id, not_before=None):
        """Forget the job."""

    def after_commit(self, _tx):
        self.commits += 1

    def run(self, _handlers, stop):
        stop.wait()


def actor(person: Person, source: Source = Source.SLACK) -> Actor:
    return Actor(person=person, source=source, name=person.user.title())


def a_target(name: str = "web-01") -> Target:
    return Target(
        connector="azure",
        id=f"/subscriptions/s/resourcegroups/rg/providers/microsoft.compute/virtualmachines/{name}",
        name=name,
        group="rg",
        os="linux",
        fingerprint=f"vmid-{name}",
        location="westeurope",
    )


def planned(number: int, **changes: object) -> PlannedStep:
    step = PlannedStep(
        number=number,
        phase=Phase.MAIN,
        name=f"Step {number}",
        kind=StepKind.COMMAND,
        risk=Risk.MEDIUM,
        requires_approval=False,
        script=f"echo 'step {number}'\n",
    )
    return replace(step, **changes)


def every_kind_of_step() -> tuple[PlannedStep, ...]:
    """Steps that use every field of a step at least once."""
    return (
        planned(
            1,
            phase=Phase.PRECHECK,
            risk=Risk.NONE,
            requires_approval=True,
            script="vm=$(printf d2Vi | base64 -d)\n# Grüße, \u65e5\u672c\u8a9e\ndf -h\n",
            expect=Expect(
                exit_codes=(0, 3), contains=("ok", "fine"), not_contains=("bad",), matches="^a.*z$", number=">= 85"
            ),
            capture=(("disk", "last_line"), ("rest", "stdout")),
        ),
        planned(2, timeout_seconds=77, retries=2, on_failure=OnFailure.ROLLBACK, shell=Shell.POWERSHELL),
        planned(3, kind=StepKind.MANUAL, script="", instructions="Look at the lamp.", risk=Risk.HIGH),
        planned(4, phase=Phase.POSTCHECK, on_failure=OnFailure.CONTINUE),
        planned(5, phase=Phase.ROLLBACK, undoes=2),
    )


def a_plan(*steps: PlannedStep, target: Target | None = None, **changes: object) -> Plan:
    plan = Plan(
        runbook="restart-web",
        title="Restart the web server",
        description="Restarts it.\nGently.",
        owner="web-team",
        service="shop",
        environment="production",
        risk=Risk.MEDIUM,
        runbook_digest="a" * 64,
        policy_version="b" * 64,
        parameters=(("port", "80"), ("vm", "web-01")),
        target=target or a_target(),
        steps=steps or (planned(1, requires_approval=True), planned(2)),
    )
    return replace(plan, **changes)


def an_audience(**changes: object) -> Audience:
    return replace(Audience(approvers=(ANNA, BERT), rule="production"), **changes)


def a_draft(plan: Plan | None = None, *, audience: Audience | None = None, **changes: object) -> Session:
    """A session that was not stored yet; steps that require approval are asked of Anna and Bert."""
    plan = plan or a_plan()
    asked = audience or an_audience()
    session = Session(
        id=0,
        plan=plan,
        digest=digest_of(plan),
        requester=actor(RUTH),
        place=PLACE,
        status=SessionStatus.PENDING,
        steps=tuple(Step(planned=step, audience=asked if step.requires_approval else None) for step in plan.steps),
        created_at=NOW,
        nonce=f"{next(_numbers):032x}",
        ticket="INC-1",
    )
    return replace(session, **changes)


def stored(units, draft: Session | None = None) -> Session:
    """Store a session that has not started."""
    with units() as uow:
        session = uow.sessions.add(draft or a_draft(), request_key=f"request-{next(_numbers)}")
        uow.commit()
    return session


def started(units, draft: Session | None = None) -> Session:
    """Store a session and start it: it waits at its first gate, or its first step may run."""
    return happened(units, stored(units, draft), ev.Started())


def happened(units, session: Session, event: ev.Event, *, now: datetime = NOW) -> Session:
    """Let one event happen to a stored session."""
    after = advance(session, event, now).session
    with units() as uow:
        uow.sessions.save(after, was=session)
        uow.commit()
    return after


def vote(session: Session, person: Person = ANNA, verdict: Verdict = Verdict.APPROVE) -> ev.Voted:
    gate = session.open_gate
    assert gate is not None
    decision = Decision(verdict=verdict, actor=actor(person), at=NOW, reason="looks right")
    return ev.Voted(gate_id=gate.id, decision=decision)


def claim(session: Session, *, owner: str = "me", attempt_id: str = "") -> ev.Claimed:
    step = session.current_step
    assert step is not None
    return ev.Claimed(
        step_number=step.number,
        attempt_id=attempt_id or f"attempt-{next(_numbers)}",
        owner=owner,
        not_after=NOW + timedelta(minutes=10),
        hard_deadline=NOW + timedelta(minutes=20),
        basis=basis_of(step),
    )


def delayed(session: Session, *, until: datetime | None = None) -> ev.Delayed:
    """The session's first step may run, but not now."""
    step = session.steps[0]
    return ev.Delayed(step_number=step.number, reason="busy", not_before=until, basis=basis_of(step))


def voided(session: Session) -> ev.ApprovalVoided:
    """The approval of the session's first step is worth nothing any more."""
    step = session.steps[0]
    return ev.ApprovalVoided(step_number=step.number, reason="left the company", fatal=False, basis=basis_of(step))


def running(units, draft: Session | None = None, *, owner: str = "me") -> Session:
    """A session whose first, ungated step was claimed and accepted."""
    session = started(units, draft or ungated())
    session = happened(units, session, claim(session, owner=owner))
    return happened(units, session, ev.Submitted(attempt_id=attempt_of(session), handle={"name": "rb-1"}))


def ungated(target: Target | None = None) -> Session:
    return a_draft(a_plan(planned(1), planned(2), target=target))


def attempt_of(session: Session, number: int = 1) -> str:
    step = session.step(number)
    assert step is not None
    assert step.attempt is not None
    return step.attempt.id


def ended(session: Session, status: AttemptStatus = AttemptStatus.SUCCEEDED, number: int = 1) -> ev.Ended:
    result = Result(status=status, exit_code=0, output=Output(stdout="done"), duration_seconds=1.5)
    return ev.Ended(attempt_id=attempt_of(session, number), result=result)
