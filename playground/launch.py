"""Starts the playground: servers, bot, and either one story or a prompt."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from rich.console import Console

from playground.stage import Setting, Stage
from playground.stories import STORIES, play
from playground.terminal import Terminal


def launch(*, port: int, story: str, browser: bool) -> int:  # noqa: ARG001 - there is no page to open yet
    """Play a story, or serve until the prompt is left; return the exit code."""
    console = Console(width=100 if not sys.stdout.isatty() else None)
    if story and story not in STORIES:
        console.print(f"There is no story {story!r}; there are: {', '.join(STORIES)}", markup=False)
        return 2
    with console.status("Starting a Slack, an Azure and the bot on this machine ..."):
        stage = Stage(Setting(port=port))
    with stage:
        stage.start_bot()
        if story:
            return play(stage, story, console)
        return _prompt(stage, console)


def _prompt(stage: Stage, console: Console) -> int:
    console.print("The playground runs: simulated Slack and Azure, the real bot.", style="bold")
    console.print(f"  Slack API   {stage.slack.base_url}", markup=False)
    console.print(f"  Azure       {stage.cloud.url}", markup=False)
    console.print(f"  HTTP API    {stage.http_url}/api/v1/openapi.json (token: playground-token-of-bob)", markup=False)
    console.print(f"  database    {stage.database_url}", markup=False)
    terminal = Terminal(stage, console)
    try:
        terminal.run(_lines(terminal))
    except KeyboardInterrupt:
        console.print("")
    return 0


def _lines(terminal: Terminal) -> Iterator[str]:
    while True:
        try:
            yield input(terminal.prompt)
        except EOFError:
            return
