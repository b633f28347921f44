"""What machines print: shown literally, without secrets, whole when it is long, and judged by its exit code."""

from __future__ import annotations

import pytest

from playground.slack.model import Message
from playground.stories import Scene
from tests.journeys.rows import Rows

CANARIES = ("hunter2-canary-9f", "canarytoken.1234567890abcdef")


def result_of(scene: Scene, what: str, *, ends: str = "completed") -> Message:
    scene.executes("alice", f"/runbook execute prints vm=rg-prod/web-01 what={what}")
    scene.wait_for_words("is over", ends)
    return scene.wait_for_words("step 1 (print it)", "exit code")


def literals(message: Message) -> str:
    """All text that stands in preformatted boxes, where Slack interprets nothing."""
    boxes = [
        part["text"]
        for block in message.blocks
        if block["type"] == "rich_text"
        for element in block["elements"]
        if element["type"] == "rich_text_preformatted"
        for part in element["elements"]
        if part["type"] == "text"
    ]
    return "\n".join(boxes)


def test_long_output_arrives_whole_as_a_file_and_its_head_in_the_message(scene: Scene, rows: Rows):
    """Predecessor 4.3: nothing there noticed that output is cut at 4 KB; here it is 13 KB."""
    result = result_of(scene, "long")

    files = scene.wait_for(lambda: [f for m in scene.thread() for f in m.files], "the output as a file")
    whole = "".join(f"line {n:03d} of a long output that nobody reads\n" for n in range(1, 301))
    stored = rows.one("SELECT output, output_bytes FROM execution_steps WHERE session_id = :n", n=scene.session)
    shown = literals(result)
    assert stored["output_bytes"] == len(whole)
    assert "line 300 of a long output" in shown
    assert len(shown.split("\n")) <= 45
    assert "left out" in result.plain()
    assert stored["output"] in whole
    assert len(files) == 1
    assert whole[-2000:] in files[0].text()


def test_hostile_output_is_shown_literally(scene: Scene):
    """Whatever a machine prints mentions nobody, links nowhere and colours nothing."""
    result = result_of(scene, "hostile")

    kinds = {part["type"] for part in parts_of(result)}
    shown = literals(result)
    assert "<!channel> <@U0ALICE> <https://evil.example|click me> *bold* `code` &amp; ```fence```" in shown
    assert "\x1b" not in str(result.blocks) + result.text
    assert not kinds & {"broadcast", "link", "emoji", "channel", "usergroup"}
    for message in scene.thread():
        assert "<!channel>" not in message.text
        assert "<https://evil" not in message.text


def parts_of(message: Message) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    todo: list[object] = list(message.blocks)
    while todo:
        one = todo.pop()
        if isinstance(one, dict):
            todo += one.get("elements", [])
            found.append(one)
    return found


def test_secrets_in_output_reach_neither_slack_nor_rows_nor_log(scene: Scene, rows: Rows):
    """Predecessor D5: secrets were hidden in some places and shown in others."""
    result = result_of(scene, "secret")

    stored = str(rows.all("SELECT * FROM execution_steps WHERE session_id = :n", n=scene.session))
    told = "".join(f"{m.text}{m.blocks}{[f.text() for f in m.files]}" for m in scene.thread())
    audit = str(rows.all("SELECT data FROM audit_events WHERE session_id = :n", n=scene.session))
    log = "\n".join(scene.stage.bot.log_lines())
    assert "[redacted]" in literals(result)
    for canary in CANARIES:
        for place in (stored.replace(rows_command(rows, scene), ""), told, audit, log):
            assert canary not in place


def rows_command(rows: Rows, scene: Scene) -> str:
    """The approved command itself holds the canaries of this test: it prints them."""
    return repr(rows.one("SELECT command FROM execution_steps WHERE session_id = :n", n=scene.session)["command"])


def test_failing_command_ends_as_failed_with_its_code_and_both_streams(scene: Scene, rows: Rows):
    """Predecessor X14: failing scripts were reported as a success."""
    result = result_of(scene, "fails", ends="failed")

    row = rows.one("SELECT * FROM execution_steps WHERE session_id = :n", n=scene.session)
    assert "Exit code: 7" in result.plain()
    assert "half way" in literals(result)
    assert "the disk is gone" in literals(result)
    assert (row["status"], row["exit_code"], row["success"], row["completed"]) == ("failed", 7, False, True)
    assert (row["output"], row["error"]) == ("half way\n", "the disk is gone\n")


@pytest.mark.parametrize(("what", "stored"), [("cut-off", "no newline at the end"), ("nothing", "")])
def test_output_without_an_end_of_line_is_kept_as_it_is(scene: Scene, rows: Rows, what: str, stored: str):
    """Predecessor A18: empty or missing output that nobody could explain."""
    result = result_of(scene, what)

    row = rows.one("SELECT output, error, output_bytes FROM execution_steps WHERE session_id = :n", n=scene.session)
    assert (row["output"], row["error"], row["output_bytes"]) == (stored, "", len(stored))
    assert (stored or "It printed nothing.") in result.plain()
