"""What is shown, what is hashed, what is sent and what runs are the same bytes."""

from __future__ import annotations

import hashlib

from connectors.envelope import script_of
from engine.plan import digest_of
from playground.slack.model import Message
from playground.stories import APPROVE, Scene
from tests.journeys.rows import Rows

AWKWARD = r"it's $HOME `id` $(id) \n; & <tag> |*"


def shown_command(message: Message) -> str:
    """Put the boxes together that follow the line "Exactly this runs"."""
    block = next(b for b in message.blocks if b["type"] == "rich_text" and "Exactly this runs" in str(b))
    boxes: list[str] = []
    for element in block["elements"][1:]:
        if element["type"] != "rich_text_preformatted":
            break
        boxes += [part["text"] for part in element["elements"]]
    return "".join(boxes)


def sent_scripts(scene: Scene, rows: Rows) -> list[str]:
    names = {f"rb-{row['id']}-{row['number']}".lower() for row in rows.attempts(scene.session)}
    requests = scene.stage.cloud.ledger.requests(method="PUT", path_contains="/runcommands/")
    return [
        script_of(request.body["properties"]["source"]["script"])
        for request in requests
        if request.path.rsplit("/", 1)[-1].lower() in names
    ]


def test_bytes_sent_are_the_bytes_shown_and_the_bytes_hashed(scene: Scene, rows: Rows):
    """Predecessor X7: the command that ran was not the command that was approved."""
    scene.executes("alice", f'/runbook execute one-change vm=rg-prod/web-01 word="{AWKWARD}"')
    gate = scene.gate()
    shown = shown_command(gate)

    scene.clicks("bob", gate, APPROVE)
    scene.wait_for_words("is over")

    session = rows.session(scene.session)
    row = rows.one("SELECT command FROM execution_steps WHERE session_id = :n", n=scene.session)
    stored = rows.one("SELECT plan_digest FROM gates WHERE session_id = :n", n=scene.session)
    (sent,) = sent_scripts(scene, rows)
    assert shown == row["command"] == sent
    assert digest_of(session.plan) == session.digest == stored["plan_digest"]
    handle = next(iter(rows.session(scene.session).steps)).attempt
    assert handle is not None
    assert handle.handle["digest"] == hashlib.sha256(shown.encode()).hexdigest()


def test_awkward_value_reaches_the_machine_as_data(scene: Scene):
    """Predecessor X33 and X34: names were replaced inside commands, and values could run as code."""
    vm = scene.stage.cloud.vm("rg-prod/web-02")
    scene.executes("alice", f'/runbook execute one-change vm=rg-prod/web-02 word="{AWKWARD}"')

    scene.clicks("bob", scene.gate(), APPROVE)
    scene.wait_for_words("is over")

    assert [effect.partition(" ")[2] for effect in vm.effects()] == [f"changed {AWKWARD}"]


def test_closed_request_still_shows_the_command_that_ran(scene: Scene, rows: Rows):
    scene.executes("alice", "/runbook execute one-change vm=rg-prod/web-01")
    gate = scene.gate()
    shown = shown_command(gate)

    scene.clicks("bob", gate, APPROVE)
    scene.wait_for_words("is over")

    assert shown_command(scene.now(gate)) == shown
    assert scene.closed(gate)
