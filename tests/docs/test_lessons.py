"""The page of lessons is complete, and every test that it promises exists and can fail."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "lessons.md").read_text(encoding="utf-8")
ROW = re.compile(
    r"^\| (?P<number>[AX]\d+) \| (?P<wrong>[^|]+) \| (?P<rule>[^|]+) "
    r"\| `(?P<file>tests/[\w/]+\.py)::(?P<test>test_\w+)` \|$",
    re.MULTILINE,
)
ROWS = {row["number"]: row for row in ROW.finditer(PAGE)}
LEFT_OUT = re.compile(r"^- \*\*([AX]\d+)\*\* (.+?)(?=^- |\Z)", re.MULTILINE | re.DOTALL)
EVERY_NUMBER = [f"A{n}" for n in range(1, 27)] + [f"X{n}" for n in range(1, 46)]


@cache
def functions(file: str) -> dict[str, ast.FunctionDef]:
    """The functions of a file by name, read and not imported."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


def can_fail(file: str, test: ast.FunctionDef) -> bool:
    """Say whether a test, or a function of its file that it calls, asserts something or expects an error."""
    called = {node.func.id for node in ast.walk(test) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    looked_at = [test, *(function for name, function in functions(file).items() if name in called)]
    return any(isinstance(node, ast.Assert | ast.With) for function in looked_at for node in ast.walk(function))


def test_every_failure_is_answered_exactly_once() -> None:
    answered = [row["number"] for row in ROW.finditer(PAGE)] + [found[0] for found in LEFT_OUT.findall(PAGE)]

    assert sorted(answered) == sorted(EVERY_NUMBER)


def test_no_line_of_the_table_escapes_this_test() -> None:
    lines = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| no.")]

    assert len(lines) == len(ROWS)


@pytest.mark.parametrize("number", ROWS)
def test_promised_test_exists_and_asserts_something(number: str) -> None:
    row = ROWS[number]

    found = functions(row["file"]).get(row["test"])

    assert found is not None, f"{number}: {row['file']} has no {row['test']}"
    assert can_fail(row["file"], found)


@pytest.mark.parametrize("number", ROWS)
def test_lesson_says_in_a_sentence_what_went_wrong_and_what_holds_here(number: str) -> None:
    for part in ("wrong", "rule"):
        sentence = ROWS[number][part]
        assert sentence.endswith(".")
        assert len(sentence.split()) >= 4


def test_what_does_not_apply_has_its_reason() -> None:
    reasons = dict(LEFT_OUT.findall(PAGE))

    assert reasons
    assert all("Runbook Bot" in reason for reason in reasons.values())
