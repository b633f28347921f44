"""The people of a simulation: they start, decide, steer and look, mostly sensibly, sometimes late, twice or wrongly.

They know what Slack shows them and nothing else of the rows; a delivery may reach any process, and may reach it again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from engine.events import Choice, Chosen
from engine.machine import choices_for
from engine.model import (
    FINAL_SESSIONS,
    Actor,
    Gate,
    Person,
    Place,
    Session,
    SessionStatus,
    Source,
    Verdict,
)
from engine.preparation import StartRequest
from engine.service import Ballot, Seen
from tests.simulation.chance import Fault
from tests.simulation.installation import APPROVERS, CHANNEL, MACHINES, MEMBERS, STRANGERS, TEAM, TEXTS
from tests.simulation.judge import require
from tests.simulation.world import Process, World

Act = Callable[[Process], object]


@dataclass
class Delivery:
    """Something that Slack delivered, and may deliver again."""

    name: str
    act: Act
    session_id: int | None
    accepted: bool = False
    tries: int = 0


@dataclass
class Crowd:
    """Everybody."""

    world: World
    deliveries: list[Delivery] = field(default_factory=list)
    number: int = 0
    most: int = 3  #: how many sessions are started

    def act(self, process: Process) -> None:
        """Let somebody do something."""
        dice = self.world.dice
        if self.deliveries and dice.strikes(Fault.REPEATED_DELIVERY):
            self._again(process)
            return
        sessions = [one for one in self.world.store.sessions() if one.status not in FINAL_SESSIONS]
        if self.number < self.most and (not sessions or dice.chance(0.15)):
            self._start(process)
        elif sessions:
            self._steer(process, dice.pick(sessions))

    def _steer(self, process: Process, session: Session) -> None:
        stale = self.world.dice.strikes(Fault.STALE_CLICK)
        act = self.world.dice.weighted(
            (
                (self._vote, 8.0 if session.open_gate or stale else 0.1),
                (self._choose, 6.0 if session.status is SessionStatus.NEEDS_ATTENTION else 0.1),
                (self._resume, 4.0 if session.paused_by else 0.05),
                (self._pause, 0.5),
                (self._cancel, 0.25),
                (self._look, 0.3),
            )
        )
        act(process, session)

    def deliver(self, process: Process, delivery: Delivery) -> None:
        """Bring something to a process; who was answered counts on it."""

        def act() -> None:
            delivery.act(process)
            delivery.accepted = True

        self.deliveries.append(delivery)
        self.world.event(delivery.name, process, act)

    def _again(self, process: Process) -> None:
        """Bring something once more; what was accepted must change nothing, whatever is answered."""
        delivery = self.world.dice.pick(self.deliveries)
        before = self.world.judge.deeds
        nested = len(self.world.frames) > 0
        delivery.tries += 1
        at = self.world.events

        def act() -> None:
            delivery.act(process)
            delivery.accepted = True

        known = delivery.accepted
        self.world.event(f"again: {delivery.name}", process, act)
        alone = not nested and self.world.events == at + 1
        if known and alone:
            require(self.world.judge.deeds == before, "P11", f"{delivery.name}: a repeated delivery did something")

    def _new(self, what: str) -> str:
        self.number += 1
        return f"delivery-{self.number}-{what}"

    def _somebody(self) -> Person:
        if self.world.dice.strikes(Fault.OUTSIDER):
            return self.world.dice.pick(STRANGERS)
        return self.world.dice.pick(MEMBERS)

    def _actor(self, person: Person) -> Actor:
        source = self.world.dice.pick((Source.SLACK, Source.SLACK, Source.HOME, Source.API))
        return Actor(person=person, source=source, name=person.user.removeprefix("U0").title())

    # ------------------------------------------------------------ what they do

    def _start(self, process: Process) -> None:
        dice, key = self.world.dice, self._new("start")
        request = StartRequest(
            key=key,
            runbook=dice.pick(tuple(TEXTS)),
            actor=self._actor(self._somebody()),
            vm=dice.pick(MACHINES).name,
            place=Place(team=TEAM, channel=CHANNEL) if dice.chance(0.7) else None,
        )
        through = dice.chance(0.5)

        def act(where: Process) -> object:
            return where.requests.begin(request) if through else where.service.start(request)

        self.deliver(process, Delivery(f"start {request.runbook} by {request.actor}", act, None))

    def _vote(self, process: Process, session: Session) -> None:
        dice = self.world.dice
        gate = self._gate(session)
        if gate is None:
            return
        person = self._voter(session, gate)
        verdict = Verdict.REJECT if dice.chance(0.08) else Verdict.APPROVE
        ballot = Ballot(
            actor=self._actor(person),
            verdict=verdict,
            reason="Seen." if dice.chance(0.9) else "",
            gate_id=gate.id,
            seen=self._seen(session, gate),
            delivery=self._new("vote"),
        )

        def act(where: Process) -> None:
            where.service.decide(ballot)
            if not delivery.tries:  # a delivery that comes again is answered by the redrawn message alone
                self.world.judge.acknowledged(ballot.gate_id, person, verdict)

        name = f"{verdict.value} {session.id}/{gate.step_number}/{gate.serial} by {person}"
        delivery = Delivery(name, act, session.id)
        self.deliver(process, delivery)

    def _voter(self, session: Session, gate: Gate) -> Person:
        """Mostly somebody who may and has not yet."""
        voted = {vote.actor.person for vote in gate.decisions}
        able = [p for p in sorted(APPROVERS, key=str) if p != session.requester.person and p not in voted]
        return self.world.dice.pick(able) if able and self.world.dice.chance(0.8) else self._somebody()

    def _gate(self, session: Session) -> Gate | None:
        gates = [step.gate for step in session.steps if step.gate]
        if session.open_gate and self.world.dice.chance(0.9):
            return session.open_gate
        return self.world.dice.pick(gates) if gates else None

    def _seen(self, session: Session, gate: Gate) -> Seen | None:
        key = f"session/{session.id}/gate/{gate.step_number}/{gate.serial}"
        post = next((post for post in self.world.slack.posts.values() if post.key == key), None)
        if post is None:
            return None
        return Seen(channel=CHANNEL, ts="9999.0" if self.world.dice.chance(0.03) else post.ts)

    def _choose(self, process: Process, session: Session) -> None:
        dice = self.world.dice
        waiting = [step for step in session.steps if choices_for(session, step)]
        step = dice.pick(waiting or session.steps)
        options = choices_for(session, step) if waiting and dice.chance(0.9) else tuple(Choice)
        actor = self._actor(self._somebody() if dice.chance(0.3) else dice.pick(sorted(APPROVERS, key=str)))
        chosen = Chosen(step_number=step.number, choice=dice.pick(options), actor=actor, reason="I looked.")
        key = self._new("choice")
        name = f"choose {chosen.choice.value} for {session.id}/{step.number} by {actor}"

        def act(where: Process) -> object:
            return where.service.choose(session.id, chosen, delivery=key)

        self.deliver(process, Delivery(name, act, session.id))

    def _pause(self, process: Process, session: Session) -> None:
        key, actor = self._new("pause"), self._actor(self._somebody())
        act: Act = lambda where: where.service.pause(session.id, actor, delivery=key)  # noqa: E731
        self.deliver(process, Delivery(f"pause {session.id} by {actor}", act, session.id))

    def _resume(self, process: Process, session: Session) -> None:
        key, actor = self._new("resume"), self._actor(self._somebody())
        act: Act = lambda where: where.service.resume(session.id, actor, delivery=key)  # noqa: E731
        self.deliver(process, Delivery(f"resume {session.id} by {actor}", act, session.id))

    def _cancel(self, process: Process, session: Session) -> None:
        key, actor = self._new("cancel"), self._actor(self._somebody())
        act: Act = lambda where: where.service.cancel(session.id, actor, "Enough.", delivery=key)  # noqa: E731
        self.deliver(process, Delivery(f"cancel {session.id} by {actor}", act, session.id))

    def _look(self, process: Process, session: Session) -> None:
        person = self.world.dice.pick(MEMBERS)

        def act() -> None:
            process.requests.publish_home(person)
            process.service.view(session.id)

        self.world.event(f"home of {person}", process, act)


__all__ = ["Crowd"]
