"""Faults of the wire, and what the unmodified SDK makes of them."""

import gc
import time
import warnings
from collections.abc import Iterator

import pytest
import requests
from azure.core.exceptions import (
    DecodeError,
    HttpResponseError,
    IncompleteReadError,
    ServiceRequestError,
    ServiceResponseError,
)

from playground.azure import Fault

VM = (
    "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-prod"
    "/providers/Microsoft.Compute/virtualMachines/web-01"
)


@pytest.fixture(autouse=True)
def dropped_sockets() -> Iterator[None]:
    """A retry of the SDK drops the unread answer before it, socket and all: collect them, client closed."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


ACTION = {"commandId": "RunShellScript", "script": ["effect ran"]}


def default_put(desk, **options):
    """A write with the SDK's own retry counts, only without their pauses."""
    return desk.client.virtual_machine_run_commands.begin_create_or_update(
        "rg-prod", "web-01", "rb-1", desk.body("effect ran"), polling=False, retry_backoff_factor=0.001, **options
    )


def default_post(desk, **options):
    wanted = {"polling": False, "retry_backoff_factor": 0.001, **options}
    return desk.client.virtual_machines.begin_run_command("rg-prod", "web-01", ACTION, **wanted)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_sdk_defaults_send_a_put_again_and_retry_total_zero_sends_it_once(cloud, desk, status):
    cloud.faults.answer(status, "PUT", times=None)

    with pytest.raises(HttpResponseError):
        default_put(desk)
    by_default = len(cloud.ledger.requests(method="PUT"))
    with pytest.raises(HttpResponseError):
        default_put(desk, retry_total=0)

    assert by_default == 4
    assert len(cloud.ledger.requests(method="PUT")) == by_default + 1
    assert cloud.vm("web-01").run_commands() == []


def test_sdk_defaults_send_an_action_again_after_errors_and_it_runs_twice(cloud, desk):
    cloud.faults.add(Fault(kind="answer", method="POST", path_contains="runCommand", status=503, after_work=True))
    cloud.faults.answer(503, "POST", "runCommand")

    default_post(desk, retry_backoff_factor=0.5)

    assert [(one.done, one.sent) for one in cloud.ledger.requests(method="POST")] == [
        (202, 503),
        (None, 503),
        (202, 202),
    ]
    cloud.wait_for(lambda: len(cloud.vm("web-01").effects()) == 2)


def test_action_sent_again_at_once_meets_its_own_slot(cloud, desk):
    cloud.vm("web-01").break_agent()
    cloud.faults.add(Fault(kind="answer", method="POST", path_contains="runCommand", status=503, after_work=True))

    with pytest.raises(HttpResponseError, match="in progress"):
        default_post(desk)


def test_lost_post_is_not_sent_again(cloud, desk):
    cloud.faults.lose_response("POST", "runCommand")

    with pytest.raises(ServiceResponseError):
        default_post(desk)

    assert [(one.done, one.sent) for one in cloud.ledger.requests(method="POST")] == [(202, None)]
    cloud.wait_for(cloud.vm("web-01").effects)


def test_lost_put_is_sent_again_by_default_and_once_with_retry_total_zero(cloud, desk):
    cloud.faults.lose_response("PUT", times=None)

    with pytest.raises((ServiceResponseError, HttpResponseError)):
        default_put(desk)
    by_default = len(cloud.ledger.requests(method="PUT"))
    with pytest.raises(ServiceResponseError):
        desk.put("rb-2", "true")

    assert by_default > 1
    assert len(cloud.ledger.requests(method="PUT", path_contains="rb-2")) == 1


def test_retry_after_makes_the_sdk_resend_any_verb(cloud, desk):
    cloud.faults.add(Fault(kind="answer", method="POST", status=429, retry_after=0, code="TooManyRequests"))

    default_post(desk)

    assert [one.sent for one in cloud.ledger.requests(method="POST")] == [429, 202]


def test_throttled_post_without_retry_after_raises_at_once(cloud, desk):
    cloud.faults.answer(429, "POST")

    with pytest.raises(HttpResponseError, match="SubscriptionRequestsThrottled"):
        default_post(desk)

    assert len(cloud.ledger.requests(method="POST")) == 1


def test_reset_before_the_work_leaves_nothing(cloud, desk):
    cloud.faults.reset("PUT")

    with pytest.raises((ServiceResponseError, ServiceRequestError)):
        desk.put("rb-1", "effect ran")

    assert cloud.vm("web-01").run_commands() == []
    assert [(one.done, one.sent) for one in cloud.ledger.requests(method="PUT")] == [(None, None)]


def test_error_answer_after_the_work_hides_that_it_was_done(cloud, desk):
    cloud.faults.add(Fault(kind="answer", method="PUT", status=500, after_work=True))

    with pytest.raises(HttpResponseError):
        desk.put("rb-1", "effect ran")

    assert [(one.done, one.sent) for one in cloud.ledger.requests(method="PUT")] == [(201, 500)]
    cloud.wait_for(cloud.vm("web-01").effects)


def test_hanging_answer_ends_at_the_clients_patience(cloud, desk):
    cloud.faults.add(Fault(kind="hang", method="GET", seconds=30))
    began = time.monotonic()

    with pytest.raises(ServiceResponseError):
        desk.client.virtual_machines.get("rg-prod", "web-01", retry_total=0, read_timeout=0.3)

    assert time.monotonic() - began < 5


def test_half_an_answer_is_an_error(cloud, desk):
    cloud.faults.add(Fault(kind="half", method="GET", path_contains="web-01", after_work=True))

    with pytest.raises((ServiceResponseError, IncompleteReadError, HttpResponseError)):
        desk.client.virtual_machines.get("rg-prod", "web-01", retry_total=0)

    assert [(one.done, one.sent) for one in cloud.ledger.requests(method="GET")] == [(200, None)]


def test_rubbish_instead_of_json_is_an_error(cloud, desk):
    cloud.faults.add(Fault(kind="garbage", method="GET", after_work=True))

    with pytest.raises(DecodeError):
        desk.client.virtual_machines.get("rg-prod", "web-01", retry_total=0)


def test_slow_answer_arrives(cloud, desk):
    cloud.faults.add(Fault(kind="slow", method="GET", seconds=0.2))
    began = time.monotonic()

    assert desk.client.virtual_machines.get("rg-prod", "web-01").name == "web-01"
    assert time.monotonic() - began >= 0.2


def test_faults_can_skip_and_are_used_in_order(cloud, desk):
    cloud.faults.add(Fault(kind="answer", method="GET", status=503, skip=1))
    cloud.faults.add(Fault(kind="answer", method="GET", status=502, skip=1))

    seen = [desk.raw("GET", VM).status_code for _ in range(4)]

    assert seen == [200, 503, 502, 200]


def test_cleared_faults_do_nothing(cloud, desk):
    cloud.faults.answer(500, times=None)
    cloud.faults.clear()

    assert desk.raw("GET", VM).status_code == 200


def test_trust_comes_from_the_environment_and_not_from_luck(cloud, monkeypatch):
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)

    with pytest.raises(requests.exceptions.SSLError):
        requests.get(cloud.url, timeout=30)
