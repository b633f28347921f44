"""Who is let in: members of the workspace, channels that the bot can post in, requests that are not mistaken.

A bearer token is proof of its own, so API and command line still work while Slack cannot be asked; a click is
worth nothing then.
"""

from __future__ import annotations

from engine.ballots import person_of
from engine.errors import Conflict, Refused, Unverifiable
from engine.model import Actor, Person, Session, Source
from engine.ports import Directory
from engine.preparation import StartRequest

PROVEN_BY_TOKEN = frozenset({Source.API, Source.CLI})


def require_member(directory: Directory, actor: Actor) -> Person:
    """Return the person if they are a full, active member now."""
    person = person_of(actor)
    try:
        directory.require_member(person)
    except Unverifiable:
        if actor.source not in PROVEN_BY_TOKEN:
            raise
    return person


def require_place(directory: Directory, request: StartRequest) -> None:
    """Refuse a channel that the bot cannot post in."""
    if request.place is None:
        return
    try:
        directory.require_postable(request.place)
    except Unverifiable:
        if request.actor.source not in PROVEN_BY_TOKEN:
            raise


def same_request(session: Session, request: StartRequest) -> Session:
    """A repeated request gets the session it has started; another request under its key is a mistake."""
    if (session.plan.runbook, session.ticket) != (request.runbook, request.ticket):
        raise Conflict(
            f"This request key has already started session {session.id}, for something else.",
            hint="Use a new key for a new request.",
        )
    return session


def same_answer(answer: str, session: Session) -> Session:
    """A delivery that comes again is told what the first one was told, a refusal too."""
    if answer:
        raise Refused.from_text(answer)
    return session
