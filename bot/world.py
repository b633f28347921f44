"""The real clock and the real source of ids. The only places where time and randomness enter."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  #: Crockford's base 32, in lower case


class SystemClock:
    def now(self) -> datetime:
        """Return the present as an aware UTC time."""
        return datetime.now(UTC)  # noqa: TID251 - this is the Clock


class RandomIds:
    """ULIDs and tokens from the operating system's randomness."""

    def __init__(self, clock: SystemClock) -> None:
        self._clock = clock

    def ulid(self) -> str:
        """Return 48 bits of milliseconds and 80 random bits as 26 characters."""
        millis = int(self._clock.now().timestamp() * 1000)
        number = (millis << 80) | secrets.randbits(80)
        return "".join(ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))

    def token(self) -> str:
        """Return 128 random bits as 32 hexadecimal characters."""
        return secrets.token_hex(16)
