"""What is asked of Slack at start: who we are, and whether we may do what we need."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from bot import ids
from bot.payloads import Identity
from bot.slack import check_slack, listening_client
from engine.errors import DeliveryError, Misconfigured
from playground.slack import SlackWorkspace
from playground.slack.faults import FaultKind
from playground.slack.model import APP_ID, TEAM_ID
from playground.slack.state import AppConfig
from tests.bot.listeners.conftest import _no_proxy, alice, budget, database_file, migrated_file, office, workspace
from tests.bot.listeners.office import Office

__all__ = ["_no_proxy", "alice", "budget", "database_file", "migrated_file", "office", "workspace"]


@pytest.fixture
def client(workspace: SlackWorkspace):
    return listening_client(workspace.bot_token, base_url=workspace.base_url)


def test_identity_comes_from_slack(client):
    us = check_slack(client)

    assert us == Identity(team=TEAM_ID, app=APP_ID, bot_user="U0RUNBOOKBOT", bot="B0RUNBOOKBOT", team_name="Demo")


def test_token_of_another_workspace_is_refused(client):
    with pytest.raises(Misconfigured, match="SLACK_TEAM_ID allows only T0ELSEWHERE"):
        check_slack(client, team="T0ELSEWHERE")


@pytest.fixture
def poor() -> Iterator[SlackWorkspace]:
    scopes = frozenset(ids.BOT_SCOPES) - {"groups:history"}
    with SlackWorkspace.start(app=AppConfig(scopes=scopes)) as started:
        yield started


def test_missing_scope_is_named_with_the_place_to_add_it(poor: SlackWorkspace):
    with pytest.raises(Misconfigured, match="groups:history") as refused:
        check_slack(listening_client(poor.bot_token, base_url=poor.base_url))

    assert "OAuth & Permissions" in refused.value.hint


def test_wrong_token_is_named_and_never_shown(workspace: SlackWorkspace):
    with pytest.raises(Misconfigured, match="SLACK_BOT_TOKEN") as refused:
        check_slack(listening_client("xoxb-wrong-token", base_url=workspace.base_url))

    assert "xoxb-wrong-token" not in str(refused.value)


def test_slack_out_of_order_is_no_misconfiguration(client, workspace: SlackWorkspace):
    workspace.faults.switch_on(FaultKind.SERVER_ERROR, on="auth.test")

    with pytest.raises(DeliveryError):
        check_slack(client)


def test_unreachable_slack_is_no_misconfiguration(client, workspace: SlackWorkspace):
    workspace.stop()

    with pytest.raises(DeliveryError, match="cannot be reached"):
        check_slack(client)


def test_building_the_app_asks_slack_nothing(office: Office):
    calls = [entry.name for entry in office.workspace.journal.of("call")]

    assert calls.count("auth.test") == 1  # ours, at start
    assert set(calls) == {"auth.test", "bots.info", "apps.connections.open"}


def test_posting_is_never_repeated_by_the_client(client):
    assert client.retry_handlers == []


def test_no_payload_reaches_a_log(office: Office, alice, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.DEBUG):
        alice.types("/runbook cancel 99 very-secret-words", channel="ops")

    assert "very-secret-words" not in caplog.text
