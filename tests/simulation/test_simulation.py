"""The simulation as tests: slices of seeds, the seeds that once failed, the same history twice, and nothing vacuous.

``SIMULATION_SEEDS`` sets how many seeds all slices play together (5,000), ``SIMULATION_FROM`` the first one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache

import pytest

from tests.simulation.campaign import Summary, closing, kept_seeds, run, told
from tests.simulation.chance import Fault

SEEDS = int(os.environ.get("SIMULATION_SEEDS", "5000"))
FIRST = int(os.environ.get("SIMULATION_FROM", "0"))
SLICE = 250
ENOUGH = 1000  #: seeds that meet everything there is to meet

_PRINT_DIGESTS = """
from tests.simulation.campaign import run
print(sorted(run(range({first}, {last})).digests.items()))
"""


def _slices() -> list[range]:
    return [range(FIRST + at, FIRST + min(at + SLICE, SEEDS)) for at in range(0, SEEDS, SLICE)]


@cache
def _many() -> Summary:
    return run(range(ENOUGH))


@pytest.mark.parametrize("seeds", _slices(), ids=lambda seeds: f"from-{seeds.start}")
def test_every_invariant_holds_in_every_seed(seeds: range):
    summary = run(seeds)

    assert not summary.failed, "\n\n".join(map(told, summary.failed[:3]))
    assert summary.effects > len(seeds) / 4
    assert summary.crashes.total() > len(seeds) / 10


def test_seeds_that_once_failed_hold_now():
    summary = run(kept_seeds())

    assert not summary.failed, "\n\n".join(map(told, summary.failed[:3]))


def test_every_fault_there_is_happens():
    missing = {fault.value for fault in Fault} - set(_many().injected)

    assert not missing, closing(_many())


def test_sessions_end_in_every_way_there_is():
    ends = {"completed", "completed_unverified", "failed", "rejected", "expired", "cancelled"}
    waits = {"waiting_approval", "paused", "needs_attention"}

    assert (ends | waits) <= set(_many().statuses), closing(_many())


def test_processes_die_at_every_boundary_there_is():
    assert set(_many().points) == set(_many().crashes), closing(_many())


def test_the_same_seed_tells_the_same_story_whatever_the_order_of_sets_is():
    script = _PRINT_DIGESTS.format(first=0, last=10)

    stories = {
        subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for hash_seed in ("1", "2")
    }

    assert stories == {f"{sorted(run(range(10)).digests.items())}\n"}
