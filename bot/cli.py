"""The command `runbook`: the shell twin of `/runbook`, and what an operator needs besides.

Decisions go through the same use cases and the same policy as a click; RUNBOOK_TOKEN says who decides. This is
the only place that reads the settings.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from bot import cli_act, cli_look, cli_operate
from bot.logs import get_logger
from bot.views.text import visible
from engine.errors import Bug, ConnectorError, DeliveryError, Misconfigured, Refused, RunbookError

EXIT_CODES = {
    0: "done",
    1: "refused: the policy, the state or the input does not allow it",
    2: "the command was not understood",
    3: "a setting, a file or the database is not usable",
    4: "Azure or Slack did not do what was asked",
    5: "`doctor`, `lint` or `audit verify` found a problem",
    70: "a defect of Runbook Bot",
}

app = typer.Typer(
    name="runbook",
    help="Approval-gated runbooks for Azure VMs, driven from Slack.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
cli_look.register(app)
cli_act.register(app)
cli_operate.register(app)


def _show_version(value: bool) -> None:  # noqa: FBT001 - typer's callback
    if value:
        typer.echo(f"runbook-bot {_installed_version()}")
        raise typer.Exit


def _installed_version() -> str:
    try:
        return version("runbook-bot")
    except PackageNotFoundError:
        return "from a source tree, not installed"


@app.callback()
def options(
    _version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Approval-gated runbooks for Azure VMs, driven from Slack."""


@app.command()
def playground(
    port: Annotated[int, typer.Option(help="First port to use; 0 chooses free ones.", min=0, max=65000)] = 0,
    story: Annotated[str, typer.Option(help="Play this story and exit.")] = "",
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open a browser.")] = False,
) -> None:
    """Try the product without Slack and Azure: a local workspace and local VMs that run scripts."""
    try:
        from playground.launch import launch  # noqa: PLC0415 - its dependencies are not part of a production install
    except ModuleNotFoundError as error:
        raise Misconfigured(
            f"The playground needs the package {error.name}.", hint="Install `runbook-bot[playground]`."
        ) from error
    raise typer.Exit(launch(port=port, story=story, browser=not no_browser))


def exit_code(error: RunbookError) -> int:
    """Return the exit code for an error."""
    if isinstance(error, Refused):
        return 1
    if isinstance(error, (ConnectorError, DeliveryError)):
        return 4
    return 70 if isinstance(error, Bug) else 3


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; an error of ours becomes one line, a hint and an exit code."""
    try:
        app(arguments)
    except RunbookError as error:
        print(f"runbook: {visible(error.message)}", file=sys.stderr)
        if error.hint:
            print(f"  {visible(error.hint)}", file=sys.stderr)
        if isinstance(error, Bug):
            get_logger("cli").exception("bug")
        sys.exit(exit_code(error))
