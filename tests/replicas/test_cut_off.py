"""A replica loses its network to the database, and nothing else: it promises nothing, and the others go on.

The database still holds its connections, so nobody sees it die; it still reaches Azure and Slack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from playground.slack import FaultKind
from playground.stage import Stage
from playground.stories import APPROVE, Scene
from tests.journeys.rows import Rows
from tests.replicas.fleet import Fleet, wait_for
from tests.replicas.test_apart import audit, runs_unanswered
from tests.replicas.test_together import begins, effects, said_once
from tests.wire import Wire

IN_TIME_MS = 2800
ENDS: dict[str, Callable[[Wire], None]] = {
    "and what was on its way arrives": Wire.mend,
    "on new connections": Wire.hang_up,
}

comes_back = pytest.mark.parametrize("comes_back", ENDS.values(), ids=ENDS)


@pytest.fixture
def wire(stage: Stage) -> Iterator[Wire]:
    wire = Wire(stage.database_url)
    yield wire
    wire.close()


@comes_back
def test_command_of_a_replica_that_was_cut_off_is_found_by_the_other_one(
    fleet: Fleet, scene: Scene, rows: Rows, wire: Wire, comes_back: Callable[[Wire], None]
):
    (lost,) = fleet.start("http", wire=wire)
    runs_unanswered(scene, scene.stage, "cut", seconds=8)
    session = scene.session

    wire.cut()
    (other,) = fleet.start("http")
    fleet.reach(other)
    scene.wait_for_words("is over", "completed")
    before = rows.all("SELECT * FROM execution_sessions"), audit(rows, session)
    assert not lost.ready()
    comes_back(wire)
    wait_for(lost.ready, "the lost one to serve again")
    fleet.reach(lost)
    after = rows.all("SELECT * FROM execution_sessions"), audit(rows, session)
    begins(scene, "later")

    assert after == before
    assert "attempt_taken_over" in after[1]
    assert effects(scene, "cut") == ["changed cut"]
    assert rows.puts(session) == [1]
    assert said_once(scene)


@comes_back
def test_click_that_reaches_a_replica_that_is_cut_off_is_answered_in_time_and_counts_once(
    fleet: Fleet, scene: Scene, rows: Rows, wire: Wire, comes_back: Callable[[Wire], None]
):
    (lost,) = fleet.start("http", wire=wire)
    (other,) = fleet.start("http")
    gate = begins(scene, "clicked")

    fleet.reach(lost)
    wire.cut()
    answer = scene.clicks("bob", gate, APPROVE)
    told = [whisper.plain() for whisper in scene.person("bob").ephemerals(scene.channel)]
    fleet.reach(other)
    scene.clicks("bob", gate, APPROVE)
    scene.wait_for_words("is over", "completed")
    comes_back(wire)
    wait_for(lost.ready, "the lost one to serve again")

    assert answer.latency_ms < IN_TIME_MS
    assert told
    assert effects(scene, "clicked") == ["changed clicked"]
    assert rows.puts(scene.session) == [1]
    assert rows.count("decisions") == 1
    assert said_once(scene)


@comes_back
def test_message_that_a_replica_was_posting_when_it_was_cut_off_is_posted_once(
    fleet: Fleet, scene: Scene, rows: Rows, wire: Wire, comes_back: Callable[[Wire], None]
):
    (lost,) = fleet.start("http", wire=wire)
    scene.stage.slack.faults.switch_on(FaultKind.SLOW_REPLY, on="chat.postMessage", seconds=4)
    card = scene.executes("alice", "/runbook execute one-change vm=rg-prod/web-01 word=posted")

    wire.cut()
    (other,) = fleet.start("http")
    fleet.reach(other)
    gate = scene.gate()
    comes_back(wire)
    wait_for(lost.ready, "the lost one to serve again")
    scene.clicks("bob", gate, APPROVE)
    scene.wait_for_words("is over", "completed")

    assert [message.ts for message in scene.stage.slack.channel(scene.channel).messages() if message.blocks] == [
        card.ts
    ]
    assert effects(scene, "posted") == ["changed posted"]
    assert said_once(scene)
