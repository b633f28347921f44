"""The journal: every call, delivery, reply and refusal, in order, with its latency.

The inspector page, the transcripts and the tests read it. It must never hold a token: they are masked on
entry.
"""

import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

TOKEN = re.compile(r"xox[abpe]-[\w-]+|xapp-[\w-]+")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One thing that happened between the workspace and the bot, or was shown to a person.

    Kinds: `call` (Web API), `delivery` (event, command or interaction sent to the bot), `upload`, `download`,
    `response_url`, `socket` (opened, closed, disconnect sent), `notice` (an error a person saw), `fault`.
    """

    number: int
    at: datetime
    kind: str
    name: str
    ok: bool
    request: dict[str, Any] = field(default_factory=dict)
    reply: Any = None
    latency_ms: float = 0.0
    note: str = ""
    headers: dict[str, str] = field(default_factory=dict)  #: of the request; over a socket, the envelope's fields
    reply_headers: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> str:
        return json.dumps(asdict(self) | {"at": self.at.isoformat()}, default=str)


class Journal:
    """Append-only while the workspace lives; entries are numbered without gaps."""

    def __init__(self, *, now: Callable[[], float], on_change: Callable[[], None]) -> None:
        self._now = now
        self._on_change = on_change
        self._entries: list[Entry] = []
        self._lock = threading.Lock()

    def add(self, kind: str, name: str, *, ok: bool = True, **details: Any) -> Entry:
        """Record one entry; `request` and `reply` are copied, so later changes do not reach them."""
        copied = {key: masked(value) for key, value in details.items()}
        with self._lock:
            at = datetime.fromtimestamp(self._now(), UTC)
            entry = Entry(number=len(self._entries) + 1, at=at, kind=kind, name=name, ok=ok, **copied)
            self._entries.append(entry)
        self._on_change()
        return entry

    def __iter__(self) -> Iterator[Entry]:
        with self._lock:
            return iter(list(self._entries))

    def __len__(self) -> int:
        return len(self._entries)

    def since(self, number: int) -> list[Entry]:
        """Entries after the given number: what a live page asks for."""
        with self._lock:
            return self._entries[number:]

    def of(self, kind: str, name: str | None = None) -> list[Entry]:
        return [entry for entry in self if entry.kind == kind and name in {None, entry.name}]

    def calls(self, method: str | None = None) -> list[Entry]:
        return self.of("call", method)

    def deliveries(self, name: str | None = None) -> list[Entry]:
        return self.of("delivery", name)

    def tail(self, count: int = 12) -> str:
        """The last entries as lines, for messages about something that did not happen."""
        lines = [_line(entry) for entry in list(self)[-count:]]
        return "\n".join(lines) or "(the journal is empty)"

    def export(self, path: Path) -> None:
        """Write all entries as JSON lines."""
        path.write_text("".join(entry.as_json() + "\n" for entry in self), encoding="utf-8")


def _line(entry: Entry) -> str:
    state = "ok" if entry.ok else "failed"
    return f"{entry.number:4} {entry.kind:12} {entry.name:28} {state:6} {entry.latency_ms:7.1f} ms {entry.note}"


def masked(value: Any) -> Any:
    """A deep copy with every token replaced by its first characters."""
    if isinstance(value, str):
        return TOKEN.sub(lambda found: found.group()[:5] + "***", value)
    if isinstance(value, dict):
        return {key: masked(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked(item) for item in value]
    return value
