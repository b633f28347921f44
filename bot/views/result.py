"""How one attempt of a step ended: status, evidence and output.

Output is hostile: it is only ever shown in literal blocks, and what is too long for a message goes whole into a
file. An unknown outcome is called unknown; nothing here may call it a failure or a success.
"""

from __future__ import annotations

from dataclasses import dataclass

from bot.views import parts
from bot.views import text as words
from engine.model import AttemptStatus, Output, Session, Step, StepKind, StepStatus

SHOWN_LINES = 40
SHOWN_BYTES = 2500
HEAD_LINES = 10  #: of a long output; the rest of the room is for its end, where the news is

_ENDED = {
    AttemptStatus.SUCCEEDED: "succeeded",
    AttemptStatus.FAILED: "failed",
    AttemptStatus.TIMED_OUT: "timed out",
    AttemptStatus.CANCELLED: "was stopped",
    AttemptStatus.REFUSED_LATE: "was not started: its approval had grown too old on the way",
    AttemptStatus.NOT_STARTED: "was not started",
    AttemptStatus.INFRA_FAILED: "failed before the command began",
    AttemptStatus.UNKNOWN: "has an unknown outcome",
}


@dataclass(frozen=True, kw_only=True)
class OutputFile:
    """The whole output, for a file in the thread."""

    name: str
    title: str
    content: bytes


def result(session: Session, step: Step, output: Output) -> parts.Rendered:
    """Show how the newest attempt of a step ended."""
    told = _sentence(step)
    return parts.Rendered(
        text=words.notification(
            f"Session {session.id} on {words.escape(words.place(session.plan.target))}:",
            words.escape(told),
            f"{words.quote(step.reason, words.LINE_MAX)}." if step.reason else "",
            _exit_sentence(step),
            _output_sentence(output) if _has_run(step) else "",
        ),
        blocks=[
            parts.paragraph(parts.bold(told)),
            _facts(session, step),
            *([_captured(step)] if step.captured else []),
            *(_output(output) if _has_run(step) else []),
        ],
    )


def retried(session: Session, step: Step, attempt_number: int) -> parts.Rendered:
    """Say of an attempt that a later one followed it."""
    told = (
        f"Attempt {attempt_number} of step {step.number} of session {session.id} has ended; "
        f"attempt {step.attempts} followed."
    )
    return parts.Rendered(text=told, blocks=[parts.paragraph(told)])


def is_long(output: Output) -> bool:
    """Say whether an output is too long for a message, so that a file carries it whole."""
    return any(_too_long(words.visible(stream)) for stream in (output.stdout, output.stderr))


def output_file(session: Session, step: Step, output: Output) -> OutputFile:
    """Return the whole stored output as a file."""
    name = f"session-{session.id}-step-{step.number}-attempt-{step.attempt.number if step.attempt else 0}.txt"
    title = f"Output of step {step.number} of session {session.id}"
    streams = [("standard output", output.stdout), ("standard error", output.stderr)]
    both = all(stream for _, stream in streams)
    text = "".join(f"--- {label} ---\n{stream}\n" if both else stream for label, stream in streams if stream)
    return OutputFile(name=name, title=title, content=text.encode("utf-8", "replace"))


def file_refused(session: Session, step: Step, output: Output, *, why: str) -> parts.Rendered:
    """Say that the file could not be attached, and where the output is kept."""
    told = (
        f"The whole output of step {step.number} ({words.size(_kept(output))}) could not be attached: "
        f"{words.one_line(why, 80)}. It is kept with session {session.id}."
    )
    return parts.Rendered(text=words.escape(told), blocks=[parts.paragraph(told)])


def _sentence(step: Step) -> str:
    name = f"Step {step.number} ({words.one_line(step.planned.name)})"
    if step.planned.kind is StepKind.MANUAL:
        return f"{name} was reported done."
    attempt = step.attempt
    if attempt is None:
        return f"{name}: {words.STEP_WORDS[step.status][1]}."
    number = f", attempt {attempt.number}," if attempt.number > 1 else ""
    if attempt.status is AttemptStatus.SUCCEEDED and step.status in {StepStatus.FAILED, StepStatus.QUEUED}:
        return f"{name}{number} ran, but its result is not what the runbook expects."
    word = _ENDED.get(attempt.status, "is still running")
    return f"{name}{number} {word}."


def _facts(session: Session, step: Step) -> parts.Block:
    gate = step.gate
    by = gate.decisions[-1].actor if gate and gate.decisions else None
    return parts.facts(
        ("Machine", [words.place(session.plan.target)]),
        ("Exit code", [str(step.exit_code)] if step.exit_code is not None else _no_exit_code(step)),
        ("Duration", [words.duration(step.duration_seconds)] if step.duration_seconds is not None else []),
        ("Verdict", [_verdict(step)]),
        ("Decided by", [parts.actor(by)] if by else []),
    )


def _no_exit_code(step: Step) -> list[parts.Bit]:
    return ["none was reported"] if _has_run(step) else []


def _verdict(step: Step) -> str:
    if step.reason:
        return words.one_line(step.reason, 1000)
    if step.status is StepStatus.SUCCEEDED:
        return "as expected" if step.planned.kind is StepKind.COMMAND else "done by a person"
    if step.status is StepStatus.UNKNOWN:
        return "nobody can prove whether it ran to its end"
    return words.STEP_WORDS[step.status][1]


def _has_run(step: Step) -> bool:
    never = {AttemptStatus.NOT_STARTED, AttemptStatus.REFUSED_LATE}
    return step.attempt is not None and step.attempt.status not in never


def _exit_sentence(step: Step) -> str:
    took = f" after {words.duration(step.duration_seconds)}" if step.duration_seconds is not None else ""
    return f"Exit code {step.exit_code}{took}." if step.exit_code is not None else ""


def _captured(step: Step) -> parts.Block:
    rows = [_captured_value(name, value) for name, value in step.captured[:20]]
    return parts.rich(parts.line(parts.bold("Captured values")), parts.bullets(rows))


def _captured_value(name: str, value: str) -> list[parts.Bit]:
    return [parts.bold(words.one_line(name, 60)), f" = {words.one_line(value, 200)}"]


def _output(output: Output) -> list[parts.Block]:
    streams = (("Output", output.stdout, output.stdout_bytes), ("Error output", output.stderr, output.stderr_bytes))
    blocks = [_stream(label, text, size) for label, text, size in streams if text]
    if not blocks:
        return [parts.paragraph("It printed nothing." if not _printed(output) else _nothing_kept(output))]
    return [*blocks, *([parts.note("The whole output follows as a file.")] if is_long(output) else [])]


def _stream(label: str, text: str, printed: int) -> parts.Block:
    kept = len(text.encode("utf-8", "replace"))
    cut = f", last {words.size(kept)} of {words.size(printed)}" if printed > kept else f", {words.size(kept)}"
    shown, left_out = _excerpt(words.visible(text))
    more = f", {left_out} left out in the middle" if left_out else ""
    return parts.rich(parts.line(parts.bold(f"{label}{cut}{more}")), *parts.verbatim(shown))


def _excerpt(text: str) -> tuple[str, str]:
    """Return head and tail of a long text, and how much was left out between them."""
    if not _too_long(text):
        return text, ""
    lines = text.split("\n")
    head = "\n".join(lines[:HEAD_LINES]) if len(lines) > SHOWN_LINES else ""
    head = words.shorten(head, SHOWN_BYTES // 4)
    tail = "\n".join(lines[-(SHOWN_LINES - HEAD_LINES) :])[-(SHOWN_BYTES - len(head)) :]
    left = words.plural(max(0, len(lines) - SHOWN_LINES), "line") if len(lines) > SHOWN_LINES else "a part"
    return (f"{head}\n…\n{tail}" if head else f"…{tail}"), left


def _too_long(text: str) -> bool:
    return text.count("\n") >= SHOWN_LINES or len(text.encode("utf-8", "replace")) > SHOWN_BYTES


def _printed(output: Output) -> int:
    return output.stdout_bytes + output.stderr_bytes


def _kept(output: Output) -> int:
    return len(output.stdout.encode("utf-8", "replace")) + len(output.stderr.encode("utf-8", "replace"))


def _nothing_kept(output: Output) -> str:
    return f"It printed {words.size(_printed(output))}, of which nothing could be kept."


def _output_sentence(output: Output) -> str:
    if not _printed(output) and not _kept(output):
        return "It printed nothing."
    last = next((line for line in reversed(output.stdout.split("\n")) if line.strip()), "")
    return f"Its last line: {words.quote(last, 200)}" if last else ""
