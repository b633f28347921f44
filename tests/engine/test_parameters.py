"""Parameters: which names and values pass, and that a value reaches a real shell as nothing but data."""

from __future__ import annotations

import base64
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from engine.errors import InvalidInput
from engine.model import Shell
from engine.parameters import RESERVED, Parameter, check_name, check_values, prologue
from engine.runbook import Runbook

PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=60)
FRAGMENTS = ["$(touch canary)", "`touch canary`", '"; touch canary; "', "'; touch canary; '", "${IFS}", "\\", "!!"]
FRAGMENTS += ["&& touch canary", "| touch canary", "> canary", "-rf", "$'\\x27'", "%s", "{{7*7}}", "{0.__class__}", "*"]
SHELL_NAMES = """
    path ifs bash_env env ps4 ld_preload ld_library_path dyld_insert_libraries lc_all http_proxy home host
    input args error pid true false null matches erroractionpreference
"""
HOSTILE = st.lists(st.one_of(PRINTABLE, st.sampled_from(FRAGMENTS)), max_size=6).map("".join)


def a_runbook(**parameters: Any) -> Runbook:
    return Runbook.model_validate(
        {
            "name": "demo",
            "title": "Demo",
            "owner": "team",
            "environment": "prod",
            "risk": "low",
            "os": "linux",
            "targets": "any",
            "parameters": parameters,
            "steps": [{"name": "Use", "run": "echo " + " ".join(f'"${name}"' for name in parameters)}],
        }
    )


def refusal(rule: dict[str, Any], value: str) -> str:
    with pytest.raises(InvalidInput) as refused:
        check_values(a_runbook(size=rule), {"size": value})
    return refused.value.message


@pytest.mark.parametrize("name", ["service", "keep_days", "a", "a1", "a" * 40, "user"])
def test_a_plain_name_is_allowed(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "A", "1a", "_a", "a-b", "a b", "a" * 41, "wért", "a\n", "$a", "ａ", "a;b"],  # noqa: RUF001
)
def test_a_malformed_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not allowed"):
        check_name(name)


@pytest.mark.parametrize(
    "name",
    SHELL_NAMES.split(),
)
def test_a_name_that_means_something_to_a_shell_is_refused_when_the_runbook_is_loaded(name: str) -> None:
    with pytest.raises(ValidationError, match="means something to a shell"):
        a_runbook(**{name: {}})


def test_every_reserved_name_could_otherwise_have_been_used() -> None:
    assert [name for name in RESERVED if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name)] == []


def test_a_given_value_wins_over_the_default_and_a_left_out_optional_value_is_empty() -> None:
    runbook = a_runbook(a={"default": "x"}, b={"default": "y"}, c={"required": False})

    assert check_values(runbook, {"b": "z"}) == {"a": "x", "b": "z", "c": ""}


def test_a_missing_value_is_refused_with_the_way_to_give_it() -> None:
    with pytest.raises(InvalidInput) as refused:
        check_values(a_runbook(size={"description": "size in MB"}), {})

    assert str(refused.value) == "The parameter 'size' is missing. Add size=… (size in MB)."


def test_an_unknown_name_is_refused_with_the_nearest_ones() -> None:
    runbook = a_runbook(service={}, mount={})

    with pytest.raises(InvalidInput, match=r"has no parameter 'servce'. Did you mean service\?"):
        check_values(runbook, {"servce": "x"})
    with pytest.raises(InvalidInput, match=r"It takes: mount, service\."):
        check_values(runbook, {"zzz": "x"})
    with pytest.raises(InvalidInput, match="It takes no parameters"):
        check_values(a_runbook(), {"vm": "web-01"})


@pytest.mark.parametrize(
    ("rule", "value", "why"),
    [
        ({"type": "integer"}, "ten", "not an integer"),
        ({"type": "integer"}, "007", "not an integer"),
        ({"type": "integer"}, "1\n", "U+000A"),
        ({"type": "integer"}, " 1", "not an integer"),
        ({"type": "integer"}, "", "not an integer"),
        ({"type": "integer"}, "１", "U+FF11"),  # noqa: RUF001
        ({"type": "integer", "min": 5}, "4", "smallest is 5"),
        ({"type": "integer", "max": 5}, "6", "largest is 5"),
        ({"type": "boolean"}, "yes", "write true or false"),
        ({"type": "choice", "choices": ["a", "b"]}, "c", "not one of a, b"),
        ({"type": "choice", "choices": ["a", "b"]}, "a ", "not one of a, b"),
        ({"type": "vm"}, "web 01", "the name or the id of a VM"),
        ({"type": "vm"}, "web;reboot", "the name or the id of a VM"),
        ({"pattern": "[a-z]+"}, "abc1", "does not match the pattern"),
        ({"pattern": "[a-z]+"}, "abc\n", "U+000A"),
        ({"pattern": "a|b"}, "ab", "does not match the pattern"),
        ({"pattern": r"\w+"}, "ａ", "U+FF41"),  # noqa: RUF001
        ({"pattern": ".*"}, "a；b", "U+FF1B"),  # noqa: RUF001
        ({"max_length": 3}, "abcd", "at most 3"),
        ({}, "a" * 1001, "at most 1000"),
        ({}, "-rf", "begins with a dash"),
        ({}, "a\tb", "U+0009"),
        ({}, "a\x00b", "U+0000"),
        ({}, "a\u202eb", "U+202E RIGHT-TO-LEFT OVERRIDE"),
        ({}, "a\u2013b", "U+2013 EN DASH"),
    ],
)
def test_a_value_that_breaks_a_rule_is_refused_by_naming_parameter_and_rule(
    rule: dict[str, Any], value: str, why: str
) -> None:
    message = refusal(rule, value)

    assert "'size'" in message
    assert why in message


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        ({"type": "integer", "min": -9}, "-5"),
        ({"type": "boolean"}, "true"),
        ({"type": "choice", "choices": [1, True]}, "true"),
        ({"type": "vm"}, "rg-prod/web-01"),
        ({"type": "vm"}, "/subscriptions/0/resourceGroups/rg_(x)/providers/Microsoft.Compute/virtualMachines/w"),
        ({"allow_leading_dash": True}, "-v"),
        ({}, "$(reboot) `x` \"' \\"),
        ({}, ""),
    ],
)
def test_a_value_that_obeys_the_rules_passes_unchanged(rule: dict[str, Any], value: str) -> None:
    assert check_values(a_runbook(size=rule), {"size": value}) == {"size": value}


@pytest.mark.parametrize(
    "rule",
    [
        {"type": "choice"},
        {"choices": ["a"]},
        {"type": "boolean", "pattern": "x"},
        {"min": 1},
        {"type": "integer", "min": 2, "max": 1},
        {"type": "integer", "default": "ten"},
        {"type": "integer", "min": 5, "default": 4},
        {"default": "-x"},
        {"pattern": "("},
        {"pattern": "a)|(?:b"},
        {"pattern": "(?=a)"},
        {"type": "colour"},
        {"required": "yes"},
    ],
)
def test_a_declaration_that_contradicts_itself_is_refused(rule: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Parameter.model_validate(rule)


def test_a_slow_pattern_of_other_engines_is_judged_at_once() -> None:
    assert "does not match" in refusal({"pattern": "(a+)+b"}, "a" * 1000)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(HOSTILE, min_size=50, max_size=50))
def test_hostile_values_reach_bash_as_data_and_run_nothing(tmp_path: Path, values: list[str]) -> None:
    named = {f"v{number}": value for number, value in enumerate(values)}
    script = prologue(Shell.BASH, named) + "".join(f"printf '%s\\n' \"${name}\"\n" for name in named)

    ran = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, check=True)

    assert ran.stdout.decode("ascii").split("\n")[:-1] == values
    assert ran.stderr == b""
    assert list(tmp_path.iterdir()) == []


@given(value=HOSTILE)
def test_nothing_of_a_value_is_ever_script_text(value: str) -> None:
    for shell in Shell:
        line = prologue(shell, {"size": value})

        encoded = base64.b64encode(value.encode()).decode()
        assert line.replace(encoded, "") == prologue(shell, {"size": ""})
        assert re.fullmatch(r"[A-Za-z0-9+/=]*", encoded)


def test_assignments_are_sorted_by_name_and_have_a_fixed_form() -> None:
    values = {"b": "2", "a": "1"}

    assert prologue(Shell.BASH, values) == (
        "a=\"$(printf %s 'MQ==' | base64 -d)\" || exit 96\nb=\"$(printf %s 'Mg==' | base64 -d)\" || exit 96\n"
    )
    assert prologue(Shell.POWERSHELL, values) == (
        "$a = [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String('MQ=='))\n"
        "$b = [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String('Mg=='))\n"
    )


def test_a_machine_that_cannot_decode_a_value_stops_before_the_script(tmp_path: Path) -> None:
    script = prologue(Shell.BASH, {"size": "x"}) + "echo ran"

    ran = subprocess.run(
        ["/bin/bash", "-c", f"base64() {{ return 1; }}\n{script}"], cwd=tmp_path, capture_output=True, check=False
    )

    assert (ran.returncode, ran.stdout) == (96, b"")


def test_the_prologue_itself_refuses_a_bad_name_or_value() -> None:
    with pytest.raises(ValueError, match="not allowed"):
        prologue(Shell.BASH, {"a;reboot": "x"})
    with pytest.raises(ValueError, match="U\\+000A"):
        prologue(Shell.BASH, {"a": "x\n"})


@pytest.mark.parametrize("text", ["{{7*7}}", "{0.__class__}", "%(x)s", "${x}", "#{x}", "<%= x %>"])
def test_template_syntax_in_a_value_stays_literal(text: str) -> None:
    assert check_values(a_runbook(size={}), {"size": text}) == {"size": text}
