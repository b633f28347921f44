"""Two and three replicas act as one: whoever takes a click, a job or a tick of the clock, it counts once."""

from __future__ import annotations

from sqlalchemy import text

from playground.slack.faults import FaultKind
from playground.stage import Stage
from playground.stories import APPROVE, Scene
from tests.journeys.conftest import open_room, scene_in
from tests.journeys.rows import Rows
from tests.replicas.fleet import Fleet


def effects(scene: Scene, word: str) -> list[str]:
    lines = scene.stage.cloud.vm("rg-prod/web-01").effects()
    return [line.partition(" ")[2] for line in lines if line.endswith(f" {word}")]


def begins(scene: Scene, word: str):
    scene.executes("alice", f"/runbook execute one-change vm=rg-prod/web-01 word={word}")
    return scene.gate()


def said_once(scene: Scene) -> bool:
    told = [message.plain() for message in scene.thread()]
    return len(told) == len(set(told))


def test_click_that_reaches_both_replicas_has_one_effect(fleet: Fleet, scene: Scene, rows: Rows):
    both = fleet.start("http", "http")
    for word in ("one", "two", "three"):
        gate = begins(scene, word)
        fleet.reach(*both, everyone=True)

        scene.clicks("bob", gate, APPROVE)
        scene.wait_for_words("is over", "completed")

        assert effects(scene, word) == [f"changed {word}"]
        assert rows.puts(scene.session) == [1]
        assert rows.count("decisions d JOIN gates g ON g.id = d.gate_id", f"g.session_id = {scene.session}") == 1
        assert said_once(scene)
        fleet.reach(*both)
        scene = scene_in(scene.stage, open_room(scene.stage))


def test_replicas_on_sockets_and_on_http_serve_the_same_sessions(fleet: Fleet, scene: Scene, rows: Rows, stage: Stage):
    on_sockets, on_http = fleet.start("socket", "http")
    fleet.reach(on_sockets)
    gate = begins(scene, "mixed")
    fleet.reach(on_http)

    scene.clicks("bob", gate, APPROVE)
    scene.wait_for_words("is over", "completed")

    assert effects(scene, "mixed") == ["changed mixed"]
    assert said_once(scene)


def test_reminder_and_expiry_happen_once_with_three_clocks(fleet: Fleet, scene: Scene, rows: Rows, stage: Stage):
    fleet.start("http", "http", "http")
    begins(scene, "forgotten")
    number = scene.session
    (gate,) = rows.all("SELECT id, expires_at, remind_at, opened_at FROM gates WHERE session_id = :n", n=number)
    until_reminder = (gate["remind_at"] - gate["opened_at"]).total_seconds()
    until_expiry = (gate["expires_at"] - gate["opened_at"]).total_seconds()

    rows.age_gate(gate["id"], seconds=until_reminder + 1)
    rows.wait_for(
        lambda: rows.count("audit_events", f"session_id = {number} AND kind = 'approvers_reminded'"), "a reminder"
    )
    rows.age_gate(gate["id"], seconds=until_expiry - until_reminder)
    scene.wait_for_words("is over", "expired")

    kinds = [row["kind"] for row in rows.all("SELECT kind FROM audit_events WHERE session_id = :n", n=number)]
    assert [kinds.count(kind) for kind in ("approvers_reminded", "gate_expired")] == [1, 1]
    assert said_once(scene)


def test_emptied_job_table_loses_nothing(fleet: Fleet, scene: Scene, rows: Rows, stage: Stage):
    fleet.start("http", "http")
    for number in range(4):
        gate = begins(scene, f"emptied-{number}")
        scene.clicks("bob", gate, APPROVE)
        empty_job_table(rows)
        scene.wait_for_words("is over", "completed")
        empty_job_table(rows)

        assert effects(scene, f"emptied-{number}") == [f"changed emptied-{number}"]
        scene = scene_in(stage, open_room(stage))


def test_click_that_slack_repeats_to_another_replica_is_answered_by_the_first_decision(
    fleet: Fleet, scene: Scene, rows: Rows, stage: Stage
):
    first, second = fleet.start("http", "http")
    gate = begins(scene, "repeated")
    fleet.reach(first, second, everyone=True)
    stage.slack.faults.switch_on(FaultKind.DUPLICATE_SAME_ENVELOPE)

    scene.clicks("bob", gate, APPROVE)
    scene.wait_for_words("is over", "completed")

    assert effects(scene, "repeated") == ["changed repeated"]
    assert rows.puts(scene.session) == [1]


def empty_job_table(rows: Rows) -> None:
    with rows._writing() as connection:
        connection.execute(text("TRUNCATE procrastinate_jobs CASCADE"))
