"""The order and the words in which the front door refuses."""

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

SUB = "/subscriptions/00000000-0000-0000-0000-000000000001"
GROUP = f"{SUB}/resourceGroups/rg-prod"
VM = f"{GROUP}/providers/Microsoft.Compute/virtualMachines/web-01"
COMMAND = f"{VM}/runCommands/rb-1"


def error_of(answer):
    return answer.status_code, answer.json()["error"]["code"]


def test_api_version_is_required(desk):
    assert error_of(desk.raw("GET", VM, params={"api-version": None})) == (400, "MissingApiVersionParameter")


@pytest.mark.parametrize("version", ["latest", "1999-01-01", "2099-01-01"])
def test_invented_api_version_is_refused(desk, version):
    answer = desk.raw("GET", VM, params={"api-version": version})

    assert error_of(answer) == (400, "InvalidApiVersionParameter")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/subscriptions/99999999-0000-0000-0000-000000000000", "SubscriptionNotFound"),
        (f"{SUB}/resourceGroups/rg-lost/providers/Microsoft.Compute/virtualMachines/x", "ResourceGroupNotFound"),
        (f"{GROUP}/providers/Microsoft.Compute/virtualMachines/lost-01", "ResourceNotFound"),
        (f"{VM}/runCommands/lost", "ResourceNotFound"),
        ("/no/such/thing", "InvalidResourceType"),
    ],
)
def test_what_is_missing_is_named_by_the_code(desk, path, code):
    assert error_of(desk.raw("GET", path)) == (404, code)


def test_put_below_a_missing_vm_names_the_parent(desk):
    answer = desk.raw("PUT", COMMAND.replace("web-01", "lost-01"), json=desk.body("true"))

    assert error_of(answer) == (404, "ParentResourceNotFound")


def test_ids_are_compared_without_regard_to_case(desk):
    answer = desk.raw("GET", VM.upper().replace("SUBSCRIPTIONS", "Subscriptions"))

    assert answer.json()["name"] == "web-01"


def test_body_that_is_no_json_is_refused(desk):
    assert error_of(desk.raw("PUT", COMMAND, data="{not json")) == (400, "InvalidRequestContent")


def test_missing_right_names_client_action_and_scope(cloud, desk):
    cloud.revoke("Microsoft.Compute/virtualMachines/runCommands/write")

    with pytest.raises(HttpResponseError) as caught:
        desk.put("rb-1", "true")

    assert (caught.value.status_code, caught.value.error.code) == (403, "AuthorizationFailed")
    for part in (cloud.identity.system.object_id, "Microsoft.Compute/virtualMachines/runCommands/write", COMMAND):
        assert part in caught.value.message


def test_refusal_comes_before_the_question_whether_it_exists(cloud, desk):
    cloud.revoke("Microsoft.Compute/virtualMachines/read")

    answer = desk.raw("GET", f"{GROUP}/providers/Microsoft.Compute/virtualMachines/lost-01")

    assert error_of(answer) == (403, "AuthorizationFailed")


def test_right_at_one_group_does_not_reach_another(cloud, desk):
    cloud.revoke("Microsoft.Compute/virtualMachines/read")
    cloud.grant(["Microsoft.Compute/*/read"], scope=f"{SUB}/resourceGroups/rg-staging")

    inside = desk.raw("GET", VM.replace("rg-prod", "rg-staging").replace("web-01", "web-02"))
    outside = desk.raw("GET", VM)

    assert (inside.status_code, outside.status_code) == (200, 403)


def test_polling_an_operation_needs_a_right_at_the_subscription(cloud, desk):
    cloud.revoke("Microsoft.Compute/locations/operations/read")

    with pytest.raises(HttpResponseError, match="locations/operations/read"):
        desk.client.virtual_machines.begin_start("rg-prod", "web-01").result()


def test_permissions_show_patterns_for_the_client_to_match(cloud, desk):
    cloud.grant(["Microsoft.Compute/*"], scope=GROUP)
    cloud.revoke("Microsoft.Compute/virtualMachines/delete")

    found = desk.raw_json("GET", f"{VM}/providers/Microsoft.Authorization/permissions")["value"]

    assert any("Microsoft.Compute/*" in one["actions"] for one in found)
    assert any("Microsoft.Compute/virtualMachines/delete" in one["notActions"] for one in found)


def test_delete_lock_refuses_deletes_and_allows_writes(cloud, desk):
    cloud.lock(GROUP, "CanNotDelete")
    desk.put("rb-1", "true")
    desk.ended("rb-1")

    with pytest.raises(HttpResponseError) as caught:
        desk.delete("rb-1")

    assert (caught.value.status_code, caught.value.error.code) == (409, "ScopeLocked")
    assert "cannot perform delete operation" in caught.value.message


def test_read_only_lock_refuses_writes_and_power(cloud, desk):
    cloud.lock(VM, "ReadOnly")

    put = desk.raw("PUT", COMMAND, json=desk.body("true"))
    start = desk.raw("POST", f"{VM}/start")
    read = desk.raw("GET", VM)

    assert error_of(put) == error_of(start) == (409, "ScopeLocked")
    assert read.status_code == 200


def test_locks_are_listed_at_a_scope_below_them(cloud, desk):
    cloud.lock(GROUP, "CanNotDelete")

    found = desk.raw_json("GET", f"{VM}/providers/Microsoft.Authorization/locks")["value"]

    assert [one["properties"]["level"] for one in found] == ["CanNotDelete"]


def test_policy_refuses_a_run_command_without_the_required_tag(cloud, desk):
    cloud.require_tag("owner")
    body = desk.body("true")

    bare = desk.raw("PUT", COMMAND, json=body)
    tagged = desk.raw("PUT", COMMAND, json={**body, "tags": {"Owner": "ops"}})

    assert error_of(bare) == (403, "RequestDisallowedByPolicy")
    assert tagged.status_code == 201


def test_every_answer_carries_ids_and_rate_headers(desk):
    headers = desk.raw("GET", VM, headers={"x-ms-correlation-request-id": "abc"}).headers

    assert headers["x-ms-correlation-request-id"] == "abc"
    assert len(headers["x-ms-request-id"]) == 36
    assert int(headers["x-ms-ratelimit-remaining-subscription-reads"]) < 12_000
    assert "Microsoft.Compute/LowCostGetVMResource;" in headers["x-ms-ratelimit-remaining-resource"]


def test_date_header_follows_the_skew(cloud, desk):
    cloud.faults.clock_skew = -86_400

    skewed = desk.raw("GET", VM).headers["Date"]
    cloud.faults.clear()

    assert skewed != desk.raw("GET", VM).headers["Date"]


def test_unregistered_provider_refuses_every_call(cloud, desk):
    cloud.unregister()

    answer = desk.raw("GET", VM)

    assert error_of(answer) == (409, "MissingSubscriptionRegistration")
    assert desk.raw_json("GET", f"{SUB}/providers/Microsoft.Compute")["registrationState"] == "NotRegistered"


def test_default_sdk_pipeline_tries_to_register_the_provider_by_itself(cloud, desk):
    cloud.unregister()

    with pytest.raises(HttpResponseError):
        desk.client.virtual_machines.get("rg-prod", "web-01")

    assert [one.sent for one in cloud.ledger.requests(method="POST", path_contains="/register")] == [403]


def test_registration_takes_effect_after_a_while(cloud, desk):
    cloud.grant(["Microsoft.Compute/register/action"], scope=SUB)
    cloud.unregister()

    state = desk.raw_json("POST", f"{SUB}/providers/Microsoft.Compute/register")["registrationState"]

    assert state == "Registering"
    cloud.wait_for(lambda: desk.raw("GET", VM).status_code == 200)


def test_wrong_method_is_not_a_missing_resource(desk):
    assert error_of(desk.raw("PATCH", f"{VM}/start")) == (405, "HttpMethodNotAllowed")


def test_sdk_sees_a_missing_vm_as_resource_not_found(desk):
    with pytest.raises(ResourceNotFoundError) as caught:
        desk.client.virtual_machines.get("rg-prod", "lost-01")

    assert caught.value.error.code == "ResourceNotFound"


def test_subscriptions_and_groups_can_be_listed(desk):
    subscriptions = desk.raw_json("GET", "/subscriptions")["value"]
    groups = desk.raw_json("GET", f"{SUB}/resourceGroups")["value"]

    assert [one["subscriptionId"] for one in subscriptions] == [SUB.rsplit("/", maxsplit=1)[-1]]
    assert [one["name"] for one in groups] == ["rg-prod", "rg-staging"]


def test_ledger_holds_method_principal_script_and_status(cloud, desk):
    desk.put("rb-1", "echo hello")

    (record,) = cloud.ledger.requests(method="PUT", path_contains="runcommands")

    assert (record.script, record.done, record.sent) == ("echo hello", 201, 201)
    assert record.principal == cloud.identity.system.client_id
