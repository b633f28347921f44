"""What the simulated Slack sends and answers has the keys and types of public samples of the real one.

Nothing of them is copied here: folders are named by the environment, and without them the comparison is skipped.
RUNBOOK_TEST_SLACK_SAMPLES is `json-logs/samples` of a checkout of github.com/slackapi/java-slack-sdk,
RUNBOOK_TEST_SLACK_METHODS is `docs.slack.dev/methods` of one of github.com/slack-ruby/slack-api-ref.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from playground.slack import SlackWorkspace, api_chat, api_conversations, api_files, api_users, api_views
from playground.slack.api import Method
from playground.slack.clock import Clock
from playground.slack.limits import RateRules
from tests.conformance.apps import BlockingBot
from tests.conformance.conftest import NOON
from tests.conformance.shapes import Excuses, differences, unexcused
from tests.conformance.traffic import everything

Json = dict[str, Any]
SAMPLES = "RUNBOOK_TEST_SLACK_SAMPLES"
METHODS = "RUNBOOK_TEST_SLACK_METHODS"

PAYLOADS = {
    "block_actions": "app-backend/interactive-components/BlockActionPayload",
    "block_actions view": "app-backend/interactive-components/BlockActionPayload",
    "message_action": "app-backend/interactive-components/MessageShortcutPayload",
    "command": "app-backend/slash-commands/SlashCommandPayload",
    "view_submission": "app-backend/views/ViewSubmissionPayload",
    "view_closed": "app-backend/views/ViewClosedPayload",
    "event_callback app_home_opened": "events/AppHomeOpenedPayload",
    "event_callback app_mention": "events/AppMentionPayload",
    "event_callback message": "events/MessagePayload",
    "event_callback message message_changed": "events/MessageChangedPayload",
    "event_callback message message_deleted": "events/MessageDeletedPayload",
    "event_callback tokens_revoked": "events/TokensRevokedPayload",
}
#: The samples unite every key that was ever seen, so a missing key is mostly one that Slack sends in other cases.
EXCUSES: Excuses = {
    "*.values": "what people typed: the sample has none",
    "unknown: *.view.blocks": "the app's own blocks: the sample has none",
    "type: .is_enterprise_install is string*": "a command is a form; the sample is what a typed SDK makes of it",
    "unknown: .context_team_id": "sent since 2021; the sample of event wrappers is older",
    "unknown: .event*message.app_id": "of every message of an app; the sample was a person's",
    "missing: *enterprise*": "one workspace, no Enterprise Grid",
    "missing: *app_unfurl*": "links are not unfurled",
    "missing: *.bot_access_token": "of workflow steps",
    "missing: *.function_data": "of workflow steps",
    "missing: *.interactivity": "of workflow steps",
    "missing: *message.*": "a message has the keys of its own history only",
    "missing: .event.*": "a message has the keys of its own history only",
    "missing: .actions*": "the keys of other sorts of elements",
    "missing: *.emoji": "text objects are kept as they were sent",
    "missing: .container.*": "message and view have different containers",
    "missing: .authed_*": "deprecated by Slack",
    "missing: *.submit_disabled": "of modals that were sent with it",
}
EITHER = {  # one sample for two cases
    "block_actions": ("missing: .view",),
    "block_actions view": ("missing: .channel", "missing: .message", "missing: .response_url", "missing: .state"),
    "view_submission": ("unknown: .response_urls", "missing: .is_cleared"),
}


@pytest.fixture(scope="module")
def traffic() -> Iterator[tuple[dict[str, Json], dict[str, Json]]]:
    with SlackWorkspace.start(clock=Clock(frozen_at=NOON), rates=RateRules(enabled=False)) as ws:
        bot = BlockingBot(ws)
        bot.connect("http")
        yield everything(ws, bot)
        bot.close()


def folder(variable: str) -> Path:
    named = os.environ.get(variable)
    if not named:
        pytest.skip(f"{variable} names no folder of samples; see the module's first lines")
    path = Path(named)
    assert path.is_dir(), f"{variable}={named}: there is no such folder"
    return path


def read(path: Path) -> Json:
    content: Json = json.loads(path.read_text(encoding="utf-8"))
    return content


@pytest.mark.parametrize("name", PAYLOADS)
def test_payload_has_the_shape_of_the_sample(traffic: tuple[dict[str, Json], dict[str, Json]], name: str) -> None:
    sample = read(folder(SAMPLES) / f"{PAYLOADS[name]}.json")

    found = unexcused(differences(traffic[0][name], sample), EXCUSES)

    assert [each for each in found if each not in EITHER.get(name, ())] == []


def test_answers_have_the_shapes_of_the_samples(traffic: tuple[dict[str, Json], dict[str, Json]]) -> None:
    samples = folder(SAMPLES) / "api"
    compared = {name: read(samples / f"{name}.json") for name in traffic[1] if (samples / f"{name}.json").exists()}

    more_than_needed = EXCUSES | {"missing: *": "an answer unites what every sort of token and workspace may see"}
    found = {
        name: unexcused(differences(traffic[1][name], sample), more_than_needed) for name, sample in compared.items()
    }

    assert len(compared) > 25
    assert {name: each for name, each in found.items() if each} == {}


# the reference of methods


def methods() -> dict[str, Method]:
    modules = (api_chat, api_conversations, api_files, api_users, api_views)
    return {name: method for module in modules for name, method in module.METHODS.items()}


def test_methods_have_the_tiers_and_scopes_of_the_reference() -> None:
    reference = folder(METHODS)
    found = {}
    for name, method in methods().items():
        known = read(reference / f"{name}.json")
        scopes = set(known["scope"].get("bot", []))
        asked = set(method.scopes) or (scopes if name.startswith("conversations.") else set())  # by the channel's sort
        found[name] = ((method.tier or 5, asked), (int(known["rate_limits"][1:]), scopes))

    assert len(found) > 25
    assert {name: pair for name, pair in found.items() if pair[0] != pair[1]} == {}


def test_answers_hold_what_the_reference_requires(traffic: tuple[dict[str, Json], dict[str, Json]]) -> None:
    reference = folder(METHODS)
    missing = {}
    for name, reply in traffic[1].items():
        required = set((read(reference / f"{name}.json").get("output") or {}).get("required", []))
        missing[name] = required - reply.keys()

    assert {name: keys for name, keys in missing.items() if keys} == {}


# the comparison itself


@pytest.mark.parametrize(
    ("ours", "sample", "found"),
    [
        ({"a": 1}, {"a": 2.5}, []),
        ({"a": None}, {"a": "x"}, []),
        ({"a": 1}, {"a": "x"}, ["type: .a is number, string in the sample"]),
        ({"a": True}, {"a": 1}, ["type: .a is boolean, number in the sample"]),
        ({"a": 1, "b": 2}, {"a": 1}, ["unknown: .b"]),
        ({"a": {}}, {"a": {"b": 1}}, ["missing: .a.b"]),
        ({"a": [{"b": 1}]}, {"a": [{"c": 1}]}, ["unknown: .a[].b", "missing: .a[].c"]),
        ({"blocks": [{"b": 1}]}, {"blocks": [{"c": 1}]}, []),
    ],
)
def test_comparison_names_the_key_that_differs(ours: Json, sample: Json, found: list[str]) -> None:
    assert list(differences(ours, sample)) == found


def test_excuse_covers_its_pattern_only() -> None:
    excuses = {"missing: *.emoji": "kept as sent"}

    assert unexcused(iter(["missing: .text.emoji", "unknown: .text.emoji"]), excuses) == ["unknown: .text.emoji"]


def test_round_of_traffic_holds_every_payload_that_is_compared(
    traffic: tuple[dict[str, Json], dict[str, Json]],
) -> None:
    assert PAYLOADS.keys() <= traffic[0].keys()
    assert methods().keys() - traffic[1].keys() == {"functions.completeSuccess", "functions.completeError"}
