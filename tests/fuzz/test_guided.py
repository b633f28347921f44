"""The coverage-guided run keeps each finding once, says how to replay it, and can tell what really hangs."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tests.fuzz.__main__ import Outcome, hangs, quoted, read, table
from tests.fuzz.guided import HANG_SECONDS, Notebook
from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS

LOG = """\
#81 INITED cov: 80 ft: 90 corp: 9/1b
#5000 NEW cov: 95 ft: 120 corp: 12/1b
#9000 DONE cov: 95 ft: 130 corp: 14/1b
stat::number_of_executed_units: 9000
"""


def broken(text: str) -> BaseException:
    try:
        raise KeyError(text) if text == "other" else ValueError(text)
    except (KeyError, ValueError) as error:
        return error


def test_same_defect_is_kept_once_however_often_it_is_met(tmp_path: Path) -> None:
    notes = Notebook("slash", tmp_path)

    for text in ("one", "two", "other"):
        notes.broke(text.encode(), broken(text))
    notes.write()

    kept = json.loads((tmp_path / "slash.json").read_text(encoding="utf-8"))["crashes"]
    assert sorted(place.split(" at ")[0] for place in kept) == ["KeyError", "ValueError"]
    assert sorted(Path(file).read_bytes() for file in kept.values()) == [b"one", b"other"]


def test_hang_is_a_matter_of_cpu_time() -> None:
    def spins(_: bytes) -> None:
        began = time.process_time()
        while time.process_time() - began < 2 * HANG_SECONDS:
            pass

    slow, quick = (Target(name="x", holds="x", call=call) for call in (spins, lambda _: None))

    assert hangs(slow, b"")
    assert not hangs(quick, b"")


def test_summary_counts_and_says_how_to_replay(tmp_path: Path) -> None:
    (tmp_path / "slash.json").write_text('{"runs": 8000, "crashes": {"ValueError at x.py:1": "f/crash-1"}, "slow": []}')

    outcome = read("slash", LOG, folder=tmp_path, seconds=10.0, failed="")
    lines = table([outcome, Outcome(name="arm", seconds=1.0)]).splitlines()

    assert (outcome.runs, outcome.coverage, outcome.clean) == (9000, (80, 95), False)
    assert lines[1].split() == ["slash", "9000", "900", "95", "15", "1", "0"]
    assert lines[2].split() == ["arm", "0", "0", "0", "0", "0", "0"]
    assert lines[3:] == ["slash: ValueError at x.py:1", "  python -m tests.fuzz slash --replay f/crash-1"]


def test_run_that_failed_is_not_clean() -> None:
    assert not Outcome(name="arm", seconds=1.0, failed="it ended with 1").clean
    assert Outcome(name="arm", seconds=1.0).clean


def test_words_are_written_as_libfuzzer_reads_them() -> None:
    assert quoted('a"\\\n\u202e') == '"a\\x22\\x5c\\x0a\\xe2\\x80\\xae"'
    assert all(quoted(word).isascii() for target in TARGETS.values() for word in target.words)
