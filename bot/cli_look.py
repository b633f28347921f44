"""The verbs of the command line that only look. They need the database, not a token."""

from __future__ import annotations

from typing import Annotated

import typer

from bot import cli_text
from bot.cli_shared import Values, core, parse_values, start_request
from engine.model import SessionStatus
from engine.plan import outline

SessionId = Annotated[int, typer.Argument(help="Number of the session.", min=1)]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    for name, verb in (
        ("list", list_runbooks),
        ("show", show),
        ("plan", plan),
        ("status", status),
        ("why", why),
        ("pending", pending),
        ("history", history),
    ):
        app.command(name)(verb)


def list_runbooks() -> None:
    """List the runbooks, and what is wrong with files that were refused."""
    with core() as it:
        documents = [it.catalog.get(name) for name in it.catalog.names()]
        typer.echo(cli_text.runbooks(documents, it.catalog.problems()))


def show(name: Annotated[str, typer.Argument(help="Name of the runbook.")]) -> None:
    """Show one runbook: parameters, steps, who changed it last."""
    with core() as it:
        typer.echo(cli_text.runbook(it.catalog.get(name)))


def plan(
    name: Annotated[str, typer.Argument(help="Name of the runbook.")],
    values: Values = None,
) -> None:
    """Print exactly what a start would run; changes nothing."""
    with core() as it:
        typer.echo(outline(it.service.preview(start_request(it, name, parse_values(values), person=None))))


def status(session_id: Annotated[int | None, typer.Argument(help="Number of the session.", min=1)] = None) -> None:
    """Show one session with its steps and output, or the recent ones."""
    with core() as it:
        if session_id is None:
            typer.echo(cli_text.sessions(it.service.recent()))
            return
        view = it.service.view(session_id)
        outputs = {step.number: it.service.output(session_id, step.number) for step in view.session.steps}
        typer.echo(cli_text.session(view, outputs))


def why(session_id: SessionId) -> None:
    """Say in one sentence what a session waits for."""
    with core() as it:
        typer.echo(cli_text.why(it.service.view(session_id)))


def pending() -> None:
    """List the approvals that are waited for."""
    with core() as it:
        typer.echo(cli_text.pending(it.service.waiting()))


def history(
    ticket: Annotated[str, typer.Option(help="Only sessions of this ticket.")] = "",
    status: Annotated[SessionStatus | None, typer.Option(help="Only sessions in this state.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many sessions.", min=1, max=100)] = 20,
    before: Annotated[int | None, typer.Option(help="Only sessions older than this one.")] = None,
) -> None:
    """List sessions, newest first."""
    with core() as it:
        typer.echo(cli_text.sessions(it.service.recent(ticket=ticket, status=status, limit=limit, before=before)))
