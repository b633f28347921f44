"""Sessions for the tests of views: one plain example with overrides, and strategies for every odd one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from engine.explain import Explanation
from engine.model import (
    Actor,
    Attempt,
    AttemptStatus,
    Audience,
    Decision,
    Expect,
    Gate,
    GateStatus,
    OnFailure,
    Output,
    Person,
    Phase,
    Place,
    Plan,
    PlannedStep,
    Risk,
    Session,
    SessionStatus,
    Shell,
    Source,
    Step,
    StepKind,
    StepStatus,
    Target,
    Verdict,
)

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ALICE = Person(team="T0DEMO", user="U0ALICE")
BOB = Person(team="T0DEMO", user="U0BOB")
CAROL = Person(team="T0DEMO", user="U0CAROL")
HOSTILE = (
    "<!channel> <!here> <@U0CAROL> <!subteam^S0ALL> <https://evil.example|Approve> &lt; "
    "```\n*Approved by Bob*\n``` :tada: @everyone \u202e\u200b\x1b[31m\x00"
)


def an_actor(person: Person = ALICE, name: str = "alice") -> Actor:
    return Actor(person=person, source=Source.SLACK, name=name)


def a_vote(person: Person = BOB, verdict: Verdict = Verdict.APPROVE, reason: str = "") -> Decision:
    return Decision(verdict=verdict, actor=an_actor(person, person.user.lower()), at=NOW, reason=reason)


def an_audience(**changes: Any) -> Audience:
    return replace(Audience(approvers=(BOB, CAROL), rule="default"), **changes)


def a_gate(**changes: Any) -> Gate:
    gate = Gate(
        id="0" * 32,
        step_number=1,
        serial=1,
        attempt=1,
        status=GateStatus.OPEN,
        plan_digest="ab" * 32,
        audience=an_audience(),
        opened_at=NOW,
        remind_at=NOW + timedelta(minutes=15),
        expires_at=NOW + timedelta(minutes=30),
    )
    return replace(gate, **changes)


def a_planned_step(**changes: Any) -> PlannedStep:
    step = PlannedStep(
        number=1,
        phase=Phase.MAIN,
        name="Restart the web server",
        kind=StepKind.COMMAND,
        risk=Risk.MEDIUM,
        requires_approval=True,
        script="set -eu\nsystemctl restart nginx\n",
    )
    return replace(step, **changes)


def a_step(*, planned: PlannedStep | None = None, **changes: Any) -> Step:
    return replace(Step(planned=planned or a_planned_step(), audience=an_audience()), **changes)


def a_waiting_step(**gate_changes: Any) -> Step:
    return a_step(status=StepStatus.WAITING_APPROVAL, gate=a_gate(**gate_changes))


def an_ended_step(status: StepStatus, attempt: AttemptStatus, **changes: Any) -> Step:
    return a_step(
        **{
            "status": status,
            "attempt": Attempt(id="01attempt", number=1, status=attempt, created_at=NOW),
            "attempts": 1,
            "exit_code": 0,
            "duration_seconds": 2.25,
            **changes,
        }
    )


def a_plan(**changes: Any) -> Plan:
    plan = Plan(
        runbook="restart-web",
        title="Restart the web server",
        description="For a web server that no longer answers.",
        owner="platform",
        service="web",
        environment="prod",
        risk=Risk.HIGH,
        runbook_digest="11" * 32,
        policy_version="22" * 32,
        parameters=(("service", "nginx"),),
        target=Target(connector="azure", id="/vms/web-01", name="web-01", group="rg-web", location="westeurope"),
        steps=(),
    )
    return replace(plan, **changes)


def a_session(*steps: Step, plan: Plan | None = None, **changes: Any) -> Session:
    chosen = steps or (a_waiting_step(),)
    made = replace(plan or a_plan(), steps=tuple(step.planned for step in chosen))
    session = Session(
        id=12,
        plan=made,
        digest="ab" * 32,
        requester=an_actor(),
        place=Place(team="T0DEMO", channel="C0OPS"),
        status=SessionStatus.WAITING_APPROVAL,
        steps=chosen,
        created_at=NOW,
        started_at=NOW,
        nonce="nonce",
    )
    return replace(session, **changes)


# ---------------------------------------------------------------- any session at all

TIMES = st.integers(0, 10**8).map(lambda seconds: NOW + timedelta(seconds=seconds))
ODD = st.one_of(
    st.text(max_size=40),
    st.sampled_from(["", " ", "\n", HOSTILE, "x" * 5000, "é" * 300, "`" * 200, "&" * 3000]),
)
SCRIPTS = st.one_of(
    st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126, include_characters="\n\t"), max_size=400),
    st.sampled_from(["", "y" * 6000, "\n" * 6000, "echo `id`\n" * 600, ("z" * 2999 + "\n") * 2, "```\n<!channel>\n"]),
)
PEOPLE = st.builds(Person, team=st.just("T0DEMO"), user=st.one_of(st.sampled_from(["U0ALICE", "U0BOB"]), ODD))
ACTORS = st.builds(Actor, person=st.none() | PEOPLE, source=st.sampled_from(Source), name=ODD)
VOTES = st.builds(Decision, verdict=st.sampled_from(Verdict), actor=ACTORS, at=TIMES, reason=ODD)
AUDIENCES = st.builds(
    Audience,
    approvers=st.lists(PEOPLE, min_size=1, max_size=30).map(tuple),
    quorum=st.integers(1, 10),
    requester_may_approve=st.booleans(),
    rule=ODD,
)
TARGETS = st.builds(Target, connector=ODD, id=ODD, name=ODD, group=ODD, os=ODD, fingerprint=ODD, location=ODD)
PAIRS = st.lists(st.tuples(ODD, ODD), max_size=20).map(tuple)
EXPECTATIONS = st.builds(
    Expect,
    contains=st.lists(ODD, max_size=10).map(tuple),
    not_contains=st.lists(ODD, max_size=10).map(tuple),
    matches=ODD,
    number=ODD,
)
OUTPUTS = st.builds(
    Output,
    stdout=st.one_of(ODD, st.sampled_from(["line\n" * 500, "w" * 9000])),
    stderr=ODD,
    stdout_bytes=st.integers(0, 10**9),
    stderr_bytes=st.integers(0, 10**9),
    truncated=st.booleans(),
)


@st.composite
def planned_steps(draw: st.DrawFn, number: int) -> PlannedStep:
    return PlannedStep(
        number=number,
        phase=draw(st.sampled_from(Phase)),
        name=draw(ODD),
        kind=draw(st.sampled_from(StepKind)),
        risk=draw(st.sampled_from(Risk)),
        requires_approval=draw(st.booleans()),
        script=draw(SCRIPTS),
        instructions=draw(ODD),
        shell=draw(st.sampled_from(Shell)),
        timeout_seconds=draw(st.integers(1, 5400)),
        retries=draw(st.integers(0, 5)),
        on_failure=draw(st.sampled_from(OnFailure)),
        expect=draw(EXPECTATIONS),
        undoes=draw(st.integers(0, 3)),
    )


EXPLANATIONS = st.builds(
    Explanation, sentence=ODD, waits_for=st.lists(PEOPLE, max_size=20).map(tuple), until=st.none() | TIMES, next=ODD
)


@st.composite
def gates(draw: st.DrawFn, number: int) -> Gate:
    opened = draw(TIMES)
    return a_gate(
        step_number=number,
        serial=draw(st.integers(1, 3)),
        status=draw(st.sampled_from(GateStatus)),
        audience=draw(AUDIENCES),
        opened_at=opened,
        expires_at=opened + timedelta(minutes=draw(st.integers(1, 10_000))),
        decisions=tuple(draw(st.lists(VOTES, max_size=12))),
        closed_at=draw(st.none() | TIMES),
    )


@st.composite
def steps(draw: st.DrawFn, number: int) -> Step:
    status = draw(st.sampled_from(AttemptStatus))
    attempt = Attempt(id="a", number=draw(st.integers(1, 4)), status=status, created_at=draw(st.none() | TIMES))
    return Step(
        planned=draw(planned_steps(number)),
        audience=draw(st.none() | AUDIENCES),
        status=draw(st.sampled_from(StepStatus)),
        gate=draw(st.none() | gates(number)),
        attempt=draw(st.none() | st.just(attempt)),
        attempts=draw(st.integers(0, 4)),
        exit_code=draw(st.none() | st.integers(-(2**31), 2**32)),
        duration_seconds=draw(st.none() | st.floats(0, 10**6)),
        reason=draw(ODD),
        captured=draw(PAIRS),
        started_at=draw(st.none() | TIMES),
        finished_at=draw(st.none() | TIMES),
    )


@st.composite
def sessions(draw: st.DrawFn, most: int = 3) -> Session:
    count = draw(st.integers(1, most))
    made = tuple(draw(steps(number)) for number in range(1, count + 1))
    plan = a_plan(
        runbook=draw(ODD),
        title=draw(ODD),
        description=draw(ODD),
        environment=draw(ODD),
        risk=draw(st.sampled_from(Risk)),
        parameters=draw(PAIRS),
        target=draw(TARGETS),
    )
    return a_session(
        *made,
        plan=plan,
        id=draw(st.integers(1, 2**31)),
        status=draw(st.sampled_from(SessionStatus)),
        requester=draw(ACTORS),
        ticket=draw(ODD),
        rolling_back=draw(st.booleans()),
        paused_by=draw(ODD),
        cancelled_by=draw(ODD),
        reason=draw(ODD),
        finished_at=draw(st.none() | TIMES),
    )
