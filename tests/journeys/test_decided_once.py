"""A decision counts once and only while its request is open, whoever clicks how often and how late."""

from __future__ import annotations

from playground.stories import APPROVE, Scene
from tests.journeys.rows import Rows


def start(scene: Scene, word: str):
    scene.executes("alice", f"/runbook execute one-change vm=rg-prod/web-01 word={word}")
    return scene.gate()


def effects_of(scene: Scene, word: str) -> list[str]:
    return [line for line in scene.stage.cloud.vm("rg-prod/web-01").effects() if line.endswith(f" {word}")]


def votes(scene: Scene, rows: Rows) -> int:
    return rows.count("decisions d JOIN gates g ON g.id = d.gate_id", f"g.session_id = {scene.session}")


def test_double_click_counts_once(scene: Scene, rows: Rows):
    """Predecessor X5: two clicks ran the command twice."""
    gate = start(scene, "double")
    bob = scene.person("bob")

    clicks = scene.stage.slack.at_once(lambda: bob.clicks(gate, APPROVE), lambda: bob.clicks(gate, APPROVE))
    scene.wait_for_words("is over", "completed")

    assert [click.acked for click in clicks] == [True, True]
    assert votes(scene, rows) == 1
    assert rows.puts(scene.session) == [1]
    assert len(effects_of(scene, "double")) == 1


def test_two_approvers_at_once_run_it_once_and_one_reads_who_was_first(scene: Scene, rows: Rows):
    """Predecessor X5."""
    gate = start(scene, "together")
    people = {name: scene.person(name) for name in ("bob", "carol")}

    scene.stage.slack.at_once(*(lambda who=who: who.clicks(gate, APPROVE) for who in people.values()))
    scene.wait_for_words("is over", "completed")

    winner = rows.one(
        "SELECT person_user FROM decisions d JOIN gates g ON g.id = d.gate_id WHERE g.session_id = :n", n=scene.session
    )["person_user"]
    loser = "carol" if winner == "U0BOB" else "bob"
    assert "already approved" in scene.told(loser, "already approved")
    assert rows.puts(scene.session) == [1]
    assert len(effects_of(scene, "together")) == 1


def test_click_on_an_old_picture_of_a_decided_request_says_so(scene: Scene, rows: Rows):
    """Predecessor X6: a late click approved whatever was waiting then."""
    gate = start(scene, "late")
    scene.clicks("bob", gate, APPROVE)
    scene.wait_for_words("is over", "completed")

    scene.clicks("carol", gate, APPROVE)
    told = scene.told("carol", "already approved")

    assert "Bob" in told or "bob" in told
    assert votes(scene, rows) == 1
    assert len(effects_of(scene, "late")) == 1
    assert scene.closed(gate)


def test_approval_after_a_cancel_runs_nothing(scene: Scene, rows: Rows):
    """Predecessor X4: approving an abandoned session executed its step."""
    gate = start(scene, "called-off")
    scene.asks("alice", f"/runbook cancel {scene.session}")
    scene.wait_for_words("is over", "cancelled")

    scene.clicks("bob", gate, APPROVE)
    told = scene.told("bob", "was cancelled")

    assert "nothing was changed" in told
    assert rows.status(scene.session) == "cancelled"
    assert scene.closed(gate)
    assert not effects_of(scene, "called-off")


def test_request_that_nobody_decides_expires_and_a_click_afterwards_runs_nothing(scene: Scene, rows: Rows):
    """Predecessor A1: an approval stood open for ever. The row is aged, so that half an hour passes at once."""
    gate = start(scene, "too-late")
    rows.age_gate(rows.session(scene.session).open_gate.id, minutes=31)

    scene.wait_for_words("is over", "expired")
    scene.clicks("bob", gate, APPROVE)
    told = scene.told("bob", "expired")

    assert "nothing was changed" in told
    assert rows.status(scene.session) == "expired"
    assert scene.closed(gate)
    assert not effects_of(scene, "too-late")


def test_approvers_are_reminded_once_at_half_time(scene: Scene, rows: Rows):
    gate = start(scene, "half-time")
    rows.age_gate(rows.session(scene.session).open_gate.id, minutes=16)

    scene.wait_for_words("still waiting", "step 1")
    kept = rows.one("SELECT reminded FROM gates WHERE session_id = :n", n=scene.session)
    rows.age_gate(rows.session(scene.session).open_gate.id, minutes=5)
    scene.clicks("bob", gate, APPROVE)
    scene.wait_for_words("is over", "completed")

    assert kept["reminded"]
    reminders = rows.count("outbox", f"session_id = {scene.session} AND purpose = 'reminder'")
    assert reminders == 1
    assert len([m for m in scene.thread() if "eminder" in m.text or "Still waiting" in m.plain()]) <= 1


def test_button_of_another_message_does_not_decide(scene: Scene, other_scene: Scene, rows: Rows):
    """A copied button is no authority: only the message that was posted for the request counts."""
    gate = start(scene, "original")
    theirs = start(other_scene, "copy")
    copied = theirs
    copied.blocks = gate.blocks

    other_scene.clicks("bob", copied, APPROVE)
    told = other_scene.told("bob", "not the message")

    assert "thread" in told
    assert rows.status(scene.session) == "waiting_approval"
    assert rows.status(other_scene.session) == "waiting_approval"
