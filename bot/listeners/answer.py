"""Slack's three seconds: one answer per request, given by the listener or, when the time is up, by the clock.

Why a clock and not only bounded database timeouts: a lock or a statement can be bounded, a disk or a network that
has stopped cannot, and two bounded waits in a row are longer than one. So storage keeps its waits short, and one
thread watches all open answers. Whoever comes first answers; a listener that comes later tells through the outbox.
A click is answered past the database: Slack's address for the answer works while nothing can be stored.
Nothing here may say "recorded" before the commit, or be raised after an acknowledgement: Bolt would lose it.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog
from slack_bolt import Ack, BoltResponse

from bot import replies
from bot.payloads import Click, Command, Event, Payload, Submission
from engine.errors import StorageUnavailable

log = structlog.get_logger(__name__)

BUDGET_SECONDS = 2.2  #: from reception to the answer "not confirmed yet"; Slack gives up at 3

WHISPERERS = 8  #: threads that say "not confirmed yet" to many people at once

Tell = Callable[[str], None]  #: has a text in Slack's markup shown to the person who is waiting
Whisper = Callable[[str], bool]  #: shows it at once, past the database; says whether Slack took it


def cannot_whisper(_text: str) -> bool:
    """The request brought no address for the answer."""
    return False


class Answer:
    """The one acknowledgement of a request. Texts are ephemeral: only the person who asked sees them."""

    def __init__(self, ack: Ack, payload: Payload, tell: Tell, whisper: Whisper = cannot_whisper) -> None:
        self._ack = ack
        self._payload = payload
        self._tell = tell
        self._whisper = whisper
        self._lock = threading.Lock()
        self._given = False
        self._known = False  #: whether what became of the request is known
        self._began = time.monotonic()
        self.on_given: Callable[[float], None] = lambda _seconds: None  #: told the seconds until the acknowledgement

    @property
    def given(self) -> bool:
        return self._given

    def text(self, text: str, blocks: Sequence[dict[str, Any]] = ()) -> None:
        """Answer a command with a text and, for eyes, blocks."""
        self._give(text, text=text, blocks=list(blocks), response_type="ephemeral")

    def nothing(self) -> None:
        """Acknowledge: what there is to see comes through the outbox."""
        self._give("")

    def recorded(self) -> None:
        """Acknowledge what was committed; who was told that it is not confirmed yet is told that it is now."""
        self._give(replies.RECORDED_LATE)

    def view(self, view: dict[str, Any]) -> None:
        """Replace the dialog that was sent."""
        self._give("", response_action="update", view=view)

    def say(self, text: str, *, storable: bool = True) -> None:
        """Give one plain sentence in the way that fits the request, past the database if that is away."""
        told = replies.markup(text)
        if isinstance(self._payload, Command):
            self.text(told)
        elif isinstance(self._payload, Submission) and (block := _first_input(self._payload)):
            self._give(told, response_action="errors", errors={block: text})
        else:
            if not isinstance(self._payload, Event):
                self._let_know(told, storable=storable)
            self.nothing()

    def expire(self) -> Callable[[], None] | None:
        """The time is up: say so in the acknowledgement, or return what says it beside it.

        What can be told neither way gets no acknowledgement: Slack's own warning is the honest answer then.
        """
        with self._lock:
            if self._given or not self._may_expire():
                return None
            self._given = True
            block = _first_input(self._payload) if isinstance(self._payload, Submission) else ""
            if block:
                self._ack(response_action="errors", errors={block: replies.NOT_CONFIRMED})
            elif isinstance(self._payload, Click):
                self._ack()
                return self._say_not_confirmed
            else:
                self._ack(text=replies.NOT_CONFIRMED, response_type="ephemeral")
            return None

    def _may_expire(self) -> bool:
        if isinstance(self._payload, Click):
            return bool(self._payload.response_url)
        return isinstance(self._payload, Command | Submission)

    def _say_not_confirmed(self) -> None:
        if not self._known and not self._whisper(replies.NOT_CONFIRMED):
            log.warning("not_confirmed_untold")

    def _give(self, late: str, **answer: Any) -> None:
        self._known = True
        with self._lock:
            first, self._given = not self._given, True
            if first:
                self._ack(**answer)
                self.on_given(time.monotonic() - self._began)
        if not first and late:
            self._let_know(late)

    def _let_know(self, text: str, *, storable: bool = True) -> None:
        """Tell through the outbox, which forgets nothing; while it cannot be written, past it."""
        self._known = True
        if not storable and self._whisper(text):
            return
        try:
            self._tell(text)
        except StorageUnavailable:
            if not self._whisper(text):
                raise


def not_acknowledged() -> BoltResponse:
    """No acknowledgement: Slack shows the person that it did not work."""
    return BoltResponse(status=503, body="")


class Watchdog:
    """One thread that looks at every open answer when its time is up."""

    def __init__(self, seconds: float = BUDGET_SECONDS) -> None:
        self._seconds = seconds
        self._open: queue.SimpleQueue[tuple[float, Answer] | None] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._whisperers = ThreadPoolExecutor(WHISPERERS, thread_name_prefix="slack-whisper")
        self._thread = threading.Thread(target=self._run, name="slack-answer-clock", daemon=True)
        self._thread.start()

    def watch(self, answer: Answer) -> None:
        """Answers come in order and all have the same time, so the first in is the first due."""
        self._open.put((time.monotonic() + self._seconds, answer))

    def close(self) -> None:
        """Stop the thread; answers that are still open are left to their listeners."""
        self._stop.set()
        self._open.put(None)
        self._thread.join()
        self._whisperers.shutdown()

    def _run(self) -> None:
        while (item := self._open.get()) is not None and not self._stop.is_set():
            due, answer = item
            if not self._stop.wait(max(0.0, due - time.monotonic())) and (say := answer.expire()):
                self._whisperers.submit(say)


def _first_input(payload: Submission) -> str:
    values = payload.view.state.get("values")
    return str(next(iter(values), "")) if isinstance(values, dict) else ""
