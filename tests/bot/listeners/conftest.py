"""The bot at work: the local Slack workspace, the office, and either way for requests to come in."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.listeners.answer import BUDGET_SECONDS
from bot.socket_mode import SocketMode
from playground.slack import SlackWorkspace
from playground.slack.seed import app_from_manifest
from storage.database import open_database
from tests.bot.listeners.office import RUNBOOK, Office
from tests.storage.databases import migrated_file

__all__ = ["migrated_file"]

ROOT = Path(__file__).parents[3]
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch):
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def workspace() -> Iterator[SlackWorkspace]:
    with SlackWorkspace.start(app=app_from_manifest(ROOT / "manifest.yml")) as started:
        yield started


@pytest.fixture
def database_file(tmp_path: Path, migrated_file: Path) -> Path:
    path = tmp_path / "runbook.db"
    shutil.copy(migrated_file, path)
    return path


@pytest.fixture
def budget() -> float:
    """Seconds until a command is answered as not confirmed; tests may override it by parameter."""
    return BUDGET_SECONDS


@pytest.fixture
def office(workspace: SlackWorkspace, database_file: Path, tmp_path: Path, budget: float) -> Iterator[Office]:
    """Requests come over Socket Mode."""
    runbooks = tmp_path / "runbooks"
    runbooks.mkdir()
    (runbooks / "restart-web.yaml").write_text(RUNBOOK, encoding="utf-8")
    database = open_database(f"sqlite:///{database_file}")
    made = Office(workspace, database, runbooks, budget)
    sockets = SocketMode(made.app, workspace.app_token, clock=made.clock)
    sockets.start()
    workspace.wait_until_connected(2)
    yield made
    sockets.close()
    made.close()
    database.close()


@pytest.fixture
def alice(office: Office):
    return office.workspace.person("alice")


@pytest.fixture
def bob(office: Office):
    return office.workspace.person("bob")


@pytest.fixture
def gina(office: Office):
    return office.workspace.person("gina")


@pytest.fixture
def oscar(office: Office):
    return office.workspace.person("oscar")
