"""The verbs of the command line for whoever runs the product: serve, migrate, check, look into the audit chain."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from bot import cli_text
from bot.bootstrap import build_application, copy_database, lint_files, migrate_database, verify_audit
from bot.cli_shared import core
from bot.diagram import session_diagram, step_diagram
from bot.doctor import examine
from bot.logs import configure
from bot.settings import Settings, load_settings
from bot.views.text import visible
from engine.ports import Level
from engine.runbook import json_schema

FOUND_PROBLEM = 5
HEALTH_SECONDS = 5.0
PAGE = 1000
EVERYWHERE = ("0.0.0.0", "::", "")  # noqa: S104 - addresses that mean all of this host's, not one to ask
audit = typer.Typer(help="Look into the audit chain.", no_args_is_help=True, rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    for verb in (serve, migrate, lint, schema, doctor, diagram):
        app.command(verb.__name__)(verb)
    app.add_typer(audit, name="audit")


def serve() -> None:
    """Run the product until it is told to stop."""
    settings = load_settings()
    configure(level=settings.log_level, secrets=settings.secrets())
    build_application(settings).run()


def migrate(
    copy_from: Annotated[
        str, typer.Option(help="Address of another database: copy all of it into this one, which must be empty.")
    ] = "",
) -> None:
    """Bring the database to this version's tables, or fill an empty one with the rows of another."""
    settings = load_settings()
    configure(level="WARNING", secrets=settings.secrets())
    if copy_from:
        typer.echo(f"{copy_database(settings, copy_from)} rows were copied.")
    typer.echo(f"The database is at revision {migrate_database(settings)}.")


def lint(paths: Annotated[list[Path], typer.Argument(help="Runbook files or folders.", exists=True)]) -> None:
    """Check runbook files; every problem with its line and how to mend it."""
    problems = lint_files(paths)
    for problem in problems:
        typer.echo(visible(problem))
    if problems:
        raise typer.Exit(FOUND_PROBLEM)
    typer.echo("No problems.")


def schema() -> None:
    """Print the JSON Schema of runbook files, for editors."""
    typer.echo(json.dumps(json_schema(), indent=2, sort_keys=True))


def doctor(
    vm: Annotated[str, typer.Option(help="Also check this VM.")] = "",
    session: Annotated[int | None, typer.Option(help="Also say where this session stands.", min=1)] = None,
    live: Annotated[bool, typer.Option("--live", help="Also run a harmless echo on the VM.")] = False,
    health: Annotated[bool, typer.Option("--health", help="Only ask the running process whether it is ready.")] = False,
) -> None:
    """Check what the product needs: credentials, rights, machines, decisions, commands."""
    if health:
        trouble = _health(load_settings())
        if trouble:
            typer.echo(visible(trouble), err=True)
            raise typer.Exit(FOUND_PROBLEM)
        return
    with core() as it:
        found = examine(it, vm=vm, session_id=session, live=live)
    typer.echo(cli_text.checks(found))
    if any(check.level is Level.BLOCK for check in found):
        raise typer.Exit(FOUND_PROBLEM)


def diagram() -> None:
    """Print the life cycle of sessions and steps as Mermaid diagrams."""
    typer.echo(session_diagram())
    typer.echo(step_diagram())


@audit.command()
def verify() -> None:
    """Check that no record of the audit chain was changed, removed or reordered."""
    with core() as it:
        count, problems = verify_audit(it)
    for problem in problems:
        typer.echo(problem)
    if problems:
        raise typer.Exit(FOUND_PROBLEM)
    typer.echo(f"The audit chain of {count} records is whole.")


@audit.command()
def export(session: Annotated[int | None, typer.Option(help="Only this session.", min=1)] = None) -> None:
    """Print audit records as JSON lines."""
    with core() as it:
        after = 0
        while True:
            with it.uow() as uow:
                records = uow.audit.records(session_id=session, after=after, limit=PAGE)
            for record in records:
                typer.echo(json.dumps(asdict(record), default=str, sort_keys=True))
            if len(records) < PAGE:
                return
            after = records[-1].seq


def _health(settings: Settings) -> str:
    """Ask the running process on this host; without an HTTP side, ask the database."""
    if settings.port is None:
        with core():
            return ""
    host = "127.0.0.1" if settings.http_host in EVERYWHERE else settings.http_host
    url = f"http://{host}:{settings.port}/readyz"
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # the process is on this host
    try:
        with direct.open(url, timeout=HEALTH_SECONDS):
            return ""
    except urllib.error.HTTPError as error:
        return str(error.read().decode("utf-8", "replace"))
    except OSError as error:
        return f"Nothing answers at {url}: {error}"
