"""Reads YAML that can mean only one thing, and runbook files written in it.

No duplicate keys, anchors, aliases, merge keys, tags, directives or second documents; only ``true`` and ``false``
are booleans; what YAML versions read differently must be quoted. Every problem names file, line, column and cure.
Nothing here may ever repair a file or fall back to a guess.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from engine.complaints import Complaint, complaints
from engine.errors import InvalidInput
from engine.plaintext import code_point, is_invisible
from engine.runbook import Document, Runbook

MAX_BYTES = 64 * 1024
MAX_DEPTH = 12
MARKDOWN = ".md"

Path_ = tuple[str | int, ...]
Value = None | bool | int | str | list["Value"] | dict[str, "Value"]
Model = TypeVar("Model", bound=BaseModel)

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})", re.ASCII)
_AMBIGUOUS = re.compile(
    r"(?:y|yes|no|n|on|off|true|false|null)"
    r"|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"  # base 60
    r"|[-+]?0(?:[0-7_]+|o[0-7_]+|x[0-9a-f_]+|b[01_]+)"
    r"|[-+]?[0-9][0-9_]*|[-+]?\.(?:inf|nan)|[-+]?[0-9.][0-9_.]*e[-+]?[0-9]+"
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[T\t ].*)?",
    re.ASCII | re.IGNORECASE,
)
_FENCE = re.compile(r" {0,3}(?P<fence>`{3,}|~{3,})[ \t]*(?P<language>[^\s`{]*)")


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong with a file, where, and what to do about it. Lines and columns count from 1."""

    file: str
    line: int
    column: int
    message: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}{f' {self.hint}' if self.hint else ''}"


class MalformedFile(InvalidInput):
    """The file is not valid."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a value stands. ``indent`` is set for a block scalar, whose text begins on the next line."""

    line: int
    column: int
    key: tuple[int, int] | None = None  #: line and column of its key
    indent: int | None = None


@dataclass(frozen=True, kw_only=True)
class Parsed:
    """A YAML document: its value and where each part of it stands."""

    file: str
    value: Value
    places: Mapping[Path_, Place]


@dataclass(kw_only=True)
class _Reader:
    """Walks the events of one document."""

    file: str
    lines: list[str]
    events: Iterator[yaml.Event]
    places: dict[Path_, Place] = field(default_factory=dict)

    def document(self) -> Value:
        next(self.events)  # the stream begins
        start = next(self.events)
        if isinstance(start, yaml.StreamEndEvent):
            raise self.problem(start, "the file is empty.", "Write a runbook, beginning with name:.")
        if isinstance(start, yaml.DocumentStartEvent) and (start.version or start.tags):
            raise self.problem(start, "directives such as %YAML are not allowed.", "Remove the line.")
        value = self.node(next(self.events), ())
        next(self.events)  # the document ends
        if not isinstance(end := next(self.events), yaml.StreamEndEvent):
            raise self.problem(end, "a second document begins here.", "Write one runbook per file.")
        return value

    def node(self, event: yaml.Event, path: Path_, key: yaml.Event | None = None) -> Value:
        self.refuse_references(event)
        if len(path) > MAX_DEPTH:
            raise self.problem(event, f"this is nested more than {MAX_DEPTH} deep.", "Write it flatter.")
        self.places[path] = self.place(event, key)
        match event:
            case yaml.MappingStartEvent():
                return self.mapping(path)
            case yaml.SequenceStartEvent():
                return self.sequence(path)
            case _:
                return self.scalar(event)

    def mapping(self, path: Path_) -> dict[str, Value]:
        found: dict[str, Value] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key = self.key(event)
            if key in found:
                first = self.places[(*path, key)].key or (0, 0)
                raise self.problem(
                    event, f"the key {key!r} stands here again.", f"It is on line {first[0]} already; keep one."
                )
            found[key] = self.node(next(self.events), (*path, key), event)
        return found

    def sequence(self, path: Path_) -> list[Value]:
        found: list[Value] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            found.append(self.node(event, (*path, len(found))))
        return found

    def key(self, event: yaml.Event) -> str:
        self.refuse_references(event)
        value = self.scalar(event) if isinstance(event, yaml.ScalarEvent) else None
        if value == "<<":
            raise self.problem(event, "merge keys (<<) are not allowed.", "Write the fields out.")
        if not isinstance(value, str) or not value:
            raise self.problem(event, "a key must be text.", "Write a field name, or put the key in quotes.")
        return value

    def scalar(self, event: yaml.Event) -> Value:
        assert isinstance(event, yaml.ScalarEvent)
        text = str(event.value)
        if event.style is not None:
            return self.shown(event, text)
        if text in ("", "~", "null"):
            return None
        if text in ("true", "false"):
            return text == "true"
        if _INTEGER.fullmatch(text):
            return int(text)
        if _AMBIGUOUS.fullmatch(text):
            raise self.problem(
                event,
                f"{text} can be read in more than one way.",
                f'Write "{text}" in quotes if it is text, true or false for a choice, plain digits for a number.',
            )
        return text

    def shown(self, event: yaml.Event, text: str) -> str:
        """Refuse what an escape of YAML would put into a text although nobody sees it in the file."""
        hidden = next((character for character in text if character not in "\n\t" and is_invisible(character)), None)
        if hidden is not None:
            raise self.problem(event, f"this text has {code_point(hidden)}, which nobody can see.", "Remove it.")
        return text

    def refuse_references(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.AliasEvent):
            raise self.problem(event, f"aliases (*{event.anchor}) are not allowed.", "Write the value out.")
        if getattr(event, "anchor", None):
            raise self.problem(event, "anchors (&) are not allowed.", "Remove it and write values out.")
        if getattr(event, "tag", None):
            raise self.problem(event, "tags (!) are not allowed.", "Remove the tag, or put the text in quotes.")

    def place(self, event: yaml.Event, key: yaml.Event | None) -> Place:
        line, column = _start(event)
        block = isinstance(event, yaml.ScalarEvent) and event.style == "|"
        return Place(
            line=line,
            column=column,
            key=_start(key) if key else None,
            indent=self.indent_after(line) if block else None,
        )

    def indent_after(self, line: int) -> int:
        first = next((text for text in self.lines[line:] if text.strip()), "")
        return len(first) - len(first.lstrip(" "))

    def problem(self, event: yaml.Event, message: str, hint: str) -> MalformedFile:
        line, column = _start(event)
        return MalformedFile((Problem(file=self.file, line=line, column=column, message=message, hint=hint),))


def parse(text: str, *, file: str) -> Parsed:
    """Read one YAML document; ``MalformedFile`` says what is wrong and where."""
    text = _checked(text, file)
    loader = yaml.SafeLoader(text)
    reader = _Reader(file=file, lines=text.split("\n"), events=_events(loader))
    try:
        value = reader.document()
    except (ValueError, OverflowError) as error:  # PyYAML makes characters of the numbers in escapes without a look
        message = "a number that stands here is out of range."
        raise _at(file, loader.line + 1, loader.column + 1, message, "Write the character itself.") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        what = f"this is not YAML: {error.problem or 'it cannot be read'}."
        hint = "Check indentation, colons and quotes; text with a colon or a # needs quotes."
        problem = Problem(file=file, line=line, column=column, message=what, hint=hint)
        raise MalformedFile((problem,)) from error
    return Parsed(file=file, value=value, places=reader.places)


def _events(loader: yaml.SafeLoader) -> Iterator[yaml.Event]:
    while loader.check_event():
        yield loader.get_event()  # type: ignore[no-untyped-call]


def validate(model: type[Model], parsed: Parsed) -> Model:
    """Make a model of a document; every field that does not fit becomes a problem with its place in the file."""
    try:
        return model.model_validate(parsed.value)
    except ValidationError as error:
        found = complaints(error, _schema_of(model))
        problems = {_located(parsed, complaint) for complaint in found}
        ordered = sorted(problems, key=lambda problem: (problem.line, problem.column, problem.message))
        raise MalformedFile(tuple(ordered)) from error


@cache
def _schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON Schema of a model; making it costs more than reading a file."""
    return model.model_json_schema()


def load_document(path: Path) -> Document:
    """Read one runbook file; its name without the ending must be the name of the runbook."""
    with path.open("rb") as opened:
        data = opened.read(MAX_BYTES + 1)
    parsed = parse(runbook_text(data, path), file=str(path))
    runbook = validate(Runbook, parsed)
    if runbook.name != path.stem:
        line, column = parsed.places[("name",)].key or (1, 1)
        message = f"the runbook is called {runbook.name!r}, but its file {path.stem!r}."
        hint = f"Rename the file to {runbook.name}{path.suffix} or write name: {path.stem}."
        raise _at(str(path), line, column, message, hint)
    return Document(name=runbook.name, runbook=runbook, digest=sha256(data).hexdigest(), source=str(path))


def runbook_text(data: bytes, path: Path) -> str:
    """Return the YAML text of a runbook file. In Markdown, lines before the block become empty lines."""
    file = str(path)
    if len(data) > MAX_BYTES:
        raise _at(file, 1, 1, f"the file is larger than {MAX_BYTES // 1024} KiB.", "Split the runbook.")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _at(file, line, 1, "this line is not UTF-8.", "Save the file as UTF-8 without a mark.") from error
    return _fenced(text, file) if path.suffix.lower() == MARKDOWN else text


def _fenced(text: str, file: str) -> str:
    lines = text.split("\n")
    blocks = list(_yaml_blocks(lines, file))
    if not blocks:
        raise _at(file, 1, 1, "there is no ```yaml block.", "Put the runbook in one fenced block marked yaml.")
    if len(blocks) > 1:
        raise _at(file, blocks[1][0], 1, "a second ```yaml block begins here.", "Keep exactly one; mark others text.")
    start, end = blocks[0]
    return "\n" * start + "\n".join([*lines[start:end], ""])


def _yaml_blocks(lines: list[str], file: str) -> Iterator[tuple[int, int]]:
    """Yield (line of the opening fence, line before the closing fence), counted from 1."""
    opened: tuple[int, str, str] | None = None
    for number, line in enumerate(lines, start=1):
        found = _FENCE.match(line)
        if opened is None:
            opened = (number, found["fence"], found["language"].lower()) if found else None
        elif found and found["fence"].startswith(opened[1]) and not line.strip().strip(opened[1][0]):
            if opened[2] in ("yaml", "yml"):
                yield opened[0], number - 1
            opened = None
    if opened:
        raise _at(file, opened[0], 1, "the block that begins here is never closed.", f"End it with {opened[1]}.")


def _checked(text: str, file: str) -> str:
    """Refuse what an editor would not show; make Windows line ends plain."""
    if len(text.encode("utf-8", errors="replace")) > MAX_BYTES:
        raise _at(file, 1, 1, f"the file is larger than {MAX_BYTES // 1024} KiB.", "Split it.")
    text = text.replace("\r\n", "\n")
    for index, character in enumerate(text):
        if character not in "\n\t" and is_invisible(character):
            line = text.count("\n", 0, index) + 1
            column = index - text.rfind("\n", 0, index)
            raise _at(file, line, column, f"here is {code_point(character)}, which nobody can see.", "Remove it.")
    return text


def _located(parsed: Parsed, complaint: Complaint) -> Problem:
    """Give a complaint its place: the deepest part of its path that the file has."""
    here: Path_ = ()
    for part in complaint.path:
        here = (*here, part) if (*here, part) in parsed.places else here
    place = parsed.places[here]
    line, column = place.key or (place.line, place.column)
    message = complaint.message
    if complaint.line and place.indent is not None:
        line, column = place.line + complaint.line, place.indent + complaint.column
        message = complaint.short_message
    return Problem(file=parsed.file, line=line, column=column, message=message, hint=complaint.hint)


def _at(file: str, line: int, column: int, message: str, hint: str) -> MalformedFile:
    return MalformedFile((Problem(file=file, line=line, column=column, message=message, hint=hint),))


def _start(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)
