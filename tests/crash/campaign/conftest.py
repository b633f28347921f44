"""The campaigns: one per test process and kind of database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.crash.campaign.campaign import Campaign, postgres_campaign, sqlite_campaign
from tests.postgres import Server


@pytest.fixture(scope="session")
def on_sqlite() -> Iterator[Campaign]:
    with sqlite_campaign() as campaign:
        yield campaign


@pytest.fixture(scope="session")
def on_postgres(postgres_server: Server) -> Iterator[Campaign]:
    with postgres_campaign(postgres_server) as campaign:
        yield campaign
