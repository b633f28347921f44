"""A local Azure and a connector pointed at it, for tests: unmodified SDK, real TLS, real scripts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from connectors.azure_action import azure_connector
from connectors.azure_run_command import AzureConnector
from connectors.azure_settings import AzureSettings
from engine.model import Target
from playground.azure import AzureCloud
from playground.azure.ledger import RequestRecord
from tests.connectors.harness import CountingIds, RealClock

SPEED = 200.0


def settings_for(cloud: AzureCloud, **changes: Any) -> AzureSettings:
    """Impatient, and with room for more requests than the real limits allow: the cloud runs faster, too."""
    given: dict[str, Any] = {
        "subscription_ids": (cloud.subscription,),
        "arm_url": cloud.url,
        "connection_verify": str(cloud.ca_file),
        "read_seconds": 1.5,
        "side_poll_seconds": 0.05,
        "side_seconds": 15.0,
        "token_retries": 0,
        "bucket_share": 5000.0,
    }
    return AzureSettings(**(given | changes))


@contextmanager
def connected(cloud: AzureCloud, **changes: Any) -> Iterator[AzureConnector]:
    """A connector whose managed identity is the cloud's."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in cloud.environment().items():
            environment.setenv(name, value)
        connector = azure_connector(settings_for(cloud, **changes), RealClock(), CountingIds())
        try:
            yield connector
        finally:
            connector.close()


def web(connector: AzureConnector) -> Target:
    return connector.resolve("rg-prod/web-01")[0]


def writes(cloud: AzureCloud, name: str = "") -> list[RequestRecord]:
    """Every request that could have changed something on a machine, as the cloud saw it, whatever it answered."""
    changing = {"PUT", "POST", "PATCH", "DELETE"}
    return [
        one
        for one in cloud.ledger.requests()
        if one.method in changing and "/virtualmachines/" in one.path.lower() and name in one.path
    ]
