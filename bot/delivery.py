"""The outbox worker: takes due messages, shows them in Slack, and notes what is known of each.

The row is the truth: it is taken in one transaction, sent outside any, and reported in another. A process that
dies in between leaves a row that may have been posted, which the next one looks up before it sends it again.
Nothing here may decide what a message says, and one bad message may never hold up another thread.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from threading import Condition, Event
from typing import Protocol, TypeVar

import structlog

from bot.delivery_pace import Pace
from bot.delivery_render import Parcel, Renderer
from bot.delivery_sender import PLACES, Locked, NotSent, Throttled, Undeliverable, Unsure
from bot.views import notices, parts
from bot.views.text import is_slack_user
from engine.effects import Purpose
from engine.errors import StorageUnavailable
from engine.model import Person, Place
from engine.ports import Clock, Message, Reply, UnitOfWork, UnitOfWorkFactory

log = structlog.get_logger(__name__)

T = TypeVar("T")
LOCKED_SECONDS = 60  #: between two tries while Slack does not accept our token
UNSURE_SECONDS = 2  #: a post that was cut off may still arrive
FILE_TRIES = 5
NOT_SEEN = "file_not_seen_"  #: and how often it was looked for
NEVER_SENT = "file_never_sent"
FILE_LOOKS = (5, 15, 40)  #: seconds between looks for a file that may have arrived: Slack shares files when it likes
DATABASE_WAITS = (0.2, 0.5, 1, 1, 2, 2, 5, 5, 10, 20)  #: seconds between two visits while it is away
PLAIN_NOTE = " (Shown without its layout, which Slack refused. Decisions: the bot's Home tab, or `/runbook pending`.)"

PLACE_SENTENCES = {
    "is_archived": "the channel is archived.",
    "not_in_channel": "the bot is not in the channel; `/invite @Runbook Bot` there.",
    "channel_not_found": "the channel does not exist any more, or is private without the bot.",
}


class Sender(Protocol):
    """One try at Slack; see ``bot.delivery_sender``."""

    def send(self, parcel: Parcel, *, repeat: bool = False) -> str: ...

    def find(self, parcel: Parcel) -> tuple[str, int] | None: ...


@dataclass(frozen=True, kw_only=True)
class DeliverySettings:
    threads: int = 6  #: messages under way at once
    batch: int = 50  #: messages looked at in one turn
    poll_seconds: float = 1.0  #: longest time without looking at the rows


@dataclass(frozen=True, kw_only=True)
class Sent:
    """Slack shows the message; ``revision`` is what it shows when that is not the claimed one."""

    ts: str = ""
    revision: int | None = None


@dataclass(frozen=True, kw_only=True)
class Later:
    """Try again; ``unknown`` when it may have been posted."""

    until: datetime
    error: str
    unknown: bool = False


@dataclass(frozen=True, kw_only=True)
class Dead:
    """It can never be delivered."""

    error: str


Outcome = Sent | Later | Dead


class Deliverer:
    """Empties the outbox for as long as it runs; any number may run on the same database."""

    def __init__(
        self,
        uow: UnitOfWorkFactory,
        clock: Clock,
        *,
        sender: Sender,
        renderer: Renderer,
        settings: DeliverySettings | None = None,
    ) -> None:
        self._uow = uow
        self._clock = clock
        self._sender = sender
        self._renderer = renderer
        self._settings = settings or DeliverySettings()
        self._pace = Pace()
        self._wake = Event()
        self._closing = Event()
        self._dues: list[datetime] = []  #: a heap: when rows that were put off are due
        self._under_way = 0
        self._idle = Condition()
        self._pool = ThreadPoolExecutor(self._settings.threads, thread_name_prefix="outbox")

    def run(self, stop: Event) -> None:
        """Deliver until ``stop`` is set (then ``wake``); what is under way is finished first."""
        while not stop.is_set():
            self._wake.clear()
            if not self._guarded(self.turn):
                self._wake.wait(self._pause())
        self.close()

    def wake(self) -> None:
        """Look at the rows now: something was wanted, or the time has come."""
        self._wake.set()

    def turn(self) -> int:
        """Take what is due and start sending it; returns how many were started."""
        free = self._settings.threads - self._under_way
        if free <= 0:
            return 0
        with self._uow() as uow:
            now = self._clock.now()
            claimed = uow.outbox.claim(now=now, limit=self._settings.batch)
            if not claimed:
                return 0  # no commit: a commit wakes this very loop
            turns = self._pace.turns(claimed, now, most=free)
            for message, until in turns.wait:
                unknown = message.state == "unknown"
                uow.outbox.postpone(message, until=until, error=message.error, unknown=unknown)
                self._remember(until)
            uow.commit()
        for message in turns.go:
            self._start(message)
        return len(turns.go)

    def settle(self, timeout: float = 30.0) -> bool:
        """Wait until nothing is under way."""
        with self._idle:
            return self._idle.wait_for(lambda: self._under_way == 0, timeout)

    def close(self) -> None:
        """Finish what is under way and end the threads."""
        self._closing.set()
        self._pool.shutdown(wait=True)

    def _remember(self, due: datetime) -> None:
        with self._idle:
            heapq.heappush(self._dues, due)

    def _pause(self) -> float:
        """Return for how many seconds there is nothing to do, unless somebody wakes us."""
        now = self._clock.now()
        with self._idle:
            while self._dues and self._dues[0] <= now:
                heapq.heappop(self._dues)
            left = (self._dues[0] - now).total_seconds() if self._dues else self._settings.poll_seconds
        return min(left, self._settings.poll_seconds)

    # ------------------------------------------------------------ one message

    def _start(self, message: Message) -> None:
        with self._idle:
            self._under_way += 1
        self._pool.submit(self._guarded, lambda: self._carry(message)).add_done_callback(self._finished)

    def _finished(self, _: Future[int]) -> None:
        with self._idle:
            self._under_way -= 1
            self._idle.notify_all()
        self._wake.set()

    def _guarded(self, work: Callable[[], int]) -> int:
        """Run one piece of work; whatever goes wrong in it must not end the loop. The row tells the rest."""
        try:
            return work()
        except StorageUnavailable as trouble:
            log.warning("delivery_without_database", reason=trouble.message)
            return 0
        except Exception:  # the outermost loop of delivery
            log.exception("delivery_broke")
            return 0

    def _carry(self, message: Message) -> int:
        outcome = self._patiently(message, lambda: self._deliver(message))
        if outcome is None:
            log.warning("claim_lost", key=message.key)
            return 0
        return self._patiently(message, lambda: self._record(message, outcome))

    def _patiently(self, message: Message, visit: Callable[[], T]) -> T:
        """Visit the database again while it is away: before sending nothing is lost, and after it is not forgotten."""
        for wait in DATABASE_WAITS:
            try:
                return visit()
            except StorageUnavailable as trouble:
                log.warning("outbox_waits_for_database", key=message.key, reason=trouble.message)
                self._closing.wait(wait)
        return visit()

    def _record(self, message: Message, outcome: Outcome) -> int:
        with self._uow() as uow:
            self._report(uow, message, outcome)
            uow.commit()
        return 1

    def _deliver(self, message: Message) -> Outcome | None:
        with self._uow() as uow:
            parcel = self._renderer.render(uow, message)
            held = uow.outbox.holds(message)
        if not held:  # this process was held up for so long that it was thought dead: somebody else sends it
            return None
        if parcel is None:
            return Sent(ts=message.ts)
        looked = message.state != "unknown"
        try:
            found, repeat = self._found(parcel)
            looked = not repeat  # nobody could look, so the doubt outlives this try
            if parcel.file and self._pace.failures(message) >= FILE_TRIES:
                parcel = _plain(parcel) or parcel  # a thread must not wait for a file
            outcome = found or Sent(ts=self._send(parcel, repeat=repeat))
        except (Throttled, Locked, NotSent, Unsure) as error:
            return self._later(message, error, looked=looked)
        except Undeliverable as error:
            self._pace.forget(message)
            return Dead(error=error.reason)
        self._pace.succeeded(message)
        return outcome

    def _found(self, parcel: Parcel) -> tuple[Sent | Later | None, bool]:
        """Look up a post that may have arrived. Returns it, and whether a repetition is possible."""
        message = parcel.message
        if message.state != "unknown" or message.ts or message.session_id is None:
            return None, False
        try:
            found = self._sender.find(parcel)
        except Undeliverable as error:
            log.warning("outbox_cannot_look_up", key=message.key, reason=error.reason)
            return None, True
        if found is None:
            return self._another_look(message) if parcel.file else None, False
        log.info("outbox_adopted", key=message.key, ts=found[0])
        return Sent(ts=found[0], revision=min(found[1], message.revision)), False

    def _another_look(self, message: Message) -> Later:
        """A file may be shared long after it was taken: look several times before it counts as never sent.

        That it counts so is noted before it is sent again: a new doubt must begin to count its own looks.
        """
        looks = int(message.error.removeprefix(NOT_SEEN)) if message.error.startswith(NOT_SEEN) else 0
        if looks >= len(FILE_LOOKS):
            return Later(until=self._clock.now(), error=NEVER_SENT)
        until = self._clock.now() + timedelta(seconds=FILE_LOOKS[looks])
        return Later(until=until, error=f"{NOT_SEEN}{looks + 1}", unknown=True)

    def _send(self, parcel: Parcel, *, repeat: bool) -> str:
        """Send; if Slack refuses the layout, send the words alone, once."""
        try:
            return self._sender.send(parcel, repeat=repeat)
        except Undeliverable as error:
            plain = _plain(parcel)
            if plain is None or error.reason in PLACES:
                raise
            log.warning("outbox_layout_refused", key=parcel.message.key, reason=error.reason)
            return self._sender.send(plain, repeat=repeat)

    def _later(self, message: Message, error: Throttled | Locked | NotSent | Unsure, *, looked: bool) -> Outcome:
        now = self._clock.now()
        unknown = not looked
        if isinstance(error, Throttled):
            until = self._pace.throttled(message, now, error.seconds)
        elif isinstance(error, Locked):
            log.error("slack_refuses_token", reason=error.message, cure=error.hint)
            until = self._pace.throttled(message, now, LOCKED_SECONDS)
        else:
            until = self._pace.failed(message, now)
            if isinstance(error, Unsure):
                unknown = True
                until = max(until, now + timedelta(seconds=UNSURE_SECONDS))
        return Later(until=until, error=error.code, unknown=unknown)

    # ------------------------------------------------------------ report

    def _report(self, uow: UnitOfWork, message: Message, outcome: Outcome) -> None:
        match outcome:
            case Sent():
                shown = message if outcome.revision is None else replace(message, revision=outcome.revision)
                uow.outbox.sent(shown, ts=outcome.ts, now=self._clock.now())
            case Later():
                log.info("outbox_postponed", key=message.key, reason=outcome.error, until=outcome.until.isoformat())
                uow.outbox.postpone(message, until=outcome.until, error=outcome.error, unknown=outcome.unknown)
                self._remember(outcome.until)
            case Dead():
                log.error("outbox_gave_up", key=message.key, reason=outcome.error)
                uow.outbox.give_up(message, error=outcome.error)
                _inform(uow, message, outcome.error)


def _plain(parcel: Parcel) -> Parcel | None:
    """Return the same message as words alone, or None if it has no layout to lose."""
    if parcel.instead is not None:
        return replace(parcel, file=None, rendered=parcel.instead, instead=None)
    rendered = parcel.rendered
    if rendered is None or not rendered.blocks:
        return None
    return replace(parcel, rendered=parts.Rendered(text=rendered.text + PLAIN_NOTE))


def _inform(uow: UnitOfWork, message: Message, error: str) -> None:
    """Tell the person concerned, directly: the place where they would look cannot be written to."""
    if message.purpose is Purpose.EPHEMERAL:
        if message.channel != message.user:
            person = Person(team=message.team, user=message.user)
            key = f"{message.key.removeprefix('tell/')}/direct"
            _tell(uow, person, message.payload.get("text", ""), key=key)
        return
    session = uow.sessions.get(message.session_id) if message.session_id is not None else None
    requester = session.requester.person if session else None
    if session and requester and is_slack_user(requester):
        why = PLACE_SENTENCES.get(error, f"Slack answered {error}.")
        _tell(uow, requester, notices.undeliverable(session, why), key=f"undeliverable/{session.id}/{error}")


def _tell(uow: UnitOfWork, person: Person, text: str, *, key: str) -> None:
    uow.outbox.tell(Place(team=person.team, channel=person.user), person, text, key=key, reply=Reply())
