"""The workspace a newcomer finds: people, a user group and channels with one purpose each.

Ids are fixed so that policies and examples can name them. It must never depend on chance or on the time.
"""

from pathlib import Path
from typing import Any

import yaml

from playground.slack.model import BOT_USER_ID, OTHER_TEAM_ID, Channel, User, UserGroup
from playground.slack.state import AppConfig, World

ALICE, BOB, CAROL, DAVE = "U0ALICE", "U0BOB", "U0CAROL", "U0DAVE"
GUEST, OUTSIDER = "U0GINA", "U0OSCAR"
APPROVERS_GROUP = "S0APPROVERS"


def people() -> list[User]:
    return [
        User(id=ALICE, name="alice", real_name="Alice Archer"),
        User(id=BOB, name="bob", real_name="Bob Baker"),
        User(id=CAROL, name="carol", real_name="Carol Cook"),
        User(id=DAVE, name="dave", real_name="Dave Dyer"),
        User(id=GUEST, name="gina", real_name="Gina Guest", is_guest=True),
        User(id=OUTSIDER, name="oscar", real_name="Oscar Outsider", team_id=OTHER_TEAM_ID),
        User(id=BOT_USER_ID, name="runbook", real_name="Runbook Bot", is_bot=True),
    ]


def channels() -> list[Channel]:
    staff = {ALICE, BOB, CAROL, DAVE}
    with_bot = staff | {BOT_USER_ID}
    return [
        Channel(id="C0OPS", name="ops", members=with_bot | {GUEST}),
        Channel(id="C0RANDOM", name="random", members=set(with_bot)),
        Channel(id="C0PARTNERS", name="partners", members=with_bot | {OUTSIDER}, is_ext_shared=True),
        Channel(id="C0PRIVATE", name="private", members={ALICE, BOB, BOT_USER_ID}, is_private=True),
        Channel(id="C0SECRET", name="secret", members={ALICE, CAROL}, is_private=True),
        Channel(id="C0ARCHIVED", name="archived", members=set(with_bot), is_archived=True),
        Channel(id="C0NOBOT", name="nobot", members=set(staff)),
    ]


def fill(world: World) -> None:
    """Put the people, the group and the channels into an empty workspace."""
    world.users = {user.id: user for user in people()}
    world.channels = {channel.id: channel for channel in channels()}
    group = UserGroup(id=APPROVERS_GROUP, handle="approvers", name="VM approvers", members=[BOB, CAROL])
    world.groups = {group.id: group}


def app_from_manifest(path: Path) -> AppConfig:
    """Scopes, events, commands and shortcuts as the app's manifest declares them."""
    manifest: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    features = manifest.get("features", {})
    subscriptions = manifest.get("settings", {}).get("event_subscriptions", {})
    commands = {each["command"]: bool(each.get("should_escape")) for each in features["slash_commands"]}
    return AppConfig(
        scopes=frozenset(manifest["oauth_config"]["scopes"]["bot"]),
        events=frozenset(subscriptions.get("bot_events", [])),
        commands=commands,
        shortcuts=frozenset(each["callback_id"] for each in features.get("shortcuts", [])),
    )
