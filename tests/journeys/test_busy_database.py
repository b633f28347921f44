"""A database that is busy for some seconds, as a backup makes it: nothing stands still for long afterwards."""

from __future__ import annotations

import pytest

from playground.slack.faults import FaultKind
from playground.stage import Stage
from playground.stories import APPROVE, Scene
from tests.journeys.rows import Rows


@pytest.fixture(scope="module", params=[("socket", "sqlite")], ids="-".join)
def way(request: pytest.FixtureRequest):
    """A file has one writer; PostgreSQL's rows are locked one by one."""
    return request.param


def test_thread_goes_on_soon_after_a_posted_message_could_not_be_recorded(scene: Scene, stage: Stage, rows: Rows):
    """Slack has the card, but the row that says so cannot be written while somebody else writes for four seconds."""
    stage.slack.faults.switch_on(FaultKind.SLOW_REPLY, on="chat.postMessage", times=1, seconds=2)
    scene.person("alice").types("/runbook execute one-change vm=rg-prod/web-01", channel=scene.channel)
    stage.slack.wait_for(lambda: stage.slack.faults.count(FaultKind.SLOW_REPLY), 20)

    rows.keep_busy(4.5)
    room = stage.slack.channel(scene.channel)
    asked = stage.slack.wait_for(lambda: [m for m in room.all() if APPROVE in m.buttons()], 25)

    assert len(asked) == 1
    assert len(room.messages()) == 1
