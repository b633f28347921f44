"""A bot that is set up wrongly ends at once: no port is opened, and its last line names setting, meaning and cure.

Predecessor A10 and A11: a wrong secret showed up as a riddle much later, or made everything stored unreadable.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from playground.slack.state import AppConfig
from playground.stage import BotProcess, Setting, Stage
from tests.journeys.conftest import RUNBOOKS

SECRET = "xoxb-canary-1f2e3d4c5b6a"
PATIENCE_SECONDS = 60


@pytest.fixture(scope="module")
def wrong_stage() -> Iterator[Stage]:
    """A workspace and a cloud; each test starts a bot of its own with something wrong."""
    with Stage(Setting(runbook_dir=RUNBOOKS)) as stage:
        yield stage


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a bot that would not start ended."""

    code: int
    said: str
    listened: bool


def start(stage: Stage, folder: Path, *, without: tuple[str, ...] = (), **changes: str) -> Ended:
    """Start a bot with other settings and wait for its end, looking whether its port ever opens."""
    kept = {name: value for name, value in stage.bot.environment.items() if name not in without}
    bot = BotProcess(folder, kept | {"DATABASE_URL": f"sqlite:///{folder / 'r.db'}"} | changes)
    bot.start()
    listened = False
    try:
        process = bot._process
        assert process is not None
        for _ in range(PATIENCE_SECONDS * 20):
            if process.poll() is not None:
                break
            listened = listened or port_is_open(stage.http_port)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.05)
    finally:
        bot.kill()
    return Ended(code=process.returncode, said="\n".join(bot.log_lines()), listened=listened)


def port_is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def written(folder: Path, text: str) -> str:
    path = folder / "policy.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def policy_of(stage: Stage) -> str:
    return stage.setting.policy.read_text(encoding="utf-8")


CASES: dict[str, tuple[Callable[[Stage, Path], dict[str, str]], tuple[str, ...]]] = {
    "empty bot token": (lambda _s, _f: {"SLACK_BOT_TOKEN": ""}, ("SLACK_BOT_TOKEN", "xoxb-")),
    "placeholder": (lambda _s, _f: {"SLACK_BOT_TOKEN": "xoxb-changeme"}, ("SLACK_BOT_TOKEN", "placeholder")),
    "unknown bot token": (lambda _s, _f: {"SLACK_BOT_TOKEN": SECRET}, ("SLACK_BOT_TOKEN",)),
    "wrong kind of token": (
        lambda _s, _f: {"SLACK_APP_TOKEN": SECRET},
        ("SLACK_APP_TOKEN", "xapp-"),
    ),
    "unknown app token": (
        lambda _s, _f: {"SLACK_APP_TOKEN": SECRET.replace("xoxb", "xapp")},
        ("SLACK_APP_TOKEN", "connections:write"),
    ),
    "misspelt setting": (lambda _s, _f: {"RUNBOOK_CHANEL": "C0OPS"}, ("RUNBOOK_CHANEL", "RUNBOOK_CHANNEL")),
    "database nobody knows": (
        lambda _s, _f: {"DATABASE_URL": "mysql://root:canary-password@db/x"},
        ("DATABASE_URL", "sqlite"),
    ),
    "database folder missing": (
        lambda _s, f: {"DATABASE_URL": f"sqlite:///{f}/missing/r.db"},
        ("folder", "DATABASE_URL"),
    ),
    "database that does not answer": (
        lambda _s, _f: {"DATABASE_URL": "postgresql://me:canary-password@127.0.0.1:9/x"},
        ("DATABASE_URL",),
    ),
    "broken policy": (lambda s, f: {"RUNBOOK_POLICY": written(f, policy_of(s) + "\n  oops: [")}, ("policy",)),
    "policy without approvers": (
        lambda s, f: {"RUNBOOK_POLICY": written(f, policy_of(s).replace("approvers: [oncall]", "approvers: []"))},
        ("approvers",),
    ),
    "policy of another workspace": (
        lambda s, f: {"RUNBOOK_POLICY": written(f, policy_of(s).replace("T0DEMO", "T0WRONG"))},
        ("T0WRONG", "T0DEMO", "workspace"),
    ),
    "policy missing": (lambda _s, f: {"RUNBOOK_POLICY": str(f / "none.yaml")}, ("RUNBOOK_POLICY",)),
    "runbooks missing": (lambda _s, f: {"RUNBOOK_DIR": str(f / "none")}, ("RUNBOOK_DIR", "none")),
}


@pytest.mark.parametrize("case", sorted(CASES))
def test_wrong_setting_ends_the_start_and_is_named_with_its_cure(wrong_stage: Stage, tmp_path: Path, case: str):
    change, words = CASES[case]

    ended = start(wrong_stage, tmp_path, **change(wrong_stage, tmp_path))

    assert ended.code not in {0, -9}
    assert not ended.listened
    for word in words:
        assert word in ended.said
    assert "Traceback" not in ended.said
    assert "canary" not in ended.said


def test_http_side_without_a_signing_secret_does_not_start(wrong_stage: Stage, tmp_path: Path):
    ended = start(wrong_stage, tmp_path, without=("SLACK_APP_TOKEN",))

    assert ended.code not in {0, -9}
    assert not ended.listened
    assert "SLACK_SIGNING_SECRET" in ended.said


def test_missing_scope_is_named(wrong_stage: Stage, tmp_path: Path):
    world = wrong_stage.slack.world
    whole: AppConfig = world.app
    world.app = replace(whole, scopes=whole.scopes - {"usergroups:read", "chat:write"})

    try:
        ended = start(wrong_stage, tmp_path)
    finally:
        world.app = whole

    assert ended.code not in {0, -9}
    assert not ended.listened
    assert "chat:write" in ended.said


def test_second_process_on_one_sqlite_file_does_not_start(wrong_stage: Stage, tmp_path: Path):
    """Predecessor X11: two executors on one database ran everything twice."""
    wrong_stage.start_bot()

    try:
        ended = start(wrong_stage, tmp_path, DATABASE_URL=wrong_stage.database_url, RUNBOOK_HTTP_PORT="0")
    finally:
        wrong_stage.bot.stop()

    assert ended.code not in {0, -9}
    assert str(wrong_stage.bot.pid) in ended.said
