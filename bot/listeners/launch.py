"""The dialog that starts a session: opened as a skeleton within Slack's three seconds, filled afterwards.

A wrong value is refused while the dialog is still open; whether the machine is ready is looked at by a worker.
Nothing here may start anything: a request is stored, and carried out after the acknowledgement.
"""

from __future__ import annotations

import json

from slack_bolt import App

from bot import ids
from bot.listeners.dialogs import open_view, update_view
from bot.listeners.visit import Desk, Visit, listen
from bot.payloads import Click, Submission
from bot.views import launch as views
from engine.model import Place
from engine.preparation import StartRequest
from engine.runbook import Runbook


def register(app: App, desk: Desk) -> None:
    app.shortcut(ids.SHORTCUT_RUN)(listen(desk, open_dialog))
    app.action(ids.ACTION_LAUNCH)(listen(desk, open_dialog))
    app.action(ids.ACTION_LAUNCH_RUNBOOK)(listen(desk, choose_runbook))
    app.view(ids.VIEW_LAUNCH)(listen(desk, start))


def open_dialog(desk: Desk, visit: Visit) -> None:
    """Open the dialog at once, acknowledge, then offer the runbooks."""
    metadata = _remember(visit)
    view_id, view_hash = open_view(visit, views.loading(metadata=metadata))
    visit.answer.nothing()
    desk.directory.require_member(visit.caller.person)
    update_view(visit, views.launch(_offer(desk, metadata)), view_id=view_id, view_hash=view_hash)


def choose_runbook(desk: Desk, visit: Visit) -> None:
    """Redraw the open dialog with what the chosen runbook needs."""
    assert isinstance(visit.payload, Click)
    visit.answer.nothing()
    view = visit.payload.view
    if view is None:
        return
    desk.directory.require_member(visit.caller.person)
    runbook = desk.catalog.get(visit.payload.action.choice).runbook
    offer = _offer(desk, view.private_metadata, runbook, machines=True)
    update_view(visit, views.launch(offer), view_id=view.id, view_hash=view.hash)


def start(desk: Desk, visit: Visit) -> None:
    """Check the values and store the request; the dialog closes when it is stored."""
    assert isinstance(visit.payload, Submission)
    view = visit.payload.view
    inputs = view.inputs()
    runbook = desk.catalog.get(inputs.get(ids.BLOCK_RUNBOOK, "")).runbook
    if ids.BLOCK_VM not in view.blocks:
        visit.answer.view(views.launch(_offer(desk, view.private_metadata, runbook)))
        return
    desk.requests.begin(_request(visit, runbook.name, inputs))
    visit.answer.recorded()


def _request(visit: Visit, runbook: str, inputs: dict[str, str]) -> StartRequest:
    assert isinstance(visit.payload, Submission)
    channel = _remembered(visit.payload.view.private_metadata) or inputs.get(ids.BLOCK_CHANNEL, "")
    return StartRequest(
        key=visit.caller.delivery,
        runbook=runbook,
        actor=visit.caller.actor,
        values=views.parameter_values(inputs),
        vm=inputs.get(ids.BLOCK_VM, ""),
        ticket=inputs.get(ids.BLOCK_TICKET, ""),
        place=Place(team=visit.caller.person.team, channel=channel) if channel else None,
    )


def _offer(desk: Desk, metadata: str, runbook: Runbook | None = None, *, machines: bool = False) -> views.Offer:
    documents = (desk.catalog.get(name).runbook for name in desk.catalog.names())
    return views.Offer(
        runbooks=[(known.name, known.title) for known in documents],
        runbook=runbook,
        machines=desk.requests.machines() if machines else (),
        ask_channel=not _remembered(metadata),
        metadata=metadata,
    )


def _remember(visit: Visit) -> str:
    """Keep the channel where the dialog was opened, unless it is a direct conversation that no approver sees."""
    place = visit.caller.place
    return json.dumps({"channel": place.channel}) if place and not place.channel.startswith("D") else ""


def _remembered(metadata: str) -> str:
    return str(json.loads(metadata)["channel"]) if metadata else ""
