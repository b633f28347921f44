"""kill -9 at every awkward moment, then a start: nothing is lost, nothing runs twice, nothing is said twice.

The workspace, the cloud and their ledgers live on while the bot is dead. Predecessor A16: a run lived in memory, and
a restart left sessions that somebody had to clean up by SQL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from playground.azure.faults import Fault
from playground.slack.faults import FaultKind
from playground.stage import Stage
from playground.stories import APPROVE, Scene
from tests.journeys.rows import Rows

PLACE = "/runcommands/rb-"


@pytest.fixture(autouse=True)
def _alive(stage: Stage) -> Iterator[None]:
    """Each test finds the bot running and everything in order."""
    if not stage.bot.running:
        stage.start_bot()
    yield
    stage.cloud.faults.clear()
    stage.slack.faults.clear()


def start_again(stage: Stage, rows: Rows) -> None:
    """Start a killed bot as if it had been dead for some minutes: whatever it held is free."""
    assert not stage.bot.running
    rows.end_leases()
    stage.start_bot()


def restart(stage: Stage, rows: Rows) -> None:
    stage.bot.kill()
    start_again(stage, rows)


def effects(scene: Scene, word: str) -> list[str]:
    """What happened on the machine, without the times."""
    lines = scene.stage.cloud.vm("rg-prod/web-01").effects()
    return [line.partition(" ")[2] for line in lines if line.endswith(f" {word}")]


def begin(scene: Scene, flag: str) -> None:
    scene.executes("alice", f"/runbook execute waits-for-go vm=rg-prod/web-01 flag={flag}")
    scene.clicks("bob", scene.gate(), APPROVE)


def runs(scene: Scene, flag: str) -> None:
    scene.stage.cloud.wait_for(lambda: effects(scene, flag), 60)


def let_go(scene: Scene, flag: str) -> None:
    (scene.stage.cloud.vm("rg-prod/web-01").root / "tmp" / flag).touch()


def finishes(scene: Scene, rows: Rows, flag: str) -> None:
    """The session ends well: one sending per attempt, each effect once, each message once."""
    scene.wait_for_words("is over", "completed")
    assert effects(scene, flag) == [f"begun {flag}", f"ended {flag}", f"after {flag}"]
    assert rows.puts(scene.session) == [1, 1]
    told = [message.plain() for message in scene.thread()]
    assert len(told) == len(set(told))
    assert len([m for m in scene.thread() if "is over" in m.plain()]) == 1


def test_killed_while_a_step_runs_it_finds_the_command_again(scene: Scene, stage: Stage, rows: Rows):
    begin(scene, "running")
    runs(scene, "running")

    restart(stage, rows)
    let_go(scene, "running")

    finishes(scene, rows, "running")


def test_killed_right_after_the_click_was_acknowledged_it_runs_once(
    scene: Scene,
    stage: Stage,
    rows: Rows,
):
    """The decision is committed before it is acknowledged, so whatever was acknowledged survives."""
    scene.executes("alice", "/runbook execute waits-for-go vm=rg-prod/web-01 flag=acknowledged")
    gate = scene.gate()
    let_go(scene, "acknowledged")
    look = Fault(kind="slow", method="GET", path_contains="/virtualmachines/web-01", seconds=3, times=None)
    stage.cloud.faults.add(look)  # the worker is still looking at the machine when the process dies
    scene.clicks("bob", gate, APPROVE)

    stage.bot.kill()
    stage.cloud.faults.clear()
    rows_then = rows.count("decisions d JOIN gates g ON g.id = d.gate_id", f"g.session_id = {scene.session}")
    start_again(stage, rows)

    assert rows_then == 1
    finishes(scene, rows, "acknowledged")
    assert scene.closed(gate)


def test_killed_before_azure_has_answered_it_does_not_send_again(
    scene: Scene,
    stage: Stage,
    rows: Rows,
):
    """The command has arrived and runs, but its sender never read the answer."""
    stage.cloud.faults.add(Fault(kind="hang", method="PUT", path_contains=PLACE, after_work=True, seconds=30))
    begin(scene, "unanswered")
    runs(scene, "unanswered")

    restart(stage, rows)
    let_go(scene, "unanswered")

    finishes(scene, rows, "unanswered")


def test_killed_after_the_command_has_ended_it_still_tells_the_result(
    scene: Scene,
    stage: Stage,
    rows: Rows,
):
    """Nobody could look while it ended; after the start the result is read from Azure."""
    begin(scene, "ended-unseen")
    runs(scene, "ended-unseen")
    stage.cloud.faults.answer(503, "GET", PLACE, times=None)
    let_go(scene, "ended-unseen")
    stage.cloud.wait_for(lambda: "ended ended-unseen" in effects(scene, "ended-unseen"), 60)

    stage.bot.kill()
    stage.cloud.faults.clear()
    start_again(stage, rows)

    finishes(scene, rows, "ended-unseen")
    assert scene.wait_for_words("done: ended-unseen", "exit code: 0")


def test_killed_before_slack_was_told_it_tells_afterwards_and_once(
    scene: Scene,
    stage: Stage,
    rows: Rows,
):
    begin(scene, "untold")
    runs(scene, "untold")
    for method in ("chat.postMessage", "chat.update"):
        stage.slack.faults.switch_on(FaultKind.SERVER_ERROR, on=method, times=None)
    let_go(scene, "untold")
    number = scene.session
    rows.wait_for(lambda: rows.status(number) == "completed", "the end, with Slack away")

    stage.bot.kill()
    stage.slack.faults.clear()
    start_again(stage, rows)

    finishes(scene, rows, "untold")


def test_killed_while_people_are_asked_the_same_request_still_counts(
    scene: Scene,
    stage: Stage,
    rows: Rows,
):
    scene.executes("alice", "/runbook execute waits-for-go vm=rg-prod/web-01 flag=asked")
    gate = scene.gate()
    let_go(scene, "asked")

    restart(stage, rows)
    scene.clicks("bob", gate, APPROVE)

    finishes(scene, rows, "asked")
    assert scene.closed(gate)


@pytest.mark.parametrize("moment", ["at once", "after the card", "after the request"])
def test_killed_while_a_session_begins_it_begins_once(
    scene: Scene,
    stage: Stage,
    rows: Rows,
    moment: str,
):
    """An acknowledged command is in the rows: the session starts after the restart, with one card and one request."""
    before = rows.count("execution_sessions")
    flag = moment.replace(" ", "-")
    seen: dict[str, Callable[[], object]] = {
        "at once": lambda: True,
        "after the card": lambda: stage.slack.channel(scene.channel).messages(),
        "after the request": lambda: [m for m in stage.slack.channel(scene.channel).all() if APPROVE in m.buttons()],
    }
    answer = scene.person("alice").types(
        f"/runbook execute waits-for-go vm=rg-prod/web-01 flag={flag}", channel=scene.channel
    )
    scene.wait_for(lambda: seen[moment]() or None, moment)

    restart(stage, rows)
    cards = scene.wait_for(lambda: stage.slack.channel(scene.channel).messages() or None, "the card")
    scene.root_ts = cards[0].ts
    let_go(scene, flag)
    scene.clicks("bob", scene.gate(), APPROVE)

    assert answer.acked
    finishes(scene, rows, flag)
    assert rows.count("execution_sessions") == before + 1
    assert len(stage.slack.channel(scene.channel).messages()) == 1
