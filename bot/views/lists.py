"""Answers to what people type: help, lists, one runbook, a plan, one session, checks.

Each answer is for one person and whole in its text as well as in its blocks. What does not fit is counted and
the way to the rest is named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from bot.ids import COMMAND
from bot.views import parts
from bot.views import text as words
from bot.views.card import card, headline, headline_plain, progress
from bot.views.gate import what_runs
from bot.views.home import summary_line
from engine.explain import Explanation
from engine.model import Audience, Plan, PlannedStep, Session, Step
from engine.parameters import Parameter, ParameterType
from engine.plan import digest_of, outline
from engine.ports import Check, Level, Summary
from engine.runbook import Document
from engine.service import View

LINES_SHOWN = 30
STEPS_SHOWN = 40
TEXT_ROOM = 10_000  #: characters of an answer that is only text
ROOM = 9000  #: characters of commands in one answer; Slack does not publish where a message is too large

_LEVELS = {Level.OK: ("✓", "fine"), Level.WARN: ("!", "look at this"), Level.BLOCK: ("✗", "stops work")}


Rendered = parts.Rendered


class Usage(Protocol):
    """How a verb of the command is written."""

    @property
    def pattern(self) -> str: ...

    @property
    def purpose(self) -> str: ...

    @property
    def example(self) -> str: ...


def help_text(usages: Mapping[str, Usage]) -> parts.Rendered:
    """Show what can be typed."""
    known = list(usages.values())
    rows: list[list[parts.Bit]] = [
        [parts.literal(f"{COMMAND} {usage.pattern}", code=True), f" {usage.purpose}"] for usage in known
    ]
    example = f"For example: {COMMAND} {known[-1].example}" if known else ""
    started = next((usage.example for usage in known if usage.pattern.startswith("execute")), "")
    return parts.Rendered(
        text=words.notification(*(f"{COMMAND} {words.escape(u.pattern)}: {u.purpose}" for u in known)),
        blocks=[
            parts.header("Runbook Bot"),
            parts.rich(parts.bullets(rows or [["nothing"]])),
            parts.paragraph(f"For example: {COMMAND} {started}" if started else example),
            parts.paragraph("A command runs only after the people whom the policy names have approved it."),
        ],
    )


def runbooks(documents: Sequence[Document], problems: Mapping[str, str]) -> parts.Rendered:
    """Show all runbooks, and what is wrong with the files that were refused."""
    ordered = sorted(documents, key=lambda document: document.name)
    rows: list[list[parts.Bit]] = [
        [parts.bold(words.one_line(d.name)), f" {words.one_line(d.runbook.title)} (risk {d.runbook.risk.value})"]
        for d in ordered[:LINES_SHOWN]
    ]
    broken: list[list[parts.Bit]] = [
        [parts.bold(words.one_line(name)), f" {words.one_line(why, words.LINE_MAX)}"]
        for name, why in sorted(problems.items())[:LINES_SHOWN]
    ]
    blocks = [parts.header("Runbooks"), parts.rich(parts.bullets(rows or [["There are no runbooks."]]))]
    blocks += _more(len(ordered) - LINES_SHOWN, "runbooks")
    if broken:
        blocks += [parts.header("Files that cannot be used"), parts.rich(parts.bullets(broken))]
    blocks.append(parts.note(f"`{COMMAND} show NAME` shows one of them, `{COMMAND} execute NAME` starts it."))
    names = ", ".join(words.quote(document.name) for document in ordered)
    wrong = f"{words.plural(len(problems), 'file')} cannot be used." if problems else ""
    return parts.Rendered(text=words.notification(f"Runbooks: {names or 'none'}.", wrong), blocks=blocks)


def runbook(document: Document) -> parts.Rendered:
    """Show one runbook: what it is for, its parameters, its steps."""
    runbook = document.runbook
    parameters = [_parameter_line(name, rule) for name, rule in sorted(runbook.parameters.items())]
    steps: list[list[parts.Bit]] = [
        [f"{number}. {words.one_line(step.name)} ({phase.value}, risk {runbook.risk_of(step).value})"]
        for number, (phase, step) in enumerate(runbook.phased(), start=1)
    ]
    changed = _changed(document)
    return parts.Rendered(
        text=words.notification(
            f"{words.quote(runbook.name)}: {words.quote(runbook.title)}.",
            f"Risk {runbook.risk.value}, environment {words.quote(runbook.environment)},",
            f"{words.plural(len(steps), 'step')}; parameters:",
            ", ".join(sorted(runbook.parameters)) or "none",
        ),
        blocks=[
            parts.header(runbook.title),
            *([parts.paragraph(words.visible(runbook.description))] if runbook.description else []),
            parts.facts(
                ("Name", [words.one_line(runbook.name)]),
                ("Owner", [words.one_line(runbook.owner)]),
                ("Service", [words.one_line(runbook.service)] if runbook.service else []),
                ("Environment", [words.one_line(runbook.environment)]),
                ("Risk", [runbook.risk.value]),
                ("Machines", [_machines(document)]),
                ("Version", [parts.literal(words.short_digest(document.digest), code=True), changed]),
            ),
            parts.rich(parts.line(parts.bold("Parameters")), parts.bullets(parameters or [["none"]])),
            parts.rich(parts.line(parts.bold("Steps")), parts.bullets(steps[:STEPS_SHOWN])),
            *_more(len(steps) - STEPS_SHOWN, "steps"),
            parts.note(f"`{COMMAND} execute {words.quote(runbook.name)}` starts it."),
        ],
    )


def plan_preview(plan: Plan, audiences: Mapping[int, Audience] | None = None) -> parts.Rendered:
    """Show exactly what a start would run and who would be asked; nothing has been started."""
    digest = words.short_digest(digest_of(plan))
    blocks = [
        parts.header(f"Plan of {plan.title}"),
        parts.paragraph(parts.bold("Nothing has been started."), " This is what a start would freeze now."),
        parts.facts(
            ("Machine", [words.place(plan.target)]),
            ("Risk", [plan.risk.value]),
            ("Plan", [parts.literal(digest, code=True)]),
        ),
    ]
    shown, room = 0, ROOM
    for step in plan.steps[:STEPS_SHOWN]:
        room -= len(step.script or step.instructions)
        if room < 0:
            break
        blocks.append(_planned_step(step, (audiences or {}).get(step.number)))
        shown += 1
    blocks += _more(len(plan.steps) - shown, "steps; the command line shows them all: runbook plan")
    gated = sum(step.requires_approval for step in plan.steps)
    return parts.Rendered(
        text=words.notification(
            f"Plan {words.escape(digest)} of {words.quote(plan.title)} on {words.escape(words.place(plan.target))}:",
            f"{words.plural(len(plan.steps), 'step')}, {gated} with approval. Nothing has been started.",
        ),
        blocks=blocks,
    )


def session(view: View, now: datetime) -> parts.Rendered:
    """Show one session as its card does, without the button and with the way to its thread."""
    shown = card(view.session, view.explanation, now=now, queue=view.queue)
    blocks = [block for block in shown.blocks if block["type"] != "actions"]
    where = f"Its thread is in <#{view.channel}>." if view.channel.isalnum() and view.thread_ts else ""
    return parts.Rendered(
        text=words.notification(shown.text, where), blocks=[*blocks, *([parts.note(where)] if where else [])]
    )


def why(view: View) -> parts.Rendered:
    """Say what a session waits for, for whom, since when and what follows."""
    told, session = view.explanation, view.session
    blocks = [
        parts.paragraph(
            parts.bold(f"Session {session.id}: {headline_plain(session)}. "), *parts.told(told.sentence, told.waits_for)
        ),
        parts.facts(
            ("Waits for", parts.people(told.waits_for) if told.waits_for else ["nobody in particular"]),
            ("Since", [parts.moment(told.since)] if told.since else []),
            ("Until", [parts.moment(told.until)] if told.until else []),
            ("Next", [words.visible(told.next.replace("`", ""))] if told.next else []),
            ("Progress", [progress(session)]),
        ),
    ]
    text = words.notification(
        f"Session {session.id}: {headline(session)}.",
        words.told(told.sentence, told.waits_for),
        words.quote(told.next, 500) if told.next else "",
    )
    return parts.Rendered(text=text, blocks=blocks)


def pending(views: Sequence[View], now: datetime) -> parts.Rendered:
    """Show what waits for an approval, oldest first."""
    rows = [_pending_line(view.session, view.explanation, now) for view in views[:LINES_SHOWN]]
    hidden = len(views) - len(rows)
    count = str(len(views))
    names = "; ".join(_pending_text(view.session) for view in views[:LINES_SHOWN])
    blocks = [
        parts.header(f"Waiting for approval: {count}"),
        parts.rich(parts.bullets(rows or [["Nothing waits for an approval."]])),
        *_more(hidden, "sessions"),
        parts.note("Decide in the session's thread or on the bot's Home tab."),
    ]
    return parts.Rendered(text=words.notification(f"Waiting for approval: {count}.", names), blocks=blocks)


def status(summaries: Sequence[Summary]) -> parts.Rendered:
    """Show the sessions that are not over."""
    return _sessions("Sessions that are not over", summaries)


def history(summaries: Sequence[Summary], ticket: str = "") -> parts.Rendered:
    """Show the newest sessions, of one ticket if it is named."""
    return _sessions(f"Sessions of ticket {words.one_line(ticket)}" if ticket else "Newest sessions", summaries)


def _sessions(title: str, summaries: Sequence[Summary]) -> parts.Rendered:
    rows = [summary_line(summary) for summary in summaries[:LINES_SHOWN]]
    blocks = [
        parts.header(title),
        parts.rich(parts.bullets(rows or [["There are none."]])),
        *_more(len(summaries) - LINES_SHOWN, "sessions"),
        parts.note(f"`{COMMAND} status ID` shows one of them."),
    ]
    told = "; ".join(_summary_text(summary) for summary in summaries[:LINES_SHOWN])
    return parts.Rendered(text=words.notification(f"{words.quote(title)}:", told or "there are none."), blocks=blocks)


def checks(found: Sequence[Check]) -> parts.Rendered:
    """Show what was looked at, what was seen, and what to do about it."""
    worst = [check for check in found if check.level is not Level.OK]
    headline_text = f"{len(worst)} of {len(found)} checks need attention." if worst else "All checks are fine."
    rows = [_check_line(check) for check in found[:LINES_SHOWN]]
    told = "; ".join(f"{words.quote(c.name)}: {words.quote(c.evidence, words.LINE_MAX)}" for c in worst)
    return parts.Rendered(
        text=words.notification(headline_text, told),
        blocks=[
            parts.header("Doctor"),
            parts.paragraph(headline_text),
            parts.rich(parts.bullets(rows or [["Nothing was looked at."]])),
            *_more(len(found) - LINES_SHOWN, "checks"),
        ],
    )


def checks_text(found: Sequence[Check]) -> str:
    """Say the same as ``checks`` in one harmless text."""
    lines = ["".join(bit if isinstance(bit, str) else str(bit["text"]) for bit in _check_line(c)) for c in found]
    return words.shorten(words.fence("\n".join(lines) or "Nothing was looked at."), TEXT_ROOM)


def plan_text(plan: Plan) -> str:
    """Show exactly what a start would run, in one harmless text."""
    whole = outline(plan)
    hidden = len(whole) - TEXT_ROOM
    more = f"\n… and {hidden} more characters: on the command line, `runbook plan` shows them." if hidden > 0 else ""
    return f"Nothing has been started. A start would freeze this plan now:\n{words.fence(whole[:TEXT_ROOM])}{more}"


def _parameter_line(name: str, rule: Parameter) -> list[parts.Bit]:
    need = "optional" if not rule.required else "required" if rule.default is None else f"default {rule.default!r}"
    choices = f", one of {', '.join(rule.choices)}" if rule.type is ParameterType.CHOICE else ""
    told = f" {words.one_line(rule.description, words.LINE_MAX)}" if rule.description else ""
    kind = words.one_line(f"{rule.type.value}{choices}, {need}", 600)
    return [parts.bold(words.one_line(name)), f" ({kind}){told}"]


def _machines(document: Document) -> str:
    targets = document.runbook.targets
    allowed = "any" if targets == "any" else ", ".join(targets)
    return f"{words.one_line(allowed, 1000)} ({document.runbook.os})"


def _changed(document: Document) -> str:
    who = f", changed by {words.one_line(document.modified_by)}" if document.modified_by else ""
    when = f" on {words.clock(document.modified_at)}" if document.modified_at else ""
    commit = f", commit {words.one_line(document.commit, 12)}" if document.commit else ""
    return f"{who}{when}{commit}"


def _planned_step(step: PlannedStep, audience: Audience | None) -> parts.Block:
    needs = "needs approval" if step.requires_approval else "runs without approval"
    who = [" from ", *parts.people(audience.approvers)] if audience else []
    title = f"{step.number}. {words.one_line(step.name)} ({step.phase.value}, risk {step.risk.value}), {needs}"
    return parts.rich(parts.line(parts.bold(title), *who), *what_runs(Step(planned=step)))


def _pending_line(session: Session, told: Explanation, now: datetime) -> list[parts.Bit]:
    gate = session.open_gate
    step = session.step(gate.step_number) if gate else None
    name = f"step {step.number} ({words.one_line(step.planned.name, 80)})" if step else "a decision"
    until: list[parts.Bit] = [" until ", parts.moment(told.until)] if told.until else []
    late = ", its deadline has passed" if told.until and now >= told.until else ""
    return [
        parts.bold(f"{session.id}"),
        f" {words.one_line(session.plan.title, 80)} on {words.place(session.plan.target)}: {name}, waits for ",
        *parts.people(told.waits_for, most=5),
        *until,
        late,
    ]


def _pending_text(session: Session) -> str:
    gate = session.open_gate
    at = f" at step {gate.step_number}" if gate else ""
    return f"session {session.id} ({words.quote(session.plan.title, 60)}){at}"


def _summary_text(summary: Summary) -> str:
    word = words.SESSION_WORDS[summary.status].lower()
    return f"{summary.id} {words.quote(summary.title or summary.runbook, 60)}: {word}"


def _check_line(check: Check) -> list[parts.Bit]:
    symbol, word = _LEVELS[check.level]
    cure = f" To do: {words.one_line(check.remedy, words.LINE_MAX)}" if check.remedy else ""
    name = words.one_line(check.name)
    return [f"{symbol} ", parts.bold(f"{name}: {word}. "), words.one_line(check.evidence, words.LINE_MAX), cure]


def _more(hidden: int, what: str) -> list[parts.Block]:
    return [parts.paragraph(f"and {hidden} more {what}")] if hidden > 0 else []
