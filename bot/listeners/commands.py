"""``/runbook``: what only reads the database answers in the acknowledgement, what needs the network answers later.

Nothing here may decide, query or build blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from slack_bolt import App

from bot import ids, parsing
from bot.listeners import launch
from bot.listeners.visit import Desk, Visit, listen
from bot.payloads import Command
from bot.requests import DOCTOR, PLAN
from bot.views import lists
from bot.views.parts import Rendered
from engine.preparation import StartRequest

RECENT = 20  #: sessions in one answer


def register(app: App, desk: Desk) -> None:
    app.command(ids.COMMAND)(listen(desk, command))


def command(desk: Desk, visit: Visit) -> None:
    """Read what was typed and hand it to its answer."""
    assert isinstance(visit.payload, Command)
    asked = parsing.parse(visit.payload.text)
    if not isinstance(asked, parsing.Help):
        desk.directory.require_member(visit.caller.person)
    ANSWERS[type(asked)](desk, visit, asked)


def _help(_desk: Desk, visit: Visit, _asked: parsing.Help) -> None:
    _show(visit, lists.help_text(parsing.USAGES))


def _list(desk: Desk, visit: Visit, _asked: parsing.ListRunbooks) -> None:
    documents = [desk.catalog.get(name) for name in desk.catalog.names()]
    _show(visit, lists.runbooks(documents, desk.catalog.problems()))


def _show_runbook(desk: Desk, visit: Visit, asked: parsing.Show) -> None:
    _show(visit, lists.runbook(desk.catalog.get(asked.runbook)))


def _plan(desk: Desk, visit: Visit, asked: parsing.PlanIt) -> None:
    desk.requests.ask(PLAN, request_of(visit, runbook=asked.runbook, vm=asked.vm, values=asked.values))
    visit.answer.text(f"Working out what `{asked.runbook}` would run. Nothing is run; the plan follows here.")


def _execute(desk: Desk, visit: Visit, asked: parsing.Execute) -> None:
    if not asked.runbook:
        launch.open_dialog(desk, visit)
        return
    request = request_of(visit, runbook=asked.runbook, vm=asked.vm, values=asked.values, ticket=asked.ticket)
    desk.requests.begin(request)
    visit.answer.text(f"Preparing a session of `{asked.runbook}`. It gets its own thread in this channel.")


def _status(desk: Desk, visit: Visit, asked: parsing.Status) -> None:
    if asked.session is None:
        _show(visit, lists.status(desk.service.recent(active=True, limit=RECENT)))
    else:
        _show(visit, lists.session(desk.service.view(asked.session), desk.clock.now()))


def _why(desk: Desk, visit: Visit, asked: parsing.Why) -> None:
    _show(visit, lists.why(desk.service.view(asked.session)))


def _pending(desk: Desk, visit: Visit, _asked: parsing.Pending) -> None:
    _show(visit, lists.pending(desk.service.waiting(limit=RECENT), desk.clock.now()))


def _history(desk: Desk, visit: Visit, asked: parsing.History) -> None:
    found = desk.service.recent(ticket=asked.ticket, limit=RECENT)
    _show(visit, lists.history(found, asked.ticket))


def _cancel(desk: Desk, visit: Visit, asked: parsing.Cancel) -> None:
    session = desk.service.cancel(asked.session, visit.caller.actor, asked.reason)
    visit.answer.text(f"Session {session.id}: cancelling was recorded. It is now {session.status.value}.")


def _pause(desk: Desk, visit: Visit, asked: parsing.Pause) -> None:
    session = desk.service.pause(asked.session, visit.caller.actor)
    visit.answer.text(f"Session {session.id} is paused: its next step will not start.")


def _resume(desk: Desk, visit: Visit, asked: parsing.Resume) -> None:
    session = desk.service.resume(asked.session, visit.caller.actor)
    visit.answer.text(f"Session {session.id} goes on.")


def _doctor(desk: Desk, visit: Visit, asked: parsing.Doctor) -> None:
    desk.requests.ask(DOCTOR, request_of(visit, runbook="", vm=asked.vm))
    visit.answer.text("Looking; the result follows here.")


ANSWERS: Mapping[type[parsing.Request], Callable[[Desk, Visit, Any], None]] = {
    parsing.Help: _help,
    parsing.ListRunbooks: _list,
    parsing.Show: _show_runbook,
    parsing.PlanIt: _plan,
    parsing.Execute: _execute,
    parsing.Status: _status,
    parsing.Why: _why,
    parsing.Pending: _pending,
    parsing.History: _history,
    parsing.Cancel: _cancel,
    parsing.Pause: _pause,
    parsing.Resume: _resume,
    parsing.Doctor: _doctor,
}


def request_of(visit: Visit, *, runbook: str, **asked: Any) -> StartRequest:
    """Return a request by this person from this place, under this delivery's key."""
    caller = visit.caller
    make = partial(StartRequest, key=caller.delivery, actor=caller.actor, place=caller.place)
    return make(runbook=runbook, response_url=caller.reply.response_url, **asked)


def _show(visit: Visit, rendered: Rendered) -> None:
    visit.answer.text(rendered.text, rendered.blocks)
