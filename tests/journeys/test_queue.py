"""Two sessions on one machine: one after the other, and the second says behind whom it waits."""

from __future__ import annotations

from playground.stories import APPROVE, Scene
from tests.journeys.rows import Rows


def test_second_session_waits_in_line_and_runs_afterwards(scene: Scene, other_scene: Scene, rows: Rows):
    """Predecessor A5 and A6: the next step collided with one of our own that still ran."""
    vm = scene.stage.cloud.vm("rg-prod/web-01")
    scene.executes("alice", "/runbook execute waits-for-go vm=rg-prod/web-01 flag=first")
    scene.clicks("bob", scene.gate(), APPROVE)
    scene.stage.cloud.wait_for(lambda: [line for line in vm.effects() if "begun first" in line], 60)

    other_scene.executes("alice", "/runbook execute one-change vm=rg-prod/web-01 word=second")
    other_scene.clicks("bob", other_scene.gate(), APPROVE)
    behind = f"session {scene.session}"
    other_scene.wait_for(lambda: behind in other_scene.card().plain(), "the place in line on the card")
    why = other_scene.asks("bob", f"/runbook why {other_scene.session}")
    early = [line for line in vm.effects() if "second" in line]
    puts_then = rows.puts(other_scene.session)
    (vm.root / "tmp" / "first").touch()
    scene.wait_for_words("is over", "completed")
    other_scene.wait_for_words("is over", "completed")

    assert f"{behind} holds web-01" in why
    assert not early
    assert sum(puts_then) == 0
    assert [line.partition(" ")[2] for line in vm.effects()].index("ended first") < [
        line.partition(" ")[2] for line in vm.effects()
    ].index("changed second")
    assert rows.puts(other_scene.session) == [1]


def test_sessions_on_two_machines_do_not_wait_for_each_other(scene: Scene, other_scene: Scene):
    scene.executes("alice", "/runbook execute waits-for-go vm=rg-prod/web-01 flag=long")
    scene.clicks("bob", scene.gate(), APPROVE)
    vm = scene.stage.cloud.vm("rg-prod/web-01")
    scene.stage.cloud.wait_for(lambda: [line for line in vm.effects() if "begun long" in line], 60)

    other_scene.executes("alice", "/runbook execute one-change vm=rg-prod/web-02 word=beside")
    other_scene.clicks("bob", other_scene.gate(), APPROVE)
    other_scene.wait_for_words("is over", "completed")

    assert not [line for line in vm.effects() if "ended long" in line]
    (vm.root / "tmp" / "long").touch()
    scene.wait_for_words("is over", "completed")
