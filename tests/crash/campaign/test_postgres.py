"""The same campaign on PostgreSQL: a sample of the kills, and the server itself gone in the middle of a scenario."""

from __future__ import annotations

import pytest

from tests.crash.campaign.campaign import Campaign, Case
from tests.crash.campaign.scenarios import SCENARIOS
from tests.crash.campaign.slices import POSTGRES_STRIDE, occurrence, points_of, turn
from tests.crash.campaign.test_sqlite import is_survived

#: Where the server is stopped: around a decision, around a command, around a message.
STOPS = {
    "commit engine.service.Service._count:before": "approve",
    "commit engine.service.Service._count:after": "quorum of two",
    "machine.submit:after": "answer lost",
    "slack chat.postMessage:after": "reject",
}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_killed_at_a_sample_of_its_points_the_scenario_loses_and_repeats_nothing(
    on_postgres: Campaign, scenario: str
) -> None:
    points = on_postgres.count(scenario)

    for number in points_of(scenario, len(points), stride=POSTGRES_STRIDE):
        is_survived(on_postgres.run(Case.killed(scenario, number)))


@pytest.mark.parametrize("name", STOPS)
def test_server_stopped_as_by_a_power_cut_the_running_process_carries_on(on_postgres: Campaign, name: str) -> None:
    scenario = STOPS[name]
    number = occurrence(name, on_postgres.count(scenario))

    outcome = on_postgres.run(Case(scenario, ({number: "stop"},)))

    assert len(outcome.reached) == 1, "the process itself was not to die"
    is_survived(outcome)


def test_server_and_process_gone_together_nothing_is_lost(on_postgres: Campaign) -> None:
    points = on_postgres.count("approve")
    number = occurrence("machine.submit:before", points)

    outcome = on_postgres.run(Case("approve", ({number: "stop", number + 1 + turn() % 5: "kill"},)))

    is_survived(outcome)
