"""Processes die by SIGKILL at crash points of every scenario, on SQLite; judges outside the product look at the rest.

Every point of every scenario is visited once (see ``slices``); the deep run adds rows of deaths.
"""

from __future__ import annotations

import pytest

from tests.crash.campaign.campaign import Campaign, Case, Outcome
from tests.crash.campaign.points import commit_sites, every_point
from tests.crash.campaign.scenarios import SCENARIOS
from tests.crash.campaign.slices import SQLITE_STRIDE, occurrence, points_of, turn

# Only a later life has a reason to do these.
LOOKS = ("slack conversations.history", "slack conversations.replies")
TAKES_OVER = "commit engine.watch.Watcher._taken_over"


def is_survived(outcome: Outcome) -> None:
    assert outcome.problems == [], f"with RUNBOOK_CRASH_TURN={turn()}: {outcome}"


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_killed_at_any_of_its_points_the_scenario_loses_and_repeats_nothing(on_sqlite: Campaign, scenario: str) -> None:
    points = on_sqlite.count(scenario)

    for number in points_of(scenario, len(points), stride=SQLITE_STRIDE):
        outcome = on_sqlite.run(Case.killed(scenario, number))

        assert outcome.reached[0] == points[:number], "a scenario must reach its points in the same order every time"
        is_survived(outcome)


@pytest.mark.parametrize("name", sorted(name for name in every_point() if not name.startswith((*LOOKS, TAKES_OVER))))
def test_every_kind_of_point_is_reached_and_survived(on_sqlite: Campaign, name: str) -> None:
    """A commit or a call that no scenario reaches is found here, on the day it is written."""
    reaching = [scenario for scenario in SCENARIOS if name in on_sqlite.count(scenario)]
    assert reaching, f"no scenario reaches {name!r}: add one"
    scenario = reaching[turn() % len(reaching)]

    outcome = on_sqlite.run(Case.killed(scenario, occurrence(name, on_sqlite.count(scenario))))

    assert outcome.reached[0][-1] == name
    is_survived(outcome)


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("look", LOOKS)
def test_killed_while_it_looks_up_what_an_earlier_life_posted_it_posts_nothing_twice(
    on_sqlite: Campaign, look: str, side: str
) -> None:
    """Slack has taken the message and nobody noted it: the next life looks it up, and dies over that, too."""
    posted = [n for n, at in enumerate(on_sqlite.count("start"), start=1) if at == "slack chat.postMessage:after"]
    first = posted[LOOKS.index(look)]  # the card in the channel, then the request in its thread
    second_life = on_sqlite.run(Case.killed("start", first)).reached[1]

    outcome = on_sqlite.run(Case.killed("start", first, second_life.index(f"{look}:{side}") + 1))

    assert outcome.reached[1][-1] == f"{look}:{side}"
    is_survived(outcome)


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("sent", ["machine.submit:before", "machine.submit:after"])
def test_killed_while_it_takes_over_what_an_earlier_life_was_sending_it_sends_nothing_twice(
    on_sqlite: Campaign, sent: str, side: str
) -> None:
    first = on_sqlite.count("approve").index(sent) + 1
    second_life = on_sqlite.run(Case.killed("approve", first)).reached[1]

    outcome = on_sqlite.run(Case.killed("approve", first, second_life.index(f"{TAKES_OVER}:{side}") + 1))

    assert outcome.reached[1][-1] == f"{TAKES_OVER}:{side}"
    is_survived(outcome)


def test_commits_are_found_where_they_are_written() -> None:
    found = commit_sites("engine", "bot")

    assert "commit engine.service.Service._count" in found
    assert "commit engine.dispatch.submitted" in found
