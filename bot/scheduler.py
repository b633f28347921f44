"""The clock of the process: APScheduler wakes the sweeps at fixed intervals.

Nothing of it is kept: its jobs live in memory, and all they do is to have rows looked at. Which gate expires and
which attempt is looked at next stands in the rows, so a missed tick loses nothing and a second one does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

TICK_SECONDS = 5


class Clockwork:
    """Calls each wake-up on its interval, in a thread of its own, never twice at once."""

    def __init__(self, wakes: Mapping[str, Callable[[], None]], *, seconds: float = TICK_SECONDS) -> None:
        self._scheduler = BackgroundScheduler(
            timezone="UTC",
            executors={"default": ThreadPoolExecutor(2)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        for name, wake in wakes.items():
            self._scheduler.add_job(wake, "interval", seconds=seconds, id=name)

    def start(self) -> None:
        """Begin ticking."""
        self._scheduler.start()

    def stop(self) -> None:
        """Stop ticking; a tick that runs is waited for."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)
