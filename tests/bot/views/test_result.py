"""A result says how it ended, with the evidence, and never guesses."""

from __future__ import annotations

import pytest

from bot.views.result import is_long, output_file, result
from engine.model import AttemptStatus, Output, StepKind, StepStatus
from tests.bot.views.builders import HOSTILE, a_gate, a_planned_step, a_session, a_step, a_vote, an_ended_step
from tests.bot.views.reading import entities, literal, preformatted


def printed(text: str, *, size: int | None = None) -> Output:
    return Output(stdout=text, stdout_bytes=len(text.encode()) if size is None else size)


def shown(step, output=None):
    return result(a_session(step), step, output or Output())


DONE = an_ended_step(StepStatus.SUCCEEDED, AttemptStatus.SUCCEEDED, captured=(("load", "0.4"),))


def test_a_success_says_exit_code_duration_captured_values_and_output() -> None:
    rendered = shown(DONE, printed("load=0.4\n"))

    for fact in ("succeeded.", "Exit code: 0", "2.2 s", "load = 0.4", "as expected"):
        assert fact in literal(rendered.blocks)
    assert preformatted(rendered.blocks) == ["load=0.4\n"]
    assert "Exit code 0 after 2.2 s." in rendered.text


def test_an_unknown_outcome_is_called_unknown_and_nothing_else() -> None:
    step = an_ended_step(StepStatus.UNKNOWN, AttemptStatus.UNKNOWN, exit_code=None, duration_seconds=None)

    said = literal(shown(step).blocks) + shown(step).text

    assert "has an unknown outcome" in said
    assert "failed" not in said
    assert "succeeded" not in said


def test_an_exit_code_of_zero_with_the_wrong_output_is_no_success() -> None:
    step = an_ended_step(StepStatus.FAILED, AttemptStatus.SUCCEEDED, reason="The output is not below 60.")

    said = literal(shown(step).blocks)

    assert "not what the runbook expects" in said
    assert "The output is not below 60." in said


def test_what_was_never_started_claims_no_output() -> None:
    step = an_ended_step(StepStatus.FAILED, AttemptStatus.NOT_STARTED, exit_code=None, reason="The VM is stopped.")

    said = literal(shown(step).blocks)

    assert "was not started" in said
    assert "printed" not in said


def test_no_output_is_said() -> None:
    assert "It printed nothing." in literal(shown(DONE).blocks)
    assert "It printed nothing." in shown(DONE).text


def test_what_was_cut_off_before_storing_is_said() -> None:
    assert "last 5 bytes of 10.0 MB" in literal(shown(DONE, printed("tail\n", size=10_000_000)).blocks)


@pytest.mark.parametrize(
    ("text", "long"), [("x\n" * 39, False), ("x\n" * 40, True), ("x" * 2500, False), ("x" * 2501, True)]
)
def test_forty_lines_or_two_and_a_half_kilobytes_are_too_long_for_a_message(text: str, long: bool) -> None:
    assert is_long(printed(text)) is long


def test_a_long_output_shows_head_and_tail_and_says_that_the_whole_follows() -> None:
    output = printed("".join(f"line {number}\n" for number in range(1000)))

    rendered = shown(DONE, output)

    (text,) = preformatted(rendered.blocks)
    assert text.startswith("line 0\n")
    assert text.endswith("line 999\n")
    assert "961 lines left out in the middle" in literal(rendered.blocks)
    assert "follows as a file" in str(rendered.blocks)


def test_the_file_holds_every_byte_of_both_streams() -> None:
    output = Output(stdout="out\n" * 100, stderr="err\n", stdout_bytes=400, stderr_bytes=4)

    file = output_file(a_session(DONE), DONE, output)

    assert file.name == "session-12-step-1-attempt-1.txt"
    assert file.content == ("--- standard output ---\n" + "out\n" * 100 + "\n--- standard error ---\nerr\n\n").encode()


def test_hostile_output_stays_text() -> None:
    rendered = shown(DONE, printed(HOSTILE))

    assert entities(rendered.text) == []
    assert "\u202e" not in str(rendered.blocks)
    assert "\\u{202e}" in preformatted(rendered.blocks)[0]


def test_a_manual_step_says_who_reported_it_done() -> None:
    manual = a_planned_step(kind=StepKind.MANUAL, script="", instructions="Swap it.")
    step = a_step(planned=manual, status=StepStatus.SUCCEEDED, gate=a_gate(decisions=(a_vote(),)), reason="swapped")

    said = literal(shown(step).blocks)

    assert "was reported done" in said
    assert "swapped" in said
    assert "printed" not in said
