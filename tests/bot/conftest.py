"""Databases for the tests of the doors."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import structlog

from storage.database import Database
from tests.bot.served import Front, served
from tests.bot.shell import Shell
from tests.bot.works import Works
from tests.storage.databases import database, database_url, migrated_file

__all__ = ["database", "database_url", "migrated_file"]


@pytest.fixture
def works(database: Database, tmp_path: Path) -> Works:
    """The product without Slack, on a fresh database of either kind."""
    return Works(database, tmp_path)


@pytest.fixture(scope="session")
def front() -> Front:
    return Front()


@pytest.fixture(scope="session")
def client(front: Front) -> Iterator[httpx.Client]:
    """A client of a server that shows whatever application the front was given."""
    with served(front) as made:
        yield made


@pytest.fixture
def logging_kept() -> Iterator[None]:
    """Whatever a test does to logging is undone."""
    root, kept = logging.getLogger(), structlog.get_config()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**kept)


@pytest.fixture
def bare_shell(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, logging_kept: None
) -> Shell:
    """A prompt without any setting."""
    return Shell(monkeypatch, capsys, tmp_path)


@pytest.fixture
def shell(bare_shell: Shell, works: Works, database_url: str, tmp_path: Path) -> Shell:
    """A prompt beside the works, on the same database, policy and runbooks."""
    bare_shell.set(
        DATABASE_URL=database_url,
        RUNBOOK_DIR=str(tmp_path / "runbooks"),
        RUNBOOK_POLICY=str(tmp_path / "policy.yaml"),
        RUNBOOK_LOCAL="true",
    )
    return bare_shell
