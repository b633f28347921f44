"""``manifest.yml`` creates an app that knows exactly the names the code uses, within Slack's limits."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from bot import ids

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads(Path(__file__).with_name("slack-manifest.schema.json").read_text(encoding="utf-8"))
MANIFEST: dict[str, Any] = yaml.safe_load((ROOT / "manifest.yml").read_text(encoding="utf-8"))
SETUP = (ROOT / "docs" / "slack-setup.md").read_text(encoding="utf-8")


def problems(manifest: object) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in Draft202012Validator(SCHEMA).iter_errors(manifest)]


def changed(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads(json.dumps(MANIFEST))
    change(manifest)
    return manifest


def first_column(heading: str) -> list[str]:
    """Give the code words in the first column of the table below a heading of the set-up page."""
    section = SETUP.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)


def test_manifest_is_within_slacks_limits() -> None:
    Draft202012Validator.check_schema(SCHEMA)

    assert problems(MANIFEST) == []


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda m: m["display_information"].update(name="x" * 36), "$.display_information.name"),
        (
            lambda m: m["display_information"].update(description="x" * 141),
            "$.display_information.description",
        ),
        (lambda m: m["display_information"].update(long_description="short"), "long_description"),
        (lambda m: m["features"]["slash_commands"][0].update(command="runbook"), "slash_commands[0].command"),
        (lambda m: m["features"]["slash_commands"][0].pop("description"), "slash_commands[0]"),
        (lambda m: m["features"]["shortcuts"][0].update(name="x" * 25), "shortcuts[0].name"),
        (lambda m: m["features"].update(shortcuts=m["features"]["shortcuts"] * 6), "shortcuts"),
        (lambda m: m["oauth_config"]["scopes"]["bot"].append("commands"), "scopes.bot"),
        (lambda m: m["settings"].update(socket_mode_enabled=False), "$.settings"),
        (lambda m: m.update(setting={}), "$"),
    ],
)
def test_manifest_that_slack_would_refuse_is_refused_here(
    change: Callable[[dict[str, Any]], object], place: str
) -> None:
    found = problems(changed(change))

    assert any(place in problem for problem in found), found


def test_command_is_the_one_that_the_code_answers() -> None:
    [command] = MANIFEST["features"]["slash_commands"]

    assert command["command"] == ids.COMMAND
    assert command["usage_hint"]
    # Escaping turns a typed @name into <@U...|name>; parameters are data and arrive as they were typed.
    assert command["should_escape"] is False


def test_shortcuts_are_the_ones_that_the_code_answers() -> None:
    found = {(entry["type"], entry["callback_id"], entry["name"]) for entry in MANIFEST["features"]["shortcuts"]}

    assert found == {
        ("global", ids.SHORTCUT_RUN, "Run a runbook"),
        ("message", ids.SHORTCUT_ACTIONS, "Runbook actions"),
    }


def test_scopes_and_events_are_the_ones_that_the_code_needs() -> None:
    assert sorted(MANIFEST["oauth_config"]["scopes"]["bot"]) == sorted(ids.BOT_SCOPES)
    assert sorted(MANIFEST["settings"]["event_subscriptions"]["bot_events"]) == sorted(ids.EVENTS)


def test_app_works_without_an_inbound_port() -> None:
    settings = MANIFEST["settings"]

    assert settings["socket_mode_enabled"] is True
    assert settings["interactivity"] == {"is_enabled": True}
    assert "request_url" not in settings["event_subscriptions"]
    assert MANIFEST["features"]["app_home"]["home_tab_enabled"] is True


def test_token_rotation_stays_off_because_it_cannot_be_switched_off_again() -> None:
    assert MANIFEST["settings"]["token_rotation_enabled"] is False


def test_setup_page_explains_every_scope_and_every_event() -> None:
    assert sorted(first_column("What each scope is for")) == sorted([*ids.BOT_SCOPES, *ids.APP_SCOPES])
    assert sorted(first_column("Which events arrive")) == sorted(ids.EVENTS)
