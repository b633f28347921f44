"""After the sending: observing, cancelling, cleaning up and the doctor, against a cloud that misbehaves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.azure_observe import observation_of
from connectors.azure_run_command import AzureConnector
from connectors.envelope import script_of
from engine.errors import Bug, Indeterminate, Transient
from engine.model import AttemptStatus, Target
from engine.ports import CancelAnswer, Level
from playground.azure import AzureCloud, Fault
from tests.connectors.azure import connected, web, writes
from tests.connectors.harness import a_command, has_begun, result_from, until

VM = "rg-prod/web-01"


# ---------------------------------------------------------------- observing


def test_many_commands_on_one_machine_cost_one_request(
    cloud: AzureCloud, azure: AzureConnector, target: Target
) -> None:
    handles = [azure.submit(a_command(f"exit {n}", target=target)) for n in range(5)]
    for handle in handles:
        result_from(azure, target, handle)
    before = len(cloud.ledger.requests())

    seen = azure.observe(target, handles)

    assert len(cloud.ledger.requests()) - before == 1
    assert [one.result.exit_code for one in seen.values() if one.result] == [0, 1, 2, 3, 4]


def test_a_report_is_believed_while_azure_still_says_running(
    cloud: AzureCloud, azure: AzureConnector, target: Target
) -> None:
    cloud.vm(VM).quirks.running_after_exit = True
    handle = azure.submit(a_command("echo hello; exit 3", target=target))

    result = result_from(azure, target, handle)

    assert (result.status, result.exit_code) == (AttemptStatus.FAILED, 3)


def test_pending_for_ever_is_never_an_end(cloud: AzureCloud, azure: AzureConnector, target: Target) -> None:
    cloud.vm(VM).quirks.pending_forever = True
    handle = azure.submit(a_command("effect ran", target=target))
    cloud.wait_for(lambda: cloud.vm(VM).effects())

    seen = azure.observe(target, [handle])[handle["attempt"]]

    assert seen.result is None


def test_a_handler_that_forgot_what_ran_does_not_run_it_again(
    cloud: AzureCloud, azure: AzureConnector, target: Target
) -> None:
    handle = azure.submit(a_command("effect ran; exit 3", target=target))
    result_from(azure, target, handle)

    cloud.vm(VM).upgrade_extension(forget=True)
    other = azure.submit(a_command("true", target=target))
    result_from(azure, target, other)
    cloud.wait_for(lambda: len(cloud.ledger.executions(name=handle["name"])) == 2)
    cloud.wait_for(lambda: all(one.ended for one in cloud.ledger.executions(name=handle["name"])))

    assert len(cloud.vm(VM).effects()) == 1
    assert result_from(azure, target, handle).exit_code == 3


def test_a_restart_of_the_machine_in_the_middle_reads_as_unknown_after_asking_it(
    cloud: AzureCloud, azure: AzureConnector, target: Target
) -> None:
    handle = azure.submit(a_command("effect half; sleep 100; effect whole", target=target))
    cloud.wait_for(lambda: cloud.vm(VM).effects())
    until(lambda: has_begun(azure, target, handle))
    cloud.vm(VM).reboot()

    result = until(lambda: azure.probe(handle))

    assert result.status is AttemptStatus.UNKNOWN
    assert [line.split()[-1] for line in cloud.vm(VM).effects()] == ["half"]


def test_a_machine_that_does_not_answer_is_not_known(cloud: AzureCloud, azure: AzureConnector, target: Target) -> None:
    handle = azure.submit(a_command(target=target))
    result_from(azure, target, handle)
    cloud.vm(VM).stop()

    with pytest.raises(Indeterminate):
        azure.probe(handle)


@pytest.mark.parametrize("kind", ["answer", "reset", "half", "garbage"])
def test_a_failing_look_is_tried_again_and_writes_nothing(
    cloud: AzureCloud, azure: AzureConnector, target: Target, kind: str
) -> None:
    handle = azure.submit(a_command(target=target))
    result_from(azure, target, handle)
    cloud.faults.add(Fault(kind=kind, method="GET", path_contains="/runCommands/", status=503))  # type: ignore[arg-type]

    seen = azure.observe(target, [handle])

    assert seen[handle["attempt"]].result is not None
    assert len(writes(cloud)) == 1


def test_a_throttled_look_hands_on_the_wait(cloud: AzureCloud, azure: AzureConnector, target: Target) -> None:
    handle = azure.submit(a_command(target=target))
    cloud.faults.add(
        Fault(kind="answer", method="GET", status=429, code="OperationNotAllowed", retry_after=7, times=None)
    )

    with pytest.raises(Transient) as throttled:
        azure.observe(target, [handle])

    assert throttled.value.retry_after == 7


def _shown(state: str, code: int | None, *, seconds: int = 5, output: str = "") -> dict[str, Any]:
    began = datetime(2026, 11, 1, tzinfo=UTC)
    view = {
        "executionState": state,
        "exitCode": code,
        "output": output,
        "error": "",
        "startTime": began.isoformat(),
        "endTime": (began + timedelta(seconds=seconds)).isoformat(),
    }
    return {"properties": {"instanceView": view}}


@pytest.mark.parametrize(
    ("state", "code", "seconds", "expected"),
    [
        ("Succeeded", 0, 5, AttemptStatus.SUCCEEDED),
        ("Failed", 4, 5, AttemptStatus.FAILED),
        ("Succeeded", 4, 5, AttemptStatus.FAILED),
        ("Failed", 0, 5, AttemptStatus.FAILED),
        ("Failed", -1, 60, AttemptStatus.TIMED_OUT),
        ("Failed", -1, 5, None),
        ("TimedOut", None, 60, AttemptStatus.TIMED_OUT),
        ("Canceled", None, 5, AttemptStatus.CANCELLED),
        ("Failed", -100, 5, AttemptStatus.INFRA_FAILED),
        ("Failed", -224, 5, AttemptStatus.INFRA_FAILED),
        ("Failed", 97, 5, None),
        ("Failed", 98, 5, None),
        ("Failed", None, 5, None),
        ("Pending", 0, 5, None),
        ("Unknown", 0, 5, None),
        ("Running", 0, 500, None),
        ("SomethingNew", 0, 5, None),
    ],
)
def test_without_a_report_only_evidence_counts(
    state: str, code: int | None, seconds: int, expected: AttemptStatus | None
) -> None:
    seen = observation_of(_shown(state, code, seconds=seconds, output="tail"), "01mine", 60)

    assert (seen.result.status if seen.result else None) is expected
    if seen.result:
        assert seen.result.stdout == b"tail"


@pytest.mark.parametrize("command", [{}, {"properties": None}, {"properties": {"instanceView": None}}])
def test_a_command_without_a_view_has_not_ended(command: dict[str, Any]) -> None:
    assert observation_of(command, "01mine", 60).result is None


# ---------------------------------------------------------------- cancelling


def test_a_cancel_before_the_agent_looked_keeps_the_command_from_starting(
    cloud: AzureCloud, azure: AzureConnector, target: Target
) -> None:
    machine = cloud.vm(VM)
    machine.quirks.outbound_blocked = False
    command = a_command("effect ran; sleep 100", target=target)
    handle = azure.submit(command)

    answer = azure.cancel(handle)

    assert answer is CancelAnswer.CONFIRMED
    assert until(lambda: azure.probe(handle)).status is AttemptStatus.CANCELLED
    cloud.wait_for(lambda: not [p for p in machine.processes() if "sleep 100" in p.command])


def test_a_cancel_that_nobody_answers_is_only_asked_for(cloud: AzureCloud, target: Target) -> None:
    with connected(cloud, side_seconds=0.5) as azure:
        handle = azure.submit(a_command("sleep 100", target=target))
        cloud.vm(VM).break_agent()

        answer = azure.cancel(handle)

    assert answer is CancelAnswer.REQUESTED
    assert [one.path.rsplit("/")[-1] for one in writes(cloud) if one.method == "DELETE"][-1] == handle["name"]


def test_a_cancel_on_a_stopped_machine_is_not_confirmed(
    cloud: AzureCloud, azure: AzureConnector, target: Target
) -> None:
    handle = azure.submit(a_command("sleep 100", target=target))
    until(lambda: has_begun(azure, target, handle))
    cloud.vm(VM).stop()

    assert azure.cancel(handle) is CancelAnswer.REQUESTED


def test_the_bots_own_commands_are_removed_again_and_never_carry_an_approved_script(
    cloud: AzureCloud, azure: AzureConnector, target: Target
) -> None:
    handle = azure.submit(a_command("echo hello", target=target))
    result_from(azure, target, handle)

    azure.probe(handle)
    azure.fetch(handle, "stdout", 0, 100)

    side = [one for one in writes(cloud) if one.method == "PUT" and handle["name"] not in one.path]
    assert len(side) == 2
    for one in side:
        with pytest.raises(Bug):
            script_of(one.script or "")
    cloud.wait_for(lambda: [one["name"] for one in cloud.vm(VM).run_commands()] == [handle["name"]])


# ---------------------------------------------------------------- cleaning up


def test_clean_up_waits_for_a_stopped_machine_and_then_leaves_nothing(
    cloud: AzureCloud, azure: AzureConnector, target: Target
) -> None:
    machine = cloud.vm(VM)
    handle = azure.submit(a_command(target=target))
    result_from(azure, target, handle)
    machine.stop()

    refused = azure.cleanup(handle)
    machine.start()
    until(lambda: azure.cleanup(handle) is None)

    assert refused is not None
    assert refused >= 600
    assert machine.run_commands() == []


def test_clean_up_of_a_stuck_deletion_keeps_trying_without_flooding(
    cloud: AzureCloud, azure: AzureConnector, target: Target
) -> None:
    handle = azure.submit(a_command(target=target))
    result_from(azure, target, handle)
    cloud.vm(VM).quirks.delete_stuck = True

    waits = [azure.cleanup(handle) for _ in range(4)]

    assert all(wait is not None and wait >= 10 for wait in waits)
    assert len([one for one in writes(cloud) if one.method == "DELETE"]) == 1


def test_clean_up_under_a_lock_comes_back_much_later(cloud: AzureCloud, azure: AzureConnector, target: Target) -> None:
    handle = azure.submit(a_command(target=target))
    result_from(azure, target, handle)
    cloud.lock(f"/subscriptions/{cloud.subscription}/resourceGroups/rg-prod")

    wait = azure.cleanup(handle)

    assert wait is not None
    assert wait >= 3600


def test_clean_up_of_a_machine_that_is_gone_is_done(cloud: AzureCloud, azure: AzureConnector, target: Target) -> None:
    handle = azure.submit(a_command(target=target))
    cloud.on_loop(lambda: cloud.platform.estate.vms.pop(target.id))

    assert azure.cleanup(handle) is None


def test_a_sweep_removes_our_expired_commands_and_nothing_else(
    cloud: AzureCloud, azure: AzureConnector, target: Target
) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=3)
    azure.submit(a_command(target=target, not_after=long_ago))
    young = azure.submit(a_command(target=target))
    with connected(cloud, instance="another-bot") as other:
        foreign = other.submit(a_command(target=web(other), not_after=long_ago))

    swept = azure.sweep(target)

    assert swept == 1
    kept = {young["name"], foreign["name"]}
    cloud.wait_for(lambda: {one["name"] for one in cloud.vm(VM).run_commands()} == kept)


# ---------------------------------------------------------------- doctor


def test_the_doctor_names_the_principal(cloud: AzureCloud, azure: AzureConnector) -> None:
    [check] = [one for one in azure.doctor(None) if one.name == "credential"]

    assert cloud.identity.system.object_id in check.evidence


def test_the_doctor_only_reads(cloud: AzureCloud, azure: AzureConnector, target: Target) -> None:
    azure.doctor(target)

    assert {one.method for one in cloud.ledger.requests() if "ResourceGraph" not in one.path} == {"GET"}


def test_the_doctor_without_a_token_says_so_and_stops(cloud: AzureCloud) -> None:
    cloud.faults.refuse_tokens(500, times=None)

    with connected(cloud) as azure:
        [check] = azure.doctor(None)

    assert (check.name, check.level) == ("credential", Level.BLOCK)


def test_the_doctor_finds_a_missing_registration_a_missing_right_and_a_lock(
    cloud: AzureCloud, azure: AzureConnector
) -> None:
    cloud.revoke("Microsoft.Compute/virtualMachines/runCommands/write")
    cloud.lock(f"/subscriptions/{cloud.subscription}")
    cloud.unregister()

    found = {check.name for check in azure.doctor(None) if check.level is not Level.OK}

    assert {"rights", "locks", "provider"} <= found


# ---------------------------------------------------------------- action fallback


def test_after_a_restart_of_the_bot_an_action_command_is_left_out_and_the_machine_is_asked(
    cloud: AzureCloud, target: Target
) -> None:
    with connected(cloud, use_action_fallback=True) as before:
        handle = before.submit(a_command("echo hello; exit 3", target=target))
        result_from(before, target, handle)

    with connected(cloud, use_action_fallback=True) as after:
        seen = after.observe(target, [handle])
        result = after.probe(handle)

    assert seen == {}
    assert result is not None
    assert (result.status, result.exit_code) == (AttemptStatus.FAILED, 3)


@pytest.mark.parametrize("status", [500, 503, 504])
def test_an_action_command_is_posted_once_and_doubt_is_doubt(cloud: AzureCloud, target: Target, status: int) -> None:
    cloud.faults.answer(status, "POST", "/runCommand", times=None)

    with connected(cloud, use_action_fallback=True) as azure, pytest.raises(Indeterminate):
        azure.submit(a_command(target=target))

    assert len(writes(cloud)) == 1


def test_a_busy_action_slot_is_waited_for(cloud: AzureCloud, target: Target) -> None:
    with connected(cloud, use_action_fallback=True) as azure:
        azure.submit(a_command("sleep 5", target=target))

        with pytest.raises(Transient, match="holds the machine"):
            azure.submit(a_command(target=target))


def test_the_fallback_says_what_it_cannot_do(cloud: AzureCloud) -> None:
    with connected(cloud, use_action_fallback=True) as azure:
        told = azure.describe()

    assert told.cancel == "none"
    assert "cannot be cancelled" in told.label
