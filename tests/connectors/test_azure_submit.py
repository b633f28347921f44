"""Sending to Azure: once, whatever happens on the way; and what each answer is taken for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from connectors.azure_run_command import AzureConnector, name_of
from connectors.envelope import script_of
from engine.errors import ConnectorError, Indeterminate, InvalidInput, Permanent, Transient
from engine.model import AttemptStatus, Shell, Target
from playground.azure import AzureCloud, Fault
from tests.connectors.azure import connected, web, writes
from tests.connectors.harness import a_command, result_from

RUN = "/runCommands/"


def _fault(kind: str, *, after: bool = False, status: int = 500, retry_after: int | None = None) -> Fault:
    return Fault(
        kind=kind,  # type: ignore[arg-type]
        method="PUT",
        path_contains=RUN,
        times=None,
        after_work=after,
        status=status,
        retry_after=retry_after,
        code="OperationNotAllowed" if status == 429 else "ServiceUnavailable",
        seconds=5.0,
    )


FAULTS: dict[str, tuple[Callable[[], Fault], type[ConnectorError]]] = {
    "429 with Retry-After": (lambda: _fault("answer", status=429, retry_after=1), Transient),
    "429 without Retry-After": (lambda: _fault("answer", status=429), Transient),
    "408": (lambda: _fault("answer", status=408), Indeterminate),
    "500": (lambda: _fault("answer", status=500), Indeterminate),
    "502": (lambda: _fault("answer", status=502), Indeterminate),
    "503 with Retry-After": (lambda: _fault("answer", status=503, retry_after=1), Indeterminate),
    "503": (lambda: _fault("answer", status=503), Indeterminate),
    "504": (lambda: _fault("answer", status=504), Indeterminate),
    "reset before the work": (lambda: _fault("reset"), Indeterminate),
    "reset after the work": (lambda: _fault("reset", after=True), Indeterminate),
    "hang before the work": (lambda: _fault("hang"), Indeterminate),
    "hang after the work": (lambda: _fault("hang", after=True), Indeterminate),
    "half an answer": (lambda: _fault("half", after=True), Indeterminate),
    "garbage": (lambda: _fault("garbage", after=True), Indeterminate),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_submit_is_one_request_whatever_happens_to_it(
    cloud: AzureCloud, azure: AzureConnector, target: Target, fault: str
) -> None:
    make, error = FAULTS[fault]
    cloud.faults.add(make())
    command = a_command(target=target)

    try:
        azure.submit(command)
    except ConnectorError as raised:
        seen: type[ConnectorError] | None = type(raised)
    else:
        seen = None

    assert len(writes(cloud)) == 1
    # What was surely accepted may be taken as accepted; nothing else may be claimed.
    assert seen in ({error, None} if make().after_work else {error})


@pytest.mark.parametrize("fault", [name for name, (make, _) in FAULTS.items() if make().after_work])
def test_a_command_that_arrived_unheard_is_found_again_and_runs_once(
    cloud: AzureCloud, azure: AzureConnector, target: Target, fault: str
) -> None:
    cloud.faults.add(FAULTS[fault][0]())
    command = a_command("effect ran", target=target)
    try:
        azure.submit(command)
    except Indeterminate:
        cloud.faults.clear()

    handle = azure.reconcile(command)

    assert handle is not None
    assert result_from(azure, target, handle).status is AttemptStatus.SUCCEEDED
    assert len(cloud.vm("rg-prod/web-01").effects()) == 1
    assert len(writes(cloud)) == 1


def test_a_command_that_never_arrived_is_not_found(cloud: AzureCloud, azure: AzureConnector, target: Target) -> None:
    cloud.faults.reset("PUT", RUN)
    command = a_command(target=target)
    with pytest.raises(Indeterminate):
        azure.submit(command)

    assert azure.reconcile(command) is None


def test_that_a_machine_made_again_lacks_a_command_proves_nothing(
    cloud: AzureCloud, azure: AzureConnector, target: Target
) -> None:
    command = a_command(target=target)
    azure.submit(command)
    cloud.vm("rg-prod/web-01").recreate()

    with pytest.raises(Indeterminate, match="made again"):
        azure.reconcile(command)


def test_a_command_that_is_still_invisible_is_found_later(
    cloud: AzureCloud, azure: AzureConnector, target: Target
) -> None:
    cloud.faults.hide_after_accept(200.0, RUN)
    command = a_command(target=target)
    azure.submit(command)

    first = azure.reconcile(command)
    cloud.advance(201.0)
    second = azure.reconcile(command)

    assert first is None
    assert second is not None


@pytest.mark.parametrize("kind", ["answer", "reset", "hang", "half", "garbage"])
def test_not_being_able_to_look_is_not_having_looked(
    cloud: AzureCloud, azure: AzureConnector, target: Target, kind: str
) -> None:
    command = a_command(target=target)
    cloud.faults.add(Fault(kind=kind, method="GET", path_contains=RUN, times=None, status=503, seconds=5.0))  # type: ignore[arg-type]

    with pytest.raises(Indeterminate):
        azure.reconcile(command)


def test_the_wait_that_azure_asks_for_is_handed_on_and_kept(
    cloud: AzureCloud, azure: AzureConnector, target: Target
) -> None:
    cloud.faults.add(_fault("answer", status=429, retry_after=30))
    with pytest.raises(Transient) as first:
        azure.submit(a_command(target=target))
    cloud.faults.clear()

    with pytest.raises(Transient) as second:
        azure.submit(a_command(target=target))

    assert first.value.retry_after == 30
    assert 20 < (second.value.retry_after or 0) <= 30
    assert len(writes(cloud)) == 1


def test_a_missing_right_names_principal_action_and_scope(
    cloud: AzureCloud, azure: AzureConnector, target: Target
) -> None:
    cloud.revoke("Microsoft.Compute/virtualMachines/runCommands/write")

    with pytest.raises(Permanent) as refused:
        azure.submit(a_command(target=target))

    hint = refused.value.hint
    assert cloud.identity.system.object_id in hint
    assert "Microsoft.Compute/virtualMachines/runCommands/write" in hint
    assert "/virtualmachines/web-01" in hint.lower()
    assert refused.value.request_id


def test_a_machine_made_again_under_the_same_name_is_refused(
    cloud: AzureCloud, azure: AzureConnector, target: Target
) -> None:
    cloud.vm("rg-prod/web-01").recreate()

    with pytest.raises(Permanent, match="made again"):
        azure.submit(a_command(target=target))

    assert writes(cloud) == []


def test_a_machine_that_is_gone_is_refused(azure: AzureConnector, target: Target) -> None:
    gone = dataclasses.replace(target, id=target.id.replace("web-01", "web-99"))

    with pytest.raises(Permanent, match="does not exist"):
        azure.submit(a_command(target=gone))


def test_a_stopped_machine_is_refused_with_the_cure(cloud: AzureCloud, azure: AzureConnector, target: Target) -> None:
    cloud.vm("rg-prod/web-01").deallocate()

    with pytest.raises(Permanent, match="not running") as refused:
        azure.submit(a_command(target=target))

    assert "Start the machine" in refused.value.hint


def test_a_policy_that_demands_a_tag_is_named_and_a_set_tag_satisfies_it(cloud: AzureCloud) -> None:
    cloud.require_tag("cost-center")

    with connected(cloud) as bare, pytest.raises(Permanent, match="policy"):
        bare.submit(a_command(target=web(bare)))
    with connected(cloud, tags={"cost-center": "ops"}) as tagged:
        handle = tagged.submit(a_command(target=web(tagged)))

    assert handle["name"]


def test_an_unregistered_provider_is_reported_and_never_registered(cloud: AzureCloud, azure: AzureConnector) -> None:
    cloud.unregister()

    with pytest.raises(Permanent, match="not registered"):
        azure.resolve("rg-prod/web-01")

    assert not [one for one in cloud.ledger.requests() if "register" in one.path]


def test_a_full_machine_is_refused_for_now_and_our_expired_leftovers_are_removed(
    cloud: AzureCloud, azure: AzureConnector, target: Target
) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=3)
    for _ in range(25):
        azure.submit(a_command("true", target=target, not_after=long_ago))

    with pytest.raises(Transient, match="25 run commands"):
        azure.submit(a_command(target=target))

    machine = cloud.vm("rg-prod/web-01")
    cloud.wait_for(lambda: len(machine.run_commands()) < 25)
    assert azure.submit(a_command(target=target))


@pytest.mark.parametrize("status", [401, 500])
def test_without_a_token_nothing_is_sent(cloud: AzureCloud, status: int) -> None:
    with connected(cloud) as first:
        target = web(first)
    cloud.faults.refuse_tokens(status, times=None)

    with connected(cloud) as azure, pytest.raises((Transient, Permanent)):
        azure.submit(a_command(target=target))

    assert writes(cloud) == []


def test_a_token_that_azure_takes_back_early_is_reported_and_nothing_is_sent(
    cloud: AzureCloud, azure: AzureConnector, target: Target
) -> None:
    cloud.expire_tokens()

    with pytest.raises(Permanent, match="token"):
        azure.submit(a_command(target=target))

    assert writes(cloud) == []


def test_nobody_listening_means_nothing_was_sent(cloud: AzureCloud, target: Target) -> None:
    with connected(cloud, arm_url="https://localhost:9") as azure, pytest.raises(Transient, match="cannot be reached"):
        azure.submit(a_command(target=target))


def test_a_certificate_of_somebody_else_is_not_trusted(cloud: AzureCloud, target: Target) -> None:
    with connected(cloud, connection_verify=None) as azure, pytest.MonkeyPatch.context() as environment:
        environment.delenv("REQUESTS_CA_BUNDLE")
        with pytest.raises(Permanent, match="not trusted"):
            azure.submit(a_command(target=target))


# ---------------------------------------------------------------- what is sent


@pytest.mark.parametrize("script", ["echo hello\n", "no newline", "'\n'\n@SCRIPT@ é€😀", "x\n" * 20_000, ""])
def test_the_bytes_on_the_wire_are_the_approved_bytes(
    cloud: AzureCloud, azure: AzureConnector, target: Target, script: str
) -> None:
    azure.submit(a_command(script, target=target))

    [sent] = writes(cloud)
    assert sent.script is not None
    assert script_of(sent.script) == script


def test_the_request_says_what_it_must_and_carries_no_parameters_or_addresses(
    cloud: AzureCloud, azure: AzureConnector, target: Target
) -> None:
    command = a_command(target=target, timeout_seconds=300)

    azure.submit(command)

    [sent] = writes(cloud)
    properties = sent.body["properties"]
    assert set(sent.body) == {"location", "tags", "properties"}
    assert set(properties) == {
        "source",
        "asyncExecution",
        "treatFailureAsDeploymentFailure",
        "timeoutInSeconds",
    }
    assert set(properties["source"]) == {"script"}
    assert (properties["asyncExecution"], properties["treatFailureAsDeploymentFailure"]) == (True, False)
    assert properties["timeoutInSeconds"] > 300
    assert command.attempt_id in sent.body["tags"].values()


def test_a_name_is_short_plain_and_of_its_attempt_alone(target: Target) -> None:
    command = a_command(target=target, attempt_id="01jabcdefghjkmnpqrstvwxyz0", attempt_number=3)

    name = name_of(command)

    assert name == "rb-01jabcdefghjkmnpqrstvwxyz0-3"
    assert len(name) <= 36


def test_a_script_with_carriage_returns_never_reaches_the_cloud(
    cloud: AzureCloud, azure: AzureConnector, target: Target
) -> None:
    with pytest.raises(InvalidInput):
        azure.submit(a_command("echo a\r\n", target=target))

    assert writes(cloud) == []


def test_a_handle_is_small_and_holds_no_address_and_no_script(azure: AzureConnector, target: Target) -> None:
    handle = azure.submit(a_command("echo very-special-text", target=target))

    text = repr(dict(handle))
    assert len(text) < 1000
    assert "http" not in text
    assert "very-special-text" not in text


def test_windows_gets_the_powershell_envelope(cloud: AzureCloud, azure: AzureConnector) -> None:
    [windows] = azure.resolve("win-01")

    azure.submit(a_command("Write-Output hello", target=windows, shell=Shell.POWERSHELL))

    [sent] = writes(cloud)
    assert windows.os == "windows"
    assert "$ErrorActionPreference" in (sent.script or "")
    assert script_of(sent.script or "") == "Write-Output hello"
