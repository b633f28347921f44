"""One approval request: everything that will run, byte for byte, who may decide it and until when.

The command is shown in literal blocks that, put together, are exactly the bytes of the plan. Nothing here may
shorten, wrap, escape or decorate them, and a closed request never has a button.
"""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

from bot import ids
from bot.views import parts
from bot.views import text as words
from bot.views.card import target_line
from engine.explain import missing_approvals
from engine.model import (
    Decision,
    Gate,
    GateStatus,
    Phase,
    Risk,
    Session,
    Step,
    StepKind,
    StepStatus,
    Verdict,
)
from engine.policy import eligible
from engine.runbook import mentions

EVIDENCE_SHOWN = 20
APPROVE = "Approve & Continue"
REJECT = "Reject"
DONE = "Done"
_ELSE = "When it is rejected, or nobody decides in time, the session ends and nothing more runs."

_PHASES = {
    Phase.PRECHECK: "precheck: it looks before anything is changed",
    Phase.MAIN: "main step",
    Phase.POSTCHECK: "postcheck: it looks whether the change worked",
    Phase.ROLLBACK: "rollback",
}


def gate_message(session: Session, step: Step, *, gate: Gate, now: datetime) -> parts.Rendered:
    """Show an approval request, open or closed. Past its deadline it has no buttons either."""
    is_open = gate.status is GateStatus.OPEN and now < gate.expires_at
    return parts.Rendered(
        text=_notification(session, step, gate),
        blocks=[
            parts.header(_title(session, step)),
            parts.rich(*what_runs(step), *values_read(session, step)),
            _facts(session, step, gate),
            *_evidence(session, step),
            _people(session, gate),
            parts.paragraph(*outcome(session, step, gate)),
            *([decision_buttons(session, step, gate)] if is_open else []),
            parts.note(_footnote(session, gate)),
        ],
    )


def superseded(session: Session, step_number: int) -> parts.Rendered:
    """Show a request that was asked again: the newer message counts."""
    told = f"This request for step {step_number} of session {session.id} was replaced by a newer one."
    return parts.Rendered(text=told, blocks=[parts.paragraph(f"{told} Use the newest one in this thread.")])


def what_runs(step: Step) -> list[parts.Element]:
    """Show the exact command, or what a person has to do."""
    planned = step.planned
    if planned.kind is StepKind.MANUAL:
        shown = parts.verbatim(words.visible(planned.instructions)) or [parts.line("(no instructions)")]
        return [parts.line(parts.bold("A person does this and then says so. Instructions:")), *shown]
    shown = parts.verbatim(planned.script)
    many = f", in {len(shown)} boxes that follow each other directly" if len(shown) > 1 else ""
    size = words.plural(len(planned.script), "character")
    return [
        parts.line(parts.bold(f"Exactly this runs ({planned.shell.value}, {size}{many}):")),
        *(shown or [parts.line("(empty command)")]),
    ]


def decision_buttons(session: Session, step: Step, gate: Gate) -> parts.Block:
    """Offer the decision. A button's value is the request's opaque id and nothing else."""
    manual = step.planned.kind is StepKind.MANUAL
    label, action = (DONE, ids.ACTION_DONE) if manual else (APPROVE, ids.ACTION_APPROVE)
    confirm = _confirm(session, step, label) if step.planned.risk is Risk.HIGH else None
    return parts.actions(
        parts.button(label, action, gate.id, style="primary", confirm=confirm),
        parts.button(REJECT, ids.ACTION_REJECT, gate.id, style="danger"),
    )


def quorum(gate: Gate) -> list[parts.Bit]:
    """Say how many have approved, and who."""
    people = {vote.actor.person: vote.actor for vote in gate.approvals}
    bits: list[parts.Bit] = [f"{len(people)} of {gate.audience.quorum} approved"]
    for number, someone in enumerate(people.values()):
        bits += [", " if number else " by ", parts.actor(someone)]
    return bits


def outcome(session: Session, step: Step, gate: Gate) -> list[parts.Bit]:
    """Say what the request waits for or how it ended, and what follows."""
    match gate.status:
        case GateStatus.OPEN:
            return [
                parts.bold("Open until "),
                parts.moment(gate.expires_at),
                f". {_on_approval(session, step, gate)} {_ELSE}",
            ]
        case GateStatus.APPROVED:
            return [parts.bold("Reported done" if _is_manual(step) else "Approved"), *_by(gate), *_reason(gate)]
        case GateStatus.REJECTED:
            return [parts.bold("Rejected"), *_by(gate), *_reason(gate), " Nothing more runs."]
        case GateStatus.EXPIRED:
            ended = parts.moment(gate.closed_at)
            return [parts.bold("Expired"), " ", ended, ": nobody decided in time. Nothing more runs."]
        case GateStatus.CANCELLED:
            ended = parts.moment(gate.closed_at)
            return [parts.bold("Cancelled"), " ", ended, " together with the session. Nothing more runs."]
        case _:
            assert_never(gate.status)


def _is_manual(step: Step) -> bool:
    return step.planned.kind is StepKind.MANUAL


def _on_approval(session: Session, step: Step, gate: Gate) -> str:
    missing = missing_approvals(gate)
    who = f"After {words.plural(missing, 'more approval')}"
    then = "the session goes on." if _is_manual(step) else f"it runs on {words.one_line(session.plan.target.name)}."
    return f"{who} {then}"


def _by(gate: Gate) -> list[parts.Bit]:
    verdict = Verdict.REJECT if gate.status is GateStatus.REJECTED else Verdict.APPROVE
    votes = [vote for vote in gate.decisions if vote.verdict is verdict]
    bits: list[parts.Bit] = []
    for number, vote in enumerate(votes):
        bits += [", " if number else " by ", parts.actor(vote.actor), " (", parts.moment(vote.at), ")"]
    return [*bits, "."]


def _reason(gate: Gate) -> list[parts.Bit]:
    given = [vote for vote in gate.decisions if vote.reason]
    return [f" Reason: {words.one_line(given[-1].reason, words.LINE_MAX).rstrip('.')}."] if given else []


def _title(session: Session, step: Step) -> str:
    what = "Report" if step.planned.kind is StepKind.MANUAL else "Approve"
    asked = what if step.status is StepStatus.WAITING_APPROVAL else "Request for"
    return f"{asked} step {step.number} of session {session.id}: {step.planned.name}"


def _facts(session: Session, step: Step, gate: Gate) -> parts.Block:
    planned = step.planned
    command = planned.kind is StepKind.COMMAND
    return parts.facts(
        ("Machine", target_line(session)),
        ("Runbook", [f"{words.one_line(session.plan.title)} ({words.one_line(session.plan.runbook)})"]),
        ("Kind", [_PHASES[planned.phase] + (f" of step {planned.undoes}" if planned.undoes else "")]),
        ("Risk", [parts.bold(planned.risk.value), f", environment {words.one_line(session.plan.environment, 60)}"]),
        ("Why", [words.one_line(session.plan.description, words.LINE_MAX)] if session.plan.description else []),
        ("Limits", [_limits(step)] if command else []),
        ("Expected", [_expected(step)] if command else []),
        ("Requested by", [parts.actor(session.requester)]),
        ("Ticket", [words.one_line(session.ticket)] if session.ticket else []),
        ("Asked again", [words.one_line(step.reason, words.LINE_MAX)] if step.reason and gate.serial > 1 else []),
        ("Plan", [parts.literal(words.short_digest(gate.plan_digest), code=True)]),
    )


def values_read(session: Session, step: Step) -> list[parts.Element]:
    """Show whole every value that the command reads: in the command itself it stands encoded."""
    text = step.planned.script or step.planned.instructions
    read = [(name, value) for name, value in session.plan.parameters if mentions(text, name)]
    rest = [(name, value) for name, value in session.plan.parameters if (name, value) not in read]
    table = "\n".join(f"{name} = {words.visible(value)}" for name, value in read)
    other = words.one_line(", ".join(f"{name} = {value}" for name, value in rest), 500)
    return [
        *([parts.line(parts.bold("Values that it reads:")), *parts.verbatim(table)] if read else []),
        *([parts.line(parts.bold("Other values: "), other)] if rest else []),
    ]


def _limits(step: Step) -> str:
    planned = step.planned
    again = (
        f"; if it fails it is tried again up to {words.plural(planned.retries, 'time')} under this approval"
        if planned.retries
        else "; it is not tried again without a new approval"
    )
    return f"at most {words.duration(planned.timeout_seconds)}{again}; on failure: {planned.on_failure.value}"


def _expected(step: Step) -> str:
    expect = step.planned.expect
    told = [f"exit code {' or '.join(str(code) for code in expect.exit_codes)}"]
    told += [f"output contains {text!r}" for text in expect.contains]
    told += [f"output does not contain {text!r}" for text in expect.not_contains]
    told += [f"output matches {expect.matches!r}"] if expect.matches else []
    told += [f"output is a number {expect.number}"] if expect.number else []
    return words.one_line("; ".join(told), 600)


def _evidence(session: Session, step: Step) -> list[parts.Block]:
    """Show what earlier steps found: it is what an approver decides on."""
    earlier = [each for each in session.steps if each.number < step.number and _is_evidence(each)]
    if not earlier:
        return []
    lines = [_evidence_line(each) for each in earlier[-EVIDENCE_SHOWN:]]
    return [parts.rich(parts.line(parts.bold("What earlier steps found")), parts.bullets(lines))]


def _is_evidence(step: Step) -> bool:
    return bool(step.captured) or (step.planned.phase is Phase.PRECHECK and step.finished_at is not None)


def _evidence_line(step: Step) -> list[parts.Bit]:
    symbol, word = words.STEP_WORDS[step.status]
    found = ", ".join(f"{name} = {value}" for name, value in step.captured)
    told = f": {words.one_line(found, words.LINE_MAX)}" if found else ""
    return [f"{symbol} {step.number}. {words.one_line(step.planned.name, 80)} ", parts.bold(word), told]


def _people(session: Session, gate: Gate) -> parts.Block:
    audience = gate.audience
    return parts.facts(
        ("May decide", parts.people(eligible(audience, session.requester))),
        ("Votes", quorum(gate)),
    )


def _confirm(session: Session, step: Step, label: str) -> parts.Confirm:
    plan = session.plan
    return parts.Confirm(
        title=f"High risk: {words.one_line(step.planned.name, 80)}",
        text=(
            f"Step {step.number} of session {session.id} on {words.shorten(words.place(plan.target), 160)}. "
            "Have you read the whole command?"
        ),
        confirm="Yes, it is done" if label == DONE else "Yes, approve",
    )


def _footnote(session: Session, gate: Gate) -> str:
    rule = words.quote(gate.audience.rule or "none", 60)
    return (
        f"Session {session.id}, plan {words.escape(words.short_digest(gate.plan_digest))}, policy rule {rule}. "
        f"Only this exact command is approved; any change voids it. `/runbook why {session.id}`"
    )


def _notification(session: Session, step: Step, gate: Gate) -> str:
    plan, planned = session.plan, step.planned
    verb = "report done" if _is_manual(step) else "approve"
    what = planned.instructions if _is_manual(step) else planned.script
    return words.notification(
        _asks(session, step, gate, verb),
        f"{words.quote(planned.name)} on {words.escape(words.place(plan.target))},",
        f"risk {planned.risk.value}, environment {words.quote(plan.environment, 60)}.",
        f"{'Instructions' if _is_manual(step) else 'Command'}: {words.first_line(what)}.",
        _how(session, gate),
    )


def _asks(session: Session, step: Step, gate: Gate, verb: str) -> str:
    where = f"step {step.number} of session {session.id}"
    if gate.status is not GateStatus.OPEN:
        return f"Closed request: {where},"
    who = words.mentions(eligible(gate.audience, session.requester))
    return f"{words.actor(session.requester)} asks {who} to {verb} {where}:"


def _how(session: Session, gate: Gate) -> str:
    if gate.status is GateStatus.OPEN:
        missing = words.plural(missing_approvals(gate), "approval")
        return (
            f"{missing} needed until {words.moment(gate.expires_at)}. Decide with the buttons in the thread "
            f"or on the bot's Home tab; to see all of it: `/runbook status {session.id}`."
        )
    last: Decision | None = gate.decisions[-1] if gate.decisions else None
    if last and gate.status in {GateStatus.APPROVED, GateStatus.REJECTED}:
        reason = f": {words.quote(last.reason, words.LINE_MAX)}" if last.reason else ""
        return f"{gate.status.value.capitalize()} by {words.actor(last.actor)} at {words.moment(last.at)}{reason}."
    return f"{gate.status.value.capitalize()} at {words.moment(gate.closed_at)}; nothing more runs."
