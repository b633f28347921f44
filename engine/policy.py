"""Who is asked, who may answer, and when an answer counts. Pure rules over values.

The policy file belongs to operators, not to runbook authors: a runbook may only ask for more than it.
There is no default approver anywhere: an empty set of approvers is an error when the policy is loaded.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from engine.errors import Conflict, Expired, InvalidInput, NotAllowed
from engine.model import (
    Actor,
    Audience,
    Decision,
    Gate,
    GateStatus,
    Person,
    Phase,
    Risk,
    Session,
    Verdict,
)

USER = r"^((E[A-Z0-9]+/)?T[A-Z0-9]+/)?[UW][A-Z0-9]+$"
UserRef = Annotated[str, StringConstraints(pattern=USER)]
GroupName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Workspace(_Strict):
    """The Slack workspace whose people the short ids (``U…``) belong to."""

    team: Annotated[str, StringConstraints(pattern=r"^T[A-Z0-9]+$")]
    enterprise: Annotated[str, StringConstraints(pattern=r"^(E[A-Z0-9]+)?$")] = ""


class Asking(_Strict):
    """Who approves: group names or user ids, how many of them, for how long the question stands."""

    approvers: tuple[str, ...] = Field(min_length=1)
    quorum: int = Field(default=1, ge=1, le=10)
    expires_minutes: int = Field(default=30, ge=1, le=7 * 24 * 60)
    requester_may_approve: bool = False


class When(_Strict):
    """What a rule applies to. Empty parts match everything."""

    risk: tuple[Risk, ...] = ()
    runbook: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()

    def matches(self, *, risk: Risk, runbook: str, environment: str) -> bool:
        return (
            (not self.risk or risk in self.risk)
            and (not self.runbook or runbook in self.runbook)
            and (not self.environment or environment in self.environment)
        )


class Rule(Asking):
    """The first rule that matches a step decides who is asked for it."""

    name: GroupName
    when: When = When()


class Unattended(_Strict):
    """For which risks a main step marked ``requires_approval: false`` may run without a gate."""

    risks: tuple[Risk, ...] = (Risk.NONE,)


class Token(_Strict):
    """A bearer token of the HTTP API and the command line: its SHA-256 and the person who holds it."""

    name: GroupName
    sha256: Sha256
    person: UserRef


class PolicyDocument(_Strict):
    """The policy file."""

    workspace: Workspace
    groups: Mapping[GroupName, Annotated[tuple[UserRef, ...], Field(min_length=1)]] = {}
    default: Asking
    rules: tuple[Rule, ...] = ()
    unattended: Unattended = Unattended()
    tokens: tuple[Token, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Policy:
    """A checked policy. ``version`` is the SHA-256 of the file it came from."""

    document: PolicyDocument
    version: str

    def person(self, reference: str) -> Person:
        """Turn ``U…``, ``T…/U…`` or ``E…/T…/U…`` into a full identity."""
        *head, user = reference.split("/")
        home = self.document.workspace
        team = head[-1] if head else home.team
        enterprise = head[0] if len(head) == 2 else home.enterprise
        return Person(team=team, user=user, enterprise=enterprise)

    def people(self, references: Iterable[str]) -> tuple[Person, ...]:
        """Resolve group names and user ids to distinct people, sorted by identity."""
        found: set[Person] = set()
        for reference in references:
            members = self.document.groups.get(reference, (reference,))
            found.update(self.person(member) for member in members)
        return tuple(sorted(found, key=str))

    def needs_approval(self, phase: Phase, risk: Risk, asked: bool | None, /) -> bool:  # noqa: FBT001 - tri-state as written
        """Say whether a step stops for people.

        Prechecks and postchecks run unattended only when they are read-only; main and rollback steps only when
        the runbook says so and the policy allows it for that risk.
        """
        if asked is True:
            return True
        if phase in {Phase.PRECHECK, Phase.POSTCHECK}:
            return risk is not Risk.NONE
        return asked is None or risk not in self.document.unattended.risks

    def audience(self, *, risk: Risk, runbook: str, environment: str) -> Audience:
        """Return who decides a gated step."""
        rule: Asking = self.document.default
        name = "default"
        for candidate in self.document.rules:
            if candidate.when.matches(risk=risk, runbook=runbook, environment=environment):
                rule, name = candidate, candidate.name
                break
        return Audience(
            approvers=self.people(rule.approvers),
            quorum=rule.quorum,
            requester_may_approve=rule.requester_may_approve,
            lifetime_seconds=rule.expires_minutes * 60,
            rule=name,
        )

    def bearer(self, token: str) -> tuple[Person, str] | None:
        """Return the person and token name behind a bearer token; compares in constant time."""
        digest = hashlib.sha256(token.encode()).hexdigest()
        found = None
        for known in self.document.tokens:
            if hmac.compare_digest(known.sha256, digest):
                found = (self.person(known.person), known.name)
        return found


def check_policy(document: PolicyDocument, *, version: str) -> Policy:
    """Return the policy, or say which approver, group or quorum makes it unusable."""
    policy = Policy(document=document, version=version)
    askings: list[tuple[str, Asking]] = [("default", document.default)]
    askings += [(f"rule {rule.name}", rule) for rule in document.rules]
    for place, asking in askings:
        _check_asking(policy, place, asking)
    hashes = [token.sha256 for token in document.tokens]
    shared = next((token.name for token in document.tokens if hashes.count(token.sha256) > 1), None)
    if shared:
        raise InvalidInput(
            f"The policy's token {shared!r} has the same SHA-256 as another one.",
            hint="Each person needs a token of their own.",
        )
    names = [rule.name for rule in document.rules]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidInput(f"Two rules of the policy are called {twice[0]!r}.", hint="Give each rule its own name.")
    return policy


def _check_asking(policy: Policy, place: str, asking: Asking) -> None:
    groups = policy.document.groups
    for reference in asking.approvers:
        if reference not in groups and not re.fullmatch(USER, reference):
            raise InvalidInput(
                f"The policy's {place} names the approver {reference!r}, which is neither a group nor a user id.",
                hint=f"Known groups: {', '.join(sorted(groups)) or 'none'}. A user id looks like U024BE7LH.",
            )
    people = policy.people(asking.approvers)
    if len(people) < asking.quorum:
        raise InvalidInput(
            f"The policy's {place} asks for {asking.quorum} approvals but names only {len(people)} people.",
            hint="Add approvers or lower the quorum.",
        )


def tighten(audience: Audience, *, quorum: int | None, expires_minutes: int | None) -> Audience:
    """Apply what a runbook asks for on top of the policy: more people or less time, never the reverse."""
    return Audience(
        approvers=audience.approvers,
        quorum=max(audience.quorum, quorum or 1),
        requester_may_approve=audience.requester_may_approve,
        lifetime_seconds=min(
            audience.lifetime_seconds,
            (expires_minutes * 60) if expires_minutes else audience.lifetime_seconds,
        ),
        rule=audience.rule,
    )


def eligible(audience: Audience, requester: Actor) -> tuple[Person, ...]:
    """Return the people whose approval would count for this requester."""
    if audience.requester_may_approve:
        return audience.approvers
    return tuple(person for person in audience.approvers if person != requester.person)


def require_reachable_quorum(audience: Audience, requester: Actor, step_number: int) -> None:
    """Refuse to start what could never be approved."""
    able = len(eligible(audience, requester))
    if able < audience.quorum:
        raise NotAllowed(
            f"Step {step_number} needs {audience.quorum} approvals, but only {able} people may approve it "
            f"when you are the requester.",
            hint=f"Add approvers to the policy rule {audience.rule!r}, or let somebody else start this.",
        )


def judge(session: Session, gate: Gate, decision: Decision, now: datetime) -> None:
    """Say whether a decision counts; raise the reason why not. The caller has checked that the person exists."""
    person = decision.actor.person
    if gate.status is not GateStatus.OPEN:
        raise Conflict(_closed(gate))
    if now >= gate.expires_at:
        raise Expired(hint=f"Start the runbook again: `/runbook execute {session.plan.runbook}`.")
    if person == session.requester.person and not gate.audience.requester_may_approve:
        raise NotAllowed(
            "You asked for this session, so somebody else must decide it.",
            hint=f"To call it off: `/runbook cancel {session.id}`.",
        )
    if person is None or person not in gate.audience.approvers:
        raise NotAllowed(
            f"You are not an approver of step {gate.step_number}.",
            hint="Ask one of the approvers named in the message.",
        )
    if decision.verdict is Verdict.APPROVE and any(vote.actor.person == person for vote in gate.approvals):
        missing = gate.audience.quorum - len(gate.approvals)
        raise Conflict(
            f"You have already approved step {gate.step_number}.",
            hint=f"It needs {missing} more from other people.",
        )
    if decision.verdict is Verdict.REJECT and not decision.reason.strip():
        raise InvalidInput("A rejection needs a reason.", hint="Say in one sentence why, for the people in the thread.")


def _closed(gate: Gate) -> str:
    last = gate.decisions[-1] if gate.decisions else None
    when = f" at {gate.closed_at:%H:%M} UTC" if gate.closed_at else ""
    if gate.status in {GateStatus.APPROVED, GateStatus.REJECTED} and last:
        name = last.actor.name or str(last.actor)
        return f"Step {gate.step_number} was already {gate.status.value} by {name}{when}."
    return f"This request for step {gate.step_number} was {gate.status.value}{when}; nothing was changed."
