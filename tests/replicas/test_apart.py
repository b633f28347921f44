"""A replica is killed, frozen past its lease, or asked to end: the others go on, and nothing is lost or doubled."""

from __future__ import annotations

import signal

from playground.azure.faults import Fault
from playground.stage import Stage
from playground.stories import APPROVE, Scene
from tests.journeys.conftest import open_room, scene_in
from tests.journeys.rows import Rows
from tests.replicas.fleet import Fleet, Replica, wait_for
from tests.replicas.test_together import begins, effects, said_once

LOOK = {"method": "GET", "path_contains": "/virtualmachines/web-01"}
SEND = {"method": "PUT", "path_contains": "/runcommands/rb-"}
DRAIN_SECONDS = 20.0


def sender_of(rows: Rows, replicas: list[Replica], session: int) -> tuple[Replica, Replica]:
    """Tell by the log which of two replicas sent the session's command; it and the other one."""
    rows.wait_for(lambda: rows.attempts(session), "an attempt")
    mark = f'"session_id": {session}, '
    first, second = replicas

    def sent(replica: Replica) -> bool:
        return any(mark in line for line in replica.logged("[EXECUTE_STEP] sending"))

    wait_for(lambda: sent(first) or sent(second), "a log line about the sending")
    return (first, second) if sent(first) else (second, first)


def runs_unanswered(scene: Scene, stage: Stage, flag: str, *, seconds: float) -> None:
    """Approve a command that Azure starts without answering for so long; wait until it has run."""
    gate = begins(scene, flag)
    stage.cloud.faults.add(Fault(kind="hang", after_work=True, seconds=seconds, **SEND))
    scene.clicks("bob", gate, APPROVE)
    stage.cloud.wait_for(lambda: effects(scene, flag), 60)


def audit(rows: Rows, session: int) -> list[str]:
    return [row["kind"] for row in rows.all("SELECT kind FROM audit_events WHERE session_id = :n", n=session)]


def test_command_that_a_killed_replica_was_sending_is_found_by_the_other_one(
    fleet: Fleet, scene: Scene, rows: Rows, stage: Stage
):
    replicas = fleet.start("http", "http")
    runs_unanswered(scene, stage, "killed", seconds=30)
    dead, alive = sender_of(rows, replicas, scene.session)

    dead.kill()
    fleet.reach(alive)
    scene.wait_for_words("is over", "completed")

    assert effects(scene, "killed") == ["changed killed"]
    assert rows.puts(scene.session) == [1]
    assert "attempt_taken_over" in audit(rows, scene.session)
    assert said_once(scene)


def test_frozen_replica_that_wakes_after_its_lease_finds_its_work_done_and_writes_nothing(
    fleet: Fleet, scene: Scene, rows: Rows, stage: Stage
):
    replicas = fleet.start("http", "http")
    runs_unanswered(scene, stage, "frozen", seconds=8)
    frozen, awake = sender_of(rows, replicas, scene.session)

    frozen.freeze()
    fleet.reach(awake)
    scene.wait_for_words("is over", "completed")
    before = rows.all("SELECT * FROM execution_sessions"), audit(rows, scene.session)
    frozen.thaw()
    wait_for(lambda: frozen.logged("event_dropped"), "the frozen one to come back and drop what it has")
    wait_for(frozen.ready, "the frozen one to serve again")

    assert (rows.all("SELECT * FROM execution_sessions"), audit(rows, scene.session)) == before
    assert effects(scene, "frozen") == ["changed frozen"]
    assert rows.puts(scene.session) == [1]
    assert said_once(scene)


def test_replica_that_was_frozen_serves_again(fleet: Fleet, scene: Scene, rows: Rows):
    first, second = fleet.start("http", "http")
    first.freeze()
    fleet.reach(second)
    owner = "SELECT count(*) AS n FROM replicas WHERE seen_at < clock_timestamp() - interval '3 s'"
    rows.wait_for(lambda: rows.one(owner)["n"] == 1, "the lease to lapse")
    first.thaw()

    rows.wait_for(lambda: rows.one(owner)["n"] == 0, "a sign of life")
    wait_for(first.ready, "the frozen one to serve again")
    fleet.reach(first)
    gate = begins(scene, "again")
    scene.clicks("bob", gate, APPROVE)
    scene.wait_for_words("is over", "completed")

    assert effects(scene, "again") == ["changed again"]


def test_work_of_a_killed_replica_waits_for_no_lease_when_one_starts_in_its_place(
    fleet: Fleet, scene: Scene, rows: Rows, stage: Stage
):
    (only,) = fleet.start("http")
    only.kill()
    only.environment["RUNBOOK_LEASE_SECONDS"] = "600"
    only.start()
    wait_for(only.ready, "the replica to serve")
    runs_unanswered(scene, stage, "replaced", seconds=30)

    only.kill()
    only.start()
    wait_for(only.ready, "the replica to serve")
    scene.wait_for_words("is over", "completed")  # within half a minute, and the lease is ten

    assert effects(scene, "replaced") == ["changed replaced"]
    assert rows.puts(scene.session) == [1]
    assert said_once(scene)


def test_replica_that_is_asked_to_end_under_load_ends_in_time_sends_nothing_new_and_loses_nothing(
    fleet: Fleet, scene: Scene, rows: Rows, stage: Stage
):
    leaving, staying = fleet.start("http", "http")
    scenes = [scene, *(scene_in(stage, open_room(stage)) for _ in range(3))]
    gates = [begins(one, f"load-{number}") for number, one in enumerate(scenes)]
    fleet.reach(leaving)
    stage.cloud.faults.add(Fault(kind="slow", seconds=2, times=None, **LOOK))  # everybody is still looking
    for one, gate in zip(scenes, gates, strict=True):
        one.clicks("bob", gate, APPROVE)

    leaving._process.send_signal(signal.SIGTERM)
    told = len(leaving.logged("[EXECUTE_STEP] sending"))
    fleet.reach(staying)
    code = leaving._process.wait(DRAIN_SECONDS)
    stage.cloud.faults.clear()
    for one in scenes:
        one.wait_for_words("is over", "completed")

    assert code == 0
    assert len(leaving.logged("[EXECUTE_STEP] sending")) == told
    assert [effects(one, f"load-{number}") for number, one in enumerate(scenes)] == [
        [f"changed load-{number}"] for number in range(len(scenes))
    ]
    assert all(said_once(one) for one in scenes)


def test_call_that_does_not_come_back_holds_up_no_end(fleet: Fleet, scene: Scene, rows: Rows, stage: Stage):
    leaving, staying = fleet.start("http", "http")
    runs_unanswered(scene, stage, "stuck", seconds=90)
    stuck, other = sender_of(rows, [leaving, staying], scene.session)

    stuck._process.send_signal(signal.SIGTERM)
    fleet.reach(other)
    code = stuck._process.wait(DRAIN_SECONDS)
    scene.wait_for_words("is over", "completed")

    assert code == 0
    assert effects(scene, "stuck") == ["changed stuck"]
