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

# A file is one worker's work, and the longest ones are shared out in parts; their tests need nothing that the others
# have made.
CAMPAIGN = "tests/crash/campaign/test_sqlite.py"
PARTS = {CAMPAIGN: 6, "tests/faults/test_azure_matrix.py": 4}
# What takes minutes begins first: begun last, it would keep one core busy alone. What computes stands between what
# waits, for it gives way (see the campaign's forkserver) and takes the time that the others leave.
LONG = (
    "tests/browser/",
    f"{CAMPAIGN}/0",
    "tests/faults/test_database_faults.py",
    "tests/replicas/",
    f"{CAMPAIGN}/1",
    "tests/journeys/",
    f"{CAMPAIGN}/2",
    "tests/faults/",
    f"{CAMPAIGN}/3",
    "tests/crash/test_kill.py",
    f"{CAMPAIGN}/4",
    "tests/benchmarks/",
    f"{CAMPAIGN}/5",
    "tests/crash/",
    "tests/simulation/",
    "tests/sabotage/",
    "tests/conformance/",
    "tests/playground/web/",
)
# One worker's work all together: two browsers, two bots and two clouds at once make people wait on a small machine.
ALONE = "tests/browser/"


def scope_of(nodeid: str) -> str:
    """The work that one worker takes as a whole."""
    if nodeid.startswith(ALONE):
        return ALONE
    name = nodeid.partition("::")[0]
    return f"{name}/{crc32(nodeid.encode()) % PARTS.get(name, 1)}"


class InParts(LoadFileScheduling):  # type: ignore[misc] - xdist has no types
    """Shares out files, and the longest ones in parts."""

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid)


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
    scope = scope_of(item.nodeid)
    return next((place for place, name in enumerate(LONG) if scope.startswith(name)), len(LONG))
