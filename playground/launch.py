"""Starts the playground: servers, bot, page, and either one story or a prompt.

Whoever starts it without a terminal gets the page alone, until the process is asked to end.
"""

from __future__ import annotations

import signal
import sys
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import closing

from rich.console import Console

from playground.stage import Setting, Stage
from playground.stories import STORIES, play
from playground.terminal import Terminal
from playground.web import Page


def launch(*, port: int, story: str, browser: bool) -> int:
    """Play a story, or serve until the prompt is left; return the exit code."""
    console = Console(width=100 if not sys.stdout.isatty() else None)
    if story and story not in STORIES:
        console.print(f"There is no story {story!r}; there are: {', '.join(STORIES)}", markup=False)
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever asks it to end leaves nothing running
    page = Page()
    with console.status("Starting a Slack, an Azure and the bot on this machine ..."):
        stage = Stage(Setting(port=port), routes=page.routes())
    with stage:
        stage.start_bot()
        if story:
            return play(stage, story, console)
        with closing(page):
            return _serve(stage, console, page.open(stage), browser=browser)


def _serve(stage: Stage, console: Console, address: str, *, browser: bool) -> int:
    console.print("The playground runs: simulated Slack and Azure, the real bot.", style="bold")
    console.print(f"  page        {address}", markup=False, soft_wrap=True)
    console.print(f"  Slack API   {stage.slack.base_url}", markup=False)
    console.print(f"  Azure       {stage.cloud.url}", markup=False)
    console.print(f"  HTTP API    {stage.http_url}/api/v1/openapi.json (token: playground-token-of-bob)", markup=False)
    console.print(f"  database    {stage.database_url}", markup=False)
    if browser and sys.stdin.isatty():
        webbrowser.open(address)
    _prompt(Terminal(stage, console), console)
    return 0


def _prompt(terminal: Terminal, console: Console) -> None:
    """Read the prompt's lines; without a terminal and without lines, wait until asked to end."""
    told = False

    def lines() -> Iterator[str]:
        nonlocal told
        for line in _lines(terminal):
            told = True
            yield line

    try:
        terminal.run(lines())
        if not (told or sys.stdin.isatty()):
            threading.Event().wait()
    except KeyboardInterrupt:
        console.print("")


def _lines(terminal: Terminal) -> Iterator[str]:
    while True:
        try:
            yield input(terminal.prompt)
        except EOFError:
            return
