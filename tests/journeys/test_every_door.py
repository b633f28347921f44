"""One decision through each door ends in the same rows and redraws the same message."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable

import pytest

from playground.slack.model import Message
from playground.stage import TOKENS, Stage
from playground.stories import APPROVE, Scene
from tests.journeys.rows import Rows

STEP = """
    SELECT s.status AS session, s.waiting_for_approval, s.current_step, t.status AS step, t.approved, t.completed,
           t.success, t.exit_code, t.output, g.status AS gate, g.serial, d.verdict, d.person_user, d.reason
    FROM execution_sessions s
    JOIN execution_steps t ON t.session_id = s.id
    JOIN gates g ON g.session_id = s.id
    JOIN decisions d ON d.gate_id = g.id
    WHERE s.id = :n
"""


def call(stage: Stage, path: str, body: object = None, *, token: str = TOKENS["bob"]) -> tuple[int, dict[str, object]]:
    request = urllib.request.Request(
        f"{stage.http_url}/api/v1/agent{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.load(refused)


def in_thread(scene: Scene, gate: Message) -> None:
    scene.clicks("bob", gate, APPROVE)


def in_app_home(scene: Scene, _gate: Message) -> None:
    bob = scene.person("bob")
    bob.opens_home()
    name = f"Session {scene.session},"
    home = scene.wait_for(lambda: (h := bob.home()) and name in h.plain() and h, "the request in App Home")
    mine = next(p for p in home.elements() if p.element.get("value") == gate_id(scene))
    position = [p.element.get("value") for p in home.elements()].index(mine.element["value"])
    home.content["blocks"] = home.blocks[_block_of(home.blocks, position) :]
    result = bob.clicks(home, APPROVE)
    assert result.acked


def _block_of(blocks: list[dict[str, object]], position: int) -> int:
    """Say in which block the element with this place stands, so that the first button below is the wanted one."""
    seen = 0
    for number, block in enumerate(blocks):
        if block["type"] == "actions":
            seen += len(block["elements"])  # type: ignore[arg-type]
            if seen > position:
                return number
    raise LookupError(f"no element {position}")


def over_http(scene: Scene, _gate: Message) -> None:
    status, answer = call(scene.stage, f"/{scene.session}/approve-step?step_number=1", {"approve": True})
    assert status == 200, answer


def on_the_command_line(scene: Scene, _gate: Message) -> None:
    done = scene.stage.bot.command("approve", str(scene.session), "--step", "1", token=TOKENS["bob"])
    assert done.returncode == 0, done.stderr


def gate_id(scene: Scene) -> str:
    gate = Rows(scene.stage).session(scene.session).open_gate
    assert gate is not None
    return gate.id


DOORS = {"thread": in_thread, "home": in_app_home, "api": over_http, "cli": on_the_command_line}
SOURCES = {"thread": "slack", "home": "home", "api": "api", "cli": "cli"}


@pytest.mark.parametrize("door", sorted(DOORS))
def test_decision_through_any_door_leaves_the_same_rows(scene: Scene, rows: Rows, door: str):
    """Predecessor X2, X25: each door had its own code path, with its own outcome."""
    decide: Callable[[Scene, Message], None] = DOORS[door]
    scene.executes("alice", "/runbook execute one-change vm=rg-prod/web-01 word=door")
    gate = scene.gate()

    decide(scene, gate)
    scene.wait_for_words("is over", "completed")

    found = dict(rows.one(STEP, n=scene.session))
    assert found == {
        "session": "completed",
        "waiting_for_approval": False,
        "current_step": None,
        "step": "succeeded",
        "approved": True,
        "completed": True,
        "success": True,
        "exit_code": 0,
        "output": "changed it: door\n",
        "gate": "approved",
        "serial": 1,
        "verdict": "approve",
        "person_user": "U0BOB",
        "reason": "",
    }
    source = rows.one(
        "SELECT d.source FROM decisions d JOIN gates g ON g.id = d.gate_id WHERE g.session_id = :n", n=scene.session
    )
    assert source["source"] == SOURCES[door]
    closed = scene.closed(gate)
    assert "Approved" in closed.plain()
    assert "U0BOB" in str(closed.blocks)
    assert len([m for m in scene.thread() if "Approve step 1" in m.plain() or "Request for step 1" in m.plain()]) == 1


def test_api_refuses_the_requester_with_the_same_sentence_as_a_click(scene: Scene):
    scene.executes("alice", "/runbook execute one-change vm=rg-prod/web-02 word=own")
    gate = scene.gate()

    path = f"/{scene.session}/approve-step?step_number=1"
    status, answer = call(scene.stage, path, {"approve": True}, token=TOKENS["alice"])
    scene.clicks("alice", gate, APPROVE)

    assert status == 403
    assert str(answer["message"]) in scene.told("alice", "somebody else must decide")


def test_api_never_decides_another_step_in_place_of_the_one_named(scene: Scene, rows: Rows):
    """Predecessor X3 and X6: the number of the step was ignored."""
    scene.executes("alice", "/runbook execute waits-for-go vm=rg-prod/web-02 flag=never")
    scene.gate()

    status, answer = call(scene.stage, f"/{scene.session}/approve-step?step_number=2", {"approve": True})

    assert status == 409
    assert "step 1" in str(answer)
    assert rows.status(scene.session) == "waiting_approval"


def test_unknown_token_opens_nothing(scene: Scene):
    scene.executes("alice", "/runbook execute one-change vm=rg-prod/web-02 word=token")
    scene.gate()

    status, _ = call(scene.stage, f"/{scene.session}/approve-step?step_number=1", {"approve": True}, token="guess")
    line = scene.stage.bot.command("approve", str(scene.session), "--step", "1", token="guess")

    assert status == 401
    assert line.returncode != 0
    assert "RUNBOOK_TOKEN" in line.stderr
