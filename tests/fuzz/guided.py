"""One coverage-guided run of one target, in a process of its own: libFuzzer through ``atheris``.

What breaks is written down once per place and the run goes on, so that one defect never hides another. CPU time, not
time, says what hangs. Nothing here may judge: the target does.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.corpus import keep

HANG_SECONDS = 0.1  #: of CPU, for one input; confirmed afterwards without instrumentation
SUSPECT_FACTOR = 4.0  #: instrumented code is so much slower
MOST_KEPT = 20
PACKAGES = ["bot", "engine", "connectors", "storage", "yaml"]


@dataclass
class Notebook:
    """What a run found, each place once."""

    name: str
    folder: Path
    places: dict[str, str] = field(default_factory=dict)
    slow: list[str] = field(default_factory=list)
    runs: int = 0

    def broke(self, data: bytes, error: BaseException) -> None:
        place = place_of(error)
        if place not in self.places and len(self.places) < MOST_KEPT:
            self.places[place] = str(keep(self.name, data, what="crash", root=self.folder))

    def hung(self, data: bytes) -> None:
        if len(self.slow) < MOST_KEPT:
            self.slow.append(str(keep(self.name, data, what="hang", root=self.folder)))

    def write(self) -> None:
        text = json.dumps({"runs": self.runs, "crashes": self.places, "slow": self.slow})
        (self.folder / f"{self.name}.json").write_text(text, encoding="utf-8")


def place_of(error: BaseException) -> str:
    """Name what was raised and the innermost line of our own that raised it: one defect, one name."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if ".venv" not in frame.filename and "lib/python" not in frame.filename]
    where = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "?"
    return f"{type(error).__name__} at {where}"


def main(name: str, folder: Path, arguments: list[str]) -> None:
    """Fuzz until libFuzzer's own limits end it; the report is written whenever something new was found."""
    import atheris  # noqa: PLC0415 - an optional dependency

    with atheris.instrument_imports(include=PACKAGES):
        from tests.fuzz.targets import TARGETS  # noqa: PLC0415 - instrumented while it is imported
    target, notes = TARGETS[name], Notebook(name, folder)

    def one(data: bytes) -> None:
        began = time.process_time()
        try:
            target(data)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
            notes.broke(data, error)
        if notes.runs and time.process_time() - began > HANG_SECONDS * SUSPECT_FACTOR:
            notes.hung(data)  # the first call also builds what is built once
        notes.runs += 1
        if notes.runs % 1000 == 0:
            notes.write()

    notes.write()
    atheris.Setup([sys.argv[0], *arguments], one)
    atheris.Fuzz()


if __name__ == "__main__":
    os.nice(5)
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
