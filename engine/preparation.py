"""From "run this there" to a frozen plan: which runbook, which values, which machine, who is asked.

Reads the catalog and the machine's connector; changes nothing and guesses nothing: a name that fits several
machines is answered with the candidates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from engine.errors import InvalidInput, NotFound, Precondition
from engine.model import (
    Actor,
    Audience,
    Person,
    Place,
    Plan,
    PlannedStep,
    Session,
    SessionStatus,
    Shell,
    Source,
    Step,
    StepKind,
    Target,
)
from engine.parameters import check_values
from engine.plan import digest_of, render
from engine.policy import Policy, require_reachable_quorum, tighten
from engine.ports import Catalog, Check, Connector, Level
from engine.runbook import Document

LONGEST_TICKET = 200
LOCAL = "local"  #: the selector, and the connector, of the bot's own host
SWITCH_ON = "See the settings AZURE_SUBSCRIPTION_IDS and RUNBOOK_LOCAL."


@dataclass(frozen=True, kw_only=True)
class StartRequest:
    """What somebody asks to run. ``key`` makes it once: the same key begins one session only."""

    key: str
    runbook: str
    actor: Actor
    values: Mapping[str, str] = field(default_factory=dict)
    vm: str = ""
    ticket: str = ""
    place: Place | None = None
    response_url: str = ""

    def to_payload(self) -> dict[str, str]:
        """Return the request as flat text, for the inbox."""
        person = self.actor.person
        assert person is not None
        facts = {
            "key": self.key,
            "runbook": self.runbook,
            "vm": self.vm,
            "ticket": self.ticket,
            "source": self.actor.source.value,
            "name": self.actor.name,
            "enterprise": person.enterprise,
            "team": person.team,
            "user": person.user,
            "channel": self.place.channel if self.place else "",
            "place_team": self.place.team if self.place else "",
            "response_url": self.response_url,
        }
        return facts | {f"value.{name}": value for name, value in self.values.items()}

    @classmethod
    def from_payload(cls, payload: Mapping[str, str]) -> Self:
        """Read back what ``to_payload`` wrote."""
        person = Person(team=payload["team"], user=payload["user"], enterprise=payload["enterprise"])
        place = Place(team=payload["place_team"], channel=payload["channel"]) if payload["channel"] else None
        prefix = "value."
        return cls(
            key=payload["key"],
            runbook=payload["runbook"],
            actor=Actor(person=person, source=Source(payload["source"]), name=payload["name"]),
            values={k.removeprefix(prefix): v for k, v in payload.items() if k.startswith(prefix)},
            vm=payload["vm"],
            ticket=payload["ticket"],
            place=place,
            response_url=payload["response_url"],
        )


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A plan with the people who would be asked, per step number."""

    plan: Plan
    audiences: Mapping[int, Audience]
    checks: tuple[Check, ...] = ()


class Preparation:
    """Turns start requests into plans."""

    def __init__(self, *, catalog: Catalog, policy: Policy, connectors: Mapping[str, Connector]) -> None:
        self._catalog = catalog
        self._policy = policy
        self._connectors = connectors

    def plan(self, request: StartRequest) -> Prepared:
        """Freeze a plan without looking at the machine's state."""
        document = self._catalog.get(request.runbook)
        values = check_values(document.runbook, request.values)
        target = self._target(request.vm or _only_target(document), document.runbook.name)
        if "vm" in document.runbook.parameters:
            values["vm"] = target.name
        plan = render(
            document,
            values=values,
            target=target,
            policy_version=self._policy.version,
            needs_approval=self._policy.needs_approval,
        )
        asked = (step for step in plan.steps if step.requires_approval or step.kind is StepKind.MANUAL)
        return Prepared(plan=plan, audiences={step.number: self._audience(document, plan, step) for step in asked})

    def draft(self, request: StartRequest, *, nonce: str, now: datetime) -> Session:
        """Return a session that may begin: quorum reachable and machine ready, or the reason why not."""
        _check_ticket(request.ticket)
        prepared = self.plan(request)
        plan = prepared.plan
        for number, audience in prepared.audiences.items():
            require_reachable_quorum(audience, request.actor, number)
        if plan.steps[0].kind is StepKind.COMMAND:
            self.require_ready(plan.target, plan.steps[0].shell)
        return Session(
            id=0,
            plan=plan,
            digest=digest_of(plan),
            requester=request.actor,
            place=request.place,
            status=SessionStatus.PENDING,
            steps=tuple(Step(planned=p, audience=prepared.audiences.get(p.number)) for p in plan.steps),
            created_at=now,
            nonce=nonce,
            ticket=request.ticket,
        )

    def require_ready(self, target: Target, shell: Shell) -> tuple[Check, ...]:
        """Look at the machine; ``Precondition`` with the first obstacle and its remedy."""
        connector = self._connectors.get(target.connector)
        if connector is None:
            raise Precondition(f"{target.name}: the connector {target.connector!r} is not switched on.", hint=SWITCH_ON)
        checks = connector.preflight(target, shell)
        for check in checks:
            if check.level is Level.BLOCK:
                raise Precondition(f"{target.name}: {check.evidence.rstrip('.')}.", hint=check.remedy)
        return checks

    def _audience(self, document: Document, plan: Plan, step: PlannedStep) -> Audience:
        asked = document.runbook.approval
        audience = self._policy.audience(risk=step.risk, runbook=plan.runbook, environment=plan.environment)
        return tighten(audience, quorum=asked.quorum, expires_minutes=asked.expires)

    def _target(self, selector: str, runbook: str) -> Target:
        if not selector:
            raise InvalidInput(
                f"The runbook {runbook!r} needs to know where to run.", hint="Add `vm=NAME` to the command."
            )
        local = selector == LOCAL or selector.startswith(f"{LOCAL}/")
        connector = self._connectors.get(LOCAL if local else "azure")
        if connector is None:
            raise NotFound(
                f"Nothing here can reach {selector!r}.",
                hint=f"Its connector is not switched on. {SWITCH_ON}",
            )
        found = connector.resolve(selector)
        if not found:
            raise NotFound(
                f"There is no VM {selector!r} within reach.",
                hint="Check the spelling, or that the bot's role covers its resource group: `/runbook doctor`.",
            )
        if len(found) > 1:
            names = ", ".join(f"`{target.group}/{target.name}`" for target in found)
            raise InvalidInput(
                f"{selector!r} could be any of {names}.", hint="Name one of them, with its resource group."
            )
        return found[0]


def _only_target(document: Document) -> str:
    """A runbook for exactly one named machine needs no ``vm=``."""
    targets = document.runbook.targets
    if targets != "any" and len(targets) == 1 and not set(targets[0]) & set("*?"):
        return str(targets[0])
    return ""


def _check_ticket(ticket: str) -> None:
    if len(ticket) > LONGEST_TICKET or not ticket.isprintable():
        raise InvalidInput(
            "The ticket reference is too long or has invisible characters.",
            hint=f"Give at most {LONGEST_TICKET} visible characters, such as INC-1042.",
        )
