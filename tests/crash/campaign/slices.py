"""Which crash points a run visits: all of them on SQLite, every n-th on PostgreSQL, beginning elsewhere each day.

Nothing is drawn by lot. The day's number is the turn; RUNBOOK_CRASH_TURN repeats another day, RUNBOOK_CRASH_STRIDE
visits more or fewer points on both.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime

from tests.crash.campaign.scenarios import SCENARIOS

SQLITE_STRIDE = 1
POSTGRES_STRIDE = 100


def turn() -> int:
    """Return the number of this day, or the one that is asked for."""
    return int(os.environ.get("RUNBOOK_CRASH_TURN") or datetime.now(UTC).toordinal())


def points_of(scenario: str, count: int, *, stride: int) -> range:
    """Choose the points of one scenario; scenarios begin at different ones."""
    wanted = int(os.environ.get("RUNBOOK_CRASH_STRIDE") or stride)
    begin = (turn() + 5 * list(SCENARIOS).index(scenario)) % min(wanted, count)
    return range(begin + 1, count + 1, wanted)


def occurrence(name: str, points: list[str]) -> int:
    """Choose one of the places at which a point of this name is reached; another one each day."""
    places = [number for number, point in enumerate(points, start=1) if point == name]
    return places[turn() % len(places)]
