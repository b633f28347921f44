"""A limit per person, so that one person's flood costs nobody else an answer.

Kept in memory and forgotten at a restart: it protects threads, it decides nothing.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from datetime import datetime, timedelta

from engine.model import Person
from engine.ports import Clock

MOST = 30  #: requests of one person within the window; a quick human needs ten
WINDOW = timedelta(seconds=10)
PEOPLE = 1000  #: how many are remembered; the one longest silent is forgotten first


class Throttle:
    """Counts each person's requests within a sliding window."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: OrderedDict[Person, deque[datetime]] = OrderedDict()

    def allows(self, person: Person) -> bool:
        """Count one request; False when it is one too many."""
        now = self._clock.now()
        with self._lock:
            times = self._seen.setdefault(person, deque())
            self._seen.move_to_end(person)
            while len(self._seen) > PEOPLE:
                self._seen.popitem(last=False)
            while times and now - times[0] >= WINDOW:
                times.popleft()
            if len(times) >= MOST:
                return False
            times.append(now)
            return True
