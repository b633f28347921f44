"""Azure on a bad day: whatever is answered, a command is sent once, and no failure is shown without evidence."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from playground.azure.faults import Fault
from playground.stage import Stage
from playground.stories import APPROVE, Scene
from tests.journeys.rows import Rows

PLACE = "/runcommands/rb-"


@pytest.fixture
def azure(stage: Stage) -> Iterator[Stage]:
    """All faults are gone afterwards."""
    yield stage
    stage.cloud.faults.clear()


def run(scene: Scene, word: str) -> list[str]:
    """Start, approve, wait for the end; return what happened on the machine."""
    scene.executes("alice", f"/runbook execute one-change vm=rg-prod/web-01 word={word}")
    scene.clicks("bob", scene.gate(), APPROVE)
    scene.wait_for_words("is over", "completed")
    return [line for line in scene.stage.cloud.vm("rg-prod/web-01").effects() if line.endswith(f" {word}")]


def told_of_failure(scene: Scene) -> list[str]:
    return [m.plain() for m in scene.thread()[1:] if "failed" in m.plain().lower() or "unknown" in m.plain().lower()]


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("lost", Fault(kind="reset", method="PUT", path_contains=PLACE, after_work=True)),
        ("half", Fault(kind="half", method="PUT", path_contains=PLACE, after_work=True)),
        ("late-503", Fault(kind="answer", method="PUT", path_contains=PLACE, after_work=True, status=503)),
        ("late-500", Fault(kind="answer", method="PUT", path_contains=PLACE, after_work=True, status=500)),
        ("garbage", Fault(kind="garbage", method="PUT", path_contains=PLACE, after_work=True)),
    ],
)
def test_answer_lost_after_the_work_does_not_send_it_again(
    scene: Scene, azure: Stage, rows: Rows, name: str, fault: Fault
):
    """Predecessor A5 and A7: a command that may have run was sent again, up to five times."""
    azure.cloud.faults.add(fault)

    effects = run(scene, f"answer-{name}")

    assert fault.used == 1
    assert rows.puts(scene.session) == [1]
    assert len(effects) == 1
    assert not told_of_failure(scene)


@pytest.mark.parametrize("status", [429, 409])
def test_refusal_for_now_is_tried_again_as_a_new_attempt(scene: Scene, azure: Stage, rows: Rows, status: int):
    """Predecessor A5: a conflict was a failure, and the cure was to restart the machine."""
    fault = azure.cloud.faults.answer(status, "PUT", PLACE)
    fault.retry_after = 1

    effects = run(scene, f"refused-{status}")

    assert fault.used == 1
    assert set(rows.puts(scene.session)) == {1}
    assert len(effects) == 1
    assert not told_of_failure(scene)


def test_service_that_fails_before_the_work_is_looked_at_before_anything_is_said(
    scene: Scene, azure: Stage, rows: Rows
):
    """A 503 proves nothing: the command is looked up by its name, and is never called failed meanwhile."""
    azure.cloud.faults.answer(503, "PUT", PLACE)
    scene.executes("alice", "/runbook execute one-change vm=rg-prod/web-02 word=unproven")

    scene.clicks("bob", scene.gate(), APPROVE)
    number = scene.session
    doubt = f"session_id = {number} AND kind = 'submit_uncertain'"
    rows.wait_for(lambda: rows.count("audit_events", doubt), "the doubt on record")
    why = scene.asks("alice", f"/runbook why {number}")

    assert "whether it arrived is being checked" in why
    assert rows.puts(number) == [1]
    assert not told_of_failure(scene)
    assert not scene.stage.cloud.vm("rg-prod/web-02").effects()


def test_result_arrives_although_looking_fails_for_a_while(scene: Scene, azure: Stage, rows: Rows):
    azure.cloud.faults.answer(503, "GET", PLACE, times=2)
    azure.cloud.faults.answer(429, "GET", PLACE, times=1).retry_after = 1

    effects = run(scene, "looked-again")

    assert len(effects) == 1
    assert rows.puts(scene.session) == [1]
    assert not told_of_failure(scene)


def test_command_that_azure_hides_for_a_while_is_not_given_up(scene: Scene, azure: Stage, rows: Rows):
    azure.cloud.faults.hide_after_accept(100.0, PLACE)

    effects = run(scene, "hidden")

    assert len(effects) == 1
    assert rows.puts(scene.session) == [1]
    assert not told_of_failure(scene)
