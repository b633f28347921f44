"""The table of Azure's refusals, the buckets and the settings: pure, without a cloud."""

from __future__ import annotations

import itertools
import subprocess
import sys

import pytest
from azure.core.exceptions import HttpResponseError, ODataV4Format

from connectors import guest
from connectors.azure_buckets import Buckets, Kind
from connectors.azure_build import arm_address, new_credential, scopes
from connectors.azure_client import claims_of
from connectors.azure_errors import RULES, Answer, retry_after, translate
from connectors.azure_settings import AzureSettings
from connectors.envelope import powershell_envelope, script_of
from engine.errors import ConnectorError, Indeterminate, Misconfigured, Permanent, Transient
from tests.connectors.harness import a_command


def _raised(status: int, code: str, text: str) -> HttpResponseError:
    error = HttpResponseError(message=text)
    error.status_code = status
    error.error = ODataV4Format({"error": {"code": code, "message": text}}) if code or text else None
    return error


@pytest.mark.parametrize(
    ("status", "code", "text", "expected", "says"),
    [
        (401, "InvalidAuthenticationToken", "", Permanent, "token"),
        (403, "AuthorizationFailed", "", Permanent, "no right"),
        (403, "LinkedAuthorizationFailed", "", Permanent, "refers to"),
        (403, "RequestDisallowedByPolicy", "", Permanent, "policy"),
        (404, "ResourceNotFound", "", Permanent, "does not exist"),
        (404, "SubscriptionNotFound", "", Permanent, "subscription"),
        (404, "NotFound", "The entity was not found in this Azure location.", Permanent, "kind of command"),
        (409, "OperationNotAllowed", "Cannot modify extensions when the VM is not running.", Permanent, "not running"),
        (409, "OperationNotAllowed", "requires the VM to be running (or set to run)", Permanent, "not running"),
        (409, "OperationNotAllowed", "extension operations are disallowed", Permanent, "extensions"),
        (409, "ScopeLocked", "", Permanent, "lock"),
        (409, "MissingSubscriptionRegistration", "", Permanent, "not registered"),
        (409, "Conflict", "Run command extension execution is in progress.", Transient, "holds the machine"),
        (409, "Conflict", "due to conflict with a concurrent request", Transient, "Another change"),
        (429, "OperationNotAllowed", "too many requests", Transient, "too many"),
        (429, "OperationNotAllowed", "the VM is not running", Transient, "too many"),
        (429, "SubscriptionRequestsThrottled", "", Transient, "too many"),
        (400, "BadRequest", "maximum number of managed Run commands (max=25", Transient, "25"),
        (400, "InvalidParameter", "", Permanent, "refused"),
        (418, "", "", Permanent, "refused"),
    ],
)
def test_status_and_code_and_text_decide_together(
    status: int, code: str, text: str, expected: type[ConnectorError], says: str
) -> None:
    told = translate(_raised(status, code, text), write=True, doing="sending")

    assert type(told) is expected
    assert says in told.message


@pytest.mark.parametrize("status", [200, 202, 204, 302, 307, 408, 500, 502, 503, 504, 599])
def test_whatever_is_no_refusal_leaves_a_write_unknown_and_a_read_repeatable(status: int) -> None:
    error = _raised(status, "", "")

    assert type(translate(error, write=True, doing="sending")) is Indeterminate
    assert type(translate(error, write=False, doing="looking")) is Transient


@pytest.mark.parametrize("status", range(400, 500))
def test_every_refusal_has_a_rule(status: int) -> None:
    assert any(rule.fits(Answer(status=status)) for rule in RULES)


@pytest.mark.parametrize(
    ("value", "seconds"), [("17", 17.0), ("1200", 1200.0), ("", None), ("soon", None), ("-1", None)]
)
def test_only_a_number_of_seconds_is_a_wait(value: str, seconds: float | None) -> None:
    assert retry_after({"Retry-After": value}) == seconds


# ---------------------------------------------------------------- buckets


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_full_bucket_gives_four_fifths_of_the_limit_and_then_asks_for_patience() -> None:
    buckets = Buckets(Time())

    given = list(itertools.takewhile(lambda wait: wait == 0, (buckets.take(Kind.UPDATE, "vm") for _ in range(99))))

    assert len(given) == 9
    assert buckets.take(Kind.UPDATE, "vm") > 0


def test_after_the_named_wait_there_is_a_token() -> None:
    time = Time()
    buckets = Buckets(time)
    for _ in range(9):
        buckets.take(Kind.UPDATE, "vm")

    time.now += buckets.take(Kind.UPDATE, "vm") + 0.001

    assert buckets.take(Kind.UPDATE, "vm") == 0


def test_machines_and_kinds_have_buckets_of_their_own() -> None:
    buckets = Buckets(Time())
    for _ in range(9):
        buckets.take(Kind.UPDATE, "one")

    assert buckets.take(Kind.UPDATE, "two") == 0
    assert buckets.take(Kind.READ, "one") == 0


@pytest.mark.parametrize("header", ["Microsoft.Compute/A;0", "Microsoft.Compute/A;300,Microsoft.Compute/B;1"])
def test_what_azure_says_is_left_shrinks_a_bucket(header: str) -> None:
    buckets = Buckets(Time())

    buckets.learn(Kind.READ, "vm", {"x-ms-ratelimit-remaining-resource": header})

    assert buckets.take(Kind.READ, "vm") > 0


@pytest.mark.parametrize("header", ["", "nonsense", "a;b;c", "Microsoft.Compute/A;"])
def test_a_header_that_says_nothing_changes_nothing(header: str) -> None:
    buckets = Buckets(Time())

    buckets.learn(Kind.READ, "vm", {"x-ms-ratelimit-remaining-resource": header})

    assert buckets.take(Kind.READ, "vm") == 0


def test_a_named_wait_is_kept_and_an_urgent_request_passes() -> None:
    time = Time()
    buckets = Buckets(time)
    buckets.block(Kind.UPDATE, "vm", 30)

    waits = [buckets.take(Kind.UPDATE, "vm"), buckets.take(Kind.UPDATE, "vm", urgent=True)]
    time.now += 31
    waits.append(buckets.take(Kind.UPDATE, "vm"))

    assert waits == [30, 0, 0]


# ---------------------------------------------------------------- building


@pytest.mark.parametrize(
    ("cloud", "address", "scope"),
    [
        ("public", "https://management.azure.com/", "https://management.azure.com/.default"),
        ("china", "https://management.chinacloudapi.cn/", "https://management.chinacloudapi.cn/.default"),
        ("usgov", "https://management.usgovcloudapi.net/", "https://management.core.usgovcloudapi.net/.default"),
    ],
)
def test_each_cloud_has_its_own_address_and_scope(cloud: str, address: str, scope: str) -> None:
    settings = AzureSettings(subscription_ids=("s",), cloud=cloud)

    assert (arm_address(settings), scopes(settings)) == (address, [scope])


def test_a_set_address_wins() -> None:
    assert arm_address(AzureSettings(subscription_ids=("s",), arm_url="https://localhost:1")) == "https://localhost:1"


def test_an_unknown_cloud_is_refused_with_the_choices() -> None:
    with pytest.raises(Misconfigured, match="Use public, china or usgov"):
        arm_address(AzureSettings(subscription_ids=("s",), cloud="mars"))


def test_an_unknown_credential_is_refused_with_the_choices() -> None:
    with pytest.raises(Misconfigured, match="Use one of default, environment"):
        new_credential(AzureSettings(subscription_ids=("s",), credential="password"))


@pytest.mark.parametrize("token", ["", "a.b", "a.b.c", "a.!!!.c", "a.e30.c"])
def test_a_token_that_says_nothing_names_nobody(token: str) -> None:
    assert claims_of(token) == {"appid": "?", "oid": "?", "tid": "?"}


def test_importing_the_connectors_loads_no_sdk() -> None:
    loaded = "[m for m in sys.modules if m.startswith('azure')]"
    code = f"import sys, connectors.azure_action, connectors.local; print({loaded})"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


# ---------------------------------------------------------------- the PowerShell twin: its text only


def test_the_powershell_envelope_carries_the_approved_bytes() -> None:
    script = "Write-Output 'it''s'; `$x\n'\n@SCRIPT@ é€\n"

    assert script_of(powershell_envelope(a_command(script))) == script


def test_the_powershell_envelope_speaks_the_same_protocol() -> None:
    text = powershell_envelope(a_command("exit 0"))

    assert f"'{guest.MARKER} '" in text
    for code in sorted(guest.GUARD_EXITS):
        assert f"exit {code}" in text
    for key in ("state", "rc", "out", "err", "ms", "at", "timeout", "cancelled", "open", "capped", "gz", "cut"):
        assert f'"{key}":' in text


def test_the_powershell_envelope_is_ascii_without_unfilled_places() -> None:
    text = powershell_envelope(a_command("exit 0"))

    assert text.isascii()
    assert "\r" not in text
    assert "@ID@" not in text
    assert text.count("{") == text.count("}")
    assert text.count("(") == text.count(")")
