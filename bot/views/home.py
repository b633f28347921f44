"""One person's App Home: what waits for them with enough to decide, what they started, what runs, what ended.

A Home tab has a hundred blocks at most: what does not fit is counted, never silently left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bot import ids
from bot.views import parts
from bot.views import text as words
from bot.views.gate import decision_buttons, quorum, values_read, what_runs
from engine.model import Gate, Person, Session, Step
from engine.policy import eligible
from engine.ports import Summary

WAITING_SHOWN = 12  #: each takes five blocks
LINES_SHOWN = 8
ROOM = 90_000  #: characters of commands; Slack takes 250 kB for the whole view


@dataclass(frozen=True, kw_only=True)
class HomePage:
    """What a person's Home shows."""

    waiting: Sequence[Session] = ()
    mine: Sequence[Summary] = ()
    running: Sequence[Summary] = ()
    recent: Sequence[Summary] = ()


def home(page: HomePage, *, person: Person, now: datetime) -> dict[str, Any]:
    """Return the view to publish for one person."""
    asked = [(s, *found) for s in page.waiting if (found := waits_for(s, person, now)) is not None]
    blocks = [
        parts.header("Runbook Bot"),
        parts.actions(parts.button("Run a runbook", ids.ACTION_LAUNCH, "home", style="primary")),
        parts.header(f"Waiting for you: {len(asked)}"),
        *_waiting(asked),
        *_list("Started by you", page.mine, "You have started nothing yet."),
        *_list("Running now", page.running, "Nothing is running."),
        *_list("Recent", page.recent, "No session has ended yet."),
        parts.note(f"As of {words.moment(now)}. `/runbook help` shows what can be typed."),
    ]
    return {"type": "home", "callback_id": ids.VIEW_HOME, "blocks": blocks[: words.HOME_BLOCKS_MAX]}


def waits_for(session: Session, person: Person, now: datetime) -> tuple[Step, Gate] | None:
    """Return the step and open gate that this person may decide now, if there is one."""
    gate = session.open_gate
    step = session.step(gate.step_number) if gate else None
    if gate is None or step is None or now >= gate.expires_at:
        return None
    voted = {vote.actor.person for vote in gate.approvals}
    able = person in eligible(gate.audience, session.requester) and person not in voted
    return (step, gate) if able else None


def _waiting(asked: Sequence[tuple[Session, Step, Gate]]) -> list[parts.Block]:
    if not asked:
        return [parts.paragraph("Nothing waits for you.")]
    blocks: list[parts.Block] = []
    shown = 0
    room = ROOM
    for session, step, gate in asked[:WAITING_SHOWN]:
        room -= 2 * len(step.planned.script or step.planned.instructions) + 1000  # the values come on top
        if room < 0:
            break
        blocks += _request(session, step, gate)
        shown += 1
    return blocks + _more(len(asked) - shown, f"{ids.COMMAND} pending")


def _request(session: Session, step: Step, gate: Gate) -> list[parts.Block]:
    plan = session.plan
    return [
        parts.paragraph(
            parts.bold(f"Session {session.id}, step {step.number}: {words.one_line(step.planned.name)}"),
            f"\n{words.one_line(plan.title)} on {words.place(plan.target)}, risk {step.planned.risk.value}, "
            f"environment {words.one_line(plan.environment, 60)}\nasked by ",
            parts.actor(session.requester),
            ", open until ",
            parts.moment(gate.expires_at),
            ", ",
            *quorum(gate),
        ),
        parts.rich(*what_runs(step), *values_read(session, step)),
        decision_buttons(session, step, gate),
        parts.divider(),
    ]


def _list(title: str, summaries: Sequence[Summary], none: str) -> list[parts.Block]:
    if not summaries:
        return [parts.header(title), parts.paragraph(none)]
    lines = parts.bullets([summary_line(summary) for summary in summaries[:LINES_SHOWN]])
    hidden = len(summaries) - LINES_SHOWN
    return [parts.header(title), parts.rich(lines), *_more(hidden, f"{ids.COMMAND} history")]


def summary_line(summary: Summary) -> list[parts.Bit]:
    """Return one line about a session."""
    waits = f", waits at step {summary.waiting_step}" if summary.waiting_step is not None else ""
    at = f", at step {summary.current_step}" if summary.current_step is not None and not waits else ""
    ticket = f", ticket {words.one_line(summary.ticket, 60)}" if summary.ticket else ""
    return [
        parts.bold(f"{summary.id}"),
        f" {words.one_line(summary.title or summary.runbook, 80)} on {words.one_line(summary.target, 80)}: ",
        parts.bold(words.SESSION_WORDS[summary.status].lower()),
        f"{waits}{at}{ticket}, ",
        parts.moment(summary.finished_at or summary.created_at),
    ]


def _more(hidden: int, command: str) -> list[parts.Block]:
    return [parts.paragraph(f"and {hidden} more: {command}")] if hidden > 0 else []
