"""What the fuzzers found in answers of machines and of Azure, each under the name of what now holds."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.azure_action import _message
from connectors.azure_observe import observation_of
from connectors.envelope import parse_trailer, result_of
from engine.model import AttemptStatus
from tests.fuzz.machines import ATTEMPT, report

STARTED, ENDED = "2026-03-02T09:00:00+00:00", "2026-03-02T09:00:05"


def shown(**view: Any) -> dict[str, Any]:
    return {"properties": {"instanceView": view}}


@pytest.mark.parametrize("facts", [{}, {"rc": "0"}, {"rc": None}, {"rc": False}, {"rc": 0.0}, {"rc": 2**40}])
def test_report_of_an_end_without_its_exit_code_is_no_report(facts: dict[str, Any]) -> None:
    assert parse_trailer(report({"state": "done"} | facts), b"", ATTEMPT) is None


def test_report_with_its_exit_code_still_is_one() -> None:
    trailer = parse_trailer(report({"state": "done", "rc": 0, "ms": 1500, "out": 9}, b"ok"), b"", ATTEMPT)

    assert trailer is not None
    result = result_of(trailer)
    assert result is not None
    assert (result.status, result.exit_code, result.duration_seconds) == (AttemptStatus.SUCCEEDED, 0, 1.5)


@pytest.mark.parametrize("number", [10**400, -1, 2**80])
def test_number_that_no_machine_has_is_not_believed(number: int) -> None:
    trailer = parse_trailer(report({"state": "done", "rc": 1, "ms": number, "out": number}), b"", ATTEMPT)

    assert trailer is not None
    assert (trailer.duration_seconds, trailer.stdout_bytes) == (0.0, 0)


def test_report_nested_deeper_than_anything_reads_is_no_report() -> None:
    facts = '{"state": "done", "rc": 0, "x": ' + "[" * 1900 + "]" * 1900 + "}"

    assert parse_trailer(f"RUNBOOK-BOT/1 {ATTEMPT} out {facts}\n".encode(), b"", ATTEMPT) is None


@pytest.mark.parametrize("command", [{"properties": True}, {"properties": {"instanceView": []}}, shown(output=["x"])])
def test_answer_of_another_shape_means_keep_looking(command: dict[str, Any]) -> None:
    assert observation_of(command, ATTEMPT, 60).result is None


def test_times_of_which_one_has_no_zone_give_no_duration() -> None:
    command = shown(executionState="Succeeded", exitCode=0, startTime=STARTED, endTime=ENDED)

    result = observation_of(command, ATTEMPT, 60).result

    assert result is not None
    assert (result.status, result.duration_seconds) == (AttemptStatus.SUCCEEDED, None)


@pytest.mark.parametrize("code", [True, False, 0.0, "0", None, 2**40])
def test_exit_code_that_is_no_number_of_a_process_proves_nothing(code: object) -> None:
    assert observation_of(shown(executionState="Succeeded", exitCode=code), ATTEMPT, 60).result is None


def test_half_a_character_in_the_output_does_not_stop_the_watch() -> None:
    result = observation_of(shown(executionState="Failed", exitCode=3, output="a\ud800b"), ATTEMPT, 60).result

    assert result is not None
    assert (result.exit_code, result.stdout) == (3, b"a?b")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"value": 7}, b""),
        ({"value": ["x", {"message": "said"}]}, b"said"),
        ({"properties": {"output": {"value": [{"message": "one"}, {"message": "two"}]}}}, b"one\ntwo"),
        ({"properties": [], "status": "Succeeded"}, b""),
    ],
)
def test_messages_are_read_from_whatever_an_operation_answers(body: dict[str, Any], text: bytes) -> None:
    assert _message(body) == text
