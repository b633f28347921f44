"""How fast messages may go out: Slack's limits as buckets, pauses that Slack asked for, and who goes first.

Slack takes one message per second and channel, and about fifty edits per minute in the whole workspace. All
times come from the caller. Nothing here may sleep, send or remember more than one process's own past.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock

from engine.effects import Purpose
from engine.ports import Message

POSTS_PER_SECOND = 1.0
POSTS_BURST = 3
UPDATES_PER_SECOND = 40 / 60  #: Slack allows 50 per minute; the rest is for the moments that cannot wait
UPDATES_BURST = 10
UPDATES_RESERVED = 4  #: edits that progress leaves for decisions
HOMES_PER_SECOND = 1.0
HOMES_BURST = 20
BACKOFF_SECONDS = (1, 2, 5, 10, 15)

POSTED = frozenset(set(Purpose) - {Purpose.EPHEMERAL, Purpose.HOME, Purpose.OUTPUT})
_URGENT = frozenset({Purpose.GATE, Purpose.ATTENTION, Purpose.REMINDER, Purpose.EPHEMERAL})
_BULK = frozenset({Purpose.OUTPUT, Purpose.HOME})

Lane = tuple[str, str]  #: kind of call and, for posts, the channel


def is_update(message: Message) -> bool:
    """Say whether Slack already shows the message, so that it is edited."""
    return bool(message.ts) and message.purpose in POSTED


def lane_of(message: Message) -> Lane:
    """Return what limits this message. An answer through Slack's own address for it has no limit."""
    if message.payload.get("response_url"):
        return "reply", ""
    if message.purpose is Purpose.HOME:
        return "home", message.team
    if is_update(message):
        return "update", message.team
    return "post", f"{message.team}/{message.channel}"


def priority(message: Message) -> tuple[int, int]:
    """Order messages: what people must decide first, progress and bulk last; then as they were wanted."""
    if message.purpose in _URGENT:
        return 0, message.id
    if message.purpose in _BULK:
        return 3, message.id
    return 2 if is_update(message) else 1, message.id


@dataclass
class Bucket:
    """Tokens that come back steadily; full at first."""

    size: float
    per_second: float
    level: float = 0.0
    at: datetime | None = None

    def wait(self, now: datetime, *, reserve: int = 0) -> float:
        """Take a token and return 0, or return the seconds until there is one. ``reserve`` are not taken."""
        self._refill(now)
        missing = 1 + reserve - self.level
        if missing > 0:
            return missing / self.per_second
        self.level -= 1
        return 0.0

    def _refill(self, now: datetime) -> None:
        passed = (now - self.at).total_seconds() if self.at else self.size / self.per_second
        self.level = min(self.size, self.level + max(0.0, passed) * self.per_second)
        self.at = now


@dataclass
class Trouble:
    """What went wrong in a lane since its last success."""

    messages: set[int] = field(default_factory=set)
    times: int = 0
    until: datetime | None = None


@dataclass(frozen=True)
class Turns:
    """Which messages go now, and when each of the others is tried again."""

    go: tuple[Message, ...]
    wait: tuple[tuple[Message, datetime], ...]


class Pace:
    """All limits of one process. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._buckets: dict[Lane, Bucket] = {}
        self._trouble: dict[Lane, Trouble] = defaultdict(Trouble)
        self._asked: dict[Lane, datetime] = {}  #: until when Slack asked for patience; no success shortens that
        self._failures: dict[int, int] = {}

    def turns(self, messages: Iterable[Message], now: datetime, *, most: int) -> Turns:
        """Choose what goes now. Those that must wait in one lane get times one after the other."""
        go: list[Message] = []
        wait: list[tuple[Message, datetime]] = []
        behind: dict[Lane, int] = defaultdict(int)
        with self._lock:
            for message in sorted(messages, key=priority):
                lane = lane_of(message)
                seconds = self._seconds(lane, message, now) if len(go) < most else 0.25
                if seconds <= 0:
                    go.append(message)
                    continue
                step = behind[lane] / self._bucket(lane).per_second
                wait.append((message, now + timedelta(seconds=seconds + step)))
                behind[lane] += 1
        return Turns(tuple(go), tuple(wait))

    def succeeded(self, message: Message) -> None:
        with self._lock:
            self._trouble.pop(lane_of(message), None)
            self._failures.pop(message.id, None)

    def throttled(self, message: Message, now: datetime, seconds: float) -> datetime:
        """Slack asked for patience: the whole lane waits. A fraction by message keeps them from coming at once."""
        until = now + timedelta(seconds=max(1.0, seconds) + (message.id % 10) / 10)
        with self._lock:
            lane = lane_of(message)
            self._asked[lane] = max(until, self._asked.get(lane, until))
        return until

    def failed(self, message: Message, now: datetime) -> datetime:
        """Return when to try again. The lane waits only when different messages fail: one bad one blocks nobody."""
        with self._lock:
            times = self._failures[message.id] = self._failures.get(message.id, 0) + 1
            trouble = self._trouble[lane_of(message)]
            trouble.messages.add(message.id)
            if len(trouble.messages) > 1:
                trouble.times += 1
                trouble.until = now + timedelta(seconds=_backoff(trouble.times))
        return now + timedelta(seconds=_backoff(times))

    def failures(self, message: Message) -> int:
        """Return how often this message has failed in a row."""
        with self._lock:
            return self._failures.get(message.id, 0)

    def forget(self, message: Message) -> None:
        """The message is given up."""
        with self._lock:
            self._failures.pop(message.id, None)
            self._trouble[lane_of(message)].messages.discard(message.id)

    def _seconds(self, lane: Lane, message: Message, now: datetime) -> float:
        if lane[0] == "reply":
            return 0.0
        ours = self._trouble[lane].until if lane in self._trouble else None
        until = max((moment for moment in (ours, self._asked.get(lane)) if moment), default=now)
        if until > now:
            return (until - now).total_seconds()
        progress = lane[0] == "update" and message.purpose not in _URGENT
        return self._bucket(lane).wait(now, reserve=UPDATES_RESERVED if progress else 0)

    def _bucket(self, lane: Lane) -> Bucket:
        size, rate = _LIMITS.get(lane[0], (POSTS_BURST, POSTS_PER_SECOND))
        return self._buckets.setdefault(lane, Bucket(size=size, per_second=rate))


_LIMITS = {
    "post": (POSTS_BURST, POSTS_PER_SECOND),
    "update": (UPDATES_BURST, UPDATES_PER_SECOND),
    "home": (HOMES_BURST, HOMES_PER_SECOND),
}


def _backoff(times: int) -> int:
    return BACKOFF_SECONDS[min(times, len(BACKOFF_SECONDS)) - 1]
