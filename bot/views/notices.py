"""Short messages of a thread: reminder, a question after a failure, the last line, a sentence for one person.

Each says who must do what and what follows. None may offer a choice that the machine would not accept.
"""

from __future__ import annotations

from datetime import datetime

from slack_sdk.models.blocks import ButtonElement

from bot import ids
from bot.views import parts
from bot.views import text as words
from bot.views.card import headline, headline_plain
from engine.events import Choice
from engine.explain import missing_approvals
from engine.machine import choices_for
from engine.model import Gate, GateStatus, Session, Step, StepStatus, Verdict
from engine.policy import eligible

LABELS = {
    Choice.RETRY: "Retry",
    Choice.SKIP: "Skip",
    Choice.STOP: "Stop",
    Choice.ROLLBACK: "Roll back",
    Choice.SUCCEEDED: "It worked",
    Choice.FAILED: "It did not work",
}

EPHEMERAL_MAX = 12_000  #: characters; Slack cuts a text at 40,000

CONSEQUENCES = {
    Choice.RETRY: "asks for approval and runs the step again",
    Choice.SKIP: "goes on with the next step",
    Choice.STOP: "ends the session as failed",
    Choice.ROLLBACK: "runs the rollback steps, with their approvals",
    Choice.SUCCEEDED: "counts the step as done and goes on; say what proves it",
    Choice.FAILED: "counts the step as failed; say what proves it",
}


def reminder(session: Session, step: Step, *, gate: Gate, now: datetime) -> parts.Rendered:
    """Ask those who have not voted once more, while the request is open."""
    voted = {vote.actor.person for vote in gate.approvals}
    people = [one for one in eligible(gate.audience, session.requester) if one not in voted]
    if gate.status is not GateStatus.OPEN or now >= gate.expires_at:
        told = f"The request for step {step.number} of session {session.id} is {gate.status.value}."
        return parts.Rendered(text=told, blocks=[parts.paragraph(told)])
    missing = words.plural(missing_approvals(gate), "approval")
    name = words.one_line(step.planned.name)
    return parts.Rendered(
        text=words.notification(
            f"Reminder: {words.mentions(people)}, step {step.number} of session {session.id}",
            f"({words.quote(step.planned.name)} on {words.escape(words.place(session.plan.target))},",
            f"risk {step.planned.risk.value}) still needs {missing} until {words.moment(gate.expires_at)}.",
            f"Command: {words.first_line(step.planned.script or step.planned.instructions)}",
        ),
        blocks=[
            parts.paragraph(
                parts.bold("Still waiting: "),
                f"step {step.number} ({name}) on {words.place(session.plan.target)} needs {missing} from ",
                *parts.people(people),
                " until ",
                parts.moment(gate.expires_at),
                ". After that the session expires. The command is in the request above.",
            )
        ],
    )


def attention(session: Session, step: Step, *, current: bool = True) -> parts.Rendered:
    """Ask how to go on after a failure or an unknown outcome, or say that it was decided.

    ``current`` is False for a message about an attempt that another one followed: its time is over.
    """
    choices = choices_for(session, step) if current else ()
    told = _trouble(step)
    who = step.audience.approvers if step.audience else ()
    asked = parts.people(who) if who else [parts.actor(session.requester)]
    blocks = [
        parts.header(f"Step {step.number} of session {session.id} needs a person"),
        parts.paragraph(parts.bold(told), f" It is about {words.place(session.plan.target)}."),
        parts.facts(("Why", [words.one_line(step.reason, 1000)] if step.reason else [])) if step.reason else None,
    ]
    if choices:
        blocks.append(parts.facts(("May choose", asked), ("Deadline", ["none; nothing runs until then"])))
        blocks.append(parts.rich(parts.bullets([_consequence(choice) for choice in choices])))
        blocks.append(parts.actions(*(_choice_button(session, step, choice) for choice in choices)))
    else:
        blocks.append(parts.paragraph(f"Decided. The session is now: {headline_plain(session)}."))
    return parts.Rendered(
        text=_attention_text(session, step, told, choices), blocks=[block for block in blocks if block]
    )


def closing(session: Session) -> parts.Rendered:
    """Say how a session ended, how long it took and who decided what."""
    told = f"Session {session.id} is over: {headline_plain(session)}."
    since = session.started_at or session.created_at
    took = (session.finished_at - since).total_seconds() if session.finished_at else None
    decisions = _decisions(session)
    blocks = [
        parts.paragraph(parts.bold(told), f" It took {words.duration(took)}.", _why(session)),
        *([parts.rich(parts.line(parts.bold("Who decided")), parts.bullets(decisions))] if decisions else []),
        parts.note(f"The first message of this thread shows every step. `/runbook status {session.id}`"),
    ]
    return parts.Rendered(
        text=words.notification(
            f"Session {session.id} ({words.quote(session.plan.title)} on",
            f"{words.escape(words.place(session.plan.target))}) is over: {headline(session)}.",
            f"It took {words.duration(took)}.",
            f"{words.quote(session.reason, words.LINE_MAX)}" if session.reason else "",
        ),
        blocks=blocks,
    )


def ephemeral(text: str) -> parts.Rendered:
    """Show a text to one person. Whoever had it told has made it harmless, as ``bot.replies`` does."""
    return parts.Rendered(text=words.shorten(text, EPHEMERAL_MAX) or "Nothing to say.")


def undeliverable(session: Session, why: str) -> str:
    """Say to the requester that a session cannot be shown where it was started; harmless text."""
    return (
        f"Session {session.id} ({words.quote(session.plan.title)}) cannot be shown in its channel: {why} "
        f"It is not lost: `/runbook status {session.id}` and the bot's Home tab show it, "
        f"and `/runbook cancel {session.id}` ends it."
    )


def choice_value(session_id: int, step_number: int, choice: Choice) -> str:
    return f"{session_id}|{step_number}|{choice.value}"


def _choice_button(session: Session, step: Step, choice: Choice) -> ButtonElement:
    style = {Choice.STOP: "danger", Choice.FAILED: "danger", Choice.RETRY: "primary"}.get(choice)
    return parts.button(
        LABELS[choice],
        ids.choose_action(choice.value),
        choice_value(session.id, step.number, choice),
        style="danger" if style == "danger" else "primary" if style else None,
    )


def _consequence(choice: Choice) -> list[parts.Bit]:
    return [parts.bold(LABELS[choice]), f": {CONSEQUENCES[choice]}."]


def _trouble(step: Step) -> str:
    name = f"Step {step.number} ({words.one_line(step.planned.name)})"
    if step.status is StepStatus.UNKNOWN:
        return f"{name} has an unknown outcome: nobody can prove whether it ran."
    if step.status is StepStatus.TIMED_OUT:
        return f"{name} timed out."
    if step.status is StepStatus.FAILED:
        return f"{name} failed."
    return f"{name} is now: {words.STEP_WORDS[step.status][1]}."


def _attention_text(session: Session, step: Step, told: str, choices: tuple[Choice, ...]) -> str:
    offered = ", ".join(LABELS[choice] for choice in choices)
    who = words.mentions(step.audience.approvers) if step.audience else words.actor(session.requester)
    return words.notification(
        f"Session {session.id} on {words.escape(words.place(session.plan.target))}: {words.escape(told)}",
        f"{words.quote(step.reason, words.LINE_MAX)}." if step.reason else "",
        f"{who}: choose in the thread: {offered}." if choices else "It has been decided.",
    )


def _why(session: Session) -> str:
    return f" {words.one_line(session.reason, 1000)}" if session.reason else ""


def _decisions(session: Session) -> list[list[parts.Bit]]:
    rows: list[list[parts.Bit]] = []
    for step in session.steps:
        for vote in step.gate.decisions if step.gate else ():
            verb = "approved" if vote.verdict is Verdict.APPROVE else "rejected"
            why = f": {words.one_line(vote.reason, words.LINE_MAX)}" if vote.reason else ""
            rows.append([parts.actor(vote.actor), f" {verb} step {step.number} on ", parts.moment(vote.at), why])
    return rows[:40]
