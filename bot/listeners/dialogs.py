"""Opening and filling Slack's dialogs: the only network calls that a listener makes.

A dialog must be opened within three seconds of the click, so there is no second try. Nothing here may change state.
"""

from __future__ import annotations

from http.client import HTTPException
from typing import Any

from slack_sdk.errors import SlackClientError

from bot.listeners.visit import Visit
from engine.errors import DeliveryError

_TROUBLE = (SlackClientError, HTTPException, OSError)


def open_view(visit: Visit, view: dict[str, Any]) -> tuple[str, str]:
    """Open a dialog for the person and return its id and hash."""
    try:
        answer = visit.client.views_open(trigger_id=visit.caller.trigger, view=view)
    except _TROUBLE as error:
        raise DeliveryError("Slack did not open the dialog.", hint="Nothing was changed: try again.") from error
    opened = answer["view"]
    return str(opened["id"]), str(opened["hash"])


def update_view(visit: Visit, view: dict[str, Any], *, view_id: str, view_hash: str) -> None:
    """Fill an open dialog, unless it has changed or was closed meanwhile."""
    try:
        visit.client.views_update(view_id=view_id, hash=view_hash, view=view)
    except _TROUBLE as error:
        raise DeliveryError("Slack did not fill the dialog.", hint="Close it and try again.") from error
