"""Databases for the tests of the doors."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.database import Database
from tests.bot.works import Works
from tests.storage.databases import database, database_url, migrated_file

__all__ = ["database", "database_url", "migrated_file"]


@pytest.fixture
def works(database: Database, tmp_path: Path) -> Works:
    """The product without Slack, on a fresh database of either kind."""
    return Works(database, tmp_path)
