"""The seeded workspace and the app as a manifest declares it."""

from pathlib import Path

import pytest

from playground.slack import SlackWorkspace
from playground.slack.results import Refused
from playground.slack.seed import app_from_manifest

MANIFEST = """
features:
  slash_commands:
    - {command: /ops, description: x, should_escape: true}
  shortcuts:
    - {name: Actions, callback_id: actions, type: message, description: x}
oauth_config: {scopes: {bot: [commands, "chat:write"]}}
settings: {event_subscriptions: {bot_events: [app_home_opened]}}
"""


def test_manifest_decides_scopes_events_commands_and_shortcuts(tmp_path: Path):
    path = tmp_path / "manifest.yml"
    path.write_text(MANIFEST)

    app = app_from_manifest(path)

    assert app.scopes == {"commands", "chat:write"}
    assert app.events == {"app_home_opened"}
    assert app.commands == {"/ops": True}
    with SlackWorkspace.start(app=app) as ws, pytest.raises(Refused, match="it has actions"):
        ws.person("alice").shortcut("other")


@pytest.mark.parametrize(("name", "guest", "outsider"), [("gina", True, False), ("oscar", False, True)])
def test_guest_and_outsider_are_marked(ws: SlackWorkspace, name: str, guest: bool, outsider: bool):
    user = ws.person(name).user

    assert (user.is_guest, user.is_outsider) == (guest, outsider)


def test_unknown_names_are_answered_with_the_known_ones(ws: SlackWorkspace):
    with pytest.raises(KeyError, match="there are alice, bob"):
        ws.person("mallory")
    with pytest.raises(KeyError, match="there are archived, nobot, ops"):
        ws.channel("nowhere")
