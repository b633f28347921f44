"""The benchmark programs work, at sizes too small to say anything about speed. No number is compared with any other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks import programs
from tests.benchmarks.measuring import TINY, Result, percentile
from tests.benchmarks.table import BEGIN, BENCHMARKS, END, Run, table, write
from tests.browser import chromium
from tests.postgres import Server


def right_here(work: Callable[..., Any], *arguments: Any) -> Any:
    return work(*arguments)


def every_result(**changes: Any) -> list[Result]:
    made = (
        Result(benchmark=benchmark.name, database=database, median=1.5, unit="ms", ratio=2.0)
        for benchmark in BENCHMARKS
        for database in benchmark.databases
    )
    return [replace(result, **changes) for result in made]


def a_run(results: list[Result]) -> Run:
    return Run(at=datetime(2026, 3, 2, 9, 0, tzinfo=UTC), size="quick", postgres="15.1", results=results)


def test_every_benchmark_measures_something_on_its_databases(postgres_server: Server, tmp_path: Path) -> None:
    chromium.require()

    results = programs.measure(postgres_server, tmp_path, TINY, apart=right_here)

    table(a_run(results))
    assert [result for result in results if result.median <= 0 and result.unit in {"ms", "s", "per s"}] == []


@pytest.mark.parametrize("change", ["one is missing", "one is strange", "one is of another database"])
def test_table_with_a_gap_or_a_stray_is_refused(change: str) -> None:
    results = every_result()
    first = results.pop(0)
    if change == "one is strange":
        results += [first, replace(first, benchmark="stray")]
    if change == "one is of another database":
        results.append(replace(first, database="oracle"))

    with pytest.raises(ValueError, match="differ"):
        table(a_run(results))


def test_table_tells_value_ratio_and_whether_the_aim_holds() -> None:
    told = table(a_run(every_result(holds=False, p99=1234.5, note="beside others")))

    row = next(line for line in told.splitlines() if line.startswith("| restart"))
    assert "| sqlite | 1.50 ms (beside others) | 1,234 ms | 2.0 |" in row
    assert row.endswith("| no |")


def test_only_what_is_between_the_markers_is_written_again(tmp_path: Path) -> None:
    document = tmp_path / "benchmarks.md"
    document.write_text(f"# Head\n{BEGIN}\nold\n{END}\nTail\n", encoding="utf-8")
    run = a_run(every_result())

    write(document, run)
    write(document, run)

    assert document.read_text(encoding="utf-8") == f"# Head\n{table(run)}\nTail\n"


def test_percentile_is_a_value_that_was_measured() -> None:
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([float(n) for n in range(1, 101)], 0.99) == 100.0
    assert percentile([7.0], 0.99) == 7.0
