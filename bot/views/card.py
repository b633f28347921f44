"""The root of a session's thread: the whole run at a glance, edited in place.

It shows where the session stands, what it waits for and what became of each step. It must never offer a
decision: those are made on the gate's own message.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime

from slack_sdk.models.blocks import ButtonElement

from bot import ids
from bot.views import parts
from bot.views import text as words
from engine.explain import Explanation
from engine.model import (
    FINAL_SESSIONS,
    Actor,
    Decision,
    Phase,
    Session,
    SessionStatus,
    Step,
    StepStatus,
    Verdict,
)

STEPS_SHOWN = 30  #: more would not be read, and Slack limits the size of a whole message

_TIME_LEFT = re.compile(r" \([0-9]+ (?:min|s) left\)", re.ASCII)
_OVER = {
    "done": {StepStatus.SUCCEEDED},
    "failed": {StepStatus.FAILED, StepStatus.TIMED_OUT},
    "skipped": {StepStatus.SKIPPED},
}


def card(session: Session, explanation: Explanation, *, now: datetime, queue: tuple[int, ...] = ()) -> parts.Rendered:
    """Show the whole session. ``queue``: sessions that hold or want its machine, the holder first."""
    sentence = parts.told(_told(explanation), explanation.waits_for)
    blocks = [
        parts.header(f"Session {session.id}: {session.plan.title}"),
        parts.paragraph(parts.bold(headline_plain(session)), "\n", *sentence),
        _facts(session, explanation, queue),
        parts.rich(parts.line(parts.bold(progress(session))), parts.bullets(_step_lines(session, now))),
    ]
    if explanation.next and session.status not in FINAL_SESSIONS:
        then = parts.told(explanation.next.replace("`", ""), explanation.waits_for)
        blocks.append(parts.paragraph(parts.bold("Next: "), *then))
    blocks.append(parts.note(_hint(session)))
    if session.status not in FINAL_SESSIONS and not session.cancelled_by:
        blocks.append(parts.actions(_cancel_button(session)))
    return parts.Rendered(text=_notification(session, explanation), blocks=blocks)


def _told(explanation: Explanation) -> str:
    """Return the sentence without the time left: a card is not redrawn every minute, so that would soon be wrong."""
    return _TIME_LEFT.sub("", explanation.sentence)


def headline(session: Session) -> str:
    """Say in a few words how a session stands; the person who ended it is a mention."""
    return _headline(session, words.actor)


def headline_plain(session: Session) -> str:
    """Say the same as plain text, with the person's name."""
    return _headline(session, lambda someone: words.one_line(someone.name or str(someone), 60))


def _headline(session: Session, name: Callable[[Actor], str]) -> str:
    word = words.SESSION_WORDS[session.status]
    rejected = rejection(session)
    if session.status is SessionStatus.REJECTED and rejected:
        return f"{word} by {name(rejected.actor)}"
    if session.status not in FINAL_SESSIONS and session.cancelled_by:
        return "Being cancelled"
    if session.status not in FINAL_SESSIONS and session.rolling_back:
        return f"{word}: rolling back"
    return word


def rejection(session: Session) -> Decision | None:
    """Return the vote that ended the session, if one did."""
    votes = [vote for step in session.steps if step.gate for vote in step.gate.decisions]
    return next((vote for vote in reversed(votes) if vote.verdict is Verdict.REJECT), None)


def shown_steps(session: Session) -> tuple[Step, ...]:
    """Return the steps that matter: those of the rollback only when it has begun."""
    return tuple(
        step
        for step in session.steps
        if step.planned.phase is not Phase.ROLLBACK or (session.rolling_back and step.status is not StepStatus.SKIPPED)
    )


def progress(session: Session) -> str:
    """Say how far a session is, such as ``Step 2 of 5`` or ``3 done, 1 skipped of 5 steps``."""
    forward = [step for step in session.steps if step.planned.phase is not Phase.ROLLBACK]
    current = session.current_step
    if current and current.planned.phase is Phase.ROLLBACK:
        return f"Rolling back: step {current.number}"
    if current:
        return f"Step {current.number} of {len(forward)}"
    counts = {word: sum(step.status in statuses for step in forward) for word, statuses in _OVER.items()}
    steps = words.plural(len(forward), "step")
    if sum(counts.values()) == counts["done"]:
        return f"{counts['done']} of {steps} done"
    return f"{', '.join(f'{count} {word}' for word, count in counts.items() if count or word == 'done')} of {steps}"


def target_line(session: Session) -> list[parts.Bit]:
    target = session.plan.target
    kind = ", ".join(words.one_line(part, 40) for part in (target.os, target.location) if part)
    return [parts.literal(words.place(target), bold=True), f", {kind}" if kind else ""]


def _facts(session: Session, told: Explanation, queue: tuple[int, ...]) -> parts.Block:
    plan = session.plan
    values = ", ".join(f"{name} = {value}" for name, value in plan.parameters)
    until = told.until if session.status not in FINAL_SESSIONS else None
    return parts.facts(
        ("Until", [parts.moment(until)] if until else []),
        ("Machine", target_line(session)),
        ("Runbook", [words.one_line(plan.runbook)]),
        ("Environment", [words.one_line(plan.environment, 60)]),
        ("Risk", [plan.risk.value]),
        ("Requested by", [parts.actor(session.requester)]),
        ("Ticket", [words.one_line(session.ticket)] if session.ticket else []),
        ("Values", [words.one_line(values, words.LINE_MAX)] if values else []),
        ("Queue", _queue(session, queue)),
        ("Plan", [parts.literal(words.short_digest(session.digest), code=True)]),
    )


def _queue(session: Session, queue: tuple[int, ...]) -> list[parts.Bit]:
    if session.id not in queue or queue[0] == session.id:
        return []
    ahead = queue.index(session.id)
    return [f"number {ahead} in line for this machine, behind session {queue[ahead - 1]}"]


def _step_lines(session: Session, now: datetime) -> list[list[parts.Bit]]:
    steps = shown_steps(session)
    first, last = _window(session, steps)
    lines = [_step_line(step, now) for step in steps[first:last]]
    if first:
        lines.insert(0, [f"… {words.plural(first, 'earlier step')}"])
    if last < len(steps):
        lines.append([f"… {words.plural(len(steps) - last, 'later step')}"])
    return lines or [["no steps"]]


def _window(session: Session, steps: Sequence[Step]) -> tuple[int, int]:
    """Choose the stretch of a long run that is shown: around the current step, else its end."""
    if len(steps) <= STEPS_SHOWN:
        return 0, len(steps)
    current = session.current_step
    middle = next((i for i, step in enumerate(steps) if current and step.number == current.number), len(steps))
    first = min(max(0, middle - STEPS_SHOWN // 2), len(steps) - STEPS_SHOWN)
    return first, first + STEPS_SHOWN


def _step_line(step: Step, now: datetime) -> list[parts.Bit]:
    symbol, word = words.STEP_WORDS[step.status]
    took = _took(step, now)
    kind = "" if step.planned.phase is Phase.MAIN else f" ({step.planned.phase.value})"
    return [f"{symbol} {step.number}. {words.one_line(step.planned.name, 80)}{kind}: ", parts.bold(word), took]


def _took(step: Step, now: datetime) -> str:
    if step.duration_seconds is not None:
        return f", {words.duration(step.duration_seconds)}"
    if step.status is StepStatus.RUNNING and step.started_at:
        return f", since {words.clock(step.started_at)}" if step.started_at <= now else ""
    return ""


def _hint(session: Session) -> str:
    if session.status in FINAL_SESSIONS:
        return f"Every step, decision and output is in this thread. `/runbook status {session.id}` shows it again."
    return f"Approvals and results come into this thread. `/runbook status {session.id}` says where it stands."


def _cancel_button(session: Session) -> ButtonElement:
    plan = session.plan
    question = parts.Confirm(
        title=f"Cancel session {session.id}?",
        text=(
            f"{words.one_line(plan.title)} on {words.place(plan.target)} stops before its next step. "
            "A command that is running is asked to stop. Steps that are done stay done."
        ),
        confirm="Cancel the session",
        deny="Keep it",
    )
    return parts.button("Cancel", ids.ACTION_CANCEL, str(session.id), style="danger", confirm=question)


def _notification(session: Session, explanation: Explanation) -> str:
    plan = session.plan
    return words.notification(
        f"Session {session.id}: {words.quote(plan.title)} on {words.escape(words.place(plan.target))},",
        f"environment {words.quote(plan.environment, 60)}, risk {plan.risk.value},",
        f"requested by {words.actor(session.requester)}.",
        f"{headline(session)}. {progress(session)}.",
        words.told(_told(explanation), explanation.waits_for),
    )
