"""Draws the life of a session and of a step as mermaid text, from the tables of ``engine.machine``.

The documentation holds exactly this text, and a test compares them. Nothing here may know a state by name.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.machine import SESSION_MOVES, STEP_MOVES
from engine.words import SessionStatus, StepStatus

Edge = tuple[str, str, str]  #: from, to, label


def session_diagram() -> str:
    """Return the diagram of a session's life."""
    edges = [(before.value, after.value, "") for before in SessionStatus for after in _ordered(SESSION_MOVES[before])]
    final = [status.value for status in SessionStatus if not SESSION_MOVES[status]]
    return _drawn(SessionStatus.PENDING.value, edges, final)


def step_diagram() -> str:
    """Return the diagram of a step's life; arrows carry the names of the moves."""
    edges = [edge for before in StepStatus for edge in _step_edges(before)]
    final = [status.value for status in StepStatus if not STEP_MOVES[status]]
    return _drawn(StepStatus.PENDING.value, edges, final)


def _step_edges(before: StepStatus) -> list[Edge]:
    by_end: dict[StepStatus, list[str]] = {}
    for move, after in STEP_MOVES[before].items():
        by_end.setdefault(after, []).append(move.value.replace("_", " "))
    return [(before.value, after.value, ", ".join(names)) for after, names in by_end.items()]


def _ordered(statuses: Iterable[SessionStatus]) -> list[SessionStatus]:
    return sorted(statuses, key=list(SessionStatus).index)


def _drawn(first: str, edges: Iterable[Edge], final: Iterable[str]) -> str:
    lines = ["stateDiagram-v2", f"    [*] --> {first}"]
    lines += [f"    {before} --> {after}" + (f" : {label}" if label else "") for before, after, label in edges]
    lines += [f"    {status} --> [*]" for status in final]
    return "\n".join(lines) + "\n"
