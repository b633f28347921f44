"""The page about the command line names every verb, argument and option that exists, and no other."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from bot.cli import EXIT_CODES, app

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def verbs(group=None, prefix: str = "runbook") -> Iterator[tuple[str, typer.core.TyperCommand]]:
    """Every verb that can be typed, with those of its groups."""
    for name, command in (group or get_command(app)).commands.items():
        if hasattr(command, "commands"):
            yield from verbs(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}", command


VERBS = dict(verbs())


def section(verb: str) -> str:
    return PAGE.split(f"### `{verb}`\n", 1)[1].split("\n### ", 1)[0].split("\n## ", 1)[0]


def parameters(command: typer.core.TyperCommand) -> dict[str, str]:
    found = {}
    for parameter in command.params:
        if parameter.name != "help":
            is_option = parameter.param_type_name == "option"
            label = parameter.opts[0] if is_option else (parameter.metavar or str(parameter.name).upper())
            found[label] = parameter.help
    return found


def test_page_names_exactly_the_verbs_that_exist():
    assert sorted(re.findall(r"^### `(.+)`$", PAGE, re.MULTILINE)) == sorted(VERBS)


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_purpose_of_a_verb_is_what_its_help_says(verb: str):
    assert section(verb).strip().splitlines()[0] == VERBS[verb].help.strip()


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_arguments_and_options_of_a_verb_are_those_of_the_program(verb: str):
    assert dict(re.findall(r"^\| `(.+?)` \| (.+) \|$", section(verb), re.MULTILINE)) == parameters(VERBS[verb])


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_example_of_a_verb_is_understood_by_it(verb: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(ROOT)
    (line,) = re.findall(r"```sh\n(.+)\n```", section(verb))
    words = shlex.split(line.partition(" > ")[0])[len(verb.split()) :]

    context = VERBS[verb].make_context(verb, words)

    assert line.startswith(verb)
    assert set(context.params) <= {str(parameter.name) for parameter in VERBS[verb].params}


def test_exit_codes_of_the_operations_page_are_those_of_the_program():
    told = {int(code): text for code, text in re.findall(r"^\| (\d+) \| (.+) \|$", OPERATIONS, re.MULTILINE)}

    assert told == EXIT_CODES


def test_verbs_named_anywhere_in_the_documentation_exist():
    known = {verb.split()[1] for verb in VERBS} | {"VERB"}
    pages = [*(ROOT / "docs").glob("*.md"), ROOT / "SECURITY.md", ROOT / "CONTRIBUTING.md"]

    named = {
        (page.name, verb)
        for page in pages
        for verb in re.findall(r"`runbook ([a-z]+)", page.read_text(encoding="utf-8"))
    }

    assert {each for each in named if each[1] not in known} == set()
