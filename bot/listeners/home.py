"""App Home: opening it wants it redrawn; its buttons are the same as those in a thread."""

from __future__ import annotations

from slack_bolt import App

from bot.listeners.visit import Desk, Visit, listen
from bot.payloads import Event


def register(app: App, desk: Desk) -> None:
    app.event("app_home_opened")(listen(desk, opened))


def opened(desk: Desk, visit: Visit) -> None:
    """Want the Home tab redrawn from the database, for members only."""
    assert isinstance(visit.payload, Event)
    if visit.payload.event.tab == "home":
        desk.directory.require_member(visit.caller.person)
        desk.requests.publish_home(visit.caller.person)
