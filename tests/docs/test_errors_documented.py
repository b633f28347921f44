"""Every error code is explained to the people who meet it, and no other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.errors import ConnectorError, DeliveryError, Refused, RunbookError

PAGE = (Path(__file__).parents[2] / "docs" / "errors.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(?P<code>\w+)` \| `(?P<name>\w+)` \| (?P<meaning>[^|]+) \| (?P<cure>[^|]+) \|$", re.MULTILINE)
ROWS = {row["code"]: row for row in ROW.finditer(PAGE)}


def every_error(root: type[RunbookError] = RunbookError) -> Iterator[type[RunbookError]]:
    yield root
    for child in root.__subclasses__():
        if child.__module__ == RunbookError.__module__:
            yield from every_error(child)


def section_of(code: str) -> str:
    *_, last = re.finditer(r"^## (.+)$", PAGE[: ROWS[code].start()], re.MULTILINE)
    return last[1]


def test_page_explains_every_error_once_and_no_other() -> None:
    documented = {row["code"]: row["name"] for row in ROWS.values()}

    assert documented == {error.code: error.__name__ for error in every_error()}
    assert len(ROWS) == len(ROW.findall(PAGE))


@pytest.mark.parametrize("code", ROWS)
def test_every_error_has_a_meaning_and_a_cure(code: str) -> None:
    assert len(ROWS[code]["meaning"].split()) >= 5
    assert len(ROWS[code]["cure"].split()) >= 4


@pytest.mark.parametrize("error", list(every_error()))
def test_error_stands_in_the_section_of_its_family(error: type[RunbookError]) -> None:
    outside = issubclass(error, ConnectorError | DeliveryError)
    expected = "Refusals" if issubclass(error, Refused) else "The outside world" if outside else "The installation"

    assert section_of(error.code) == expected
