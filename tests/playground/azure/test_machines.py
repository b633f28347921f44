"""Virtual machines: reads, power transitions, Windows, and the inventory query that lags."""

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError

QUERY = (
    "Resources | where type =~ 'microsoft.compute/virtualmachines' "
    "| project id, name, rg=resourceGroup, location, tags, osType=properties.storageProfile.osDisk.osType, "
    "power=tostring(properties.extended.instanceView.powerState.code) | order by name asc"
)


def ask_graph(desk, query=QUERY, **body):
    return desk.raw(
        "POST",
        "/providers/Microsoft.ResourceGraph/resources",
        params={"api-version": "2022-10-01"},
        json={"query": query, **body},
    )


def test_get_shows_what_a_preflight_needs(desk):
    vm = desk.client.virtual_machines.get("rg-prod", "web-01", expand="instanceView")

    assert (vm.storage_profile.os_disk.os_type, vm.provisioning_state) == ("Linux", "Succeeded")
    assert [one.code for one in vm.instance_view.statuses] == ["ProvisioningState/succeeded", "PowerState/running"]
    assert vm.instance_view.vm_agent.statuses[0].code == "ProvisioningState/succeeded"
    assert vm.os_profile.allow_extension_operations is True
    assert len(vm.vm_id) == 36


def test_get_without_expand_has_no_instance_view(desk):
    assert desk.client.virtual_machines.get("rg-prod", "web-01").instance_view is None


def test_instance_view_stands_alone(desk):
    view = desk.client.virtual_machines.instance_view("rg-staging", "batch-01")

    assert view.statuses[1].code == "PowerState/deallocated"
    assert view.vm_agent.statuses[0].display_status == "Not Ready"


def test_lists_per_subscription_and_group_keep_the_ambiguous_name(desk):
    everything = [one.name for one in desk.client.virtual_machines.list_all()]
    staging = [one.name for one in desk.client.virtual_machines.list("rg-staging")]

    assert everything.count("web-02") == 2
    assert staging == ["web-02", "batch-01"]


def test_hidden_agent_is_null_although_it_works(cloud, desk):
    cloud.vm("web-01").quirks.agent_hidden = True

    assert desk.client.virtual_machines.instance_view("rg-prod", "web-01").vm_agent is None
    assert desk.run("rb-1", "true")["exitCode"] == 0


def test_silent_agent_is_not_ready_after_a_while(cloud, desk):
    cloud.vm("web-01").break_agent()
    cloud.advance(600)

    view = desk.client.virtual_machines.instance_view("rg-prod", "web-01")

    assert view.vm_agent.statuses[0].display_status == "Not Ready"


@pytest.mark.parametrize(
    ("verb", "during", "after"),
    [
        ("deallocate", "deallocating", "deallocated"),
        ("power_off", "stopping", "stopped"),
        ("restart", "starting", "running"),
    ],
)
def test_power_operation_passes_through_a_transition(cloud, desk, verb, during, after):
    poller = getattr(desk.client.virtual_machines, f"begin_{verb}")("rg-prod", "web-01")
    seen = {one.power for one in cloud.platform.estate.vms.values() if one.name == "web-01"}

    poller.result()

    assert during in seen
    assert cloud.vm("web-01").power_state == after


def test_start_brings_a_deallocated_vm_and_its_agent_up(cloud, desk):
    desk.client.virtual_machines.begin_start("rg-staging", "batch-01").result()

    vm = cloud.vm("batch-01")
    assert vm.power_state == "running"
    found = cloud.platform.estate.vms[vm.id.lower()]
    cloud.wait_for(lambda: found.heartbeat is not None)


def test_changes_during_a_power_operation_conflict(cloud, desk):
    slow = cloud.platform.estate.vms[cloud.vm("web-01").id.lower()]
    desk.client.virtual_machines.begin_restart("rg-prod", "web-01", polling=False)
    cloud.on_loop(lambda: setattr(slow, "busy", True))

    with pytest.raises(ResourceExistsError, match="conflict with a concurrent request"):
        desk.put("rb-1", "true")


def test_restart_of_a_stopped_vm_is_refused(cloud, desk):
    cloud.vm("web-01").deallocate()

    with pytest.raises(HttpResponseError) as caught:
        desk.client.virtual_machines.begin_restart("rg-prod", "web-01").result()

    assert caught.value.error.code == "OperationNotAllowed"


def test_going_down_kills_scripts_and_preempts_what_was_being_provisioned(cloud, desk):
    poller = desk.client.virtual_machine_run_commands.begin_create_or_update(
        "rg-prod", "web-01", "rb-1", desk.body("sleep 60", asyncExecution=False)
    )
    cloud.wait_for(cloud.vm("web-01").processes)

    cloud.vm("web-01").stop()

    with pytest.raises(HttpResponseError) as caught:
        poller.result()
    assert caught.value.error.code == "OperationPreempted"
    assert cloud.vm("web-01").processes() == []


def test_windows_vm_answers_in_shape_and_says_that_nothing_ran(desk):
    desk.put("rb-1", "Get-Date", vm="win-01")

    view = desk.ended("rb-1", vm="win-01")

    assert (view["executionState"], view["exitCode"]) == ("Succeeded", 0)
    assert "nothing was run" in view["output"]


def test_windows_timeout_is_timed_out(cloud, desk):
    cloud.platform.estate.vms[cloud.vm("win-01").id.lower()].guest.managed.duration = 30
    desk.put("rb-1", "Start-Sleep 60", vm="win-01", timeoutInSeconds=1)

    assert desk.ended("rb-1", vm="win-01")["executionState"] == "TimedOut"


def test_windows_action_has_two_elements(desk):
    body = {"commandId": "RunPowerShellScript", "script": ["Get-Date"]}

    value = desk.client.virtual_machines.begin_run_command("rg-prod", "win-01", body).result().value

    assert [one.code for one in value] == [
        "ComponentStatus/StdOut/succeeded",
        "ComponentStatus/StdErr/succeeded",
    ]


def test_graph_answers_the_inventory_query(desk):
    rows = ask_graph(desk).json()["data"]

    assert [(row["name"], row["rg"]) for row in rows if row["name"] == "web-02"] == [
        ("web-02", "rg-prod"),
        ("web-02", "rg-staging"),
    ]
    assert {row["osType"] for row in rows} == {"Linux", "Windows"}
    assert next(row["power"] for row in rows if row["name"] == "batch-01") == "PowerState/deallocated"


def test_graph_lags_behind_the_truth(cloud, desk):
    ask_graph(desk)
    cloud.vm("web-01").deallocate()
    stale = ask_graph(desk, f"{QUERY} | where name == 'web-01' and rg == 'rg-prod'").json()["data"]

    cloud.advance(120)
    fresh = ask_graph(desk, f"{QUERY} | where name == 'web-01' and rg == 'rg-prod'").json()["data"]

    assert [row["power"] for row in (*stale, *fresh)] == ["PowerState/running", "PowerState/deallocated"]


def test_graph_shows_only_what_the_caller_may_read(cloud, desk):
    cloud.revoke("Microsoft.Compute/virtualMachines/read")
    cloud.grant(["*/read"], scope=f"/subscriptions/{cloud.subscription}/resourceGroups/rg-staging")

    rows = ask_graph(desk).json()["data"]

    assert {row["rg"] for row in rows} == {"rg-staging"}


@pytest.mark.parametrize("query", ["Resources | summarize count()", "Machines | limit 1", "Resources | where a"])
def test_graph_refuses_what_it_does_not_understand(desk, query):
    answer = ask_graph(desk, query)

    assert answer.status_code == 400
    assert answer.json()["error"]["details"][0]["code"] == "InvalidQuery"


def test_graph_has_a_quota_of_its_own(cloud, desk):
    cloud.on_loop(lambda: setattr(cloud.platform.clock, "speed", 0.001))
    answers = [ask_graph(desk) for _ in range(16)]

    assert [one.status_code for one in answers] == [200] * 15 + [429]
    assert answers[-1].headers["x-ms-user-quota-remaining"] == "0"
