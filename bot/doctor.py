"""The checklist that answers "why does nothing happen": credentials, rights, machine, decision, command, result.

Looks only; it never repairs and never runs anything on a machine unless asked for a live check.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from engine.errors import NotFound, RunbookError
from engine.explain import missing_approvals
from engine.machine import choices_for
from engine.model import FINAL_SESSIONS, AttemptStatus, Session, Step, StepStatus
from engine.ports import Check, Connector, Level
from engine.preparation import LOCAL
from engine.service import Service


class Examined(Protocol):
    """The wired core, as far as it is looked at here."""

    @property
    def service(self) -> Service: ...

    @property
    def connectors(self) -> Mapping[str, Connector]: ...

    @property
    def slack_check(self) -> Callable[[], Check]: ...


def examine(it: Examined, *, vm: str = "", session_id: int | None = None, live: bool = False) -> tuple[Check, ...]:
    """Return every check, in the order in which trouble usually sits."""
    found = [it.slack_check()]
    for name, connector in sorted(it.connectors.items()):
        found += _of_connector(name, connector, vm=vm, live=live)
    if not it.connectors:
        found.append(
            Check(
                name="connectors",
                level=Level.BLOCK,
                evidence="no connector is switched on",
                remedy="Set AZURE_SUBSCRIPTION_IDS, or RUNBOOK_LOCAL=true for the bot's own host.",
            )
        )
    if session_id is not None:
        found += session_checks(it.service.view(session_id).session)
    return tuple(found)


def session_checks(session: Session) -> tuple[Check, ...]:
    """Answer the four questions about a session that seems stuck."""
    step = session.current_step or _last_touched(session)
    if step is None:
        return (Check(name="session", level=Level.OK, evidence=f"session {session.id} is {session.status.value}"),)
    return (_decision(session, step), _arrived(step), _started(step), _came_back(session, step))


def _of_connector(name: str, connector: Connector, *, vm: str, live: bool) -> tuple[Check, ...]:
    try:
        if not vm or (name == LOCAL) != (vm == LOCAL or vm.startswith(f"{LOCAL}/")):
            return connector.doctor(None)
        targets = connector.resolve(vm)
        if not targets:
            raise NotFound(f"There is no VM {vm!r} within reach.")
        return tuple(check for target in targets for check in connector.doctor(target, live=live))
    except RunbookError as error:
        return (Check(name=f"{name} connector", level=Level.BLOCK, evidence=error.message, remedy=error.hint),)


def _decision(session: Session, step: Step) -> Check:
    gate = session.open_gate
    if gate is None:
        return Check(name="decision", level=Level.OK, evidence="no decision is missing")
    missing = missing_approvals(gate)
    return Check(
        name="decision",
        level=Level.WARN,
        evidence=f"step {step.number} still needs {missing} approval(s), until {gate.expires_at:%H:%M} UTC",
        remedy=f"An approver can use the buttons in the thread, App Home, or `runbook approve {session.id}`.",
    )


def _arrived(step: Step) -> Check:
    votes = step.gate.decisions if step.gate else ()
    if not votes:
        return Check(name="decision received", level=Level.OK, evidence="none recorded for this step")
    told = ", ".join(f"{v.verdict.value} by {v.actor} at {v.at:%H:%M:%S} UTC ({v.actor.source.value})" for v in votes)
    return Check(name="decision received", level=Level.OK, evidence=told)


def _started(step: Step) -> Check:
    attempt = step.attempt
    if attempt is None:
        return Check(name="command sent", level=Level.OK, evidence="nothing was sent for this step")
    doubtful = attempt.status in {AttemptStatus.SUBMITTING, AttemptStatus.UNKNOWN}
    return Check(
        name="command sent",
        level=Level.WARN if doubtful else Level.OK,
        evidence=f"attempt {attempt.number} is {attempt.status.value}",
        remedy="It is looked up by its name; it is never sent again by itself." if doubtful else "",
    )


def _came_back(session: Session, step: Step) -> Check:
    if choices_for(session, step):
        return Check(
            name="result",
            level=Level.WARN,
            evidence=f"step {step.number} is {step.status.value.replace('_', ' ')}: {step.reason}",
            remedy="A person must choose in the thread how to go on.",
        )
    if step.status is StepStatus.RUNNING:
        return Check(name="result", level=Level.OK, evidence="still running")
    if step.finished_at is None:
        return Check(name="result", level=Level.OK, evidence="none yet")
    code = f", exit code {step.exit_code}" if step.exit_code is not None else ""
    return Check(name="result", level=Level.OK, evidence=f"{step.status.value}{code}")


def _last_touched(session: Session) -> Step | None:
    touched = [step for step in session.steps if step.gate or step.attempt]
    if touched:
        return touched[-1]
    return None if session.status in FINAL_SESSIONS else session.steps[0]
