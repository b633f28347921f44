"""The deep run: ``python -m tests.deep``. Every long campaign, side by side on as many lanes as there are cores.

Each campaign is a program of its own that prints its figures and fails by its exit code; this one only decides what
runs when, keeps what they print under build/deep, and writes the figures into docs/reliability.md with ``--record``.
It must never lend a green result: a campaign that was cut short or never ran is a failure.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).parents[1]
LOGS = ROOT / "build" / "deep"
PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- deep run: begin -->\n", "<!-- deep run: end -->\n"
#: Minutes of each fuzzer. What comes from outside has ten; what we make ourselves is looked at as well.
FUZZERS = dict.fromkeys(TARGETS, 10) | {"views": 2, "guest": 2}
GRACE_SECONDS = 600  # past its own limit a campaign is ended


@dataclass(frozen=True)
class Campaign:
    """One program: the arguments of ``python -m``, and about how long it keeps one core busy."""

    name: str
    words: tuple[str, ...]
    minutes: float


@dataclass(frozen=True)
class Ended:
    campaign: Campaign
    code: int
    minutes: float
    figures: str

    @property
    def well(self) -> bool:
        """Whether it ended as it should and says what it did."""
        return self.code == 0 and bool(self.figures)

    @property
    def verdict(self) -> str:
        return "nothing broke" if self.code == 0 else f"**failed** (exit code {self.code})"


def campaigns(scale: float) -> list[Campaign]:
    """Return every campaign, the longest first, so that no lane is left with a long one at the end."""

    def whole(number: float) -> str:
        return str(max(1, round(number * scale)))

    def minutes(number: float) -> str:
        return f"{number * scale:g}"

    crash = "tests.crash.campaign.deep"
    found = [
        Campaign(
            "kills on SQLite",
            (crash, "--sqlite", whole(10_000), "--postgres", "0", "--minutes", minutes(70), "--jobs", "1"),
            40 * scale,
        ),
        Campaign(
            "kills on PostgreSQL",
            (crash, "--sqlite", "0", "--postgres", whole(2_000), "--minutes", minutes(40), "--jobs", "1"),
            15 * scale,
        ),
        Campaign("simulation", ("tests.simulation", "--seeds", whole(100_000), "--jobs", "1"), 20 * scale),
        Campaign("soak", ("tests.soak", "--sessions", whole(50_000), "--every", whole(1000)), 30 * scale),
        *(
            Campaign(f"fuzzer {name}", ("tests.fuzz", name, "--minutes", minutes(length)), length * scale)
            for name, length in FUZZERS.items()
        ),
    ]
    return sorted(found, key=lambda each: -each.minutes)


def run(campaign: Campaign) -> Ended:
    """Let one campaign run to its end; what it prints goes into its own file."""
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"{campaign.name.replace(' ', '-')}.log"
    began = time.monotonic()
    limit = 60 * campaign.minutes * 2 + GRACE_SECONDS
    with log.open("w", encoding="utf-8") as stream:
        try:
            command = [sys.executable, "-m", *campaign.words]
            code = subprocess.run(
                command, cwd=ROOT, stdout=stream, stderr=stream, timeout=limit, check=False
            ).returncode
        except subprocess.TimeoutExpired:
            code = 124
    minutes = (time.monotonic() - began) / 60
    ended = Ended(campaign, code, minutes, figures_in(log.read_text(encoding="utf-8", errors="replace")))
    sys.stdout.write(f"{campaign.name}: {ended.verdict} after {minutes:.1f} minutes, see {log.relative_to(ROOT)}\n")
    sys.stdout.flush()
    return ended


def figures_in(text: str) -> str:
    """Return the Markdown list or table that a campaign printed last; nothing, when it printed none."""
    found: list[str] = []
    for line in reversed(text.splitlines()):
        if line.startswith(("- ", "| ")):
            found.append(line)
        elif found and line.strip():
            break
    return "\n".join(reversed(found))


def report(ended: Iterable[Ended], *, began: datetime, minutes: float) -> str:
    """Return the section of the page: when, on what, and each campaign's own figures."""
    machine = f"{os.cpu_count()} cores, {_memory_gib()} GiB, Python {platform.python_version()}"
    parts = [f"Run of {began:%Y-%m-%d %H:%M} UTC: {minutes:.0f} minutes on {machine}."]
    for each in ended:
        parts.append(f"**{each.campaign.name}**: {each.verdict} in {each.minutes:.1f} minutes.")
        parts.append(each.figures or "It printed no figures.")
    return "\n\n".join(parts)


def record(section: str, page: Path = PAGE) -> None:
    """Put the section between the page's two marks."""
    text = page.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)
    _, tail = rest.split(END)
    page.write_text(f"{head}{BEGIN}\n{section}\n\n{END}{tail}", encoding="utf-8")


def _memory_gib() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run every long campaign.")
    parser.add_argument("--scale", type=float, default=1.0, help="0.01 asks for a hundredth of everything")
    parser.add_argument("--jobs", type=int, default=2, help="campaigns side by side")
    parser.add_argument("--only", default="", help="campaigns with this in their name")
    parser.add_argument("--record", action="store_true", help="write the figures into docs/reliability.md")
    return parser.parse_args(words)


def main(words: Sequence[str]) -> int:
    """Run them; return 1 when one of them failed or printed no figures."""
    wanted = _arguments(words)
    began, start = datetime.now(UTC), time.monotonic()
    chosen = [each for each in campaigns(wanted.scale) if wanted.only in each.name]
    with ThreadPoolExecutor(wanted.jobs) as lanes:
        ended = list(lanes.map(run, chosen))
    section = report(ended, began=began, minutes=(time.monotonic() - start) / 60)
    sys.stdout.write(f"\n{section}\n")
    if wanted.record:
        record(section)
    return 0 if ended and all(each.well for each in ended) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
