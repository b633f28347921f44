"""Who may decide: not the requester, no outsider, everybody once, and as many as the policy asks."""

from __future__ import annotations

import pytest

from playground.stories import APPROVE, REJECT, Scene
from tests.journeys.rows import Rows

ONE = "/runbook execute one-change vm=rg-prod/web-01 word={word}"
TWO = "/runbook execute needs-two vm=rg-prod/web-02"


def effects_of(scene: Scene, word: str) -> list[str]:
    return [line for line in scene.stage.cloud.vm("rg-prod/web-01").effects() if line.endswith(f" {word}")]


@pytest.mark.parametrize(
    ("person", "reason"),
    [
        ("alice", "somebody else must decide"),
        ("dave", "not an approver"),
        ("gina", "guest"),
        ("oscar", "workspace"),
    ],
)
def test_wrong_person_is_told_why_and_nothing_changes(scene: Scene, rows: Rows, person: str, reason: str):
    """Predecessor A1 and X40: nobody could tell why a click did nothing; here the person reads the reason."""
    scene.executes("alice", ONE.format(word=f"never-{person}"))
    gate = scene.gate()

    scene.clicks(person, gate, APPROVE)
    told = scene.told(person, reason)

    assert "Traceback" not in told
    after = scene.now(gate)
    assert (after.plain(), after.buttons()) == (gate.plain(), [APPROVE, REJECT])
    assert rows.status(scene.session) == "waiting_approval"
    assert rows.count("decisions d JOIN gates g ON g.id = d.gate_id", f"g.session_id = {scene.session}") == 0
    assert not effects_of(scene, f"never-{person}")


def test_refused_click_is_kept_as_evidence(scene: Scene, rows: Rows):
    scene.executes("alice", ONE.format(word="evidence"))

    scene.clicks("dave", scene.gate(), APPROVE)
    scene.told("dave", "not an approver")

    kept = rows.one(
        "SELECT actor, kind FROM audit_events WHERE session_id = :n AND kind = 'decision_refused'", n=scene.session
    )
    assert "U0DAVE" in kept["actor"]


def test_two_people_approve_a_high_risk_and_it_runs_once(scene: Scene):
    """The first approval is shown as 1 of 2; the same person cannot give the second."""
    vm = scene.stage.cloud.vm("rg-prod/web-02")
    scene.executes("alice", TWO)
    gate = scene.gate()

    scene.clicks("bob", gate, APPROVE)
    scene.wait_for(lambda: "1 of 2 approved" in scene.now(gate).plain(), "1 of 2 in the request")
    scene.clicks("bob", gate, APPROVE)
    again = scene.told("bob", "already approved")
    before = len(vm.effects())
    scene.clicks("dave", gate, APPROVE)
    scene.wait_for_words("is over", "completed")

    assert "1 more" in again
    assert before == 0
    assert len(vm.effects()) == 1
    assert scene.closed(gate)


def test_high_risk_asks_once_more_before_the_click_counts(scene: Scene, rows: Rows):
    scene.executes("alice", TWO)
    gate = scene.gate()

    thought_better = scene.person("bob").clicks(gate, APPROVE, confirms=False)

    assert thought_better.cancelled
    assert not rows.session(scene.session).open_gate.decisions


def test_rejection_ends_the_session_with_its_reason(scene: Scene, rows: Rows):
    scene.executes("alice", ONE.format(word="rejected"))
    gate = scene.gate()

    scene.clicks("bob", gate, REJECT)
    scene.gives_reason("bob", "Not during the launch.")
    scene.wait_for_words("is over", "rejected")

    closed = scene.closed(gate)
    assert "Not during the launch." in closed.plain()
    assert rows.status(scene.session) == "rejected"
    assert not effects_of(scene, "rejected")


def test_rejection_of_blanks_is_refused_inside_the_dialog(scene: Scene, rows: Rows):
    """Slack refuses an empty field by itself; blanks reach the bot, which answers at the same field."""
    scene.executes("alice", ONE.format(word="blank"))
    gate = scene.gate()

    scene.clicks("bob", gate, REJECT)
    empty = scene.gives_reason("bob", "")
    blank = scene.gives_reason("bob", "   ")

    assert (empty.sent, list(empty.errors)) == (False, ["reason"])
    assert "reason" in blank.errors["reason"].lower()
    assert not blank.closed
    assert rows.status(scene.session) == "waiting_approval"
    assert scene.now(gate).buttons() == [APPROVE, REJECT]


def test_requester_cannot_reject_but_can_cancel(scene: Scene, rows: Rows):
    scene.executes("alice", ONE.format(word="mine"))
    gate = scene.gate()

    scene.clicks("alice", gate, REJECT)
    refused = scene.gives_reason("alice", "I changed my mind.")
    answer = scene.asks("alice", f"/runbook cancel {scene.session} changed my mind")
    scene.wait_for_words("is over", "cancelled")

    assert refused.errors or refused.update or "cancel" in scene.told("alice", "somebody else must decide")
    assert "cancel" in answer
    assert scene.closed(gate)
    assert rows.status(scene.session) == "cancelled"
