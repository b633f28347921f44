"""The runbook document: what it accepts, what it refuses and how it says so."""

from __future__ import annotations

import sys
import unicodedata
from typing import Any

import pytest
from pydantic import ValidationError

from engine.model import Expect, Phase, Risk, Shell, Target
from engine.runbook import Runbook, json_schema, mentions


def a_runbook(**changes: Any) -> Runbook:
    fields = {
        "name": "restart-web",
        "title": "Restart a web service",
        "owner": "web-team",
        "environment": "prod",
        "risk": "medium",
        "os": "linux",
        "targets": "any",
        "steps": [{"name": "Restart", "run": "systemctl restart nginx"}],
    }
    return Runbook.model_validate({**fields, **changes})


def a_step(**changes: Any) -> dict[str, Any]:
    return {"name": "Restart", "run": "systemctl restart nginx", **changes}


def refusal(**changes: Any) -> str:
    with pytest.raises(ValidationError) as refused:
        a_runbook(**changes)
    return "; ".join(error["msg"] for error in refused.value.errors())


@pytest.mark.parametrize("field", ["name", "title", "owner", "environment", "risk", "os", "targets", "steps"])
def test_a_required_field_cannot_be_left_out(field: str) -> None:
    data = a_runbook().model_dump(exclude_unset=True)
    del data[field]

    with pytest.raises(ValidationError, match="Field required"):
        Runbook.model_validate(data)


@pytest.mark.parametrize(
    "changes",
    [
        {"colour": "red"},
        {"steps": [a_step(colour="red")]},
        {"steps": [a_step(expect={"colour": "red"})]},
        {"approval": {"colour": "red"}},
        {"steps": [a_step(run='echo "$size"')], "parameters": {"size": {"colour": "red"}}},
    ],
)
def test_an_unknown_field_is_refused_at_every_level(changes: dict[str, Any]) -> None:
    assert "Extra inputs are not permitted" in refusal(**changes)


@pytest.mark.parametrize("name", ["", "Restart", "1st", "-a", "a_b", "a" * 61, "a\n", "wéb"])
def test_a_malformed_name_is_refused(name: str) -> None:
    assert "String should" in refusal(name=name)


def test_there_are_one_to_twenty_main_steps() -> None:
    many = [a_step(name=f"Step {number}") for number in range(21)]

    assert "at least 1 item" in refusal(steps=[])
    assert "at most 20 items" in refusal(steps=many)
    assert len(a_runbook(steps=many[:20]).steps) == 20


def test_two_steps_cannot_share_a_name_even_in_different_phases() -> None:
    assert "two steps are called 'Restart'" in refusal(postchecks=[a_step()])


@pytest.mark.parametrize(("os", "shell"), [("linux", "powershell"), ("windows", "bash")])
def test_a_shell_that_the_operating_system_lacks_is_refused(os: str, shell: str) -> None:
    assert f"{shell} does not run on {os}" in refusal(os=os, steps=[a_step(shell=shell)])


def test_a_shell_that_fits_may_be_written_out() -> None:
    assert a_runbook(os="windows", steps=[a_step(shell="powershell")]).steps[0].shell is Shell.POWERSHELL


@pytest.mark.parametrize(
    ("written", "seconds"), [(1, 1), (5400, 5400), ("90s", 90), ("5m", 300), ("1h", 3600), ("90m", 5400)]
)
def test_a_timeout_is_seconds_or_a_duration(written: object, seconds: int) -> None:
    assert a_runbook(steps=[a_step(timeout=written)]).steps[0].timeout == seconds


@pytest.mark.parametrize("written", [0, -1, 5401, "2h", "0s", "5 m", "5M", "m", "1.5h", 1.5, True, "\u0665m", "5m\n"])
def test_a_timeout_outside_its_range_or_spelling_is_refused(written: object) -> None:
    assert refusal(steps=[a_step(timeout=written)])


def test_a_step_has_the_risk_of_the_runbook_unless_it_is_marked_otherwise() -> None:
    runbook = a_runbook(prechecks=[a_step(name="Look", risk="none"), a_step(name="Look closer")])

    risks = [runbook.risk_of(step) for _, step in runbook.phased()]

    assert risks == [Risk.NONE, Risk.MEDIUM, Risk.MEDIUM]


def test_a_step_cannot_be_riskier_than_its_runbook() -> None:
    assert "raise the runbook's risk" in refusal(risk="low", steps=[a_step(risk="high")])


@pytest.mark.parametrize("word", ["safe", "moderate", "dangerous", "critical", "HIGH", ""])
def test_only_the_four_words_of_the_one_risk_scale_are_known(word: str) -> None:
    assert "Input should be" in refusal(steps=[a_step(risk=word)])


@pytest.mark.parametrize("phase", ["prechecks", "postchecks"])
def test_a_check_cannot_have_a_rollback(phase: str) -> None:
    assert "has no rollback" in refusal(**{phase: [a_step(name="Look", rollback="true")]})


def test_on_failure_rollback_needs_something_to_roll_back() -> None:
    assert "needs a step with a rollback" in refusal(steps=[a_step(on_failure="rollback")])
    assert a_runbook(steps=[a_step(on_failure="rollback", rollback="true")])
    assert "nothing to undo" in refusal(
        prechecks=[a_step(name="Look", on_failure="rollback")], steps=[a_step(rollback="true")]
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("shell", "bash"),
        ("expect", {"exit_code": 0}),
        ("capture", {"a": "text"}),
        ("timeout", 60),
        ("retries", 1),
        ("rollback", "true"),
    ],
)
def test_a_manual_step_refuses_what_would_have_no_effect(field: str, value: object) -> None:
    assert f"a manual step has no {field}" in refusal(steps=[a_step(type="manual", **{field: value})])


def test_instructions_of_a_manual_step_may_hold_letters_of_any_language_but_nothing_invisible() -> None:
    assert a_runbook(steps=[a_step(type="manual", run="Öffne das Portal und drücke Start.")])
    assert "U+200B" in refusal(steps=[a_step(type="manual", run="Press\u200b start")])
    assert "say what the person must do" in refusal(steps=[a_step(type="manual", run=" \n")])


FORMAT_CHARACTERS = [chr(n) for n in range(sys.maxunicode + 1) if unicodedata.category(chr(n)) == "Cf"]
CONTROLS = [chr(n) for n in (*range(0x20), *range(0x7F, 0xA0)) if chr(n) not in "\n\t"]
LOOK_ALIKES = list("\u00a0\u2028\u2029\u2018\u2019\u201c\u201d\u2013\u2014\u0430\uff1b\uff04\u3164\u2800\ue000\ufffe")


@pytest.mark.parametrize("place", ["run", "rollback"])
def test_every_invisible_or_look_alike_character_is_refused_in_a_command(place: str) -> None:
    accepted = [
        hex(ord(character))
        for character in [*FORMAT_CHARACTERS, *CONTROLS, *LOOK_ALIKES]
        if not _refused(steps=[a_step(**{"run": "true", place: f"echo a\necho b{character}"})])
    ]

    assert len(FORMAT_CHARACTERS) >= 163
    assert accepted == []


def _refused(**changes: Any) -> bool:
    try:
        a_runbook(**changes)
    except ValidationError:
        return True
    return False


def test_a_refused_character_is_named_with_line_column_and_code_point() -> None:
    message = refusal(steps=[a_step(run="echo a\necho \u202eb")])

    assert "line 2, column 6 is U+202E RIGHT-TO-LEFT OVERRIDE" in message


@pytest.mark.parametrize("field", ["title", "owner", "service", "description"])
def test_prose_may_not_hold_invisible_characters(field: str) -> None:
    assert "U+2066" in refusal(**{field: "Restart \u2066web"})


@pytest.mark.parametrize(
    ("run", "why"),
    [
        ("x" * 6001, "at most 6000"),
        ("echo a" + "\n" * 25 + "echo b", "blank lines"),
        ("echo a\n" + " \t\n" * 25 + "echo b", "blank lines"),
        ("echo a" + " " * 201 + "; rm b", "spaces"),
        (" \n", "is empty"),
        ("#!/usr/bin/env python\nprint()", "no effect"),
        ("restart {{ service }}", 'write "$service"'),
    ],
)
def test_a_command_that_hides_something_or_means_something_else_is_refused(run: str, why: str) -> None:
    assert why in refusal(steps=[a_step(run=run)])


@pytest.mark.parametrize(
    "run", ["x" * 6000, "a" + "\n" * 21 + "b", "a" + " " * 200 + "b", "docker inspect --format '{{.State}}{{end}}' x"]
)
def test_a_command_at_the_limit_is_accepted_unchanged(run: str) -> None:
    assert a_runbook(steps=[a_step(run=run)]).steps[0].run == run


def test_expectations_become_the_values_of_the_core() -> None:
    rule = {"exit_code": [0, 3], "contains": "a", "not_contains": ["b", "c"], "matches": "^d", "number": "< 60"}

    runbook = a_runbook(steps=[a_step(expect=rule)])

    assert runbook.steps[0].expect.to_model() == Expect(
        exit_codes=(0, 3), contains=("a",), not_contains=("b", "c"), matches="^d", number="< 60"
    )


@pytest.mark.parametrize(
    "rule",
    [
        {"number": "60"},
        {"number": "=< 60"},
        {"number": "< 60%"},
        {"matches": "("},
        {"matches": "(?=a)"},
        {"matches": r"(a)\1"},
        {"matches": ""},
        {"exit_code": []},
        {"exit_code": "0"},
        {"exit_code": True},
        {"contains": ""},
    ],
)
def test_an_unusable_expectation_is_refused(rule: dict[str, object]) -> None:
    assert refusal(steps=[a_step(expect=rule)])


@pytest.mark.parametrize("how", ["words", {"before": "x"}, {"after": ""}, ["text"]])
def test_an_unknown_way_to_capture_is_refused(how: object) -> None:
    assert refusal(steps=[a_step(capture={"load": how})])


@pytest.mark.parametrize(
    ("patterns", "fits"),
    [
        ("any", True),
        (["web-01"], True),
        (["WEB-*"], True),
        (["rg-prod/web-*"], True),
        (["RG-*/web-0?"], True),
        (["rg-test/web-*"], False),
        (["web-1"], False),
        (["web"], False),
        (["db-*", "web-01"], True),
    ],
)
def test_a_machine_is_allowed_by_name_or_by_group_and_name(patterns: object, fits: bool) -> None:
    target = Target(connector="azure", id="/x", name="web-01", group="rg-prod")

    assert a_runbook(targets=patterns).allows(target) is fits


@pytest.mark.parametrize("patterns", [[], ["a/b/c"], ["web-[01]"], [""], "web-01", ["/web"]])
def test_a_malformed_target_pattern_is_refused(patterns: object) -> None:
    assert refusal(targets=patterns)


def test_a_parameter_that_no_script_uses_is_refused() -> None:
    assert "no step uses the parameter 'size'" in refusal(parameters={"size": {}})


def test_a_parameter_called_vm_is_the_machine_itself() -> None:
    used = [a_step(run='echo "$vm"')]

    assert "give it type vm" in refusal(steps=used, parameters={"vm": {}})
    assert a_runbook(steps=used, parameters={"vm": {"type": "vm"}})


def test_a_script_mentions_a_variable_only_as_a_whole_word() -> None:
    assert mentions('echo "${size}d"', "size")
    assert mentions("Write-Output $Size", "size")
    assert not mentions("echo $size_max $resize", "size")


def test_phases_come_in_their_order() -> None:
    runbook = a_runbook(postchecks=[a_step(name="Prove")], prechecks=[a_step(name="Look")])

    assert [phase for phase, _ in runbook.phased()] == [Phase.PRECHECK, Phase.MAIN, Phase.POSTCHECK]


def test_every_field_of_the_schema_has_a_description_for_editors() -> None:
    schema = json_schema()
    parts = [schema, *(part for part in schema["$defs"].values() if "properties" in part)]

    without = [name for part in parts for name, field in part["properties"].items() if not field.get("description")]

    assert without == []


def test_a_runbook_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        a_runbook().risk = Risk.NONE  # type: ignore[misc]
