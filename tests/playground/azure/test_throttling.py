"""Token buckets: what a client may do per minute, and how a refusal looks."""

from collections.abc import Iterator

import pytest
from azure.core.exceptions import HttpResponseError

from playground.azure import AzureCloud
from playground.azure.buckets import UPDATE

VM = (
    "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-prod"
    "/providers/Microsoft.Compute/virtualMachines/web-01"
)


@pytest.fixture
def cloud() -> Iterator[AzureCloud]:
    """Fast machines, throttling at the real pace."""
    with AzureCloud.start(speed=100, bucket_speed=0.001) as running:
        yield running


def test_thirteenth_change_within_the_window_is_refused(cloud, desk):
    for number in range(6):
        desk.put(f"rb-{number}", "true")
        desk.delete(f"rb-{number}")

    with pytest.raises(HttpResponseError) as caught:
        desk.put("rb-12", "true")

    assert (caught.value.status_code, caught.value.error.code) == (429, "OperationNotAllowed")
    assert caught.value.error.details[0].code == "TooManyRequests"
    assert int(caught.value.response.headers["Retry-After"]) > 0


def test_thirty_seventh_read_is_refused_and_other_vms_are_not(desk):
    reads = [desk.raw("GET", VM).status_code for _ in range(37)]

    assert reads == [200] * 36 + [429]
    assert desk.raw("GET", VM.replace("web-01", "web-02")).status_code == 200


def test_header_counts_the_tokens_down(desk):
    first, second = (desk.raw("GET", VM).headers["x-ms-ratelimit-remaining-resource"] for _ in range(2))

    assert first == "Microsoft.Compute/LowCostGetVMResource;35,Microsoft.Compute/LowCostGetVMSubscriptionMaximum;23999"
    assert second.startswith("Microsoft.Compute/LowCostGetVMResource;34")


def test_forty_sixth_look_at_an_operation_is_refused(desk):
    url = desk.raw("POST", f"{VM}/start").headers["Azure-AsyncOperation"]
    path = url.removeprefix(desk.cloud.url)

    looks = [desk.raw("GET", path, params={"api-version": None}).status_code for _ in range(46)]

    assert looks == [200] * 45 + [429]


def test_deallocate_has_a_bucket_of_its_own(cloud, desk):
    cloud.on_loop(lambda: cloud.platform.buckets.drain(UPDATE, cloud.platform.estate.vms[VM.lower()].key))

    assert desk.raw("POST", f"{VM}/start").status_code == 429
    assert desk.raw("POST", f"{VM}/deallocate").status_code == 202


def test_tokens_come_back_with_time(cloud, desk):
    cloud.on_loop(lambda: cloud.platform.buckets.drain(UPDATE, VM))
    refused = desk.raw("POST", f"{VM}/start").status_code

    cloud.on_loop(lambda: setattr(cloud.platform.buckets, "_speed", 1e6))

    assert refused == 429
    cloud.wait_for(lambda: desk.raw("POST", f"{VM}/start").status_code == 202)


def test_refused_request_takes_no_token(cloud, desk):
    for _ in range(40):
        desk.raw("GET", VM)

    left = cloud.on_loop(lambda: sum(b.tokens for k, b in cloud.platform.buckets._buckets.items() if "Max" in k[0]))

    assert left == pytest.approx(24_000 - 36, abs=0.5)
