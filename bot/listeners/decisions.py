"""The buttons of a session: Approve & Continue, Done, Reject, a choice after a failure, Cancel.

A button's value is only looked up, never believed: the use case checks gate, message, person and plan.
"""

from __future__ import annotations

import re

from slack_bolt import App

from bot import ids
from bot.listeners.dialogs import open_view
from bot.listeners.visit import Desk, Visit, listen
from bot.payloads import Click, Submission
from bot.views import reasons
from engine.errors import Conflict
from engine.events import Choice, Chosen
from engine.model import Verdict
from engine.service import Ballot, Seen


def register(app: App, desk: Desk) -> None:
    app.action(ids.ACTION_APPROVE)(listen(desk, approve))
    app.action(ids.ACTION_DONE)(listen(desk, approve))
    app.action(ids.ACTION_REJECT)(listen(desk, ask_why_reject))
    app.action(re.compile(rf"^{ids.ACTION_CHOOSE}(:|$)"))(listen(desk, ask_why_choose))
    app.action(ids.ACTION_CANCEL)(listen(desk, cancel))
    app.view(ids.VIEW_REJECT)(listen(desk, reject))
    app.view(ids.VIEW_CHOOSE)(listen(desk, choose))


def approve(desk: Desk, visit: Visit) -> None:
    """Count the click; the message itself is redrawn from the database."""
    click = _click(visit)
    desk.service.decide(
        Ballot(
            actor=visit.caller.actor,
            verdict=Verdict.APPROVE,
            gate_id=click.action.choice,
            seen=_seen(click),
            delivery=visit.caller.delivery,
        )
    )
    visit.answer.recorded()


def ask_why_reject(_desk: Desk, visit: Visit) -> None:
    open_view(visit, reasons.reject(_click(visit).action.choice))
    visit.answer.nothing()


def reject(desk: Desk, visit: Visit) -> None:
    """A rejection is the safe direction: it counts wherever the dialog was opened."""
    view = _submission(visit).view
    desk.service.decide(
        Ballot(
            actor=visit.caller.actor,
            verdict=Verdict.REJECT,
            reason=view.inputs().get(ids.BLOCK_REASON, ""),
            gate_id=view.private_metadata,
            delivery=visit.caller.delivery,
        )
    )
    visit.answer.recorded()


def ask_why_choose(_desk: Desk, visit: Visit) -> None:
    value = _click(visit).action.choice
    open_view(visit, reasons.choose(*chosen(value), metadata=value))
    visit.answer.nothing()


def choose(desk: Desk, visit: Visit) -> None:
    view = _submission(visit).view
    session, step, choice = chosen(view.private_metadata)
    reason = view.inputs().get(ids.BLOCK_REASON, "")
    act = Chosen(step_number=step, choice=choice, actor=visit.caller.actor, reason=reason)
    desk.service.choose(session, act, delivery=visit.caller.delivery)
    visit.answer.recorded()


def cancel(desk: Desk, visit: Visit) -> None:
    desk.service.cancel(number_in(_click(visit).action.choice), visit.caller.actor, delivery=visit.caller.delivery)
    visit.answer.recorded()


def chosen(value: str) -> tuple[int, int, Choice]:
    """Read ``session|step|choice``."""
    parts = value.split("|")
    if len(parts) != 3 or parts[2] not in set(Choice):
        raise Conflict("This button is out of date.", hint="Use the newest message in the thread.")
    return number_in(parts[0]), number_in(parts[1]), Choice(parts[2])


def number_in(text: str) -> int:
    """Read the number of a session or step from what a button left behind."""
    if not re.fullmatch(r"[0-9]{1,15}", text, re.ASCII):
        raise Conflict("This button is out of date.", hint="Use the newest message in the thread.")
    return int(text)


def _click(visit: Visit) -> Click:
    assert isinstance(visit.payload, Click)
    return visit.payload


def _submission(visit: Visit) -> Submission:
    assert isinstance(visit.payload, Submission)
    return visit.payload


def _seen(click: Click) -> Seen | None:
    """Return the clicked message; App Home has none."""
    place = click.place
    return Seen(channel=place.channel, ts=click.container.message_ts) if place else None
