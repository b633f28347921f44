"""A short soak goes through, and the judges of a long one can say no."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from tests.soak.judge import MB, Sample, memory_per_10_000, table, verdicts
from tests.soak.run import soak
from tests.soak.world import KINDS, LANES

SESSIONS = 5 * LANES


def lived(folder: Path) -> tuple[dict[str, int], int, int, set[tuple[int, int]]]:
    """Let sessions live in this process: how they ended, files in Slack, what machines keep, threads and files."""
    taken, it = soak(folder, sessions=SESSIONS, every=LANES, tell=lambda _: None)
    return it.ended, it.slack.files, len(it.machines.runs), {(one.threads, one.files) for one in taken[1:]}


def test_hundred_mixed_sessions_end_as_they_should_and_leave_no_thread_and_no_file(tmp_path: Path) -> None:
    """In a process of their own: other tests' threads end when they like."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        ended, uploaded, kept, seen = pool.submit(lived, tmp_path).result()

    assert sum(ended.values()) == SESSIONS
    assert set(ended) == set(KINDS)
    assert uploaded == ended["output"]
    assert kept == 0
    assert len(seen) == 1


def samples(
    *, leak: float = 0.0, wobble: float = 0.0, threads: int = 0, files: int = 0, bend: float = 0.0, filled: int = 8
) -> list[Sample]:
    """Made-up samples of 50,000 sessions: memory that fills up first, noise, and whatever is asked for."""
    made = []
    for number in range(1, 51):
        sessions = number * 1000
        noise = wobble * (-1) ** number
        made.append(
            Sample(
                sessions=sessions,
                seconds=sessions / 20,
                memory=int(90 * MB + min(number, filled) * MB + leak * sessions + noise),
                objects=100_000,
                threads=7 + threads * (number > 40),
                files=12 + files * number // 10,
                database=int(5000 * sessions + bend * sessions**2),
            )
        )
    return made


def test_quiet_run_passes() -> None:
    assert verdicts(samples(wobble=0.3 * MB)) == []


def test_memory_that_fills_up_until_the_middle_is_no_leak_and_later_is_one() -> None:
    assert verdicts(samples(filled=25)) == []
    assert "in memory" in " ".join(verdicts(samples(filled=40)))


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (samples(leak=101), "leave 1.01 MB in memory"),
        (samples(leak=500, wobble=MB), "in memory"),
        (samples(threads=1), "threads changes: 7 to 8"),
        (samples(files=1), "files changes"),
        (samples(bend=0.5), "straight line"),
        (samples()[:4], "say nothing"),
    ],
)
def test_run_that_leaks_is_caught(made: list[Sample], says: str) -> None:
    assert says in " ".join(verdicts(made))


@pytest.mark.parametrize("leak", [0, 20, 90])
def test_leak_is_measured_as_it_is(leak: int) -> None:
    found = memory_per_10_000(samples(leak=leak))

    assert found == pytest.approx(leak * 10_000, abs=1)
    assert verdicts(samples(leak=leak)) == []


def test_table_has_a_line_for_every_sample() -> None:
    assert len(table(samples()).splitlines()) == 51
