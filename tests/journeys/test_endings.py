"""How sessions end: unproven, mended by people, undone, done by hand, called off, paused."""

from __future__ import annotations

from playground.azure.machine import Machine
from playground.stories import APPROVE, Scene
from tests.journeys.rows import Rows


def web(scene: Scene) -> Machine:
    return scene.stage.cloud.vm("rg-prod/web-01")


def effects(scene: Scene, word: str) -> list[str]:
    """What happened on the machine and names this word, without its time."""
    return [line.partition(" ")[2] for line in web(scene).effects() if word in line]


def let_go(scene: Scene, flag: str) -> None:
    (web(scene).root / "tmp" / flag).touch()


def begin(scene: Scene, flag: str) -> None:
    """Start a command that runs until it is let go, and wait until it runs."""
    scene.executes("alice", f"/runbook execute waits-for-go vm=rg-prod/web-01 flag={flag}")
    scene.clicks("bob", scene.gate(), APPROVE)
    scene.stage.cloud.wait_for(lambda: effects(scene, f"begun {flag}"), 60)


def test_change_without_proof_is_completed_unverified(scene: Scene, rows: Rows):
    """Predecessor X21: a verification that could not be made counted as the opposite of what it saw."""
    scene.executes("alice", "/runbook execute not-proven vm=rg-prod/web-01")

    told = scene.wait_for_words("is over", "not verified")

    assert "Prove it" in scene.card().plain()
    assert rows.status(scene.session) == "completed_unverified"
    assert "completed." not in told.plain().lower()
    assert effects(scene, "without proof") == ["changed without proof"]


def test_failure_asks_people_and_a_retry_runs_only_after_a_new_approval(scene: Scene, rows: Rows):
    """Predecessor X2: a failed step flipped back to waiting and the next one ran."""
    scene.executes("alice", "/runbook execute asks-on-failure vm=rg-prod/web-01 flag=mended")
    scene.clicks("bob", scene.gate(), APPROVE)
    trouble = scene.offers("Retry")
    went_on = effects(scene, "went on mended")
    let_go(scene, "mended")

    scene.clicks("alice", trouble, "Retry")
    refused = scene.gives_reason("alice", "I mended it.")
    scene.person("alice").closes()
    scene.clicks("bob", trouble, "Retry")
    scene.gives_reason("bob", "Alice mended it.")
    second = scene.gate()
    tried = len(effects(scene, "tried mended"))
    scene.clicks("carol", second, APPROVE)
    scene.wait_for_words("is over", "completed")

    assert trouble.buttons() == ["Retry", "Skip", "Stop"]
    assert not went_on
    assert refused.errors
    assert tried == 1
    assert effects(scene, "mended") == ["tried mended", "tried mended", "went on mended"]
    assert set(rows.puts(scene.session)) == {1}
    assert len(rows.puts(scene.session)) == 3


def test_skip_goes_on_and_the_end_says_that_something_was_skipped(scene: Scene, rows: Rows):
    scene.executes("alice", "/runbook execute asks-on-failure vm=rg-prod/web-01 flag=skipped")
    scene.clicks("bob", scene.gate(), APPROVE)
    trouble = scene.offers("Retry")

    scene.clicks("bob", trouble, "Skip")
    scene.gives_reason("bob", "We can do without.")
    scene.wait_for_words("is over")

    assert effects(scene, "skipped") == ["tried skipped", "went on skipped"]
    assert rows.status(scene.session) == "completed_unverified"


def test_stop_ends_the_session_as_failed(scene: Scene, rows: Rows):
    scene.executes("alice", "/runbook execute asks-on-failure vm=rg-prod/web-01 flag=stopped")
    scene.clicks("bob", scene.gate(), APPROVE)
    trouble = scene.offers("Retry")

    scene.clicks("bob", trouble, "Stop")
    scene.gives_reason("bob", "Enough.")
    scene.wait_for_words("is over", "failed")

    assert effects(scene, "stopped") == ["tried stopped"]
    assert scene.closed(trouble)
    assert rows.status(scene.session) == "failed"


def test_rollback_asks_for_each_undo_and_runs_them_in_reverse(scene: Scene, rows: Rows):
    """Predecessor X29 and X30: a rollback reported success and did nothing."""
    before = len(web(scene).effects())
    scene.executes("alice", "/runbook execute undoes vm=rg-prod/web-01")
    scene.clicks("bob", scene.gate(), APPROVE)

    undo = scene.gate()
    so_far = [line.partition(" ")[2] for line in web(scene).effects()[before:]]
    scene.clicks("carol", undo, APPROVE)
    scene.wait_for_words("is over", "failed")

    assert "Undo: Second change" in undo.plain()
    assert "undid two" in undo.plain()
    assert so_far == ["did one", "did two"]
    done = [line.partition(" ")[2] for line in web(scene).effects()[before:]]
    assert done == ["did one", "did two", "undid two", "undid one"]
    assert "The rollback is done" in rows.session(scene.session).reason


def test_manual_step_shows_its_instructions_and_goes_on_when_reported_done(scene: Scene, rows: Rows):
    scene.executes("alice", "/runbook execute by-hand vm=rg-prod/web-01")
    gate = scene.gate()
    before = effects(scene, "looked")

    scene.clicks("bob", gate, "Done")
    scene.wait_for_words("is over", "completed")

    assert gate.buttons() == ["Done", "Reject"]
    assert "Press the green button." in gate.plain()
    assert not before
    assert effects(scene, "looked") == ["looked"]
    assert len(rows.puts(scene.session)) == 1


def test_cancel_of_a_running_command_stops_it_with_evidence(scene: Scene, rows: Rows):
    """Predecessor X28: cancel did not stop what ran, and late results overwrote it."""
    begin(scene, "cancelled")

    scene.asks("alice", f"/runbook cancel {scene.session} wrong machine")
    scene.wait_for_words("is over", "cancelled")

    # the machine may have told of the end before it has answered the order
    query = "SELECT data FROM audit_events WHERE session_id = :n AND kind = 'cancel_sent'"
    rows.wait_for(lambda: rows.all(query, n=scene.session), "the record of the order")
    session = rows.session(scene.session)
    assert "confirmed" in str(rows.one(query, n=scene.session)["data"])
    assert session.steps[0].status.value == "cancelled"
    assert "wrong machine" in session.reason
    assert not effects(scene, "ended cancelled")
    assert not effects(scene, "after cancelled")
    assert not [p for p in web(scene).processes() if "cancelled" in p.command]


def test_cancel_that_cannot_be_confirmed_says_so_until_it_is_known(scene: Scene, rows: Rows):
    """A machine that does not answer: asked to stop, not confirmed; never shown as stopped."""
    begin(scene, "unconfirmed")
    web(scene).break_agent()

    scene.asks("alice", f"/runbook cancel {scene.session}")
    scene.wait_for(lambda: "not confirmed" in scene.card().plain(), "the doubt on the card")
    status = rows.status(scene.session)
    why = scene.asks("alice", f"/runbook why {scene.session}")
    web(scene).repair_agent()
    let_go(scene, "unconfirmed")
    scene.wait_for_words("is over")

    assert status == "in_progress"
    assert "asked to stop, which is not confirmed yet" in why
    assert not effects(scene, "after unconfirmed")
    assert rows.status(scene.session) == "cancelled"


def test_pause_keeps_the_next_step_from_starting_until_somebody_resumes(scene: Scene, rows: Rows):
    """Predecessor X28: pause did not pause."""
    begin(scene, "halted")

    answer = scene.asks("alice", f"/runbook pause {scene.session}")
    let_go(scene, "halted")
    scene.wait_for_words("done: halted")
    scene.wait_for(lambda: "paused by" in scene.card().plain().lower(), "the pause on the card")
    status, so_far = rows.status(scene.session), effects(scene, "after halted")
    scene.asks("bob", f"/runbook resume {scene.session}")
    scene.wait_for_words("is over", "completed")

    assert "paused" in answer
    assert status == "paused"
    assert not so_far
    assert effects(scene, "halted") == ["begun halted", "ended halted", "after halted"]
