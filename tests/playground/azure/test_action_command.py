"""The action run command: one slot, late answers, no exit code, and a wedge."""

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError

BODY = {"commandId": "RunShellScript"}


def post(desk, *lines, vm="web-01", **extra):
    return desk.client.virtual_machines.begin_run_command(
        "rg-prod", vm, {**BODY, "script": list(lines), **extra}, retry_total=0
    )


def start(desk, *lines, **extra):
    desk.client.virtual_machines.begin_run_command(
        "rg-prod", "web-01", {**BODY, "script": list(lines), **extra}, polling=False, retry_total=0
    )


def test_failing_script_is_reported_as_succeeded_without_exit_code(desk):
    result = post(desk, "echo out", "echo err >&2", "exit 4").result()

    (value,) = result.value
    assert value.code == "ProvisioningState/succeeded"
    assert value.message == "Enable succeeded: \n[stdout]\nout\n\n[stderr]\nerr\n"


def test_both_streams_share_one_tail(desk):
    result = post(desk, "echo first", "head -c 5000 /dev/zero | tr '\\0' e >&2").result()

    assert len(result.value[0].message) == 4096
    assert "first" not in result.value[0].message


def test_second_command_meets_a_taken_slot(desk):
    start(desk, "true")

    with pytest.raises(ResourceExistsError) as caught:
        start(desk, "true")

    assert caught.value.error.code == "Conflict"
    assert "Run command extension execution is in progress" in caught.value.message


def test_answer_takes_a_minimum_of_time_even_for_a_fast_script(cloud, desk):
    poller = post(desk, "true")
    cloud.wait_for(lambda: cloud.ledger.executions() and cloud.ledger.executions()[0].ended)
    early = cloud.platform.estate.vms[cloud.vm("web-01").id.lower()].action.operation

    taken_at_least = cloud.platform.timings.action_minimum
    poller.result()

    assert cloud.platform.clock.platform() - early.created >= taken_at_least


def test_stopped_vm_refuses_with_other_words_than_managed(cloud, desk):
    cloud.vm("web-01").stop()

    with pytest.raises(HttpResponseError, match="requires the VM to be running") as caught:
        start(desk, "true")

    assert (caught.value.status_code, caught.value.error.code) == (409, "OperationNotAllowed")


def test_unknown_built_in_command_is_not_found(desk):
    with pytest.raises(HttpResponseError, match="was not found in this Azure location"):
        start(desk, "true", commandId="RunPowerShellScript")


def test_parameters_become_unquoted_lines_above_the_shebang(desk):
    parameters = [{"name": "A", "value": "1; echo INJECTED"}, {"value": "p"}]

    result = post(desk, "#!/bin/sh", 'echo "$A $1"', parameters=parameters).result()

    assert "[stdout]\nINJECTED\n1 p\n" in result.value[0].message


def test_agent_restart_mid_run_wedges_the_slot_until_the_extension_is_removed(cloud, desk):
    vm = cloud.vm("web-01")
    start(desk, "effect ran")
    vm.break_agent()
    vm.repair_agent()
    cloud.advance(91 * 60)

    with pytest.raises(ResourceExistsError):
        start(desk, "true")
    start(desk, commandId="RemoveRunCommandLinuxExtension")
    start(desk, "effect again")

    cloud.wait_for(lambda: any("again" in line for line in vm.effects()))


def test_leftover_action_runs_again_after_a_disk_restore(cloud, desk):
    vm = cloud.vm("web-01")
    snapshot = vm.take_snapshot()
    post(desk, "effect ran").result()

    vm.restore_snapshot(snapshot)

    cloud.wait_for(lambda: len(cloud.ledger.executions(name="action")) == 2)


def test_built_in_commands_can_be_listed(desk):
    listed = [one.id for one in desk.client.virtual_machine_run_commands.list("westeurope")]

    assert "RunShellScript" in listed
    assert desk.client.virtual_machine_run_commands.get("westeurope", "ifconfig").os_type == "Linux"
