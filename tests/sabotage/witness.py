"""A pytest plugin that writes down what happened to each test, phase by phase, and where the code came from.

It is loaded inside the copy of the tree, and must never judge.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

OPTION = "--sabotage-report"
ONLY = "--sabotage-test"
OURS = frozenset({"bot", "connectors", "engine", "playground", "storage", "tests"})
RECORDS = pytest.StashKey[list[dict[str, str]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(OPTION, required=True, type=Path, help="the file to write to")
    parser.addoption(ONLY, action="append", default=[], help="the id of a test that is to run; the others are left out")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[RECORDS] = []


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep what was asked for. Asking pytest itself would run nothing if one of the ids is not there any more."""
    items[:] = [item for item in items if item.nodeid in config.getoption(ONLY)]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    error = call.excinfo.type.__name__ if call.excinfo else ""
    words = call.excinfo.exconly()[:2000] if call.excinfo else ""
    record = {"test": item.nodeid, "phase": report.when, "outcome": report.outcome, "error": error, "words": words}
    item.config.stash[RECORDS].append(record)
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    modules = {name: getattr(module, "__file__", None) for name, module in tuple(sys.modules.items())}
    ours = {name: file for name, file in modules.items() if name.split(".", maxsplit=1)[0] in OURS}
    others = [name for name, file in modules.items() if file and name not in ours and not name.startswith("__")]
    files = [str(file) for file in ours.values() if file]
    facts = {"records": session.config.stash[RECORDS], "files": files, "others": others}
    session.config.getoption(OPTION).write_text(json.dumps(facts), encoding="utf-8")
