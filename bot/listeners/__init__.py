"""What Slack asks for: each listener reads, calls one use case, which commits, and then acknowledges.

Nothing in this package may decide, query the database or build blocks.
"""

from __future__ import annotations

from slack_bolt import App

from bot.listeners import commands, decisions, fallback, home, launch, lifecycle, shortcuts
from bot.listeners.visit import Desk, Entrance


def register(app: App, desk: Desk) -> None:
    """Register the entrance and every listener; the fallbacks come last, because the first that fits answers."""
    app.middleware(Entrance(desk).admit)
    for module in (commands, decisions, launch, shortcuts, home, lifecycle, fallback):
        module.register(app, desk)
