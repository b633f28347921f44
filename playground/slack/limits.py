"""Rate limits: a tier per method, one message per second per channel, some hundred a minute for the workspace.

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
    workspace_posts_per_second: float = 5.0  # Slack says "several hundred per minute"
    workspace_posts_burst: int = 100


class Bucket:
    """A token bucket: full at first, refilled steadily, never fuller than its size."""

    def __init__(self, *, size: float, per_second: float) -> None:
        self._size = size
        self._per_second = per_second
        self._level = size
        self._at: float | None = None

    def wait(self, now: float) -> float:
        """Seconds until there is a token; 0 when there is one."""
        passed = 0.0 if self._at is None else max(0.0, now - self._at)
        self._level = min(self._size, self._level + passed * self._per_second)
        self._at = now
        return max(0.0, (1 - self._level) / self._per_second)

    def take(self) -> None:
        """Use up a token, which must be there."""
        self._level -= 1


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
        return self._take(self._bucket(f"method {name}", size=allowed, per_second=allowed / 60))

    def post(self, channel_id: str) -> int:
        """Seconds to wait before posting into the channel again; 0 lets the post through."""
        if not self.rules.enabled:
            return 0
        rules = self.rules
        return self._take(
            self._bucket(f"post {channel_id}", size=rules.posts_burst, per_second=rules.posts_per_second),
            self._bucket("posts", size=rules.workspace_posts_burst, per_second=rules.workspace_posts_per_second),
        )

    def _bucket(self, key: str, *, size: float, per_second: float) -> Bucket:
        return self._buckets.setdefault(key, Bucket(size=size, per_second=per_second))

    def _take(self, *buckets: Bucket) -> int:
        """Take from all of them or from none."""
        now = self._now()
        wait = max(bucket.wait(now) for bucket in buckets)
        if not wait:
            for bucket in buckets:
                bucket.take()
        return math.ceil(wait)
