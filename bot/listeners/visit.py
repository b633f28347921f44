"""How a request from Slack comes in, is checked, is handed to its listener, and gets exactly one answer.

Order: Bolt verifies the signature, the entrance reads the payload and turns away other workspaces, the listener
calls one use case (which commits), then acknowledges. Errors end here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
from slack_bolt import BoltContext, BoltResponse
from slack_sdk import WebClient

from bot import payloads, replies
from bot.listeners.answer import Answer, Watchdog, not_acknowledged
from bot.listeners.throttle import Throttle
from bot.listeners.whisper import whisper_to
from bot.payloads import Caller, Command, Identity, Payload
from bot.requests import Requests
from engine.errors import Bug, InvalidInput, Misconfigured, NotAllowed, Refused, RunbookError, StorageUnavailable
from engine.ports import Catalog, Clock, Directory, Ids
from engine.service import Service

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Desk:
    """What listeners work with; put together by the composition root."""

    service: Service
    requests: Requests
    catalog: Catalog
    directory: Directory
    clock: Clock
    ids: Ids
    identity: Identity
    watchdog: Watchdog
    on_uninstalled: Callable[[str], None]  #: told that Slack took our token away, and why; makes readiness fail
    acknowledged: Callable[[str, float], None] = lambda _kind, _seconds: None  #: told how long an answer took
    refused: Callable[[str], None] = lambda _code: None  #: told the error code of each refusal


@dataclass(frozen=True, kw_only=True)
class Visit:
    """One request: what was said, by whom, and the answer that is owed."""

    payload: Payload
    caller: Caller
    answer: Answer
    client: WebClient


Listener = Callable[[Desk, Visit], None]


class Entrance:
    """Bolt middleware: reads, checks, and starts the clock."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._throttle = Throttle(desk.clock)

    def admit(self, body: dict[str, Any], context: BoltContext, next_: Callable[[], Any]) -> Any:
        """Let a request through to its listener. ``next_`` is Bolt's name for the rest of the chain."""
        try:
            payload = payloads.read(body)
        except InvalidInput as refusal:
            return self._unreadable(refusal, body, context)
        if payload is None:
            return next_()
        visit = self._visit(payload, context)
        context["visit"] = visit
        self._desk.watchdog.watch(visit.answer)
        if self._may_enter(visit):
            return next_()
        return context.ack.response or not_acknowledged()

    def _visit(self, payload: Payload, context: BoltContext) -> Visit:
        caller = payloads.caller_of(payload)
        whisper = partial(whisper_to, context.client, caller.reply.response_url)
        answer = Answer(context.ack, payload, partial(self._desk.requests.tell, caller), whisper)
        answer.on_given = partial(self._desk.acknowledged, type(payload).__name__.lower())
        return Visit(payload=payload, caller=caller, answer=answer, client=context.client)

    def _may_enter(self, visit: Visit) -> bool:
        try:
            payloads.check(visit.payload, self._desk.identity)
        except NotAllowed as refusal:
            self._desk.requests.turn_away(str(visit.caller.actor), refusal, delivery=visit.caller.delivery)
            visit.answer.say(str(refusal))
            return False
        if self._throttle.allows(visit.caller.person):
            return True
        log.warning("person_throttled", actor=str(visit.caller.actor))
        if isinstance(visit.payload, Command):
            visit.answer.text(replies.TOO_FAST)
        return False

    def _unreadable(self, refusal: InvalidInput, body: dict[str, Any], context: BoltContext) -> BoltResponse:
        """Something of what makes an identity is missing: nobody to answer but whoever typed a command."""
        log.warning("payload_refused", reason=str(refusal))
        self._desk.requests.turn_away("unknown", refusal)
        return context.ack(text=replies.markup(str(refusal))) if "command" in body else not_acknowledged()


def listen(desk: Desk, listener: Listener) -> Callable[[Visit], None]:
    """Return the function that Bolt calls for a listener."""

    def run(visit: Visit) -> None:
        attend(desk, listener, visit)

    return run


def attend(desk: Desk, listener: Listener, visit: Visit) -> None:
    """Run a listener; whatever goes wrong becomes one sentence for the person.

    If even that cannot be told, the error goes to Bolt before any acknowledgement: Slack shows its warning.
    """
    try:
        listener(desk, visit)
    except Refused as error:
        desk.refused(error.code)
        log.info("request_refused", code=error.code, actor=str(visit.caller.actor), reason=str(error))
        visit.answer.say(str(error))
    except Exception as error:  # noqa: BLE001 - the outermost loop of a request: it ends in a sentence or in no acknowledgement
        visit.answer.say(_explained(desk, visit, error), storable=not isinstance(error, StorageUnavailable))


def _explained(desk: Desk, visit: Visit, error: Exception) -> str:
    """Return what to tell: our own errors speak for themselves, anything else gets a reference into the log."""
    if isinstance(error, RunbookError) and not isinstance(error, Bug | Misconfigured):
        log.warning("request_failed", code=error.code, actor=str(visit.caller.actor), reason=str(error))
        return str(error)
    reference = desk.ids.token()[:8]
    log.error("request_broke", reference=reference, actor=str(visit.caller.actor), exc_info=error)
    return replies.broke(reference)
