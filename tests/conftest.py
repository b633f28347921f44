"""What every test may ask for, and how the files are shared out to several workers."""

from __future__ import annotations

import os
import tempfile
from zlib import crc32

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from tests.scratch import in_memory

pytest_plugins = ["tests.postgres"]

# A file is one worker's work. Those that take minutes begin first: begun last, they would keep one core busy alone.
LONG = (
    "tests/browser/",
    "tests/crash/campaign/test_sqlite.py",
    "tests/faults/test_azure_matrix.py",
    "tests/replicas/",
    "tests/faults/",
    "tests/crash/",
    "tests/simulation/",
    "tests/sabotage/",
    "tests/journeys/",
    "tests/benchmarks/",
    "tests/conformance/",
    "tests/playground/web/",
)
# The longest are shared out in so many parts; their tests need nothing that the others have made.
PARTS = {"tests/crash/campaign/test_sqlite.py": 6, "tests/faults/test_azure_matrix.py": 4}
# One worker's work all together: two browsers, two bots and two clouds at once make people wait on a small machine.
ALONE = "tests/browser/"


class InParts(LoadFileScheduling):  # type: ignore[misc] - xdist has no types
    """Shares out files, and the longest ones in parts."""

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(ALONE):
            return ALONE
        name = super()._split_scope(nodeid)
        return f"{name}/{crc32(nodeid.encode()) % PARTS.get(name, 1)}"


def pytest_configure() -> None:
    """Keep what tests write in memory, unless somebody has chosen a place: what a disk does is no subject of theirs."""
    if "TMPDIR" not in os.environ and (memory := in_memory()):
        os.environ["TMPDIR"] = memory  # for the workers, and for whatever a test starts
        tempfile.tempdir = None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> InParts | None:
    """Stand in for ``--dist loadfile``."""
    return InParts(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the drawn order, but let the long files come first."""
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    return next((place for place, name in enumerate(LONG) if item.nodeid.startswith(name)), len(LONG))
