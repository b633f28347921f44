"""Fixtures of the storage tests."""

from tests.storage.databases import database, database_url, migrated_file, units

__all__ = ["database", "database_url", "migrated_file", "units"]
