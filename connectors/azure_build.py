"""Builds what speaks to Azure: credential, transport and SDK clients, from settings alone.

A client built here sends a request once: it follows no redirect, registers no provider and logs nothing. The SDK is
imported when the first client is built, because it weighs more than the rest of the bot.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from connectors.azure_settings import AzureSettings
from engine.errors import Misconfigured

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.core.pipeline.transport import RequestsTransport
    from azure.mgmt.compute import ComputeManagementClient

_AUTHORITIES: Final = {
    "public": "login.microsoftonline.com",
    "china": "login.chinacloudapi.cn",
    "usgov": "login.microsoftonline.us",
}


def arm_address(settings: AzureSettings) -> str:
    """Return the address of Azure Resource Manager: the one that is set, or the cloud's own."""
    return settings.arm_url or str(_endpoints(settings)["resource_manager"])


def scopes(settings: AzureSettings) -> list[str]:
    """Return what a token must be asked for."""
    return list(_endpoints(settings)["credential_scopes"])


def new_transport(settings: AzureSettings) -> RequestsTransport:
    from azure.core.pipeline.transport import RequestsTransport  # noqa: PLC0415

    return RequestsTransport(
        connection_verify=settings.connection_verify or True,
        connection_timeout=settings.connect_seconds,
        read_timeout=settings.read_seconds,
    )


def new_compute_client(
    settings: AzureSettings, subscription: str, credential: TokenCredential, transport: RequestsTransport
) -> ComputeManagementClient:
    """Build a client with a pipeline of our own, in place of the SDK's, which retries, redirects and registers."""
    from azure.core.pipeline import policies  # noqa: PLC0415
    from azure.mgmt.compute import ComputeManagementClient  # noqa: PLC0415
    from azure.mgmt.core.policies import ARMChallengeAuthenticationPolicy  # noqa: PLC0415

    pipeline = [
        policies.RequestIdPolicy(),
        policies.HeadersPolicy(),
        policies.UserAgentPolicy("runbook-bot"),
        policies.ProxyPolicy(),
        policies.ContentDecodePolicy(),
        policies.RetryPolicy(retry_total=0),
        ARMChallengeAuthenticationPolicy(credential, *scopes(settings)),
        policies.CustomHookPolicy(),
    ]
    return ComputeManagementClient(
        credential,
        subscription,
        base_url=arm_address(settings),
        cloud_setting=_cloud(settings.cloud),
        policies=pipeline,
        transport=transport,
    )


def new_credential(settings: AzureSettings) -> TokenCredential:
    """Build the credential that is named, never a guess among several unless ``default`` is asked for."""
    from azure import identity  # noqa: PLC0415

    kinds: dict[str, Callable[..., TokenCredential]] = {
        "managed_identity": identity.ManagedIdentityCredential,
        "workload": identity.WorkloadIdentityCredential,
        "environment": identity.EnvironmentCredential,
        "default": identity.DefaultAzureCredential,
    }
    if settings.credential not in kinds:
        kind = settings.credential
        raise Misconfigured(f"The Azure credential is {kind!r}.", hint=f"Use one of {', '.join(sorted(kinds))}.")
    return kinds[settings.credential](**_credential_options(settings))


def _credential_options(settings: AzureSettings) -> dict[str, Any]:
    options: dict[str, Any] = {"retry_total": settings.token_retries, "connection_timeout": settings.connect_seconds}
    if settings.client_id and settings.credential in {"managed_identity", "workload"}:
        options["client_id"] = settings.client_id
    if settings.credential != "managed_identity":
        _cloud(settings.cloud)
        options["authority"] = _AUTHORITIES[settings.cloud.lower()]
    return options


def _endpoints(settings: AzureSettings) -> dict[str, Any]:
    from azure.mgmt.core.tools import get_arm_endpoints  # noqa: PLC0415

    return dict(get_arm_endpoints(_cloud(settings.cloud)))


def _cloud(name: str) -> Any:
    from azure.core import AzureClouds  # noqa: PLC0415

    known = {
        "public": AzureClouds.AZURE_PUBLIC_CLOUD,
        "china": AzureClouds.AZURE_CHINA_CLOUD,
        "usgov": AzureClouds.AZURE_US_GOVERNMENT,
    }
    if name.lower() not in known:
        raise Misconfigured(f"AZURE_CLOUD is {name!r}.", hint="Use public, china or usgov.")
    return known[name.lower()]
