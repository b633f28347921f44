"""A clock that a test moves ahead. It starts at the real time, because machines compare deadlines with their own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class MovableClock:
    """See ``engine.ports.Clock``. It runs with the real time and is never set back."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def advance(self, **by: float) -> None:
        """Let so much time pass at once, such as ``minutes=31``."""
        step = timedelta(**by)
        assert step > timedelta()
        self._ahead += step
