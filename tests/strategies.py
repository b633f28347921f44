"""Random plans, audiences and policies for property tests, built on ``tests.builders``.

Only what the engine's own checks let through: every plan here could have come out of a runbook.
"""

from __future__ import annotations

from hypothesis import strategies as st

from engine.model import Audience, OnFailure, Person, Phase, PlannedStep, Risk, StepKind
from engine.policy import Policy, check_policy
from tests.builders import ALICE, BOB, CAROL, DAVE, a_free_step, a_manual_step, a_postcheck, a_precheck, an_undo
from tests.policies import a_policy_file

people = st.sampled_from([ALICE, BOB, CAROL, DAVE])
risks = st.sampled_from(list(Risk))
phases = st.sampled_from(list(Phase))
asked = st.sampled_from([None, True, False])


@st.composite
def audiences(draw: st.DrawFn) -> Audience:
    """An audience that Alice, the requester, can satisfy with the help of others."""
    requester_may = draw(st.booleans())
    approvers: list[Person] = draw(st.lists(people, min_size=1, unique_by=str))
    able = [person for person in approvers if requester_may or person != ALICE]
    if not able:
        approvers, able = [*approvers, BOB], [BOB]
    return Audience(
        approvers=tuple(sorted(approvers, key=str)),
        quorum=draw(st.integers(1, len(able))),
        requester_may_approve=requester_may,
        rule="random",
    )


@st.composite
def plans(draw: st.DrawFn) -> tuple[PlannedStep, ...]:
    """Steps of a plan: prechecks, at least one main step, postchecks, undo steps in reverse."""
    before = [_checked(draw, a_precheck()) for _ in range(draw(st.integers(0, 1)))]
    main = [_changing(draw) for _ in range(draw(st.integers(1, 3)))]
    after = [_checked(draw, a_postcheck()) for _ in range(draw(st.integers(0, 1)))]
    numbers = range(len(before) + len(main), len(before), -1)
    undone = [n for n in numbers if main[n - len(before) - 1].kind is StepKind.COMMAND and draw(st.booleans())]
    return (*before, *main, *after, *(an_undo(n, requires_approval=draw(st.booleans())) for n in undone))


def _checked(draw: st.DrawFn, step: PlannedStep) -> PlannedStep:
    rules = [OnFailure.STOP, OnFailure.CONTINUE, OnFailure.ASK]
    if step.phase is Phase.POSTCHECK:
        rules.append(OnFailure.ROLLBACK)
    return _drawn(draw, step, rules)


def _changing(draw: st.DrawFn) -> PlannedStep:
    if draw(st.integers(0, 4)) == 0:
        return a_manual_step()
    return _drawn(draw, a_free_step(), list(OnFailure))


def _drawn(draw: st.DrawFn, step: PlannedStep, rules: list[OnFailure]) -> PlannedStep:
    make = a_postcheck if step.phase is Phase.POSTCHECK else a_free_step
    return make(
        phase=step.phase,
        name=step.name,
        requires_approval=draw(st.booleans()),
        retries=draw(st.integers(0, 2)),
        on_failure=draw(st.sampled_from(rules)),
    )


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """A policy that leaves some risks unattended."""
    unattended = draw(st.lists(risks, unique=True))
    return check_policy(a_policy_file(unattended={"risks": unattended}), version="c" * 64)
