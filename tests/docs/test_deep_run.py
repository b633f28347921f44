"""The deep run: what it asks for, what it takes for a result, and that it cannot pass by doing nothing."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests import deep
from tests.crash.campaign import deep as kills
from tests.fuzz.targets import TARGETS
from tests.simulation.campaign import Summary, closing


def test_every_program_of_the_deep_run_exists_and_takes_its_arguments() -> None:
    programs = {each.words[0] for each in deep.campaigns(1.0)}

    helps = {
        each: subprocess.run([sys.executable, "-m", each, "--help"], capture_output=True, text=True, check=True).stdout
        for each in programs
    }

    assert [
        (each.name, word)
        for each in deep.campaigns(1.0)
        for word in each.words
        if word.startswith("--") and word not in helps[each.words[0]]
    ] == []


def test_deep_run_asks_for_all_that_is_promised() -> None:
    words = {each.name: each.words for each in deep.campaigns(1.0)}

    assert words["kills on SQLite"][1:3] == ("--sqlite", "10000")
    assert words["kills on PostgreSQL"][3:5] == ("--postgres", "2000")
    assert words["simulation"][1:3] == ("--seeds", "100000")
    assert words["soak"][1:3] == ("--sessions", "50000")
    fuzzed = {each[1]: float(each[3]) for name, each in words.items() if name.startswith("fuzzer")}
    assert set(fuzzed) == set(TARGETS)
    assert {name for name in fuzzed if fuzzed[name] >= 10} >= {"slash", "runbook", "payload", "http", "redactor", "arm"}


def test_figures_are_the_list_or_table_that_was_printed_last() -> None:
    text = "- an early list\n\nsome words\n\n### SQLite\n\n- kills: 3\n- problems: 0\n\n"

    assert deep.figures_in(text) == "- kills: 3\n- problems: 0"
    assert deep.figures_in("| a | b |\n| --- | --- |\n| 1 | 2 |\n") == "| a | b |\n| --- | --- |\n| 1 | 2 |"
    assert deep.figures_in("it died\n") == ""


def test_every_campaign_closes_with_figures() -> None:
    assert deep.figures_in(closing(Summary()))
    assert deep.figures_in(kills.Tally("SQLite", 1, 0.0).report())


@pytest.mark.parametrize(("code", "figures"), [(1, "- kills: 3"), (0, "")])
def test_failed_campaign_and_one_without_figures_are_told(code: int, figures: str) -> None:
    ended = deep.Ended(deep.campaigns(1.0)[0], code, 1.0, figures)

    assert not ended.well


def test_section_takes_the_place_of_the_last_run_and_of_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Head\n\n{deep.BEGIN}\nold\n\n{deep.END}\nTail\n", encoding="utf-8")
    ended = [deep.Ended(deep.campaigns(1.0)[0], 0, 1.0, "- kills: 3")]

    deep.record(deep.report(ended, began=datetime(2026, 1, 2, tzinfo=UTC), minutes=2.0), page)

    text = page.read_text(encoding="utf-8")
    assert text.startswith("# Head\n")
    assert text.endswith("Tail\n")
    assert "old" not in text
    assert "- kills: 3" in text
    assert "2026-01-02" in text
