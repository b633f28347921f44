"""Token buckets of the Compute provider, per VM and per subscription and region.

Every limit is the documented one. A refused request takes nothing; an accepted one takes from both levels.
"""

from dataclasses import dataclass

from playground.azure import errors
from playground.azure.clock import Clock


@dataclass(frozen=True)
class Limit:
    """Tokens per minute, and how many a full bucket holds."""

    per_minute: float
    cap: float


@dataclass
class _Bucket:
    tokens: float
    at: float


@dataclass(frozen=True)
class Class:
    name: str
    resource: Limit | None
    subscription: Limit


UPDATE = Class("UpdateVM", Limit(4, 12), Limit(500, 1500))
DELETE = Class("DeleteVM", Limit(4, 12), Limit(500, 1500))
LOW_COST_GET = Class("LowCostGetVM", Limit(12, 36), Limit(8000, 24000))
GET_OPERATION = Class("GetOperation", Limit(15, 45), Limit(5000, 15000))
HIGH_COST_GET = Class("HighCostGetVM", None, Limit(300, 900))


class Buckets:
    """Refilled by platform time times `bucket_speed / speed`, so that a test can keep the real pace."""

    def __init__(self, clock: Clock, bucket_speed: float) -> None:
        self._clock = clock
        self._speed = bucket_speed
        self._buckets: dict[tuple[str, str], _Bucket] = {}
        self.enabled = True

    def take(self, cls: Class, *, resource: str | None, subscription: str) -> str:
        """Take one token of each level or refuse; returns the remaining-resource header."""
        levels = self._levels(cls, resource, subscription)
        for key, limit in levels:
            missing = 1 - self._level(key, limit).tokens
            if missing > 0 and self.enabled:
                seconds = missing / limit.per_minute * 60 * self._clock.speed / self._speed
                raise errors.throttled(key[0], self._clock.retry_after(seconds))
        for key, limit in levels:
            self._level(key, limit).tokens -= 1
        return ",".join(f"Microsoft.Compute/{key[0]};{max(0, int(self._buckets[key].tokens))}" for key, _ in levels)

    def remaining(self, cls: Class, resource: str) -> float:
        limit = cls.resource or cls.subscription
        return self._level((f"{cls.name}Resource", resource.lower()), limit).tokens

    def drain(self, cls: Class, resource: str) -> None:
        limit = cls.resource or cls.subscription
        self._level((f"{cls.name}Resource", resource.lower()), limit).tokens = 0

    def _levels(self, cls: Class, resource: str | None, subscription: str) -> list[tuple[tuple[str, str], Limit]]:
        whole = [((f"{cls.name}SubscriptionMaximum", subscription.lower()), cls.subscription)]
        if cls.resource is None or resource is None:
            return whole
        return [((f"{cls.name}Resource", resource.lower()), cls.resource), *whole]

    def _level(self, key: tuple[str, str], limit: Limit) -> _Bucket:
        now = self._clock.platform() / self._clock.speed * self._speed
        bucket = self._buckets.setdefault(key, _Bucket(limit.cap, now))
        bucket.tokens = min(limit.cap, bucket.tokens + (now - bucket.at) * limit.per_minute / 60)
        bucket.at = now
        return bucket
