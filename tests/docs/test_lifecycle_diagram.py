"""The page on the life cycle shows the tables that the engine obeys: its diagrams, its states, its moves."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot.diagram import session_diagram, step_diagram
from engine.machine import SESSION_MOVES, STEP_MOVES, Move
from engine.words import SessionStatus, StepStatus

PAGE = (Path(__file__).parents[2] / "docs" / "life-cycle.md").read_text(encoding="utf-8")
DIAGRAMS = {"session": session_diagram, "step": step_diagram}
ARROW = re.compile(r"^    (\S+) --> (\S+)(?: : (.+))?$", re.MULTILINE)


def section(title: str) -> str:
    return re.split(r"^## ", PAGE.split(f"## {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def first_cells(text: str, heading: str) -> list[str]:
    """The first column of the table with this heading, without its marks."""
    table = text.split(f"| {heading} |", 1)[1].split("\n\n", 1)[0]
    return [row.split("|")[1].strip(" `") for row in table.splitlines()[2:]]


@pytest.mark.parametrize("name", DIAGRAMS)
def test_diagram_in_the_documentation_is_the_generated_one(name: str) -> None:
    shown = re.search(rf"<!-- runbook diagram {name} -->\n```mermaid\n(.*?)```\n", PAGE, re.DOTALL)

    assert shown is not None
    assert shown[1] == DIAGRAMS[name](), "paste the output of `runbook diagram` into docs/life-cycle.md"


def test_session_diagram_has_an_arrow_for_every_row_of_the_table_and_no_other() -> None:
    arrows = {(before, after) for before, after, _ in ARROW.findall(session_diagram()) if "[*]" not in {before, after}}

    assert arrows == {(before.value, after.value) for before, ends in SESSION_MOVES.items() for after in ends}


def test_step_diagram_names_every_move_of_the_table_and_no_other() -> None:
    rows = {
        (before, move, after)
        for before, after, label in ARROW.findall(step_diagram())
        if label
        for move in label.split(", ")
    }

    assert rows == {
        (before.value, move.value.replace("_", " "), after.value)
        for before, moves in STEP_MOVES.items()
        for move, after in moves.items()
    }


@pytest.mark.parametrize(
    ("drawn", "final"),
    [
        (session_diagram(), [status for status in SessionStatus if not SESSION_MOVES[status]]),
        (step_diagram(), [status for status in StepStatus if not STEP_MOVES[status]]),
    ],
    ids=["session", "step"],
)
def test_diagram_begins_with_pending_and_ends_in_every_final_state(drawn: str, final: list[str]) -> None:
    arrows = ARROW.findall(drawn)

    assert [after for before, after, _ in arrows if before == "[*]"] == ["pending"]
    assert [before for before, after, _ in arrows if after == "[*]"] == final


def test_page_describes_every_state_and_move_in_the_order_of_the_code() -> None:
    assert first_cells(section("Sessions"), "state") == [status.value for status in SessionStatus]
    assert first_cells(section("Steps"), "state") == [status.value for status in StepStatus]
    assert first_cells(section("Steps"), "move") == [move.value.replace("_", " ") for move in Move]
