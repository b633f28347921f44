"""A session and what happens to it, told in verbs: the specification tests read as stories.

Votes go through ``engine.policy.judge`` first, as the use case does it. Nothing here decides anything.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Self

import pytest

from engine import events as ev
from engine.effects import Effect
from engine.errors import Conflict
from engine.explain import Explanation, explain
from engine.lifecycle import advance
from engine.model import AttemptStatus, Gate, GateStatus, Person, PlannedStep, Session, Step, Verdict
from engine.model import StepStatus as S
from engine.policy import judge
from engine.reactions import basis_of
from tests.builders import ALICE, BOB, NOW, a_claim, a_session, a_vote, an_actor, an_end

A = AttemptStatus


class Story:
    """What happens to one session, and the effects of the last thing that happened."""

    def __init__(self, *steps: PlannedStep, started: bool = True, **changes: Any) -> None:
        self.session: Session = a_session(*steps, **changes)
        self.now: datetime = NOW
        self.effects: tuple[Effect, ...] = ()
        if started:
            self.starts()

    def happens(self, event: ev.Event) -> Self:
        transition = advance(self.session, event, self.now)
        self.session, self.effects = transition.session, transition.effects
        return self

    def refuses(self, event: ev.Event, why: str = "") -> None:
        """Expect a ``Conflict``, and a session that is as it was."""
        before = self.session
        with pytest.raises(Conflict, match=why):
            self.happens(event)
        assert self.session == before

    # ------------------------------------------------------------ look

    def step(self, number: int) -> Step:
        step = self.session.step(number)
        assert step is not None
        return step

    @property
    def statuses(self) -> list[S]:
        return [step.status for step in self.session.steps]

    @property
    def gate(self) -> Gate:
        gate = self.session.open_gate
        assert gate is not None, f"no gate is open: {self.session.status.value}"
        return gate

    @property
    def live(self) -> str:
        """The id of the attempt that is under way."""
        step = self.session.current_step
        assert step is not None
        assert step.attempt is not None
        return step.attempt.id

    def why(self, **changes: Any) -> Explanation:
        return explain(self.session, self.now, **changes)

    def told(self, kind: type[Effect]) -> list[Effect]:
        return [effect for effect in self.effects if isinstance(effect, kind)]

    # ------------------------------------------------------------ people

    def starts(self) -> Self:
        return self.happens(ev.Started())

    def votes(self, person: Person, verdict: Verdict, reason: str = "") -> Self:
        vote = a_vote(person, verdict, reason, at=self.now)
        judge(self.session, self.gate, vote, self.now)
        return self.happens(ev.Voted(gate_id=self.gate.id, decision=vote))

    def approves(self, person: Person = BOB, reason: str = "") -> Self:
        return self.votes(person, Verdict.APPROVE, reason)

    def rejects(self, person: Person = BOB, reason: str = "not today") -> Self:
        return self.votes(person, Verdict.REJECT, reason)

    def cancels(self, person: Person = ALICE, reason: str = "") -> Self:
        return self.happens(ev.CancelAsked(actor=an_actor(person), reason=reason))

    def pauses(self, person: Person = ALICE) -> Self:
        return self.happens(ev.Paused(actor=an_actor(person)))

    def resumes(self, person: Person = ALICE) -> Self:
        return self.happens(ev.Resumed(actor=an_actor(person)))

    def chooses(self, step_number: int, choice: ev.Choice, person: Person = BOB) -> Self:
        return self.happens(
            ev.Chosen(step_number=step_number, choice=choice, actor=an_actor(person), reason="I looked.")
        )

    # ------------------------------------------------------------ clock

    def waits(self, **much: float) -> Self:
        self.now += timedelta(**much)
        return self

    def expires(self) -> Self:
        self.now = self.gate.expires_at
        return self.happens(ev.GateExpired(gate_id=self.gate.id))

    def reminds(self) -> Self:
        return self.happens(ev.Reminded(gate_id=self.gate.id))

    # ------------------------------------------------------------ worker

    def claims(self) -> Self:
        """A worker takes the step that may run."""
        step = self.session.current_step
        assert step is not None
        return self.happens(a_claim(step, f"attempt-{step.number}-{step.attempts + 1}", self.now))

    def submits(self) -> Self:
        return self.happens(ev.Submitted(attempt_id=self.live, handle={"name": self.live}))

    def is_seen_running(self) -> Self:
        return self.happens(ev.SeenRunning(attempt_id=self.live))

    def ends(self, status: AttemptStatus, **changes: Any) -> Self:
        return self.happens(an_end(self.live, status, **changes))

    def runs(self, status: AttemptStatus = A.SUCCEEDED, **changes: Any) -> Self:
        """From the claim to the end in one go."""
        return self.claims().submits().ends(status, **changes)

    def is_delayed(self, *, until: datetime | None = None) -> Self:
        step = self.session.current_step
        assert step is not None
        return self.happens(
            ev.Delayed(step_number=step.number, reason="web-1 is busy.", not_before=until, basis=basis_of(step))
        )

    def is_blocked(self) -> Self:
        step = self.session.current_step
        assert step is not None
        return self.happens(ev.Blocked(step_number=step.number, reason="web-1 is stopped.", basis=basis_of(step)))

    def loses_its_approval(self, *, fatal: bool = False) -> Self:
        step = self.session.current_step
        assert step is not None
        return self.happens(
            ev.ApprovalVoided(step_number=step.number, reason="Bob has left.", fatal=fatal, basis=basis_of(step))
        )


def gate_was(story: Story, number: int) -> GateStatus:
    gate = story.step(number).gate
    assert gate is not None
    return gate.status


Act = Callable[[Story], object]
