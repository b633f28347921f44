"""Only full, active, human members of our workspace pass, and no answer is no."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from slack_sdk import WebClient

from bot.directory import SlackDirectory, channel_refusal, member_refusal
from engine.errors import NotAllowed, Precondition, Unverifiable
from engine.model import Person, Place
from playground.slack import FaultKind, SlackWorkspace
from playground.slack.clock import Clock as SlackClock
from tests.bot.delivering import SharedClock

TEAM = "T0DEMO"
MEMBER: dict[str, Any] = {
    "id": "U0ALICE",
    "team_id": TEAM,
    "name": "alice",
    "deleted": False,
    "is_bot": False,
    "is_restricted": False,
    "is_ultra_restricted": False,
    "is_app_user": False,
}
CHANNEL: dict[str, Any] = {"id": "C0OPS", "is_archived": False, "is_ext_shared": False, "is_member": True}


def a_person(user: str = "U0ALICE", team: str = TEAM, enterprise: str = "") -> Person:
    return Person(team=team, user=user, enterprise=enterprise)


@pytest.fixture
def ws() -> Iterator[SlackWorkspace]:
    with SlackWorkspace.start(clock=SlackClock(frozen_at=datetime(2026, 11, 21, tzinfo=UTC))) as workspace:
        yield workspace


@pytest.fixture
def directory(ws: SlackWorkspace) -> SlackDirectory:
    client = WebClient(ws.bot_token, base_url=ws.base_url)
    return SlackDirectory(client, SharedClock(ws.clock), team=TEAM)


def lookups(ws: SlackWorkspace) -> int:
    return len(ws.journal.calls("users.info"))


# ---------------------------------------------------------------- people


def test_a_member_passes_by_the_name_that_people_know(directory: SlackDirectory) -> None:
    assert directory.require_member(a_person()) == "alice"


@pytest.mark.parametrize(
    ("user", "why"),
    [
        ("U0GINA", "Guests cannot do this."),
        ("U0OSCAR", "You belong to another workspace."),
        ("U0RUNBOOKBOT", "only people can"),
        ("U0NOBODY", "You are not a member of this workspace."),
    ],
)
def test_others_are_turned_away_with_the_reason(directory: SlackDirectory, user: str, why: str) -> None:
    with pytest.raises(NotAllowed, match=why):
        directory.require_member(a_person(user))


def test_a_deactivated_person_is_turned_away(directory: SlackDirectory, ws: SlackWorkspace) -> None:
    with ws.world.lock:
        ws.world.users["U0BOB"].deleted = True

    with pytest.raises(NotAllowed, match="deactivated"):
        directory.require_member(a_person("U0BOB"))


@pytest.mark.parametrize("stranger", [a_person(team="T0OTHER"), a_person(enterprise="E0GRID")], ids=str)
def test_another_workspace_is_turned_away_without_asking_slack(
    directory: SlackDirectory, ws: SlackWorkspace, stranger: Person
) -> None:
    with pytest.raises(NotAllowed, match="another workspace"):
        directory.require_member(stranger)

    assert lookups(ws) == 0


def test_an_answer_is_kept_for_a_minute_and_no_longer(directory: SlackDirectory, ws: SlackWorkspace) -> None:
    directory.require_member(a_person())
    ws.clock.advance(59)
    directory.require_member(a_person())
    kept = lookups(ws)
    with ws.world.lock:
        ws.world.users["U0ALICE"].deleted = True
    ws.clock.advance(2)

    with pytest.raises(NotAllowed):
        directory.require_member(a_person())

    assert kept == 1


@pytest.mark.parametrize(
    "fault", [FaultKind.RESET_BEFORE_WORK, FaultKind.SERVER_ERROR, FaultKind.RATE_LIMITED_EMPTY], ids=str
)
def test_when_slack_does_not_answer_nobody_passes_and_the_failure_is_not_kept(
    directory: SlackDirectory, ws: SlackWorkspace, fault: FaultKind
) -> None:
    ws.faults.switch_on(fault, on="users.info")

    with pytest.raises(NotAllowed, match="could not be asked"):
        directory.require_member(a_person())

    assert directory.require_member(a_person()) == "alice"


def test_a_slow_slack_is_not_waited_for_longer_than_a_click_can_wait(
    directory: SlackDirectory, ws: SlackWorkspace
) -> None:
    ws.faults.switch_on(FaultKind.SLOW_REPLY, on="users.info", seconds=2.5)

    with pytest.raises(NotAllowed, match="could not be asked"):
        directory.require_member(a_person())


@pytest.mark.parametrize("flag", ["deleted", "is_bot", "is_restricted", "is_ultra_restricted"])
@pytest.mark.parametrize("value", [True, None, "no", 0])
def test_a_flag_that_is_not_clearly_false_turns_a_person_away(flag: str, value: object) -> None:
    record = MEMBER | {flag: value}
    without = {key: each for key, each in MEMBER.items() if key != flag}

    assert member_refusal(record, user="U0ALICE", team=TEAM) != ""
    assert "is missing" in member_refusal(without, user="U0ALICE", team=TEAM)


@pytest.mark.parametrize(
    "flag", ["is_stranger", "is_invited_user", "is_workflow_bot", "is_app_user", "is_connector_bot"]
)
def test_a_person_whom_slack_marks_as_something_else_is_turned_away(flag: str) -> None:
    assert member_refusal(MEMBER | {flag: True}, user="U0ALICE", team=TEAM) != ""


@pytest.mark.parametrize("record", [{}, MEMBER | {"id": "U0OTHER"}, MEMBER | {"team_id": "T0OTHER"}])
def test_a_record_of_somebody_else_turns_a_person_away(record: dict[str, Any]) -> None:
    assert member_refusal(record, user="U0ALICE", team=TEAM) != ""


def test_slackbot_is_no_person_although_its_record_says_so() -> None:
    assert member_refusal(MEMBER | {"id": "USLACKBOT"}, user="USLACKBOT", team=TEAM) != ""


def test_in_a_grid_the_person_must_belong_to_our_enterprise_and_to_our_workspace() -> None:
    grid = MEMBER | {"team_id": "T0HOME", "enterprise_user": {"enterprise_id": "E0GRID", "teams": [TEAM]}}

    assert member_refusal(grid, user="U0ALICE", team=TEAM, enterprise="E0GRID") == ""
    assert member_refusal(grid, user="U0ALICE", team=TEAM) != ""
    assert member_refusal(grid, user="U0ALICE", team=TEAM, enterprise="E0ELSE") != ""
    assert member_refusal(grid, user="U0ALICE", team="T0THIRD", enterprise="E0GRID") != ""


# ---------------------------------------------------------------- places


@pytest.mark.parametrize("channel", ["C0OPS", "C0PRIVATE"])
def test_a_channel_with_the_bot_is_fine(directory: SlackDirectory, channel: str) -> None:
    directory.require_postable(Place(team=TEAM, channel=channel))


@pytest.mark.parametrize(
    ("channel", "why"),
    [
        ("C0NOBOT", r"not in this channel\. Write `/invite @Runbook Bot`"),
        ("C0SECRET", r"cannot see this conversation.*`/invite @Runbook Bot`"),
        ("C0ARCHIVED", "is archived"),
        ("C0PARTNERS", "shared with another organisation"),
        ("C0MISSING", "cannot see this conversation"),
    ],
)
def test_a_channel_that_cannot_show_a_session_is_refused_with_the_cure(
    directory: SlackDirectory, channel: str, why: str
) -> None:
    with pytest.raises(Precondition, match=why):
        directory.require_postable(Place(team=TEAM, channel=channel))


def test_a_direct_message_is_no_place_for_approvals() -> None:
    refusal = channel_refusal(CHANNEL | {"is_im": True})

    assert refusal is not None
    assert "needs a channel" in refusal[0]


@pytest.mark.parametrize("flag", ["is_archived", "is_ext_shared", "is_member"])
def test_a_channel_of_which_slack_says_too_little_is_refused(flag: str) -> None:
    assert channel_refusal(CHANNEL) is None
    assert channel_refusal({key: value for key, value in CHANNEL.items() if key != flag}) is not None


def test_a_channel_of_another_workspace_is_refused(directory: SlackDirectory) -> None:
    with pytest.raises(Precondition, match="another workspace"):
        directory.require_postable(Place(team="T0OTHER", channel="C0OPS"))


def test_when_slack_does_not_answer_nothing_is_started(directory: SlackDirectory, ws: SlackWorkspace) -> None:
    ws.faults.switch_on(FaultKind.SERVER_ERROR, on="conversations.info")

    with pytest.raises(Unverifiable, match="could not be asked"):
        directory.require_postable(Place(team=TEAM, channel="C0OPS"))
