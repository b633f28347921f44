"""Counts the steps of Python code, so that a test can say how cost grows without ever looking at a clock.

What runs inside C (regular expressions, parsing JSON) is not counted: the coverage-guided run bounds that in CPU time.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def steps_of(work: Callable[[], object]) -> int:
    """Return how many lines of Python a piece of work executes."""
    count = 0

    def trace(_frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def growth(work: Callable[[int], object], size: int) -> float:
    """Return by which factor the steps grow when the input becomes twice as large."""
    work(1)  # whatever is done only once is done now
    return steps_of(lambda: work(2 * size)) / max(steps_of(lambda: work(size)), 1)
