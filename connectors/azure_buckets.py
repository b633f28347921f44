"""Counts our own requests to Azure, so that it never has to refuse them. Never waits: it says how long to wait.

One bucket per machine and class of request, at a share of the documented limits, shrunk by what answers report.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

_REMAINING: Final = "x-ms-ratelimit-remaining-resource"


class Kind(Enum):
    """A class of request with its documented refill per minute and size, per machine (lists: per subscription)."""

    UPDATE = (4.0, 12.0)
    READ = (12.0, 36.0)
    LIST = (300.0, 900.0)
    OTHER = (60.0, 120.0)


@dataclass
class _Bucket:
    tokens: float
    at: float
    blocked_until: float = 0.0


class Buckets:
    """All buckets of one process. ``share`` is the part of the documented limits that we allow ourselves."""

    def __init__(self, now: Callable[[], float], *, share: float = 0.8) -> None:
        self._now = now
        self._share = share
        self._buckets: dict[tuple[Kind, str], _Bucket] = {}
        self._lock = threading.Lock()

    def take(self, kind: Kind, place: str, *, urgent: bool = False, reserve: float = 0.0) -> float:
        """Take one token and return 0, or return the seconds until there is one.

        ``urgent`` takes it in any case; ``reserve`` is how many must stay behind for what is more important.
        """
        with self._lock:
            bucket = self._filled(kind, place)
            wait = 0.0 if urgent else self._wait(kind, bucket, min(reserve, kind.value[1] * self._share / 2))
            if wait <= 0:
                bucket.tokens -= 1
            return max(0.0, wait)

    def learn(self, kind: Kind, place: str, headers: dict[str, str]) -> None:
        """Shrink to what an answer says is left."""
        left = _least(headers.get(_REMAINING, ""))
        if left is not None:
            with self._lock:
                bucket = self._filled(kind, place)
                bucket.tokens = min(bucket.tokens, left * min(1.0, self._share))

    def block(self, kind: Kind, place: str, seconds: float) -> None:
        """Keep off for as long as an answer asked for."""
        with self._lock:
            bucket = self._filled(kind, place)
            bucket.blocked_until = max(bucket.blocked_until, self._now() + seconds)

    def _filled(self, kind: Kind, place: str) -> _Bucket:
        refill, size = kind.value
        now = self._now()
        bucket = self._buckets.setdefault((kind, place), _Bucket(size * self._share, now))
        gained = max(0.0, now - bucket.at) * refill * self._share / 60
        bucket.tokens, bucket.at = min(size * self._share, bucket.tokens + gained), now
        return bucket

    def _wait(self, kind: Kind, bucket: _Bucket, reserve: float) -> float:
        missing = (1 + reserve - bucket.tokens) * 60 / (kind.value[0] * self._share)
        return max(missing, bucket.blocked_until - self._now())


def _least(header: str) -> float | None:
    """Read the smallest count of a header such as ``Microsoft.Compute/LowCostGet;39,Microsoft.Compute/Other;7``."""
    counts = [part.rpartition(";")[2].strip() for part in header.split(",")]
    numbers = [float(count) for count in counts if count.isdecimal()]
    return min(numbers, default=None)
