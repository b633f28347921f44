"""The page about Slack names every command, button, dialog and shortcut that exists, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot import grammar, ids, parsing
from bot.listeners.answer import BUDGET_SECONDS

PAGE = (Path(__file__).parents[2] / "docs" / "slack-commands.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return PAGE.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def named_in(title: str) -> set[str]:
    """The ids in the first column of a section's table."""
    return set(re.findall(r"^\| [^|]*\(`([a-z_]+)`\)", section(title), re.MULTILINE))


def rows() -> list[tuple[str, ...]]:
    return [tuple(row) for row in re.findall(r"^\| `(.+?)` \| (.+?) \| `(.+?)` \|$", section("Commands"), re.MULTILINE)]


def test_table_of_commands_is_the_grammar():
    expected = [
        (f"{ids.COMMAND} {usage.pattern}", usage.purpose, f"{ids.COMMAND} {usage.example}")
        for usage in grammar.USAGES.values()
    ]

    assert rows() == expected


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_example_of_a_command_is_read_by_its_own_reader(row: tuple[str, ...]):
    verb = row[0].split()[1]
    text = row[2].removeprefix(f"{ids.COMMAND} ")

    assert text.split()[0] == verb
    assert isinstance(parsing.parse(text), grammar.Request)


def test_every_button_is_named():
    inside_dialogs = {ids.ACTION_LAUNCH_RUNBOOK, ids.ACTION_LINK}
    buttons = {value for name, value in vars(ids).items() if name.startswith("ACTION_")}

    assert named_in("Buttons") == buttons - inside_dialogs


def test_every_dialog_is_named():
    dialogs = {value for name, value in vars(ids).items() if name.startswith("VIEW_")}

    assert named_in("Dialogs") == dialogs - {ids.VIEW_HOME}


def test_every_shortcut_is_named():
    assert named_in("Shortcuts") == {ids.SHORTCUT_RUN, ids.SHORTCUT_ACTIONS}


def test_time_after_which_nothing_is_confirmed_is_the_real_one():
    assert f"after {BUDGET_SECONDS} seconds" in PAGE
