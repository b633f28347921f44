"""The table of benchmarks is the one that ``make bench`` writes, with a row for every benchmark; no number is held."""

from __future__ import annotations

from pathlib import Path

from tests.benchmarks.table import BEGIN, BENCHMARKS, END, HEADER

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")


def test_table_of_benchmarks_has_a_row_for_every_benchmark_and_no_other():
    section = DOCUMENT.split(BEGIN)[1].split(END)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]

    told = [tuple(cell.strip() for cell in line.split("|")[1:3]) for line in lines[2:]]

    assert lines[0] == HEADER
    assert told == [(benchmark.what, database) for benchmark in BENCHMARKS for database in benchmark.databases]


def test_table_of_benchmarks_says_when_and_on_what_it_was_measured():
    section = DOCUMENT.split(BEGIN)[1].split(END)[0]

    assert all(word in section for word in ("Measured 20", " cores, ", "Python 3", "SQLite 3", "PostgreSQL "))


def test_every_value_in_the_table_of_benchmarks_has_a_number():
    section = DOCUMENT.split(BEGIN)[1].split(END)[0]
    rows = [line.split("|") for line in section.splitlines() if line.startswith("|")][2:]

    assert [row[1] for row in rows if not row[3].strip()[:1].isdigit()] == []
