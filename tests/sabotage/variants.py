"""What a sabotage is: a patch of the product that breaks one promise, and the tests that must notice.

A patch is a unified diff below a header of three fields. Line numbers in it mean nothing here: what a hunk takes away,
with its context, must stand in its file exactly once, so that a patch is either right or refused. Nothing here may
touch a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PATCHES = Path(__file__).parent / "patches"
FIELDS = ("Broken", "Promise", "Red")
RENEW = (
    "Make the same mistake in the product as it is now, put `git diff` below the patch's header, and undo the mistake."
)
_HEADER = re.compile(r"^(?P<name>[A-Z]\w+): +(?P<value>.+(?:\n[ \t]+.+)*)$", re.MULTILINE)
_HUNK = re.compile(r"^@@ .*\n(?P<lines>(?:[ +-].*\n|\n)+)", re.MULTILINE)
_FILE = re.compile(r"^--- a/(?P<old>\S+)\n\+\+\+ b/(?P<new>\S+)\n", re.MULTILINE)


class Unfit(Exception):
    """A patch cannot be read or does not fit the product any more."""


@dataclass(frozen=True, kw_only=True)
class Hunk:
    """What stands in a file, and what the sabotage makes of it."""

    place: str
    before: str
    after: str

    def applied(self, text: str) -> str:
        """Return the file's text with the mistake in it."""
        found = text.count(self.before)
        if found != 1 or self.before == self.after:
            raise Unfit(f"A hunk for {self.place} fits in {found} places instead of one. {RENEW}\n{self.before}")
        return text.replace(self.before, self.after)


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A broken product: what is broken, what it had promised, and the tests that must go red."""

    name: str
    broken: str
    promise: str
    red: tuple[str, ...]  #: node ids, as pytest takes them
    hunks: tuple[Hunk, ...]

    @property
    def places(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(hunk.place for hunk in self.hunks))


def read(text: str, name: str) -> Variant:
    """Read a patch with its header."""
    head, _, diff = text.partition("\n--- ")
    fields = {found["name"]: found["value"] for found in _HEADER.finditer(head)}
    if tuple(fields) != FIELDS:
        raise Unfit(f"{name}.patch begins with the fields {', '.join(FIELDS)}, not {', '.join(fields) or 'none'}.")
    hunks = tuple(_hunks("--- " + diff))
    if not hunks:
        raise Unfit(f"{name}.patch holds no hunk.")
    sentence = {field: " ".join(value.split()) for field, value in fields.items()}
    red = tuple(line.strip() for line in fields["Red"].splitlines())
    return Variant(name=name, broken=sentence["Broken"], promise=sentence["Promise"], red=red, hunks=hunks)


def every_variant() -> tuple[Variant, ...]:
    """Read all patches, by name."""
    return tuple(read(path.read_text(encoding="utf-8"), path.stem) for path in sorted(PATCHES.glob("*.patch")))


def table(variants: tuple[Variant, ...]) -> str:
    """Return the variants as the rows of a Markdown table."""
    rows = ["| sabotage | what is broken | promise | test that goes red |", "| --- | --- | --- | --- |"]
    rows += [
        f"| `{one.name}` | {one.broken} | {one.promise} | {'<br>'.join(f'`{test}`' for test in one.red)} |"
        for one in variants
    ]
    return "\n".join(rows)


def _hunks(diff: str) -> Iterator[Hunk]:
    files = list(_FILE.finditer(diff))
    ends = [found.start() for found in files[1:]] + [len(diff)] * bool(files)
    for found, end in zip(files, ends, strict=True):
        for hunk in _HUNK.finditer(diff, found.end(), end):
            lines = [line or " " for line in hunk["lines"].splitlines()]
            yield Hunk(
                place=found["new"],
                before="".join(line[1:] + "\n" for line in lines if line[0] in " -"),
                after="".join(line[1:] + "\n" for line in lines if line[0] in " +"),
            )
