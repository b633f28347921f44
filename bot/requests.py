"""Requests that were acknowledged and are carried out afterwards, and sentences for the person who asked.

``carry_out`` is the worker's task "start": it reads an inbox row, does what it says and has the answer told
through the outbox, so that neither survives less than a restart. Nothing here may acknowledge or format blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from bot import replies
from bot.doctor import examine
from bot.payloads import Caller
from bot.views.lists import checks_text, plan_text
from engine.errors import Bug, ConnectorError, DeliveryError, Refused
from engine.model import Actor, Person, Place, Source, Target
from engine.parameters import check_values
from engine.ports import Catalog, Check, Clock, Connector, Directory, InboxItem, Reply, UnitOfWorkFactory
from engine.preparation import StartRequest
from engine.service import Service

log = structlog.get_logger(__name__)

TASK = "start"  #: the name under which the work queue calls ``carry_out``
PLAN = "plan"
DOCTOR = "doctor"


@dataclass(frozen=True, kw_only=True)
class RequestParts:
    """What requests are carried out with."""

    service: Service
    catalog: Catalog
    uow: UnitOfWorkFactory
    clock: Clock
    directory: Directory
    connectors: Mapping[str, Connector]
    slack_check: Callable[[], Check]


class Requests:
    """The inbox seen from the bot: put in, carry out, answer."""

    def __init__(self, parts: RequestParts) -> None:
        self._parts = parts
        self._handlers: Mapping[str, Callable[[InboxItem], str]] = {
            "start": self._start,
            PLAN: self._plan,
            DOCTOR: self._doctor,
        }

    # ------------------------------------------------------------ put in

    def begin(self, request: StartRequest) -> bool:
        """Refuse a wrong name or value at once, and store the rest to be started by a worker."""
        document = self._parts.catalog.get(request.runbook)
        check_values(document.runbook, request.values)
        return self._parts.service.accept(request, delivery=request.key)

    def machines(self) -> tuple[tuple[Target, str], ...]:
        """Return the machines within reach with their power state; a connector that does not answer has none."""
        found: list[tuple[Target, str]] = []
        for connector in self._parts.connectors.values():
            try:
                found += connector.inventory()
            except ConnectorError as error:
                log.info("inventory_missing", connector=connector.describe().name, code=error.code)
        return tuple(found)

    def ask(self, kind: str, request: StartRequest) -> bool:
        """Store a question that needs the network; False when this delivery was seen before."""
        with self._parts.uow() as uow:
            payload = request.to_payload()
            fresh = uow.inbox.accept(request.key, kind, payload, at=self._parts.clock.now(), done=False)
            if fresh:
                uow.defer(TASK, request.key)
                uow.commit()
            return fresh

    def tell(self, caller: Caller, text: str) -> None:
        """Have a text in Slack's markup shown to the person who did something; once per delivery."""
        with self._parts.uow() as uow:
            place = caller.place or direct_place(caller.person)
            uow.outbox.tell(place, caller.person, text, key=caller.delivery, reply=caller.reply)
            uow.commit()

    def turn_away(self, actor: str, refusal: Refused, *, delivery: str = "") -> None:
        """Keep an attempt from outside our workspace as evidence."""
        with self._parts.uow() as uow:
            uow.audit.append(
                "request_refused",
                at=self._parts.clock.now(),
                actor=actor,
                source=Source.SLACK.value,
                data={"code": refusal.code, "delivery": delivery},
            )
            uow.commit()

    def publish_home(self, person: Person) -> None:
        """Want a person's App Home redrawn from the database."""
        with self._parts.uow() as uow:
            uow.outbox.publish_home(person, force=True)
            uow.commit()

    # ------------------------------------------------------------ carry out

    def carry_out(self, key: str) -> None:
        """Do what an inbox row asks for. Idempotent; an unexpected error leaves the row for the next sweep."""
        with self._parts.uow() as uow:
            item = uow.inbox.get(key)
        if item is None:
            return
        handler = self._handlers.get(item.kind)
        if handler is None:
            raise Bug(f"Nobody carries out inbox rows of the kind {item.kind!r}.")
        self._finish(item, *_outcome(handler, item))

    def _finish(self, item: InboxItem, text: str, note: str) -> None:
        """Tell the requester, if there is something to tell, and close the row: one transaction."""
        request = StartRequest.from_payload(item.payload)
        with self._parts.uow() as uow:
            if text and request.actor.person:
                place = request.place or direct_place(request.actor.person)
                reply = Reply(response_url=request.response_url)
                key = f"{item.key}/outcome"  # the acknowledgement may have been told late, under the delivery's own key
                uow.outbox.tell(place, request.actor.person, text, key=key, reply=reply)
            uow.inbox.done(item.key, at=self._parts.clock.now(), answer=note)
            uow.commit()

    def _start(self, item: InboxItem) -> str:
        """The session's own thread is the answer."""
        self._parts.service.start(StartRequest.from_payload(item.payload))
        return ""

    def _plan(self, item: InboxItem) -> str:
        request = StartRequest.from_payload(item.payload)
        self._require_member(request.actor)
        return plan_text(self._parts.service.preview(request))

    def _doctor(self, item: InboxItem) -> str:
        request = StartRequest.from_payload(item.payload)
        self._require_member(request.actor)
        return checks_text(examine(self._parts, vm=request.vm))

    def _require_member(self, actor: Actor) -> None:
        assert actor.person is not None
        self._parts.directory.require_member(actor.person)


def direct_place(person: Person) -> Place:
    """Where to write to somebody who is in no channel: the person's own id stands for the direct conversation."""
    return Place(team=person.team, channel=person.user)


def _outcome(handler: Callable[[InboxItem], str], item: InboxItem) -> tuple[str, str]:
    """Return what to tell and what to note; a refusal is an answer like any other."""
    try:
        return handler(item), "done"
    except (Refused, ConnectorError, DeliveryError) as refusal:
        return replies.markup(str(refusal)), f"{refusal.code}: {refusal}"
