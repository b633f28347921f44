"""Judging output: typed assertions only, and none of the guesses that closed a full disk as a false alarm."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.expect import capture, check_number, check_pattern, judge, matches_whole, number_in
from engine.model import Expect

DF_TABLE = """Filesystem     Size  Used Avail Use% Mounted on
/dev/sda1       30G   29G  0.9G  97% /var
tmpfs          3.9G     0  3.9G   0% /dev/shm
"""


def test_exit_code_zero_is_success_by_default() -> None:
    assert judge(Expect(), exit_code=0, stdout="anything, even error and failed") == ""
    assert judge(Expect(), exit_code=1, stdout="") == "The exit code is 1, expected 0."


def test_no_exit_code_is_never_success() -> None:
    assert "no exit code" in judge(Expect(exit_codes=(0, 1)), exit_code=None, stdout="ok")


def test_any_of_the_listed_exit_codes_is_success() -> None:
    expect = Expect(exit_codes=(0, 3))

    assert judge(expect, exit_code=3, stdout="") == ""
    assert judge(expect, exit_code=4, stdout="") == "The exit code is 4, expected 0 or 3."


@pytest.mark.parametrize(
    ("expect", "stdout", "why"),
    [
        (Expect(contains=("ready",)), "ready", ""),
        (Expect(contains=("ready",)), "Ready", 'does not contain "ready"'),
        (Expect(contains=("a", "b")), "a", 'does not contain "b"'),
        (Expect(not_contains=("ERROR",)), "errors 0", ""),
        (Expect(not_contains=("ERROR",)), "an ERROR", 'contains "ERROR", which it must not'),
        (Expect(matches="^active\\s*$"), "active\n", ""),
        (Expect(matches="^active\\s*$"), "inactive\n", "does not match the pattern"),
        (Expect(matches="(?m)^failed=0$"), "x\nfailed=0\n", ""),
        (Expect(matches="(?m)^failed=0$"), "x\nfailed=01\n", "does not match"),
    ],
)
def test_text_is_judged_as_written(expect: Expect, stdout: str, why: str) -> None:
    verdict = judge(expect, exit_code=0, stdout=stdout)

    assert verdict == "" if why == "" else why in verdict


@pytest.mark.parametrize(
    ("comparison", "stdout", "holds"),
    [
        ("< 60", "59.9\n", True),
        ("< 60", "60\n", False),
        ("<= 60", "60", True),
        ("> -1", "0", True),
        (">= 85", " 85 \r\n", True),
        (">= 85", "84.999", False),
        ("== 200", "200", True),
        ("== 200", "200.0", True),
        ("!= 0", "0", False),
        ("== 0.3", "0.30000000000000004", False),
        (">10", "9", False),
    ],
)
def test_a_number_is_compared_as_a_number(comparison: str, stdout: str, holds: bool) -> None:
    verdict = judge(Expect(number=comparison), exit_code=0, stdout=stdout)

    assert (verdict == "") is holds


@pytest.mark.parametrize(
    "stdout", ["", "85%", "85 90", "85\n90", "use 85", "0x55", "1e2", "NaN", "inf", "1,5", "٨٥", "--5"]
)
def test_what_is_not_one_bare_number_fails_with_what_was_seen(stdout: str) -> None:
    verdict = judge(Expect(number=">= 0"), exit_code=0, stdout=stdout)

    assert "not one bare number" in verdict


def test_a_table_of_several_mounts_is_never_taken_for_a_number() -> None:
    verdict = judge(Expect(number="< 85"), exit_code=0, stdout=DF_TABLE)

    assert "not one bare number" in verdict
    assert capture((("used", "number"),), DF_TABLE) == ()


@pytest.mark.parametrize(
    "stdout", ["limit: none", "errors 0", "failed: 0", "warning level low", "critical services ok"]
)
def test_healthy_words_are_not_judged_unless_the_author_asked(stdout: str) -> None:
    assert judge(Expect(), exit_code=0, stdout=stdout) == ""


def test_the_first_broken_expectation_is_told() -> None:
    expect = Expect(contains=("a",), number="< 1")

    assert "exit code is 2" in judge(expect, exit_code=2, stdout="b")
    assert "does not contain" in judge(expect, exit_code=0, stdout="b")


def test_a_long_output_is_shortened_in_the_verdict() -> None:
    assert len(judge(Expect(number="< 1"), exit_code=0, stdout="x\n" * 10_000)) < 200


@pytest.mark.parametrize(
    ("how", "stdout", "value"),
    [
        ("number", " 42\n", "42"),
        ("number", "42%", None),
        ("text", "  hello\n", "hello"),
        ("text", " \n", None),
        ("after:load=", "x load=0.5, y", "0.5,"),
        ("after:load=", "load=\n7", None),
        ("after:load= ", "load= 7", "7"),
        ("after:load=", "nothing", None),
        ("after:number", "number 5", "5"),
    ],
)
def test_a_capture_takes_what_it_says_or_nothing(how: str, stdout: str, value: str | None) -> None:
    assert capture((("it", how),), stdout) == (() if value is None else (("it", value),))


def test_a_captured_text_is_capped() -> None:
    assert capture((("it", "text"),), "x" * 1000) == (("it", "x" * 200),)


def test_patterns_run_in_linear_time() -> None:
    assert "does not match" in judge(Expect(matches="^(a+)+$"), exit_code=0, stdout="a" * 100_000 + "b")


@pytest.mark.parametrize("pattern", ["", "(", "(?=a)", "(a)\\1", "a{2000}{2000}", "x" * 501, "a)|(?:b"])
def test_an_unusable_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"pattern|regular expression"):
        check_pattern(pattern)


@pytest.mark.parametrize("comparison", ["", "60", "< ", "=< 1", "<  1", "< 1%", "< 1 ", "< 1\n", "<1e3", "~ 5"])
def test_an_unusable_comparison_is_refused(comparison: str) -> None:
    with pytest.raises(ValueError, match="is not a comparison"):
        check_number(comparison)


def test_a_whole_match_allows_nothing_before_or_after() -> None:
    assert matches_whole("a|b", "a")
    assert not matches_whole("a|b", "ab")
    assert not matches_whole("a", "a\n")


@given(st.text(max_size=200), st.integers(-1, 3))
def test_judging_never_fails_whatever_was_printed(stdout: str, exit_code: int) -> None:
    expect = Expect(contains=("a",), not_contains=("b",), matches="c|a", number=">= 1")

    assert isinstance(judge(expect, exit_code=exit_code, stdout=stdout), str)
    capture((("n", "number"), ("t", "text"), ("w", "after:a")), stdout)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**9), max_value=10**9))
def test_every_plain_decimal_is_read_exactly(number: object) -> None:
    assert number_in(f"{number:f}\n") == number
