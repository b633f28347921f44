"""Target ``runbook``: any file is a runbook that means one thing, or problems with file, line, column and cure."""

from __future__ import annotations

import json
from pathlib import Path

from engine.runbook import Runbook
from storage.strict_yaml import MalformedFile, Parsed, parse, runbook_text, validate
from tests.fuzz.target import Target, hidden_in

FILE = Path("restart-web.yaml")
MARKDOWN = Path("restart-web.md")


def call(data: bytes) -> None:
    """The first byte says whether the file is Markdown."""
    path = MARKDOWN if data[:1] == b"#" else FILE
    try:
        parsed = parse(runbook_text(data, path), file=path.name)
        _assert_same_again(parsed)
        runbook = validate(Runbook, parsed)
    except MalformedFile as refusal:
        _assert_placed(refusal, data)
        return
    assert Runbook.model_validate(json.loads(json.dumps(parsed.value))) == runbook


def _assert_same_again(parsed: Parsed) -> None:
    """What was read means the same when it is written as JSON, which is YAML without choices."""
    written = json.dumps(parsed.value, ensure_ascii=False)
    if len(written.encode()) < 60_000 and not hidden_in(written):
        assert parse(written, file="again.yaml").value == parsed.value, "written out, it means something else"


def _assert_placed(refusal: MalformedFile, data: bytes) -> None:
    lines = data.count(b"\n") + data.count(b"\r") + 2
    assert refusal.problems, "a refusal without a problem"
    for problem in refusal.problems:
        assert 1 <= problem.line <= lines, f"line {problem.line} of {lines}: {problem}"
        assert problem.column >= 1, str(problem)
        assert problem.message, str(problem)
        assert problem.hint or ": " in problem.message, f"no cure: {problem}"
        assert not hidden_in(str(problem)), f"a problem repeats what nobody can see: {str(problem)!r}"


RUNBOOK = Target(
    name="runbook",
    holds="a runbook file means one thing or is refused with line, column and cure",
    call=call,
    longest=8000,  # PyYAML reads about 200 kB in a second
    words=(
        "name: ",
        "steps:\n",
        "  - name: ",
        "    run: |\n",
        "requires_approval: ",
        "parameters:\n",
        "%YAML ",
        "<<: ",
        "&a ",
        "*a",
        "!!python/object",
        "\\U00110000",
        "\\ud800",
        "0x1F",
        "1:30",
        "```yaml\n",
    ),
)
