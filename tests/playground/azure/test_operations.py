"""Addresses of long-running operations: long, signed, of two flavours, and mortal."""

import pytest

VM = (
    "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-prod"
    "/providers/Microsoft.Compute/virtualMachines/web-01"
)


def follow(desk, url):
    return desk.raw("GET", url.removeprefix(desk.cloud.url), params={"api-version": None})


@pytest.mark.parametrize("flavour", ["both", "async", "location"])
def test_sdk_follows_every_flavour(cloud, desk, flavour):
    cloud.platform.operations.flavour = flavour

    desk.client.virtual_machines.begin_restart("rg-prod", "web-01").result()

    assert cloud.vm("web-01").power_state == "running"
    assert cloud.ledger.requests(method="GET", path_contains="/operations/")


def test_result_of_an_action_is_read_at_its_location(cloud, desk):
    cloud.platform.operations.flavour = "location"

    result = desk.client.virtual_machines.begin_run_command(
        "rg-prod", "web-01", {"commandId": "RunShellScript", "script": ["echo hi"]}
    ).result()

    assert "hi" in result.value[0].message
    assert all("monitor" in one.query for one in cloud.ledger.requests(method="GET"))


def test_address_has_several_kilobytes(desk):
    url = desk.raw("POST", f"{VM}/start").headers["Azure-AsyncOperation"]

    assert 2_500 < len(url) < 8_000
    assert all(f"&{part}=" in url for part in "tcsh")


def test_status_goes_from_in_progress_to_succeeded(cloud, desk):
    url = desk.raw("POST", f"{VM}/restart").headers["Azure-AsyncOperation"]

    first = follow(desk, url)
    cloud.advance(60)
    cloud.wait_for(lambda: follow(desk, url).json()["status"] == "Succeeded")

    assert first.json()["status"] == "InProgress"
    assert "Retry-After" in first.headers


def test_location_answers_202_until_it_is_done(cloud, desk):
    url = desk.raw("POST", f"{VM}/restart").headers["Location"]

    first = follow(desk, url).status_code
    cloud.advance(60)

    assert first == 202
    cloud.wait_for(lambda: follow(desk, url).status_code == 200)


def test_address_with_a_changed_signature_is_worthless(desk):
    url = desk.raw("POST", f"{VM}/start").headers["Azure-AsyncOperation"]

    assert follow(desk, url.replace("&s=", "&s=x")).status_code == 404


def test_address_expires(cloud, desk):
    url = desk.raw("POST", f"{VM}/start").headers["Azure-AsyncOperation"]
    cloud.identity.life *= 10

    cloud.advance(25 * 3600)

    assert follow(desk, url).status_code == 404
