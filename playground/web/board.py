"""The board: everything the page shows, as small records by key, and who is told when one changes.

A tab that connects is given all records, afterwards only those that differ. Two tabs therefore show the same, and
one that lost its connection misses nothing. It must never block whoever writes to it.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Mapping
from typing import Any

WAITING_MAX = 2000  #: a tab that reads no more is cut off, and connects again when it wakes
Records = Mapping[str, Any]


class Tab:
    """One open page; `None` in its queue ends it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.queue: asyncio.Queue[str | None] = asyncio.Queue()

    def tell(self, text: str | None) -> None:
        """Queue one message, from any thread."""
        self._loop.call_soon_threadsafe(self._add, text)

    def _add(self, text: str | None) -> None:
        self.queue.put_nowait(None if self.queue.qsize() > WAITING_MAX else text)


class Board:
    """Records in sections; each section is written by one thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sections: dict[str, dict[str, tuple[Any, str]]] = {}
        self._tabs: set[Tab] = set()

    @property
    def watched(self) -> bool:
        return bool(self._tabs)

    def join(self) -> Tab:
        """Add a tab; the first thing it hears is everything."""
        tab = Tab()
        with self._lock:
            everything = {key: text for section in self._sections.values() for key, (_, text) in section.items()}
            tab.tell(_message(everything, (), reset=True))
            self._tabs.add(tab)
        return tab

    def leave(self, tab: Tab) -> None:
        with self._lock:
            self._tabs.discard(tab)

    def close(self) -> None:
        """Send every tab away."""
        with self._lock:
            for tab in self._tabs:
                tab.tell(None)

    def show(self, section: str, records: Records) -> None:
        """Replace a section; tabs hear of the records that differ.

        Whoever made a record never changes it afterwards: it is compared with its successor, and only what differs
        is written out again.
        """
        before = self._sections.get(section, {})
        same = {key for key, value in records.items() if key in before and before[key][0] == value}
        changed = {key: json.dumps(value, default=str) for key, value in records.items() if key not in same}
        gone = [key for key in before if key not in records]
        with self._lock:
            self._sections[section] = {
                key: before[key] if key in same else (value, changed[key]) for key, value in records.items()
            }
            if changed or gone:
                message = _message(changed, gone)
                for tab in self._tabs:
                    tab.tell(message)


def _message(put: Mapping[str, str], drop: tuple[str, ...] | list[str], *, reset: bool = False) -> str:
    pairs = ",".join(f"{json.dumps(key)}:{text}" for key, text in put.items())
    return f'{{"reset":{json.dumps(reset)},"drop":{json.dumps(drop)},"put":{{{pairs}}}}}'
