"""A process that has everything imported and warm, and forks once for each life: ``python -m`` it.

It reads one plan per line and answers one line for each: how that life ended. It never opens the databases of the
cases itself; each life connects for itself, through the engine that was made (and whose SQL was compiled) before.
"""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from sqlalchemy import event, make_url

from engine.ports import Catalog
from storage.catalog import FileCatalog
from storage.database import Database, open_database
from tests.crash.campaign.life import PATIENCE, Plan, live
from tests.crash.campaign.scenarios import RUNBOOKS

#: lives are in no hurry: people who wait for answers, in tests beside this one, get the processor first
GIVES_WAY = 10
WARM_UP = ("two sessions on one machine", "rollback", "cancel while running", "request lost", "expire", "questions")


class Warm:
    """The database's engine and the runbooks, made once."""

    def __init__(self, url: str, runbooks: Path) -> None:
        self.database: Database = open_database(url)
        self.catalog: Catalog = FileCatalog(runbooks)
        self._url = url
        event.listen(self.database.engine, "do_connect", self._elsewhere)

    def _elsewhere(self, _dialect: object, _record: object, cargs: list[Any], cparams: dict[str, Any]) -> None:
        """Connect to the case's database with an engine that was made for another one."""
        url = make_url(self._url)
        args, params = self.database.engine.dialect.create_connect_args(url)
        cargs[:] = args
        cparams.update(params)

    def live(self, plan: Plan, *, patience: int = PATIENCE) -> int:
        self._url = plan.url
        return live(plan, self.database, self.catalog, patience=patience)


def rehearse(warm: Warm, url: str, template: Path) -> None:
    """Play some scenarios here without a crash, so that no life has to compile SQL or read runbooks again.

    They are judged when they are cases. PostgreSQL has one database to spare, SQLite as many files as are wanted.
    """
    on_sqlite = url.startswith("sqlite")
    with tempfile.TemporaryDirectory() as name:
        for number, scenario in enumerate(WARM_UP if on_sqlite else WARM_UP[:1]):
            folder = Path(name) / str(number)
            folder.mkdir()
            if on_sqlite:
                shutil.copy(template, folder / "runbook.db")
                url = f"sqlite:///{folder / 'runbook.db'}"
            warm.live(Plan(folder=str(folder), url=url, scenario=scenario), patience=0)
            warm.database.engine.dispose()


def main() -> None:
    """Serve plans until the input ends."""
    os.nice(GIVES_WAY)
    url, template, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    for name, text in RUNBOOKS.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    warm = Warm(url, folder)
    rehearse(warm, url, template)
    gc.collect()
    gc.freeze()
    _say("ready")
    for line in sys.stdin:
        if line.startswith("continue "):
            child = int(line.split()[1])
            os.kill(child, signal.SIGCONT)
        else:
            child = _fork(warm, Plan.from_line(line))
        _say(_ended(child))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _fork(warm: Warm, plan: Plan) -> int:
    child = os.fork()
    if child == 0:
        gc.disable()
        os._exit(warm.live(plan))
    return child


def _ended(child: int) -> str:
    """Wait for a life to end or to be halted, and say which."""
    _, status = os.waitpid(child, os.WUNTRACED)
    if os.WIFSTOPPED(status):
        return f"stopped {child}"
    return f"killed {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"ended {os.WEXITSTATUS(status)}"


if __name__ == "__main__":
    main()
