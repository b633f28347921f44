"""Rate limits: a tier per method and one message per second per channel, with a small burst.

The numbers are Slack's published ones; the bursts are ours, since Slack publishes none. A limit must answer
429 and leave the state alone: a refused call has done nothing.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

PER_MINUTE = {1: 1, 2: 20, 3: 50, 4: 100}
TEXT_TRUNCATED_ABOVE = 40_000
UPDATE_TEXT_MAX = 4_000
MARKDOWN_TEXT_MAX = 12_000
ATTACHMENTS_MAX = 100
TRIGGER_SECONDS = 3
RESPONSE_URL_SECONDS = 30 * 60
RESPONSE_URL_USES = 5
VIEW_STACK_MAX = 3
SOCKETS_MAX = 10
ACKNOWLEDGE_SECONDS = 3


@dataclass(frozen=True, kw_only=True)
class RateRules:
    """How strict the workspace is; `enabled=False` switches every rate limit off."""

    enabled: bool = True
    posts_per_second: float = 1.0
    posts_burst: int = 3


class Bucket:
    """A token bucket: full at first, refilled steadily, never fuller than its size."""

    def __init__(self, *, size: float, per_second: float) -> None:
        self._size = size
        self._per_second = per_second
        self._level = size
        self._at: float | None = None

    def take(self, now: float) -> float:
        """Take one token; answer 0, or the seconds until there is one."""
        passed = 0.0 if self._at is None else max(0.0, now - self._at)
        self._level = min(self._size, self._level + passed * self._per_second)
        self._at = now
        if self._level >= 1:
            self._level -= 1
            return 0.0
        return (1 - self._level) / self._per_second


class RateLimiter:
    """All buckets of one workspace."""

    def __init__(self, rules: RateRules, *, now: Callable[[], float]) -> None:
        self.rules = rules
        self._now = now
        self._buckets: dict[str, Bucket] = {}

    def method(self, name: str, tier: int | None) -> int:
        """Seconds to wait before calling the method again; 0 lets the call through."""
        if tier is None or not self.rules.enabled:
            return 0
        allowed = PER_MINUTE[tier]
        return self._take(f"method {name}", size=allowed, per_second=allowed / 60)

    def post(self, channel_id: str) -> int:
        """Seconds to wait before posting into the channel again; 0 lets the post through."""
        if not self.rules.enabled:
            return 0
        rules = self.rules
        return self._take(f"post {channel_id}", size=rules.posts_burst, per_second=rules.posts_per_second)

    def _take(self, key: str, *, size: float, per_second: float) -> int:
        bucket = self._buckets.setdefault(key, Bucket(size=size, per_second=per_second))
        return math.ceil(bucket.take(self._now()))
