"""The house rules hold over the whole tree, and the measure that says so can say the opposite."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent, indent

import pytest

from tests.docs.house import (
    DOUBLES_PER_100_TESTS,
    FILE_LINES,
    FUNCTION_LINES,
    LISTENER_LINES,
    PRODUCT,
    Module,
    broad_excepts,
    count_tests,
    doubles_in,
    faults,
    modules,
)

ROOT = Path(__file__).parents[2]
#: A loop that must outlive whatever one round throws may catch everything, once. Module -> which loop it is.
OUTERMOST_LOOPS: dict[str, str] = {
    "bot/delivery.py": "the thread that empties the outbox",
    "bot/listeners/visit.py": "a request from Slack",
    "storage/queue.py": "a worker of the queue",
}
NO_DOUBLES_AT_ALL = ("tests/engine/", "tests/journeys/", "tests/crash/")


def test_recipes_for_contributors_name_files_that_exist() -> None:
    recipes = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## Recipes", 1)[1]
    named = re.findall(r"`((?:[\w.-]+/)+[\w.-]*|[\w-]+\.(?:md|yml|toml))`", recipes)

    missing = [place for place in named if not (ROOT / place).exists()]

    assert named
    assert missing == []


def sample(text: str, place: str = "engine/sample.py") -> Module:
    return Module(place=place, text=dedent(text))


def function_of(lines: int, *, name: str = "long") -> str:
    return f'"""Sample."""\n\ndef {name}():\n    """Explain."""\n' + "    pass\n" * lines


def test_every_module_is_documented_and_within_its_size() -> None:
    product = modules(ROOT, *PRODUCT)

    found = [fault for module in product + modules(ROOT, "tests") for fault in faults(module)]

    assert product
    assert found == [], "\n".join(found)


def test_only_the_outermost_loops_catch_everything() -> None:
    found = {module.place: len(lines) for module in modules(ROOT, *PRODUCT) if (lines := broad_excepts(module))}

    assert found == dict.fromkeys(OUTERMOST_LOOPS, 1), (
        "catch what you can name; an outermost loop may catch everything, once, and is listed above"
    )


def test_tests_put_nearly_nothing_false_in_place_of_the_real() -> None:
    suite = modules(ROOT, "tests")
    doubles = [f"{module.place}:{line}" for module in suite for line in doubles_in(module)]

    allowed = sum(map(count_tests, suite)) * DOUBLES_PER_100_TESTS // 100

    assert len(doubles) <= allowed, doubles
    assert [place for place in doubles if place.startswith(NO_DOUBLES_AT_ALL)] == []


@pytest.mark.parametrize(
    ("place", "limit"),
    [("engine/plan.py", FUNCTION_LINES), ("bot/listeners/home.py", LISTENER_LINES)],
)
def test_function_is_measured_without_its_docstring(place: str, limit: int) -> None:
    in_order, too_long = (sample(function_of(lines), place) for lines in (limit, limit + 1))

    assert faults(in_order) == []
    assert faults(too_long) == [f"{place}:3: long has {limit + 1} lines, {limit} at most"]


def test_method_and_nested_function_are_measured_too() -> None:
    body = indent("def inner():\n" + "    pass\n" * (FUNCTION_LINES + 1), "    ")

    [fault] = faults(sample('"""Sample."""\nclass Thing:\n' + body))

    assert "inner has 41 lines" in fault


def test_file_over_its_budget_is_found() -> None:
    text = '"""Sample."""\n' + "x = 1\n" * FILE_LINES

    assert faults(sample(text)) == ["engine/sample.py: 351 lines, 350 at most; move one subject out"]


@pytest.mark.parametrize("text", ["", "x = 1\n", '# a comment\n"""late""" + ""\n', '"""   """\n'])
def test_module_without_a_docstring_is_found(text: str) -> None:
    [fault] = faults(sample(text))

    assert "no module docstring" in fault


def test_migration_may_be_as_long_as_what_it_moves_but_is_documented() -> None:
    place = "storage/migrations/versions/0001_first.py"

    assert faults(sample(function_of(FILE_LINES + 1, name="upgrade"), place)) == []
    assert len(faults(sample("x = 1\n", place))) == 1


@pytest.mark.parametrize("caught", ["", " Exception", " BaseException as e", " (KeyError, Exception)"])
def test_except_that_catches_everything_is_found(caught: str) -> None:
    assert broad_excepts(sample(f"try:\n    pass\nexcept{caught}:\n    raise\n")) == [3]


@pytest.mark.parametrize("caught", [" KeyError", " (KeyError, OSError)", " ExceptionGroup"])
def test_except_with_a_name_is_in_order(caught: str) -> None:
    assert broad_excepts(sample(f"try:\n    pass\nexcept{caught}:\n    raise\n")) == []


@pytest.mark.parametrize(
    "text",
    [
        "from unittest.mock import Mock\nmachine = Mock()\n",
        "from unittest import mock\nmachine = mock.Mock()\n",
        "import unittest.mock\nmachine = unittest.mock.Mock()\n",
        "from unittest.mock import patch as swap\n@swap('os.getcwd')\ndef test_x(): ...\n",
        "def test_x(monkeypatch):\n    monkeypatch.setattr('os.getcwd', None)\n",
        "def test_x(mocker):\n    mocker.patch('os.getcwd')\n",
    ],
)
def test_double_is_counted_where_it_is_used(text: str) -> None:
    assert doubles_in(sample(text)) == [2]


@pytest.mark.parametrize(
    "text",
    [
        "def test_x(client):\n    client.patch('/sessions/12')\n",
        "def test_x(monkeypatch):\n    monkeypatch.setenv('CI', 'true')\n",
        "from tests.fakes.clock import Mock\nMock()\n",
    ],
)
def test_environment_and_plain_names_are_no_doubles(text: str) -> None:
    assert doubles_in(sample(text)) == []


def test_tests_are_counted_by_their_names() -> None:
    assert count_tests(sample("def test_a(): ...\nasync def test_b(): ...\ndef helper(): ...\n")) == 2
