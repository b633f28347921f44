"""Fixtures of the use cases and the worker: a real database of either kind, and a crew that works on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.database import Database
from tests.engine.crew import Crew
from tests.storage.databases import database, database_url, migrated_file

__all__ = ["crew", "database", "database_url", "migrated_file"]


@pytest.fixture
def crew(database: Database, tmp_path: Path) -> Crew:
    return Crew(database, tmp_path)
