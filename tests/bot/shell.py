"""The command line as somebody at a prompt has it: settings in the environment, arguments in, text and exit code out.

It runs in this process, because starting Python with the SDKs takes seconds; `main` is the same function.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.cli import main
from bot.settings import Settings
from tests.bot.works import TOKENS

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
NOBODY = "http://127.0.0.1:9/api/"  #: no Slack answers here


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def controls(self) -> set[str]:
        """Characters that would steer a terminal or hide text."""
        text = self.out + self.err
        return {c for c in text if c not in "\n\t" and unicodedata.category(c) in {"Cc", "Cf", "Zl", "Zp"}}


class Shell:
    """A prompt in a folder of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        for name in [*PROXIES, *(str(field.alias) for field in Settings.model_fields.values())]:
            monkeypatch.delenv(name, raising=False)
        monkeypatch.chdir(folder)
        self.set(SLACK_API_URL=NOBODY)

    def set(self, **settings: str) -> None:
        for name, value in settings.items():
            self._monkeypatch.setenv(name, value)

    def login(self, name: str) -> None:
        """Act as somebody from now on."""
        self.set(RUNBOOK_TOKEN=TOKENS[name])

    def run(self, *arguments: str) -> Answer:
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        told = self._capsys.readouterr()
        return Answer(int(ended.value.code or 0), told.out, told.err)
