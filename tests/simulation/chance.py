"""Everything random of one seed, and which faults it turns on at which rates.

All chance comes from one generator, so that the same seed gives the same history on every machine. Swarm style: each
seed arms a random part of the faults, because a seed with all of them on would never get far enough for most.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from typing import TypeVar

T = TypeVar("T")


class Fault(StrEnum):
    """What can go wrong."""

    CRASH = "crash"
    RACE = "race"  #: somebody else acts between two steps of one piece of work
    STALL = "stall"  #: a process is stopped for a while, and then goes on
    REPLICAS = "replicas"
    LOST_HINT = "lost hint"
    COMMIT_REFUSED = "commit refused"
    COMMIT_UNSURE = "commit unconfirmed"
    REPEATED_DELIVERY = "repeated delivery"
    STALE_CLICK = "stale click"
    OUTSIDER = "outsider"
    REVOKED = "member revoked"
    DIRECTORY_AWAY = "directory away"
    RUNBOOK_EDITED = "runbook edited"
    PLAN_TAMPERED = "stored plan changed"
    CLOCK_JUMP = "clock jump"
    CLOCK_SKEW = "clock skew"
    SLACK_UNSURE = "post unconfirmed"
    SLACK_LOST = "post lost"
    SLACK_THROTTLED = "slack throttled"
    SLACK_AWAY = "slack away"
    SLACK_BLIND = "history unreadable"
    SLACK_REFUSED = "layout refused"
    SLACK_CLOSED = "channel closed"
    AZURE_TRANSIENT = "azure transient"
    AZURE_PERMANENT = "azure permanent"
    AZURE_LOST = "request lost"
    AZURE_UNSURE = "answer lost"
    AZURE_DELAYED = "effect delayed"
    AZURE_HIDDEN = "command hidden"
    AZURE_BLIND = "azure unreadable"
    AZURE_LATE_OUTPUT = "output late"
    AZURE_VANISHED = "command vanished"
    AZURE_RECREATED = "vm recreated"
    AZURE_STOPPED = "vm stopped"
    AZURE_REPEATED = "second start forced"
    AZURE_STUBBORN = "stop not possible"
    AZURE_LEFTOVERS = "clean-up slow"
    AZURE_HUNG = "command hangs"
    AZURE_BAD_END = "command fails"


RARE = {Fault.CRASH: 0.1, Fault.COMMIT_REFUSED: 0.3, Fault.COMMIT_UNSURE: 0.3, Fault.STALL: 0.2, Fault.RACE: 0.5}
RATES = (0.02, 0.06, 0.15, 0.35)
ARMED = 0.25


class Dice:
    """The only source of chance."""

    def __init__(self, seed: int, *, without: frozenset[Fault] = frozenset()) -> None:
        self._random = random.Random(seed)
        self.calm = False
        self.injected: Counter[Fault] = Counter()
        swarm = self._random.choice((0.0, ARMED, ARMED, ARMED, 0.5))
        drawn = {fault: (self._random.random(), self._random.choice(RATES)) for fault in Fault}
        self.armed = {
            fault: rate * RARE.get(fault, 1.0)
            for fault, (luck, rate) in drawn.items()
            if luck < swarm and fault not in without
        }

    def strikes(self, fault: Fault) -> bool:
        """Say whether this fault happens now, and count it."""
        rate = self.armed.get(fault)
        if rate is None or self.calm or self._random.random() >= rate:
            return False
        self.injected[fault] += 1
        return True

    def chance(self, likely: float) -> bool:
        return self._random.random() < likely

    def pick(self, things: Sequence[T]) -> T:
        return things[self._random.randrange(len(things))]

    def weighted(self, things: Sequence[tuple[T, float]]) -> T:
        return self._random.choices([thing for thing, _ in things], [weight for _, weight in things])[0]

    def seconds(self, least: float, most: float) -> timedelta:
        """Return a duration in whole milliseconds."""
        return timedelta(milliseconds=self._random.randint(round(least * 1000), round(most * 1000)))
