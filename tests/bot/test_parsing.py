"""The grammar of ``/runbook``: what is read, and refusals with their place and cure."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import grammar, parsing
from bot.grammar import (
    USAGES,
    Cancel,
    Doctor,
    Execute,
    Help,
    History,
    ListRunbooks,
    Pause,
    Pending,
    PlanIt,
    Resume,
    Show,
    Status,
    Why,
)
from bot.parsing import parse
from engine.errors import InvalidInput

READ = [
    ("", Help()),
    ("   ", Help()),
    ("help me please", Help()),
    ("HELP", Help()),
    ("list", ListRunbooks()),
    ("show restart-web", Show(runbook="restart-web")),
    (
        "plan restart-web vm=web-01 service=nginx",
        PlanIt(runbook="restart-web", vm="web-01", values={"service": "nginx"}),
    ),
    ("execute", Execute()),
    ("execute restart-web", Execute(runbook="restart-web")),
    (
        "  execute   restart-web\tvm=rg/web-01 ticket=INC-1 a=1\n",
        Execute(runbook="restart-web", vm="rg/web-01", ticket="INC-1", values={"a": "1"}),
    ),
    ('execute r note="two words"', Execute(runbook="r", values={"note": "two words"})),
    ("execute r note='say \"hi\"'", Execute(runbook="r", values={"note": 'say "hi"'})),
    ('execute r "note=two words"', Execute(runbook="r", values={"note": "two words"})),
    ('execute r path="C:\\temp\\x"', Execute(runbook="r", values={"path": "C:\\temp\\x"})),
    ('execute r a=""', Execute(runbook="r", values={"a": ""})),
    ("execute r a=", Execute(runbook="r", values={"a": ""})),
    ("execute r a=b=c", Execute(runbook="r", values={"a": "b=c"})),
    ('execute r a="it\u2019s fine"', Execute(runbook="r", values={"a": "it\u2019s fine"})),
    ("status", Status()),
    ("status 12", Status(session=12)),
    ("status #12", Status(session=12)),
    ("why 3", Why(session=3)),
    ("pending", Pending()),
    ("history", History()),
    ("history ticket=INC-1", History(ticket="INC-1")),
    ("cancel 4", Cancel(session=4)),
    ("cancel 4 it's \u201cwrong\u201d", Cancel(session=4, reason="it's \u201cwrong\u201d")),
    ("pause 5", Pause(session=5)),
    ("resume 5", Resume(session=5)),
    ("doctor", Doctor()),
    ("doctor web-01", Doctor(vm="web-01")),
    ("doctor vm=web-01", Doctor(vm="web-01")),
]


@pytest.mark.parametrize(("text", "request_"), READ)
def test_command_is_read(text: str, request_: grammar.Request):
    assert parse(text) == request_


REFUSED = [
    ("exceute restart-web", "no command `exceute`", "Did you mean `execute`?"),
    ("run restart-web", "no command `run`", "Did you mean `execute`?"),
    ("approve 3", "no command `approve`", "buttons"),
    ("xyzzy", "no command `xyzzy`", "/runbook help"),
    ("list all", "Character 6: `all` is one word too many", "/runbook list"),
    ("show", "needs the name of a runbook", "show NAME"),
    ("show ../etc", "Character 6: `../etc` is not the name", "/runbook list"),
    ("plan", "needs the name of a runbook", "plan NAME"),
    ("execute r vm=a vm=b", "Character 16: `vm` is given twice", "Keep one"),
    ("execute r web-01", "Character 11: `web-01` has no value", "key=value"),
    ("execute r Vm=web", "Character 11: `Vm` is not the name of a parameter", "lower-case"),
    ("execute r vm = web", "Character 11: `vm` has no value", "key=value"),
    ("execute r =x", "`` is not the name", "lower-case"),
    ('execute r a="b', "quote at character 13 is never closed", "closing"),
    ("execute r a=\u201cb c\u201d", "Character 13 is a typographic quote", "straight quotes"),
    ("execute r a=\u2018b\u2019", "Character 13 is a typographic quote", "straight quotes"),
    ("execute r a=b\u200bc", "Character 14 is U+200B ZERO WIDTH SPACE", "Remove it"),
    ("execute r a=\x1b[31m", "Character 13 is U+001B", "Remove it"),
    ("status twelve", "`twelve` is not the number of a session", "/runbook status"),
    ("status \u0661\u0662", "is not the number of a session", "/runbook status"),
    ("status 1 2", "`2` is one word too many", "status [ID]"),
    ("why", "needs the number of a session", "why ID"),
    ("cancel", "needs the number of a session", "cancel ID"),
    ("cancel 1 a\u202eb", "Character 11 is U+202E RIGHT-TO-LEFT OVERRIDE", "Remove it"),
    ("\x1b[31mlist", "Character 1 is U+001B", "Remove it"),
    ("show\x1crestart-web", "Character 5 is U+001C", "Remove it"),
    ("cancel \u200b1", "Character 8 is U+200B", "Remove it"),
    ("history runbook=x", "knows no `runbook`", "ticket="),
    ("status " + "9" * 400, "is not the number of a session", "/runbook status"),
    ("x" * 9000, "9000 characters", "8000"),
]


@pytest.mark.parametrize(("text", "wrong", "cure"), REFUSED)
def test_refusal_names_place_and_cure(text: str, wrong: str, cure: str):
    with pytest.raises(InvalidInput) as refused:
        parse(text)

    assert wrong in refused.value.message
    assert cure in refused.value.hint


def test_every_verb_has_a_reader_and_an_example_that_reads():
    assert set(USAGES) == set(parsing.READERS)
    for usage in USAGES.values():
        parse(usage.example)


def read_or_refused(text: str) -> grammar.Request | None:
    with contextlib.suppress(InvalidInput):
        return parse(text)
    return None


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(text: str):
    assert isinstance(read_or_refused(text), grammar.Request | None)


@given(st.dictionaries(st.from_regex(r"[a-z][a-z0-9_]{0,9}", fullmatch=True), st.text(" -~", max_size=30)))
def test_quoted_values_come_back_as_they_were(values: dict[str, str]):
    quoted = {key: value.replace('"', "'") for key, value in values.items() if key not in {"vm", "ticket"}}
    text = " ".join(f'{key}="{value}"' for key, value in quoted.items())

    assert parse(f"execute r {text}").values == quoted


@pytest.mark.parametrize("piece", ['"', "a=b ", "=", "\u201c", "' ", "x" * 50 + " ", "-" * 100])
def test_longest_allowed_text_is_read_or_refused_whatever_it_repeats(piece: str):
    text = ("execute r " + piece * 8000)[:8000]

    assert read_or_refused(text) is None


def test_words_split_by_a_shell_are_read_the_same_way():
    assert parsing.parse_values(["a=1", "b=two words"]) == {"a": "1", "b": "two words"}


def test_word_of_a_shell_without_a_value_is_refused():
    with pytest.raises(InvalidInput, match="has no value"):
        parsing.parse_values(["a"])
