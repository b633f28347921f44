"""Managed run commands through the unmodified SDK: shapes, states, limits and conflicts."""

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError

from playground.azure import Fault

COMMAND = (
    "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-prod"
    "/providers/Microsoft.Compute/virtualMachines/web-01/runCommands/rb-1"
)


def test_new_command_is_201_creating_with_ways_to_follow_it(desk):
    answer = desk.raw("PUT", COMMAND, json=desk.body("true"))

    assert answer.status_code == 201
    assert answer.json()["properties"]["provisioningState"] == "Creating"
    assert "/operations/" in answer.headers["Azure-AsyncOperation"]
    assert int(answer.headers["Retry-After"]) >= 1


def test_existing_command_is_200_updating(desk):
    desk.run("rb-1", "true")

    answer = desk.raw("PUT", COMMAND, json=desk.body("false"))

    assert (answer.status_code, answer.json()["properties"]["provisioningState"]) == (200, "Updating")


def test_script_runs_once_and_its_exit_code_and_output_arrive(cloud, desk):
    view = desk.run("rb-1", "systemctl restart nginx && systemctl is-active nginx; exit 3")

    assert (view["executionState"], view["exitCode"], view["output"]) == ("Failed", 3, "active\n")
    assert cloud.vm("web-01").effects()[0].endswith("systemctl restart nginx")
    assert [one.exit_code for one in cloud.ledger.executions(vm="web-01", name="rb-1")] == [3]


def test_execution_data_is_shown_only_when_expanded(desk):
    desk.run("rb-1", "echo hi")
    operations = desk.client.virtual_machine_run_commands

    bare = operations.get_by_virtual_machine("rg-prod", "web-01", "rb-1")
    full = operations.get_by_virtual_machine("rg-prod", "web-01", "rb-1", expand="instanceView")

    assert bare.instance_view is None
    assert full.instance_view.output == "hi\n"


def test_list_shows_every_command_of_the_vm(desk):
    desk.run("rb-1", "echo one")
    desk.run("rb-2", "echo two")

    listed = desk.client.virtual_machine_run_commands.list_by_virtual_machine(
        "rg-prod", "web-01", expand="instanceView"
    )

    assert {one.name: one.instance_view.output for one in listed} == {"rb-1": "one\n", "rb-2": "two\n"}


def test_secrets_are_never_returned_but_reach_the_script(desk):
    view = desk.run(
        "rb-1", 'echo "$WORD/$OPEN"', protectedParameters=[{"name": "WORD", "value": "hush"}],
        parameters=[{"name": "OPEN", "value": "yes"}], runAsPassword="pass-phrase",
    )  # fmt: skip

    answer = desk.raw("GET", COMMAND).text

    assert view["output"] == "hush/yes\n"
    assert "hush" not in answer
    assert "pass-phrase" not in answer


def test_view_before_the_guest_has_spoken_is_pending_with_a_meaningless_exit_code(cloud, desk):
    cloud.vm("web-01").break_agent()
    desk.put("rb-1", "exit 7")

    view = desk.get("rb-1").instance_view

    assert (view.execution_state, view.exit_code) == ("Pending", 0)


def test_async_provisioning_succeeds_before_the_script_ends(cloud, desk):
    desk.put("rb-1", "until [ -e $VM_ROOT/go ]; do sleep 0.02; done")

    desk.settled("rb-1")
    running = desk.view("rb-1")["executionState"]
    (cloud.vm("web-01").root / "go").touch()

    assert running in {"Pending", "Running"}
    assert desk.ended("rb-1")["executionState"] == "Succeeded"


def test_sync_operation_ends_with_the_script(desk):
    operations = desk.client.virtual_machine_run_commands
    body = desk.body("echo done", asyncExecution=False)

    result = operations.begin_create_or_update("rg-prod", "web-01", "rb-1", body).result()

    assert result.provisioning_state == "Succeeded"
    assert desk.view("rb-1")["output"] == "done\n"


@pytest.mark.parametrize("treated", [True, False])
def test_failing_script_fails_the_deployment_only_when_asked_to(desk, treated):
    body = desk.body("exit 5", asyncExecution=False, treatFailureAsDeploymentFailure=treated)
    poller = desk.client.virtual_machine_run_commands.begin_create_or_update("rg-prod", "web-01", "rb-1", body)

    if treated:
        with pytest.raises(HttpResponseError) as caught:
            poller.result()
        assert (caught.value.status_code, caught.value.error.code) == (200, "VMExtensionProvisioningError")
    else:
        assert poller.result().provisioning_state == "Succeeded"


def test_operation_resumes_from_its_token_without_a_second_put(cloud, desk):
    operations = desk.client.virtual_machine_run_commands
    poller = operations.begin_create_or_update("rg-prod", "web-01", "rb-1", desk.body("true"))
    token = poller.continuation_token()

    resumed = operations.begin_create_or_update("", "", "", None, continuation_token=token).result()

    assert resumed.name == "rb-1"
    assert len(token) > 8_000
    assert len(cloud.ledger.requests(method="PUT")) == 1


def test_identical_put_runs_the_script_again(cloud, desk):
    desk.run("rb-1", "effect ran")
    desk.put("rb-1", "effect ran")

    cloud.wait_for(lambda: len(cloud.vm("web-01").effects()) == 2)


def test_identical_put_can_be_switched_to_do_nothing(cloud, desk):
    cloud.switches.identical_put_reruns = False
    desk.run("rb-1", "effect ran")

    desk.put("rb-1", "effect ran")
    desk.settled("rb-1")

    assert len(cloud.vm("web-01").effects()) == 1


def test_patch_changes_the_script_and_runs_it(cloud, desk):
    desk.run("rb-1", "effect old")

    change = {"properties": {"source": {"script": "effect new"}}}
    desk.client.virtual_machine_run_commands.begin_update("rg-prod", "web-01", "rb-1", change).result()

    cloud.wait_for(lambda: [line.split()[-1] for line in cloud.vm("web-01").effects()] == ["old", "new"])


def test_name_used_again_after_delete_silently_never_runs_and_shows_the_old_result(cloud, desk):
    desk.run("rb-1", "effect first; echo first")
    desk.delete("rb-1")
    desk.gone("rb-1")

    view = desk.run("rb-1", "effect second; echo second")

    assert view["output"] == "first\n"
    assert len(cloud.vm("web-01").effects()) == 1


def test_change_while_the_last_one_is_being_provisioned_is_a_conflict(cloud, desk):
    cloud.vm("web-01").break_agent()
    desk.put("rb-1", "true")

    with pytest.raises(ResourceExistsError) as caught:
        desk.put("rb-1", "false")

    assert caught.value.error.code == "Conflict"
    assert "conflict with a concurrent request" in caught.value.message


def test_twenty_sixth_command_is_refused(cloud, desk):
    cloud.platform.buckets.enabled = False
    for number in range(25):
        desk.put(f"rb-{number}", "true")

    with pytest.raises(HttpResponseError, match=r"max=25, current=25") as caught:
        desk.put("rb-25", "true")

    assert 400 <= caught.value.status_code < 500
    assert len(cloud.vm("web-01").run_commands()) == 25


@pytest.mark.parametrize("power", ["stop", "deallocate"])
def test_stopped_vm_refuses_put_and_delete_alike(cloud, desk, power):
    desk.run("rb-1", "true")
    getattr(cloud.vm("web-01"), power)()

    for change in (lambda: desk.put("rb-2", "true"), lambda: desk.delete("rb-1")):
        with pytest.raises(HttpResponseError) as caught:
            change()
        assert (caught.value.status_code, caught.value.error.code) == (409, "OperationNotAllowed")
        assert "Cannot modify extensions in the VM when the VM is not running." in caught.value.message
    assert desk.get("rb-1").instance_view.execution_state == "Succeeded"


def test_deleting_what_is_not_there_is_204(desk):
    assert desk.raw("DELETE", COMMAND).status_code == 204


def test_deletion_takes_until_the_agent_has_seen_it(cloud, desk):
    desk.run("rb-1", "true")
    cloud.vm("web-01").break_agent()

    desk.delete("rb-1")
    deleting = desk.get("rb-1").provisioning_state
    cloud.vm("web-01").repair_agent()
    desk.gone("rb-1")

    assert deleting == "Deleting"
    with pytest.raises(ResourceNotFoundError):
        desk.get("rb-1")


def test_stuck_deletion_stays_in_deleting(cloud, desk):
    desk.run("rb-1", "true")
    cloud.vm("web-01").quirks.delete_stuck = True
    desk.delete("rb-1")

    beat = cloud.platform.estate.vms[cloud.vm("web-01").id.lower()]
    before = beat.heartbeat
    cloud.wait_for(lambda: beat.heartbeat != before)

    assert desk.get("rb-1").provisioning_state == "Deleting"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"location": None}, "LocationRequired"),
        ({"location": "northeurope"}, "ParentResourceNotFound"),
        ({"properties": {}}, "InvalidParameter"),
        ({"properties": {"source": {"script": "a", "scriptUri": "https://x"}}}, "InvalidParameter"),
        ({"properties": {"source": {"commandId": "Nonsense"}}}, "NotFound"),
    ],
)
def test_malformed_put_is_refused_and_leaves_nothing(cloud, desk, change, code):
    answer = desk.raw("PUT", COMMAND, json={**desk.body("true"), **change})

    assert answer.json()["error"]["code"] == code
    assert cloud.vm("web-01").run_commands() == []


def test_dead_agent_lets_the_operation_time_out_and_the_script_runs_late(cloud, desk):
    vm = cloud.vm("web-01")
    vm.break_agent()
    poller = desk.client.virtual_machine_run_commands.begin_create_or_update(
        "rg-prod", "web-01", "rb-1", desk.body("effect late")
    )
    cloud.advance(91 * 60)

    with pytest.raises(HttpResponseError) as caught:
        poller.result()
    vm.repair_agent()
    cloud.wait_for(vm.effects)

    assert caught.value.error.code == "VMAgentStatusCommunicationError"
    assert desk.get("rb-1").provisioning_state == "Failed"


def test_accepted_command_can_stay_invisible_for_a_while(cloud, desk):
    cloud.faults.hide_after_accept(200)
    desk.put("rb-1", "effect ran")

    with pytest.raises(ResourceNotFoundError):
        desk.get("rb-1")
    cloud.advance(200)

    assert desk.get("rb-1").name == "rb-1"
    cloud.wait_for(cloud.vm("web-01").effects)


def test_pending_can_last_for_ever_although_the_script_ran(cloud, desk):
    cloud.vm("web-01").quirks.pending_forever = True
    desk.put("rb-1", "effect ran")
    cloud.wait_for(lambda: cloud.ledger.executions()[:1] and cloud.ledger.executions()[0].ended)

    desk.settled("rb-1")

    assert desk.view("rb-1")["executionState"] == "Pending"


def test_running_can_be_shown_after_the_exit(cloud, desk):
    cloud.vm("web-01").quirks.running_after_exit = True
    desk.put("rb-1", "echo out; exit 4")

    cloud.wait_for(lambda: desk.view("rb-1").get("output") == "out\n")

    assert (desk.view("rb-1")["executionState"], desk.view("rb-1")["exitCode"]) == ("Running", 0)


def test_blocked_way_out_means_work_done_and_no_result(cloud, desk):
    vm = cloud.vm("web-01")
    vm.quirks.outbound_blocked = True
    desk.put("rb-1", "effect ran")

    cloud.wait_for(vm.effects)

    assert desk.view("rb-1")["executionState"] == "Pending"


def test_lost_answer_to_a_put_is_found_by_name(cloud, desk):
    cloud.faults.add(Fault(kind="reset", method="PUT", after_work=True))

    with pytest.raises(Exception, match=r"Connection|reset|aborted"):
        desk.put("rb-1", "effect ran")

    assert desk.get("rb-1").name == "rb-1"
    assert [one.sent for one in cloud.ledger.requests(method="PUT")] == [None]
