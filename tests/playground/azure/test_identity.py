"""Tokens: who gets one, and what the front door makes of a bad one."""

import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ManagedIdentityCredential

from playground.azure import Principal

SUBSCRIPTIONS = "/subscriptions"


def ask_token(cloud, header=None, **query):
    params = {"api-version": "2019-08-01", "resource": cloud.url, **query}
    sent = {"X-IDENTITY-HEADER": header or cloud.identity.header}
    return requests.get(cloud.identity_url, params=params, headers=sent, timeout=30)


def test_real_managed_identity_credential_gets_a_token(desk):
    with ManagedIdentityCredential() as credential:
        token = credential.get_token("https://management.azure.com/.default")

    assert token.token.count(".") == 2
    assert token.expires_on > 0


def test_token_endpoint_refuses_a_wrong_identity_header(cloud):
    answer = ask_token(cloud, header="guess")

    assert answer.status_code == 401


def test_token_endpoint_refuses_an_unknown_client_id(cloud):
    answer = ask_token(cloud, client_id="11111111-0000-0000-0000-000000000000")

    assert answer.status_code == 400
    assert "No User Assigned" in answer.json()["message"]


def test_each_client_id_is_a_principal_of_its_own(cloud, desk):
    stranger = Principal("11111111-0000-0000-0000-00000000c0de", "11111111-0000-0000-0000-00000000beef")
    cloud.identity.add(stranger)
    token = ask_token(cloud, client_id=stranger.client_id).json()["access_token"]

    answer = desk.raw("GET", f"/subscriptions/{cloud.subscription}", headers={"Authorization": f"Bearer {token}"})

    assert answer.status_code == 403
    assert stranger.object_id in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("authorization", "code"),
    [("", "AuthenticationFailed"), ("Bearer nonsense", "InvalidAuthenticationToken")],
)
def test_missing_or_unknown_token_is_401_with_a_challenge(desk, authorization, code):
    answer = desk.raw("GET", SUBSCRIPTIONS, headers={"Authorization": authorization})

    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == code
    assert answer.headers["WWW-Authenticate"].startswith("Bearer authorization_uri=")


def test_token_for_another_audience_is_refused(cloud, desk):
    token, _ = cloud.identity.issue(cloud.identity.system, "https://vault.azure.net")

    answer = desk.raw("GET", SUBSCRIPTIONS, headers={"Authorization": f"Bearer {token}"})

    assert answer.json()["error"]["code"] == "InvalidAuthenticationTokenAudience"


def test_expired_token_is_an_authentication_error_for_the_sdk(cloud, desk):
    desk.client.virtual_machines.get("rg-prod", "web-01")

    cloud.expire_tokens()

    with pytest.raises(ClientAuthenticationError, match="InvalidAuthenticationToken"):
        desk.client.virtual_machines.get("rg-prod", "web-01")


def test_token_endpoint_can_fail(cloud):
    cloud.faults.refuse_tokens(503)

    first, second = ask_token(cloud), ask_token(cloud)

    assert (first.status_code, second.status_code) == (503, 200)
