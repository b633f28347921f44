"""``/runbook``: what only reads the database answers in the acknowledgement, what needs the network answers later.

Nothing here may decide, query or build blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from slack_bolt import App

from bot import grammar, ids, parsing
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
    if not isinstance(asked, grammar.Help):
        desk.directory.require_member(visit.caller.person)
    ANSWERS[type(asked)](desk, visit, asked)


def _help(_desk: Desk, visit: Visit, _asked: grammar.Help) -> None:
    _show(visit, lists.help_text(grammar.USAGES))


def _list(desk: Desk, visit: Visit, _asked: grammar.ListRunbooks) -> None:
    documents = [desk.catalog.get(name) for name in desk.catalog.names()]
    _show(visit, lists.runbooks(documents, desk.catalog.problems()))


def _show_runbook(desk: Desk, visit: Visit, asked: grammar.Show) -> None:
    _show(visit, lists.runbook(desk.catalog.get(asked.runbook)))


def _plan(desk: Desk, visit: Visit, asked: grammar.PlanIt) -> None:
    desk.requests.ask(PLAN, request_of(visit, runbook=asked.runbook, vm=asked.vm, values=asked.values))
    visit.answer.text(f"Working out what `{asked.runbook}` would run. Nothing is run; the plan follows here.")


def _execute(desk: Desk, visit: Visit, asked: grammar.Execute) -> None:
    if not asked.runbook:
        launch.open_dialog(desk, visit)
        return
    request = request_of(visit, runbook=asked.runbook, vm=asked.vm, values=asked.values, ticket=asked.ticket)
    desk.requests.begin(request)
    visit.answer.text(f"Preparing a session of `{asked.runbook}`. It gets its own thread in this channel.")


def _status(desk: Desk, visit: Visit, asked: grammar.Status) -> None:
    if asked.session is None:
        _show(visit, lists.status(desk.service.recent(active=True, limit=RECENT)))
    else:
        _show(visit, lists.session(desk.service.view(asked.session), desk.clock.now()))


def _why(desk: Desk, visit: Visit, asked: grammar.Why) -> None:
    _show(visit, lists.why(desk.service.view(asked.session)))


def _pending(desk: Desk, visit: Visit, _asked: grammar.Pending) -> None:
    _show(visit, lists.pending(desk.service.waiting(limit=RECENT), desk.clock.now()))


def _history(desk: Desk, visit: Visit, asked: grammar.History) -> None:
    found = desk.service.recent(ticket=asked.ticket, limit=RECENT)
    _show(visit, lists.history(found, asked.ticket))


def _cancel(desk: Desk, visit: Visit, asked: grammar.Cancel) -> None:
    session = desk.service.cancel(asked.session, visit.caller.actor, asked.reason, delivery=visit.caller.delivery)
    visit.answer.text(f"Session {session.id}: cancelling was recorded. It is now {session.status.value}.")


def _pause(desk: Desk, visit: Visit, asked: grammar.Pause) -> None:
    session = desk.service.pause(asked.session, visit.caller.actor, delivery=visit.caller.delivery)
    visit.answer.text(f"Session {session.id} is paused: its next step will not start.")


def _resume(desk: Desk, visit: Visit, asked: grammar.Resume) -> None:
    session = desk.service.resume(asked.session, visit.caller.actor, delivery=visit.caller.delivery)
    visit.answer.text(f"Session {session.id} goes on.")


def _doctor(desk: Desk, visit: Visit, asked: grammar.Doctor) -> None:
    desk.requests.ask(DOCTOR, request_of(visit, runbook="", vm=asked.vm))
    visit.answer.text("Looking; the result follows here.")


ANSWERS: Mapping[type[grammar.Request], Callable[[Desk, Visit, Any], None]] = {
    grammar.Help: _help,
    grammar.ListRunbooks: _list,
    grammar.Show: _show_runbook,
    grammar.PlanIt: _plan,
    grammar.Execute: _execute,
    grammar.Status: _status,
    grammar.Why: _why,
    grammar.Pending: _pending,
    grammar.History: _history,
    grammar.Cancel: _cancel,
    grammar.Pause: _pause,
    grammar.Resume: _resume,
    grammar.Doctor: _doctor,
}


def request_of(visit: Visit, *, runbook: str, **asked: Any) -> StartRequest:
    """Return a request by this person from this place, under this delivery's key."""
    caller = visit.caller
    make = partial(StartRequest, key=caller.delivery, actor=caller.actor, place=caller.place)
    return make(runbook=runbook, response_url=caller.reply.response_url, **asked)


def _show(visit: Visit, rendered: Rendered) -> None:
    visit.answer.text(rendered.text, rendered.blocks)
