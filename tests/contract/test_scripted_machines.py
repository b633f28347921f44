"""The machines in memory, held to the same promises as the real connectors, so that they may stand in for them.

Left out are the promises about what a real shell does: signals, syntax errors, time limits, bytes of both streams,
floods of output, files that scripts leave behind.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine.model import AttemptStatus
from engine.ports import CancelAnswer
from tests.builders import WEB
from tests.connectors.harness import RealClock, a_command, result_from
from tests.contract.test_connector import (
    World,
    test_a_cancel_of_an_ended_command_is_confirmed_and_changes_no_result,
    test_a_command_that_was_never_sent_is_not_found,
    test_a_connector_describes_itself_without_network,
    test_a_handle_is_small_text_without_secrets_and_addresses,
    test_a_healthy_machine_passes_its_preflight,
    test_a_machine_with_another_fingerprint_is_blocked_and_refused,
    test_a_resolved_id_resolves_to_itself,
    test_a_selector_resolves_to_the_same_pinned_target_every_time,
    test_a_shell_that_the_machine_lacks_is_blocked,
    test_a_vanished_command_is_left_out,
    test_an_unknown_name_resolves_to_nothing,
    test_clean_up_ends_with_nothing_left_and_may_be_repeated,
    test_nothing_runs_after_the_start_deadline,
    test_several_commands_on_one_machine_are_observed_apart,
    test_the_doctor_finds_nothing_wrong_with_a_healthy_world_and_an_echo_comes_back,
    test_the_inventory_is_sorted_and_holds_the_target_with_its_power_state,
    test_the_machine_itself_tells_how_a_command_ended,
)
from tests.fakes.machines import Machines

__all__ = [
    "test_a_cancel_of_an_ended_command_is_confirmed_and_changes_no_result",
    "test_a_command_that_was_never_sent_is_not_found",
    "test_a_connector_describes_itself_without_network",
    "test_a_handle_is_small_text_without_secrets_and_addresses",
    "test_a_healthy_machine_passes_its_preflight",
    "test_a_machine_with_another_fingerprint_is_blocked_and_refused",
    "test_a_resolved_id_resolves_to_itself",
    "test_a_selector_resolves_to_the_same_pinned_target_every_time",
    "test_a_shell_that_the_machine_lacks_is_blocked",
    "test_a_vanished_command_is_left_out",
    "test_an_unknown_name_resolves_to_nothing",
    "test_clean_up_ends_with_nothing_left_and_may_be_repeated",
    "test_nothing_runs_after_the_start_deadline",
    "test_several_commands_on_one_machine_are_observed_apart",
    "test_the_doctor_finds_nothing_wrong_with_a_healthy_world_and_an_echo_comes_back",
    "test_the_inventory_is_sorted_and_holds_the_target_with_its_power_state",
    "test_the_machine_itself_tells_how_a_command_ended",
]


@pytest.fixture
def machines() -> Machines:
    return Machines(RealClock())


@pytest.fixture
def world(machines: Machines, tmp_path: Path) -> World:
    return World(machines, WEB, "rg-prod/web-1", tmp_path)


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 3", 3), ("echo hello", 0)])
def test_command_ends_with_the_exit_code_of_its_script(machines: Machines, script: str, code: int) -> None:
    handle = machines.submit(a_command(script, target=WEB))

    result = result_from(machines, WEB, handle)

    assert (result.status is AttemptStatus.SUCCEEDED, result.exit_code) == (code == 0, code)
    assert result.message


def test_running_command_is_not_reported_as_ended_until_it_is_let_go(machines: Machines) -> None:
    machines.holding = True
    handle = machines.submit(a_command("echo went", target=WEB))

    early = machines.observe(WEB, [handle])[handle["attempt"]]

    assert (early.running, early.result) == (True, None)
    machines.release()
    assert result_from(machines, WEB, handle).stdout == b"went\n"


def test_cancel_of_a_running_command_is_as_certain_as_it_says(machines: Machines) -> None:
    machines.holding = True
    handle = machines.submit(a_command(target=WEB))

    machines.stoppable = False
    impossible = machines.cancel(handle)
    machines.stoppable = True
    confirmed = machines.cancel(handle)

    assert (impossible, confirmed) == (CancelAnswer.NOT_POSSIBLE, CancelAnswer.CONFIRMED)
    assert result_from(machines, WEB, handle).status is AttemptStatus.CANCELLED


def test_sent_command_is_found_again_by_its_attempt(machines: Machines) -> None:
    command = a_command(target=WEB)
    handle = machines.submit(command)

    assert machines.reconcile(command) == handle


def test_second_delivery_of_an_attempt_is_an_error_of_the_sender(machines: Machines) -> None:
    command = a_command(target=WEB, not_after=datetime(2999, 1, 1, tzinfo=UTC))
    machines.submit(command)

    with pytest.raises(AssertionError, match="sent twice"):
        machines.submit(command)
