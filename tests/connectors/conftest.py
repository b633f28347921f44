"""Fixtures of the connector tests: one cloud per test, so that every ledger starts empty."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connectors.azure_run_command import AzureConnector
from engine.model import Target
from playground.azure import AzureCloud
from tests.connectors.azure import SPEED, connected, web


@pytest.fixture
def cloud() -> Iterator[AzureCloud]:
    with AzureCloud.start(speed=SPEED, bucket_speed=1e6) as running:
        yield running


@pytest.fixture
def azure(cloud: AzureCloud) -> Iterator[AzureConnector]:
    with connected(cloud) as connector:
        yield connector


@pytest.fixture
def target(azure: AzureConnector) -> Target:
    return web(azure)
