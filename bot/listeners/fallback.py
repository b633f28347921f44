"""Whatever no other listener wants: acknowledged, and the person is told. Registered last.

Without it Slack would show a warning, or switch event deliveries off.
"""

from __future__ import annotations

import re

import structlog
from slack_bolt import Ack, App, BoltContext

from bot import ids, replies
from bot.listeners.visit import Desk, Visit, listen

log = structlog.get_logger(__name__)
ANY = re.compile("")


def register(app: App, desk: Desk) -> None:
    app.action(ids.ACTION_LINK)(listen(desk, link))
    for kind in (app.action, app.view_submission, app.shortcut, app.command):
        kind(ANY)(listen(desk, out_of_date))
    app.view_closed(ANY)(ignore)
    app.options(ANY)(ignore)
    app.event(ANY)(ignore)


def link(_desk: Desk, visit: Visit) -> None:
    """A button that opened a page reports its click all the same."""
    visit.answer.nothing()


def out_of_date(_desk: Desk, visit: Visit) -> None:
    log.info("nothing_listens", delivery=visit.caller.delivery)
    visit.answer.say(replies.OUT_OF_DATE)


def ignore(ack: Ack, context: BoltContext) -> None:
    """Nobody waits for an answer to these."""
    log.debug("delivery_ignored", team=context.team_id)
    ack()
