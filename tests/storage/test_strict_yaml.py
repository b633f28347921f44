"""Strict YAML: what can mean two things is refused, with file, line, column and cure."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InvalidInput
from storage.strict_yaml import MAX_BYTES, MalformedFile, Problem, load_document, parse

AMBIGUOUS = """
    yes no on off y N True FALSE Null NO 0755 0o17 0x1F 0b1 1_000 +5 12:30 1:30:00 2024-01-31
    2024-01-31T10:00:00Z 1e3 .inf -.INF .nan 12345678901234567890
"""
GOOD = """\
name: demo
title: Demo
owner: team
environment: prod
risk: low
os: linux
targets: any
steps:
  - name: Look
    run: |
      echo one
      echo two
"""


def problem(text: str) -> Problem:
    with pytest.raises(MalformedFile) as refused:
        parse(text, file="f.yaml")
    return refused.value.problems[0]


def file_problems(tmp_path: Path, text: str | bytes, name: str = "demo.yaml") -> tuple[Problem, ...]:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(MalformedFile) as refused:
        load_document(path)
    return refused.value.problems


def test_plain_values_are_text_whole_numbers_booleans_and_nothing() -> None:
    text = "a: x\nb: 5\nc: true\nd: false\ne:\nf: '5'\ng: [1, -2]\nh: {i: j}\nk: 1.5\nl: ~\n"

    assert parse(text, file="f").value == {
        "a": "x",
        "b": 5,
        "c": True,
        "d": False,
        "e": None,
        "f": "5",
        "g": [1, -2],
        "h": {"i": "j"},
        "k": "1.5",
        "l": None,
    }


@pytest.mark.parametrize(
    ("text", "line", "column", "what"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, 1, "the key 'a' stands here again"),
        ("a:\n  b: 1\n  'b': 2\n", 3, 3, "stands here again"),
        ("a: &x 1\n", 1, 4, "anchors"),
        ("a: &x [1]\n", 1, 4, "anchors"),
        ("a: &x {b: 1}\n", 1, 4, "anchors"),
        ("&x a: 1\n", 1, 1, "anchors"),
        ("a: *x\n", 1, 4, "aliases"),
        ("a:\n  <<: {b: 1}\n", 2, 3, "merge keys"),
        ("a: !!python/object/apply:os.system [ls]\n", 1, 4, "tags"),
        ("a: !!str 1\n", 1, 4, "tags"),
        ("a: ! x\n", 1, 4, "tags"),
        ("!x\na: 1\n", 1, 1, "tags"),
        ("%YAML 1.1\n---\na: 1\n", 1, 1, "directives"),
        ("%YAML " + "9" * 5000 + ".1\n---\na: 1\n", 1, 7, "out of range"),
        ('a: 1\nb: "\\U00110000"\n', 2, 7, "out of range"),
        ('a: 1\nb: "\\U80449458"\n', 2, 7, "out of range"),
        ('a: "\\ud800"\n', 1, 4, "U+D800"),
        ('a: "\\u202e"\n', 1, 4, "U+202E RIGHT-TO-LEFT OVERRIDE, which nobody can see"),
        ('"\\u200b": 1\n', 1, 1, "U+200B"),
        ("a: 1\n---\nb: 2\n", 2, 1, "second document"),
        ("1: a\n", 1, 1, "a key must be text"),
        ("true: a\n", 1, 1, "a key must be text"),
        ("? [a]\n: b\n", 1, 3, "a key must be text"),
        (": b\n", 1, 1, "this is not YAML"),
        ("", 1, 1, "the file is empty"),
        ("# nothing\n", 2, 1, "the file is empty"),
        ("a: [1\n", 2, 1, "this is not YAML"),
        ("a: b: c\n", 1, 5, "this is not YAML"),
        ("a:\n\t- b\n", 2, 1, "this is not YAML"),
        ("a: \u202eb\n", 1, 4, "U+202E RIGHT-TO-LEFT OVERRIDE"),
        ("a: 1\nb: x\ry\n", 2, 5, "U+000D"),
        ("a: x\u2028b: y\n", 1, 5, "U+2028"),
        ("\ufeffa: 1\n", 1, 1, "U+FEFF"),
    ],
)
def test_what_can_mean_two_things_is_refused_with_its_place(text: str, line: int, column: int, what: str) -> None:
    found = problem(text)

    assert (found.file, found.line, found.column) == ("f.yaml", line, column)
    assert what in found.message
    assert found.hint


@pytest.mark.parametrize(
    "word",
    AMBIGUOUS.split(),
)
def test_a_plain_word_that_yaml_versions_read_differently_must_be_quoted(word: str) -> None:
    found = problem(f"a: {word}\n")

    assert (found.line, found.column) == (1, 4)
    assert "more than one way" in found.message
    assert parse(f"a: '{word}'\n", file="f").value == {"a": word}


@pytest.mark.parametrize("text", ["1.2.3", "5m", "nginx", "10.0.0.1", "a:b", "yes please", "1-2", "v1", "-"])
def test_ordinary_plain_text_needs_no_quotes(text: str) -> None:
    assert parse(f"a: {text}x\n", file="f").value == {"a": f"{text}x"}


def test_a_file_that_expands_is_refused_before_it_can() -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(f"{c}: &{c} [*a,*a]\n" for c in "bcdefghi")

    assert "anchors" in problem(bomb).message


def test_depth_and_size_are_capped() -> None:
    assert "12 deep" in problem("a: " + "[" * 13 + "]" * 13).message
    assert "12 deep" in problem("[" * 5000).message
    assert parse("[" * 12 + "]" * 12, file="f").value
    assert "64 KiB" in problem("a: " + "x" * MAX_BYTES).message


def test_windows_line_ends_are_read_like_others_and_keep_their_digest(tmp_path: Path) -> None:
    path = tmp_path / "demo.yaml"
    data = GOOD.replace("\n", "\r\n").encode()
    path.write_bytes(data)

    document = load_document(path)

    assert document.runbook.steps[0].run == "echo one\necho two\n"
    assert document.digest == hashlib.sha256(data).hexdigest()


def test_a_good_file_is_loaded_whole(tmp_path: Path) -> None:
    (tmp_path / "demo.yaml").write_text(GOOD)

    document = load_document(tmp_path / "demo.yaml")

    assert (document.name, document.runbook.owner) == ("demo", "team")
    assert document.source == str(tmp_path / "demo.yaml")


@pytest.mark.parametrize(
    ("old", "new", "place", "message", "hint"),
    [
        ("owner: team\n", "", (1, 1), "the field 'owner' is missing.", "Who answers for it"),
        ("owner:", "ownr:", (3, 1), "there is no field 'ownr' here.", "Did you mean owner?"),
        ("    run:", "    rn:", (10, 5), "there is no field 'rn' here.", "Did you mean run?"),
        ("owner:", '"[owner]":', (3, 1), "there is no field '[owner]' here.", ""),
        ("risk: low", "risk: lwo", (5, 1), "'none', 'low', 'medium' or 'high'", "How much damage"),
        ("name: demo", "name: 5", (1, 1), "name must be text.", "Put it in quotes."),
        ("owner: team", "owner:", (3, 1), "owner must be text.", "quotes"),
        ("echo two", "echo \u201ctwo\u201d", (12, 12), "U+201C LEFT DOUBLE QUOTATION MARK", ""),
        ("      echo two", "      {{ x }}", (12, 7), "the placeholder {{ x }}", ""),
        ("name: demo", "name: other", (1, 1), "but its file 'demo'", "Rename the file to other.yaml"),
        ("targets: any", "targets: []", (7, 1), "targets", ""),
        ("    run: |", "    timeout: 2h\n    run: |", (10, 5), "steps, item 1, timeout", ""),
        ("    run: |", "    retries: '2'\n    run: |", (10, 5), "steps, item 1, retries must be a whole number", ""),
        ("    run: |", "    expect: {number: '60'}\n    run: |", (10, 14), "is not a comparison", ""),
        ("    run: |", "    expect: {numbr: '60'}\n    run: |", (10, 14), "no field 'numbr'", "Did you mean number?"),
        ("    run: |", "    capture: {a: {aftr: x}}\n    run: |", (10, 19), "no field 'aftr'", "Did you mean after?"),
        ("steps:", "parameters: {path: {}}\nsteps:", (8, 14), "means something to a shell", ""),
        ("steps:", "parameters: {size: {typ: a}}\nsteps:", (8, 21), "no field 'typ'", "Did you mean type?"),
    ],
)
def test_a_wrong_field_is_named_with_line_column_and_cure(
    tmp_path: Path, *, old: str, new: str, place: tuple[int, int], message: str, hint: str
) -> None:
    assert GOOD.count(old) == 1

    found = [str(one) for one in file_problems(tmp_path, GOOD.replace(old, new))]

    start = f"{tmp_path}/demo.yaml:{place[0]}:{place[1]}: "
    assert any(one.startswith(start) and message in one and hint in one for one in found), found


def test_all_problems_of_a_file_are_told_at_once_in_order(tmp_path: Path) -> None:
    found = file_problems(tmp_path, GOOD.replace("risk: low", "risk: x").replace("os: linux", "os: x"))

    assert [one.line for one in found] == [5, 6]


@pytest.mark.parametrize("text", ["just text", "- a\n- b", "5", "true"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    assert "must be a group of fields" in file_problems(tmp_path, text)[0].message


def test_a_file_that_is_not_utf_8_is_refused_with_its_line(tmp_path: Path) -> None:
    found = file_problems(tmp_path, b"name: demo\ntitle: \xff\n")[0]

    assert (found.line, found.message) == (2, "this line is not UTF-8.")


def test_an_error_is_something_that_a_person_can_be_shown(tmp_path: Path) -> None:
    (tmp_path / "demo.yaml").write_text("a: 1\na: 2\n")

    with pytest.raises(InvalidInput) as refused:
        load_document(tmp_path / "demo.yaml")

    assert str(refused.value) == (
        f"{tmp_path}/demo.yaml:2:1: the key 'a' stands here again. It is on line 1 already; keep one."
    )


# ---------------------------------------------------------------- Markdown

MARKDOWN = f"# Demo\n\nText with a block:\n\n```text\nname: other\n```\n\n```yaml\n{GOOD}```\n\nMore text.\n"


def test_a_markdown_file_holds_its_runbook_in_the_one_yaml_block(tmp_path: Path) -> None:
    (tmp_path / "demo.md").write_text(MARKDOWN)
    (tmp_path / "demo.yaml").write_text(GOOD)

    assert load_document(tmp_path / "demo.md").runbook == load_document(tmp_path / "demo.yaml").runbook


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_lines_of_problems_are_those_of_the_markdown_file(tmp_path: Path, newline: str) -> None:
    text = MARKDOWN.replace("owner: team", "ownr: team").replace("\n", newline)

    found = file_problems(tmp_path, text, "demo.md")

    line = MARKDOWN[: MARKDOWN.index("owner: team")].count("\n") + 1
    assert any((one.line, one.column) == (line, 1) and "ownr" in one.message for one in found)


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("# Demo\n", 1, "there is no ```yaml block"),
        ("```bash\nls\n```\n", 1, "there is no ```yaml block"),
        ("```yaml\na: 1\n```\n\n```yaml\nb: 1\n```\n", 5, "a second ```yaml block"),
        ("text\n```yaml\na: 1\n", 2, "never closed"),
        ("```yaml\n```\n", 3, "empty"),
    ],
)
def test_a_markdown_file_needs_exactly_one_closed_yaml_block(tmp_path: Path, text: str, line: int, what: str) -> None:
    found = file_problems(tmp_path, text, "demo.md")[0]

    assert found.line in (line, line - 1) if what == "empty" else found.line == line
    assert what in found.message


def test_a_fence_inside_a_longer_fence_does_not_end_it(tmp_path: Path) -> None:
    text = "````yaml\n" + GOOD.replace("echo one", "```") + "````\n"
    (tmp_path / "demo.md").write_text(text)

    assert load_document(tmp_path / "demo.md").runbook.steps[0].run == "```\necho two\n"


# ---------------------------------------------------------------- anything at all


@given(st.text(st.characters(codec="utf-8"), max_size=200))
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    _read_or_refuse(text)


@given(
    st.lists(st.sampled_from(["a", ": ", "\n", "- ", "[", "]", "{", "}", ",", "'", '"', "|", ">", "#", "  ", "&", "*"]))
)
def test_any_mixture_of_yaml_signs_is_read_or_refused_with_a_place(parts: list[str]) -> None:
    _read_or_refuse("".join(parts))


def _read_or_refuse(text: str) -> None:
    try:
        parse(text, file="f")
        problems: tuple[Problem, ...] = ()
    except MalformedFile as error:
        problems = error.problems
    assert all(one.line >= 1 and one.column >= 1 and one.message for one in problems)
