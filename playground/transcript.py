"""A thread as people read it in a terminal: who said what, with buttons and edits, in colours where they help."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from playground.slack.model import BOT_USER_ID, Message
from playground.slack.server import SlackWorkspace

STATE_COLOURS: Mapping[str, str] = {
    "Approve & Continue": "yellow",
    "rejected": "red",
    "failed": "red",
    "unknown": "magenta",
    "completed": "green",
    "succeeded": "green",
    "approved": "green",
}


class Transcript:
    """Prints each message once, and again when its content has changed."""

    @property
    def stopped(self) -> bool:
        """Whether somebody has asked for the story to end."""
        return False

    def __init__(self, slack: SlackWorkspace, console: Console) -> None:
        self._slack = slack
        self._console = console
        self._shown: dict[str, str] = {}

    def narrate(self, text: str) -> None:
        """Say what happens next."""
        self._console.print(Text(f"\n» {text}", style="bold cyan"))

    def typed(self, name: str, line: str) -> None:
        """Show what somebody typed or clicked."""
        self._console.print(Text.assemble((f"{name}: ", "bold"), line))

    def whisper(self, name: str, text: str) -> None:
        """Show what only one person sees."""
        self._console.print(Text(f"   only visible to {name}: {self._named(text)}", style="italic dim"))

    def compared(self, what: str, before: int, after: int, *, expected: int) -> None:
        """Show how often something has happened on a machine, before the story and after it."""
        told = f"{what}: {before} before, {after} after, {expected} more expected"
        self._console.print(Text(told, style="bold green" if after - before == expected else "bold red"))

    def catch_up(self, channel: str, ts: str) -> None:
        """Print what is new or changed in a thread."""
        for message in self._slack.channel(channel).thread(ts):
            told = self._told(message)
            if self._shown.get(message.ts) != told:
                edited = message.ts in self._shown
                self._shown[message.ts] = told
                self._console.print(self._panel(message, told, edited=edited))

    def _told(self, message: Message) -> str:
        files = "\n".join(f"[file] {file.name} ({file.length} bytes)" for file in message.files)
        return self._named("\n".join(part for part in (message.plain(), files) if part))

    def _named(self, text: str) -> str:
        """Show people by name, as a Slack window does."""
        for user in self._slack.world.users.values():
            text = text.replace(f"@{user.id}", f"@{user.name}")
        return text

    def _panel(self, message: Message, told: str, *, edited: bool) -> Panel:
        who = "Runbook Bot" if message.user == BOT_USER_ID else message.user
        title = f"{who}{' (edited)' if edited else ''}"
        colour = next((c for word, c in STATE_COLOURS.items() if word.lower() in told.lower()), "white")
        indent = 0 if not message.is_reply else 3
        return Panel(Text(told), title=title, title_align="left", border_style=colour, padding=(0, 1, 0, 1 + indent))
