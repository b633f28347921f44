"""Faults that can be switched on while the workspace runs: what the network and Slack do on a bad day.

Each fault names where it strikes (a Web API method, a delivery kind, or `*`) and how often; each strike is
counted. A fault must never change the workspace's state in a way that Slack itself could not.
"""

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class FaultKind(StrEnum):
    """What goes wrong; the first group strikes Web API calls, the second deliveries to the bot."""

    RATE_LIMITED = "rate_limited"
    RATE_LIMITED_EMPTY = "rate_limited_empty"
    SERVER_ERROR = "server_error"
    DROP_AFTER_WORK = "drop_after_work"
    RESET_BEFORE_WORK = "reset_before_work"
    SLOW_REPLY = "slow_reply"
    TOKEN_REVOKED = "token_revoked"

    SILENT_SOCKET = "silent_socket"
    DUPLICATE_SAME_ENVELOPE = "duplicate_same_envelope"
    DUPLICATE_NEW_ENVELOPE = "duplicate_new_envelope"
    OUT_OF_ORDER = "out_of_order"
    BAD_SIGNATURE = "bad_signature"
    STALE_TIMESTAMP = "stale_timestamp"


@dataclass
class Fault:
    """One fault that is switched on; `left` is None while it lasts until cleared."""

    kind: FaultKind
    on: str
    left: int | None
    seconds: float


class Faults:
    """The faults now switched on, and how often each has struck."""

    def __init__(self, *, on_strike: Callable[[FaultKind, str], None] = lambda _kind, _where: None) -> None:
        self._active: list[Fault] = []
        self._lock = threading.Lock()
        self._on_strike = on_strike
        self.struck: Counter[tuple[FaultKind, str]] = Counter()

    def switch_on(self, kind: FaultKind, *, on: str = "*", times: int | None = 1, seconds: float = 1.0) -> None:
        """Let the fault strike the next `times` matching calls or deliveries; None means until cleared.

        `seconds` is the Retry-After of a rate limit and the delay of a slow reply.
        """
        with self._lock:
            self._active.append(Fault(kind=kind, on=on, left=times, seconds=seconds))

    def clear(self, kind: FaultKind | None = None) -> None:
        with self._lock:
            self._active = [fault for fault in self._active if kind not in {None, fault.kind}]

    def is_on(self, kind: FaultKind, where: str = "*") -> bool:
        """Say whether the fault would strike, without using it up."""
        with self._lock:
            return self._find(kind, where) is not None

    def strike(self, kind: FaultKind, where: str) -> Fault | None:
        """Use up one strike of the fault, if it is switched on for this place."""
        with self._lock:
            fault = self._find(kind, where)
            if fault is None:
                return None
            self.struck[kind, where] += 1
            if fault.left is not None:
                fault.left -= 1
            self._active = [each for each in self._active if each.left != 0]
        self._on_strike(kind, where)
        return fault

    def count(self, kind: FaultKind) -> int:
        return sum(times for (struck, _), times in self.struck.items() if struck is kind)

    def _find(self, kind: FaultKind, where: str) -> Fault | None:
        return next((fault for fault in self._active if fault.kind is kind and fault.on in {"*", where}), None)
