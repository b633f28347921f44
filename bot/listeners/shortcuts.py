"""The message shortcut: what the session of this thread waits for, and a way to call it off.

Slash commands cannot be typed in threads, so this is how a thread is asked.
"""

from __future__ import annotations

from slack_bolt import App

from bot import ids
from bot.listeners.decisions import number_in
from bot.listeners.dialogs import open_view
from bot.listeners.visit import Desk, Visit, listen
from bot.payloads import Submission
from bot.views import lists, reasons
from engine.errors import NotFound
from engine.model import FINAL_SESSIONS

LOOKED_AT = 200  #: newest sessions among which a thread is looked for


def register(app: App, desk: Desk) -> None:
    app.shortcut(ids.SHORTCUT_ACTIONS)(listen(desk, show_actions))
    app.view(ids.VIEW_CANCEL)(listen(desk, cancel))


def show_actions(desk: Desk, visit: Visit) -> None:
    """Say why the session stands where it stands; while it is not over, offer to cancel it."""
    desk.directory.require_member(visit.caller.person)
    view = desk.service.view(session_in_thread(desk, visit))
    told = lists.why(view)
    if view.session.status in FINAL_SESSIONS:
        visit.answer.say(f"Session {view.session.id}: {view.explanation.sentence}")
        return
    dialog = reasons.cancel(view.session.id, metadata=str(view.session.id))
    open_view(visit, {**dialog, "blocks": [*told.blocks, *dialog["blocks"]]})
    visit.answer.nothing()


def cancel(desk: Desk, visit: Visit) -> None:
    assert isinstance(visit.payload, Submission)
    view = visit.payload.view
    reason = view.inputs().get(ids.BLOCK_REASON, "")
    desk.service.cancel(number_in(view.private_metadata), visit.caller.actor, reason, delivery=visit.caller.delivery)
    visit.answer.recorded()


def session_in_thread(desk: Desk, visit: Visit) -> int:
    """Return the session that talks in the thread of the message."""
    place, thread_ts = visit.caller.place, visit.caller.reply.thread_ts
    for summary in desk.service.recent(limit=LOOKED_AT):
        if place and (summary.channel, summary.thread_ts) == (place.channel, thread_ts):
            return summary.id
    raise NotFound("No session talks in this thread.", hint="`/runbook status` shows where they are.")
