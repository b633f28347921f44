"""What every test may ask for, and which files are begun first."""

from __future__ import annotations

import pytest

pytest_plugins = ["tests.postgres"]

# A file is one worker's work. Those that take minutes begin first: begun last, they would keep one core busy alone.
LONG = (
    "tests/crash/campaign/test_sqlite.py",
    "tests/faults/test_azure_matrix.py",
    "tests/simulation/",
    "tests/faults/",
    "tests/crash/",
    "tests/sabotage/",
    "tests/browser/",
    "tests/journeys/",
    "tests/conformance/",
)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the drawn order, but let the long files come first."""
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    return next((place for place, name in enumerate(LONG) if item.nodeid.startswith(name)), len(LONG))
