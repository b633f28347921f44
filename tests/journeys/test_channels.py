"""Slack's own troubles: channels without the bot, outages, refreshed connections. Nothing is lost or said twice."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from playground.slack.faults import FaultKind
from playground.stage import Stage
from playground.stories import APPROVE, Scene
from tests.journeys.conftest import scene_in
from tests.journeys.rows import Rows


@pytest.fixture
def outage(stage: Stage) -> Iterator[Stage]:
    """Whatever was switched on is off again afterwards."""
    yield stage
    stage.slack.faults.clear()


def test_channel_without_the_bot_is_told_how_to_invite_it(stage: Stage, rows: Rows):
    scene = scene_in(stage, "nobot")
    before = rows.count("execution_sessions")

    scene.asks("alice", "/runbook execute one-change vm=rg-prod/web-01")
    told = scene.told("alice", "invite")

    assert "/invite" in told
    assert rows.count("execution_sessions") == before
    assert not stage.slack.channel("nobot").all()


def test_messages_of_an_outage_arrive_afterwards_in_order_and_once(scene: Scene, outage: Stage, rows: Rows):
    """Predecessor X38: an event that could not be published was lost, or took the work with it."""
    scene.executes("alice", "/runbook execute one-change vm=rg-prod/web-01 word=outage")
    gate = scene.gate()
    for method in ("chat.postMessage", "chat.update"):
        outage.slack.faults.switch_on(FaultKind.SERVER_ERROR, on=method, times=None)

    scene.clicks("bob", gate, APPROVE)
    number = scene.session
    rows.wait_for(lambda: rows.status(number) == "completed", "the session's end while Slack is away")
    during = [message.plain() for message in scene.thread()[2:]]
    outage.slack.faults.clear()
    scene.wait_for_words("is over", "completed")

    after = [message.plain() for message in scene.thread()[2:]]
    assert not during
    assert ["Step 1 (Change it)" in after[0], "is over" in after[1], len(after)] == [True, True, 2]
    assert scene.closed(gate)


def test_answer_that_slack_lost_is_not_posted_twice(scene: Scene, outage: Stage):
    """The message was posted, the answer was cut off: it is looked up before it would be posted again."""
    outage.slack.faults.switch_on(FaultKind.DROP_AFTER_WORK, on="chat.postMessage", times=1)

    scene.executes("alice", "/runbook execute one-change vm=rg-prod/web-02 word=lost-answer")
    scene.clicks("bob", scene.gate(), APPROVE)
    scene.wait_for_words("is over", "completed")

    assert outage.slack.faults.count(FaultKind.DROP_AFTER_WORK) >= 1
    assert len(outage.slack.channel(scene.channel).messages()) == 1
    told = [message.plain() for message in scene.thread()]
    assert len(told) == len(set(told)) == 4


@pytest.mark.parametrize("kind", [FaultKind.DUPLICATE_SAME_ENVELOPE, FaultKind.DUPLICATE_NEW_ENVELOPE])
def test_command_that_slack_delivers_twice_starts_one_session(scene: Scene, outage: Stage, rows: Rows, kind: FaultKind):
    """Predecessor X13 and its opposite: a repeat was either run twice or silently dropped for a day."""
    before = rows.count("execution_sessions")
    outage.slack.faults.switch_on(kind, on="*", times=1)

    scene.executes("alice", "/runbook execute one-change vm=rg-prod/web-02 word=twice")
    scene.clicks("bob", scene.gate(), APPROVE)
    scene.wait_for_words("is over", "completed")

    assert rows.count("execution_sessions") == before + 1
    assert len(outage.slack.channel(scene.channel).messages()) == 1


def test_refresh_of_a_connection_loses_no_command(scene: Scene, stage: Stage, rows: Rows):
    """Slack refreshes each connection every few hours; over HTTP there is nothing to refresh."""
    before = rows.count("execution_sessions")

    stage.slack.refresh_sockets(most=1)
    scene.executes("alice", "/runbook execute one-change vm=rg-prod/web-02 word=refreshed")
    scene.clicks("bob", scene.gate(), APPROVE)
    scene.wait_for_words("is over", "completed")

    assert rows.count("execution_sessions") == before + 1
    assert rows.puts(scene.session) == [1]
