"""What the command line prints about runbooks and sessions: plain text, one fact a line, no control characters.

Pure functions from values to text; they must never print and never ask.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from bot.views.text import duration, visible
from engine.model import Output, Session, Step
from engine.ports import AuditRecord, Check, Level, Summary
from engine.runbook import Document
from engine.service import View

MARKS = {Level.OK: "ok", Level.WARN: "warn", Level.BLOCK: "BLOCK"}


def table(rows: Sequence[Sequence[str]], heads: Sequence[str]) -> str:
    """Align rows under their heads."""
    lines = [[flat(cell) for cell in row] for row in (heads, *rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)
    return "\n".join(padded)


def runbooks(documents: Iterable[Document], problems: Mapping[str, str]) -> str:
    """List runbooks, then the files that were refused."""
    rows = [(d.name, d.runbook.environment, d.runbook.risk.value, d.runbook.title) for d in documents]
    text = table(rows, ("NAME", "ENVIRONMENT", "RISK", "TITLE"))
    refused = [f"refused: {flat(file)}: {flat(why)}" for file, why in sorted(problems.items())]
    return "\n".join([text, *refused])


def runbook(document: Document) -> str:
    """Describe one runbook with its parameters and steps."""
    book = document.runbook
    changed = f"{document.modified_by} {_time(document.modified_at)}".strip() if document.modified_by else "unknown"
    lines = [
        f"{book.name}: {book.title}",
        *([book.description.rstrip()] if book.description else []),
        f"owner {book.owner}; environment {book.environment}; risk {book.risk.value}; os {book.os}",
        f"targets {book.targets if isinstance(book.targets, str) else ', '.join(book.targets)}",
        f"last changed by {changed}; sha256 {document.digest}",
        "parameters:" if book.parameters else "no parameters",
    ]
    for name, rule in book.parameters.items():
        need = f"default {rule.default}" if rule.default is not None else "required"
        lines.append(f"  {name} ({rule.type.value}, {need}) {rule.description}".rstrip())
    lines.append("steps:")
    for number, (phase, step) in enumerate(book.phased(), start=1):
        lines.append(f"  {number}. [{phase.value}] {step.name} (risk {book.risk_of(step).value})")
    return "\n".join(visible_lines(lines))


def session(view: View, outputs: Mapping[int, Output]) -> str:
    """Describe one session: where it stands, and every step."""
    it = view.session
    lines = [
        f"session {it.id}: {it.plan.title} ({it.plan.runbook}) on {it.plan.target.name}, {it.status.value}",
        f"why: {flat(view.explanation.sentence)}",
        f"next: {flat(view.explanation.next)}",
        f"requester {it.requester}; ticket {flat(it.ticket) or 'none'}; started {_time(it.started_at)}",
        f"target {it.plan.target.id}",
        f"plan sha256 {it.digest}",
    ]
    for step in it.steps:
        lines += _step(step, outputs.get(step.number))
    return "\n".join(visible_lines(lines))


def why(view: View) -> str:
    """Answer in one sentence, then say what follows."""
    return "\n".join([flat(view.explanation.sentence), flat(view.explanation.next)])


def gate(it: Session) -> str:
    """Show what an approval would allow: every byte of it."""
    opened = it.open_gate
    step = it.step(opened.step_number) if opened else None
    if opened is None or step is None:
        return f"session {it.id} waits for nobody"
    text = step.planned.script or step.planned.instructions
    head = [
        f"session {it.id}, step {step.number} of {len(it.steps)}: {step.planned.name}",
        f"on {it.plan.target.name} ({it.plan.target.id}); risk {step.planned.risk.value}",
        f"{len(opened.approvals)} of {opened.audience.quorum} approvals; open until {_time(opened.expires_at)}",
        f"plan sha256 {it.digest}",
        "exactly this:",
    ]
    return "\n".join(visible_lines([*head, *(f"  | {line}" for line in text.splitlines())]))


def sessions(rows: Sequence[Summary]) -> str:
    """List sessions, one a line."""
    cells = [
        (str(r.id), r.status.value, r.runbook, r.target, r.requester, r.ticket or "-", _time(r.created_at))
        for r in rows
    ]
    return table(cells, ("ID", "STATUS", "RUNBOOK", "TARGET", "REQUESTER", "TICKET", "CREATED"))


def pending(views: Sequence[View]) -> str:
    """List open approval requests."""
    if not views:
        return "Nothing waits for an approval."
    return "\n".join(f"session {v.session.id}: {flat(v.explanation.sentence)}" for v in views)


def checks(found: Sequence[Check]) -> str:
    """Show checks with the remedy of everything that is not fine."""
    lines = []
    for check in found:
        lines.append(f"{MARKS[check.level]:5}  {check.name}: {flat(check.evidence)}")
        if check.level is not Level.OK and check.remedy:
            lines.append(f"       {flat(check.remedy)}")
    return "\n".join(visible_lines(lines))


def audit_line(record: AuditRecord) -> str:
    """Show one record of the audit chain."""
    place = f"session {record.session_id}" if record.session_id else "-"
    step = f" step {record.step_number}" if record.step_number else ""
    return visible(f"{record.seq} {_time(record.at)} {record.kind} {place}{step} by {record.actor} ({record.source})")


def flat(text: str) -> str:
    """Write text on one line: what somebody typed must not look like a line of ours."""
    return " ".join(visible(text).split())


def visible_lines(lines: Iterable[str]) -> list[str]:
    """Make every control character visible; a line feed ends a line."""
    return [visible(part) for line in lines for part in line.split("\n")]


def _step(step: Step, output: Output | None) -> list[str]:
    facts = [step.status.value.replace("_", " ")]
    if step.exit_code is not None:
        facts.append(f"exit {step.exit_code}")
    if step.duration_seconds is not None:
        facts.append(duration(step.duration_seconds))
    lines = [f"{step.number:3}. [{step.planned.phase.value}] {step.planned.name}: {', '.join(facts)}"]
    if step.reason:
        lines.append(f"     {flat(step.reason)}")
    lines += [f"     {name} = {flat(value)}" for name, value in step.captured]
    for text in (output.stdout, output.stderr) if output else ():
        lines += [f"     | {line}" for line in text.splitlines()]
    return lines


def _time(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else "not yet"
