"""The whole stage: a Slack workspace, an Azure cloud, and the real bot as a process of its own between them.

The bot is the unmodified product; only its settings point here. It can be killed and started again while the
workspace, the cloud and their ledgers stay.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from aiohttp import web

from playground.azure import AzureCloud
from playground.slack.server import SlackWorkspace

PATIENCE_SECONDS = 30.0
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
OURS = ("SLACK_", "RUNBOOK_", "AZURE_", "DATABASE_")
ROOT = Path(__file__).resolve().parent.parent
TOKENS = {"bob": "playground-token-of-bob", "alice": "playground-token-of-alice"}  #: bearer tokens of its policy
Door = Literal["socket", "http"]


class BotProcess:
    """The product, started from the command line like anywhere else."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = environment
        self.log = folder / "bot.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start the process; `Stage.wait_until_ready` says when it serves."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bot", "serve"],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        """End it as a power cut would."""
        self._signal(signal.SIGKILL)

    def stop(self) -> int:
        """Ask it to end, and return its exit code."""
        return self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> int:
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(number)
        try:
            return self._process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def command(self, *arguments: str, token: str = "") -> subprocess.CompletedProcess[str]:
        """Run a verb of the command line beside the serving process."""
        return subprocess.run(
            [sys.executable, "-m", "bot", *arguments],
            cwd=self.folder,
            env=self.environment | ({"RUNBOOK_TOKEN": token} if token else {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def log_lines(self) -> list[str]:
        """Return what it has logged so far."""
        return self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How the stage is set."""

    door: Door = "socket"
    database_url: str = ""  #: empty: SQLite in the stage's folder
    speed: float = 50.0  #: how much faster the cloud's clock runs
    runbook_dir: Path = ROOT / "runbooks"
    policy: Path = Path(__file__).with_name("policy.yaml")
    port: int = 0  #: of the simulated Slack; 0 takes a free one


class Stage:
    """Everything started and connected. Use it in a `with` block."""

    def __init__(self, setting: Setting | None = None, *, routes: Sequence[web.RouteDef] = ()) -> None:
        """`routes` adds pages to the simulated Slack's port."""
        self.setting = setting or Setting()
        self._folder = tempfile.TemporaryDirectory(prefix="runbook-playground-")
        self.folder = Path(self._folder.name)
        self.slack = SlackWorkspace.start(port=self.setting.port, routes=routes)
        self.cloud = AzureCloud.start(speed=self.setting.speed)
        self.http_port = free_port()
        self.bot = BotProcess(self.folder, self._environment())
        self._over = False

    @property
    def http_url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def database_url(self) -> str:
        return self.bot.environment["DATABASE_URL"]

    def start_bot(self) -> None:
        """Start the bot and wait until it serves."""
        if self._over:
            raise RuntimeError("the playground has ended; nothing can be started in it any more")
        self.bot.start()
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Return when the bot says that it is ready and Slack can reach it."""
        pause = threading.Event()
        for _ in range(int(PATIENCE_SECONDS / 0.05)):
            if not self.bot.running:
                tail = "\n".join(self.bot.log_lines()[-20:])
                raise RuntimeError(f"the bot has ended while starting; its log ends with:\n{tail}")
            if self._answers("/readyz"):
                break
            pause.wait(0.05)  # another process has no condition to wait on
        else:
            raise TimeoutError(f"the bot was not ready within {PATIENCE_SECONDS:.0f} s; see {self.bot.log}")
        if self.setting.door == "http":
            self.slack.deliver_via("http", request_url=f"{self.http_url}/slack/events")
        else:
            self.slack.wait_until_connected(2)

    def stop(self) -> None:
        """End everything that was started here."""
        self._over = True
        self.bot.stop()
        self.cloud.stop()
        self.slack.stop()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _answers(self, path: str) -> bool:
        try:
            with urllib.request.urlopen(self.http_url + path, timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _environment(self) -> dict[str, str]:
        """The bot's whole environment: nothing of the caller's Slack, Azure or proxies reaches it."""
        kept = {k: v for k, v in os.environ.items() if k not in PROXIES and not k.startswith(OURS)}
        database = self.setting.database_url or f"sqlite:///{self.folder / 'runbook.db'}"
        door = (
            {"SLACK_APP_TOKEN": self.slack.app_token}
            if self.setting.door == "socket"
            else {"SLACK_SIGNING_SECRET": self.slack.signing_secret}
        )
        return (
            kept
            | self.cloud.environment()
            | door
            | {
                "SLACK_BOT_TOKEN": self.slack.bot_token,
                "SLACK_API_URL": self.slack.base_url,
                "DATABASE_URL": database,
                "RUNBOOK_DIR": str(self.setting.runbook_dir),
                "RUNBOOK_POLICY": str(self.setting.policy),
                "RUNBOOK_HTTP_PORT": str(self.http_port),
                "RUNBOOK_CHANNEL": "C0OPS",
                "RUNBOOK_POLL_SECONDS": "0.2,0.3,0.5,1",
                "AZURE_RATE_SHARE": str(0.8 * self.setting.speed),
                "PYTHONUNBUFFERED": "1",
                "PYTHONPATH": str(ROOT),
            }
        )


def free_port() -> int:
    """Return a port that nobody uses on loopback now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
