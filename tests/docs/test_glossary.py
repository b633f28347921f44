"""The glossary explains each word once, and the words are those of the code."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import engine.model
from engine.events import Choice
from engine.words import Phase, Risk

PAGE = (Path(__file__).parents[2] / "docs" / "glossary.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| \*\*([\w ]+)\*\*.*? \| (.+) \| (.+) \|$", PAGE, re.MULTILINE)
WORDS = Counter(word for word, _, _ in ROWS)


def test_every_word_is_explained_once() -> None:
    assert WORDS
    assert set(WORDS.values()) == {1}


def test_values_of_the_core_are_explained() -> None:
    values = {"Actor", "Attempt", "Audience", "Decision", "Gate", "Plan", "Step", "Target"}

    assert values <= set(engine.model.__all__)
    assert {value.lower() for value in values} <= set(WORDS)
    assert "execution session" in WORDS


def test_closed_sets_are_spelled_as_in_the_code() -> None:
    meaning = {word: text for word, text, _ in ROWS}

    assert all(f"`{risk.value}`" in meaning["risk"] for risk in Risk)
    assert all(phase.value in meaning["phase"] for phase in Phase)
    assert all(choice.value.replace("rollback", "roll back") in meaning["choice"] for choice in Choice)
