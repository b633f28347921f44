"""One life: a process begins on what the one before has left, plays its part of the scenario, and settles or dies."""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import structlog

from engine.errors import Refused, StorageUnavailable
from engine.events import Choice
from engine.model import SessionStatus
from engine.ports import Catalog
from storage.database import Database
from tests.builders import BOB
from tests.crash.campaign.installation import Installation, Setting
from tests.crash.campaign.points import CrashPoints, Order
from tests.crash.campaign.scenarios import SCENARIOS, Act, Scenario
from tests.crash.campaign.world import World
from tests.policies import a_policy

ROUNDS = 600  #: turns after which a scenario that has not settled never will
STRIDE = 5.0  #: seconds that the clock is moved at once while nothing is known to be due
PATIENCE = 60  #: real seconds, for a life that hangs
SETTLED, STUCK, BROKEN = 0, 3, 4


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a process is to do with its life."""

    folder: str
    url: str
    scenario: str
    life: int = 0
    asleep: float = 0.0
    redelivers: bool = False
    orders: dict[int, Order] = field(default_factory=dict)

    def to_line(self) -> str:
        return json.dumps(self.__dict__)

    @classmethod
    def from_line(cls, line: str) -> Self:
        facts: dict[str, Any] = json.loads(line)
        return cls(**(facts | {"orders": {int(n): order for n, order in facts["orders"].items()}}))


class Script:
    """A scenario in progress."""

    def __init__(self, scenario: Scenario, it: Installation, points: CrashPoints) -> None:
        self._scenario, self._it, self._points = scenario, it, points
        self._done = {line["act"] for line in it.seen.lines if line["answer"]}
        self._tried = {line["act"] for line in it.seen.lines}

    def play(self) -> bool:
        """Go on until everything has settled; False when it never does."""
        for _ in range(ROUNDS):
            try:
                if self._it.turn() or self._act():
                    continue
                if self._over():
                    return True
                self._wait()
            except StorageUnavailable as away:
                self._it.note(away)
        return False

    def _act(self) -> bool:
        """Do the next thing of the script if its moment has come."""
        left = [act for act in self._scenario.acts if act.name not in self._done]
        if left and (left[0].name in self._tried or left[0].when(self._it)):
            self._do(left[0])
            return True
        for key in self._scenario.ends:
            if self._astray(key, left):
                self._answer(f"stop {key}", lambda it, key=key: it.chooses(BOB, Choice.STOP, key))
                return True
        return False

    def _astray(self, key: str, left: list[Act]) -> bool:
        """Say whether a crash has led to a question that the script does not foresee, and somebody must answer it."""
        session = self._it.session(key)
        asked = session is not None and session.status is SessionStatus.NEEDS_ATTENTION
        return asked and not any(act.name.startswith("choose") for act in left)

    def _do(self, act: Act) -> None:
        if not act.power_cut:
            self._answer(act.name, act.do)
            return
        self._it.seen.add(act=act.name, answer="ok")
        os.kill(os.getpid(), signal.SIGKILL)

    def _answer(self, name: str, do: Any) -> None:
        """An act, and what the person saw of it: an acknowledgement or a refusal. Neither, when the process dies."""
        answer = "ok"
        self._tried.add(name)
        self._it.seen.add(act=name, answer="")
        self._points.reach(f"act {name}:before")
        try:
            do(self._it)
        except Refused as refusal:
            answer = refusal.code
        self._it.seen.add(act=name, answer=answer)
        self._done.add(name)
        self._points.reach(f"act {name}:after")

    def _over(self) -> bool:
        """Say whether all is said and done; ``turn`` has just found nothing that is due."""
        it = self._it
        if any(act.name not in self._done for act in self._scenario.acts) and not self._cut_short():
            return False
        waits = self._open_on_purpose()
        return it.told_everything() and (waits or (self._all_ended() and it.next_moment() is None))

    def _cut_short(self) -> bool:
        """Say whether nothing is left to do although acts are left: a crash has led to another end."""
        return self._all_ended() and not any(act.name in self._tried - self._done for act in self._scenario.acts)

    def _all_ended(self) -> bool:
        sessions = [self._it.session(key) for key in self._scenario.ends]
        return all(session is not None and session.finished_at is not None for session in sessions)

    def _open_on_purpose(self) -> bool:
        return any("waiting_approval" in ends for ends in self._scenario.ends.values())

    def _wait(self) -> None:
        """Let time pass until the next row is due."""
        now, following = self._it.clock.now(), self._it.next_moment()
        left = (following - now).total_seconds() + 0.001 if following else STRIDE
        self._it.clock.advance(max(left, 0.001))


def live(plan: Plan, database: Database, catalog: Catalog, *, patience: int = PATIENCE) -> int:
    """Live one life in this process; return how it ended, if it did not just die."""
    world = World(Path(plan.folder))
    scenario = SCENARIOS[plan.scenario]
    points = CrashPoints(world.points(plan.life), plan.orders)
    signal.alarm(patience)
    setting = Setting(
        world=world,
        database=database,
        points=points,
        catalog=catalog,
        policy=a_policy(**({"unattended": {"risks": ["none"]}} | dict(scenario.policy))),
        nature=scenario.nature,
        history_readable=scenario.history_readable,
        life=plan.life,
        redelivers=plan.redelivers,
    )
    try:
        it = Installation(setting)
        _listen(it)
        it.clock.advance(plan.asleep)
        with points.watching_commits(database._session):
            it.boots()
            settled = Script(scenario, it, points).play()
        it.export_audit()
        it.close()
    except BaseException:  # noqa: BLE001 - whatever it is, the judges must hear of it
        with world.trouble.open("a", encoding="utf-8") as file:
            traceback.print_exc(file=file)
        return BROKEN
    return SETTLED if settled else STUCK


def _listen(it: Installation) -> None:
    """Keep what the outbox worker catches and logs; drop every other line."""

    def keep(_logger: object, _method: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
        error = sys.exc_info()[1]
        if line["event"] == "delivery_broke" and error is not None:
            it.note(error)
        raise structlog.DropEvent

    structlog.configure(processors=[keep])
