"""A story on the page: one at a time, at its pace, and stopped when somebody says so. No bot runs here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from playground.stories import STORIES
from tests.playground.web.conftest import Client

Live = Callable[[Callable[[dict[str, Any]], bool]], dict[str, Any]]
FIRST = next(iter(STORIES))


def state(records: dict[str, Any]) -> str:
    return str(records.get("telling", {}).get("state", ""))


def test_every_story_is_offered_with_what_to_watch(live: Live) -> None:
    records = live(lambda known: f"story:{FIRST}" in known)

    offered = {value["name"] for key, value in records.items() if key.startswith("story:")}
    assert offered == set(STORIES)
    assert all(records[f"story:{name}"]["watch"] for name in STORIES)


def test_a_story_that_goes_differently_says_where(client: Client, live: Live) -> None:
    client.act("story", name="restart-web", pace=0)

    told = live(lambda known: state(known) == "failed")["telling"]

    assert told["title"] == STORIES["restart-web"].title
    assert "was not acknowledged" in told["lines"][-1]["text"]


def test_only_one_story_is_played_and_it_can_be_stopped(client: Client, live: Live) -> None:
    client.act("story", name="restart-web", pace=600)
    live(lambda known: state(known) == "running" and known["telling"]["lines"])

    second = client.act("story", name="rejection", pace=0)
    client.act("story-stop")

    assert "stop it first" in second.json["error"]
    assert live(lambda known: state(known) == "stopped")
