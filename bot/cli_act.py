"""The verbs of the command line that change something: the same use cases and rules as a click.

RUNBOOK_TOKEN says who acts. A running `runbook serve` on the same database carries out what is decided here.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from bot import cli_text
from bot.cli_shared import Values, caller, core, parse_values, start_request
from engine.ballots import Ballot
from engine.errors import Conflict, InvalidInput
from engine.events import Choice, Chosen
from engine.model import Verdict

SessionId = Annotated[int, typer.Argument(help="Number of the session.", min=1)]
Step = Annotated[int | None, typer.Option("--step", help="Number of the step that you mean.", min=1)]
Reason = Annotated[str, typer.Option("--reason", help="Why, in one sentence.")]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    for verb in (execute, approve, reject, cancel, pause, resume, choose):
        app.command(verb.__name__)(verb)


def execute(
    name: Annotated[str, typer.Argument(help="Name of the runbook.")],
    values: Values = None,
    channel: Annotated[str, typer.Option(help="Channel id for the thread; default: RUNBOOK_CHANNEL.")] = "",
) -> None:
    """Start a session."""
    with core() as it:
        request = start_request(it, name, parse_values(values), person=caller(it), channel=channel)
        started = it.service.start(request)
        typer.echo(f"session {started.id} started")
        typer.echo(cli_text.why(it.service.view(started.id)))


def approve(session_id: SessionId, step: Step = None, reason: Reason = "") -> None:
    """Approve the step that a session waits for; shows it first and asks, unless --step names it."""
    _decide(session_id, step, Verdict.APPROVE, reason)


def reject(session_id: SessionId, reason: Reason, step: Step = None) -> None:
    """Reject the step that a session waits for."""
    _decide(session_id, step, Verdict.REJECT, reason)


def cancel(session_id: SessionId, reason: Reason = "") -> None:
    """Call a session off; a command that runs is asked to stop."""
    with core() as it:
        it.service.cancel(session_id, caller(it), reason)
        typer.echo(cli_text.why(it.service.view(session_id)))


def pause(session_id: SessionId) -> None:
    """Keep a session's next step from starting."""
    with core() as it:
        it.service.pause(session_id, caller(it))
        typer.echo(cli_text.why(it.service.view(session_id)))


def resume(session_id: SessionId) -> None:
    """Let a paused session go on."""
    with core() as it:
        it.service.resume(session_id, caller(it))
        typer.echo(cli_text.why(it.service.view(session_id)))


def choose(
    session_id: SessionId,
    choice: Annotated[Choice, typer.Argument(help="How to go on.")],
    step: Annotated[int, typer.Option("--step", help="Number of the step.", min=1)],
    reason: Reason,
) -> None:
    """Say how to go on after a failure or an unknown outcome."""
    with core() as it:
        it.service.choose(session_id, Chosen(step_number=step, choice=choice, actor=caller(it), reason=reason))
        typer.echo(cli_text.why(it.service.view(session_id)))


def _decide(session_id: int, step: int | None, verdict: Verdict, reason: str) -> None:
    with core() as it:
        actor = caller(it)
        view = it.service.view(session_id)
        gate = view.session.open_gate
        if gate is None:
            raise Conflict(f"Session {session_id} waits for no decision.", hint=view.explanation.sentence)
        number = step or gate.step_number
        if step is None and verdict is Verdict.APPROVE:
            typer.echo(cli_text.gate(view.session))
            _confirm(number)
        ballot = Ballot(
            actor=actor,
            verdict=verdict,
            reason=reason,
            gate_id=gate.id if number == gate.step_number else "",
            session_id=session_id,
            step_number=number,
        )
        it.service.decide(ballot)
        typer.echo(cli_text.why(it.service.view(session_id)))


def _confirm(number: int) -> None:
    if not sys.stdin.isatty():
        raise InvalidInput("Nobody is here to confirm.", hint=f"Name the step that you mean: --step {number}.")
    typer.confirm(f"Approve step {number}?", abort=True)
