"""What the page about several replicas tells people to type works, and its numbers are those of the code."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from bot.serving import DRAIN_SECONDS, HARD_SECONDS
from bot.settings import Settings
from storage import team_queue
from storage.database import open_database
from storage.leases import GRACE
from storage.migrate import upgrade
from tests.storage.builders import NoQueue, started
from tests.storage.databases import migrated_file

__all__ = ["migrated_file"]
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_commands_for_leaving_sqlite_do_it(migrated_file: Path, postgres_url: str, tmp_path: Path) -> None:
    shutil.copy(migrated_file, tmp_path / "runbook.db")
    old = open_database(f"sqlite:///{tmp_path / 'runbook.db'}")
    session = started(old.unit_of_work(NoQueue(), owner="me"))
    old.close()
    (commands,) = blocks("sh")
    settings = {"POSTGRES_URL": postgres_url, "RUNBOOK_DIR": str(ROOT / "runbooks")}
    settings["RUNBOOK_POLICY"] = str(ROOT / "playground" / "policy.yaml")

    done = subprocess.run(
        ["bash", "-euc", commands],
        cwd=tmp_path,
        env={"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(tmp_path), **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    new = open_database(postgres_url)
    with new.unit_of_work(NoQueue(), owner="me")() as uow:
        assert uow.sessions.get(session.id) is not None
    new.close()


@pytest.mark.parametrize("statement", [part for block in blocks("sql") for part in block.strip().split("\n") if part])
def test_statements_of_the_page_run(statement: str, postgres_url: str) -> None:
    upgrade(postgres_url)
    database = open_database(postgres_url)

    with database.engine.begin() as connection:
        assert connection.execute(text(statement)) is not None

    database.close()


def test_numbers_of_the_page_are_those_of_the_code() -> None:
    lease = Settings.model_fields["lease_seconds"].default

    assert f"`RUNBOOK_LEASE_SECONDS` ({lease:.0f})" in PAGE
    assert (GRACE.total_seconds(), "still free two seconds later" in PAGE) == (2, True)
    assert (team_queue.POLL_SECONDS, "by a look every half\nsecond" in PAGE) == (0.5, True)
    assert DRAIN_SECONDS < HARD_SECONDS < 20
