"""How much gets done per second: sessions started, steps run to their end, messages sent, and a restart survived.

Nothing waits for people or machines here, so that the product and its database are the only limit. Ratios are to
the rate of durable commits in the same run: 1.0 would be one commit for each.
"""

from __future__ import annotations

import threading
from pathlib import Path

from sqlalchemy import func, select, text, update

from engine.model import SessionStatus
from storage.ledgers import OutboxRow
from storage.tables import SessionRow
from tests.benchmarks.clicks import calm
from tests.benchmarks.filling import copy_session
from tests.benchmarks.floors import CommitFloor
from tests.benchmarks.installation import Installation
from tests.benchmarks.measuring import Result, Samples, Sizes, timed

STEPS = 3  #: of the runbook that asks nobody
RECOVERY_SECONDS = 10.0
POLL_SECONDS = 0.005


def sessions(database: str, url: str, folder: Path, sizes: Sizes) -> list[Result]:
    """Sessions started one after the other, none of which may run yet."""
    with Installation(url, folder) as it:
        it.starts()
        calm(it)
        floor = commit_rate(url, sizes.samples)
        seconds = timed(lambda: [it.starts() for _ in range(sizes.sessions)])
    return [_rate("sessions-started", database, sizes.sessions / seconds, floor)]


def steps(database: str, url: str, folder: Path, sizes: Sizes) -> list[Result]:
    """Sessions of three steps that ask nobody: from the first start until all are over."""
    with Installation(url, folder) as it:
        it.starts("runs")
        calm(it)
        floor = commit_rate(url, sizes.samples)

        def work() -> None:
            for _ in range(sizes.sessions):
                it.starts("runs")
            until_over(it, sizes.sessions + 1)

        seconds = timed(work)
    return [_rate("steps", database, STEPS * sizes.sessions / seconds, floor)]


def running_steps(url: str, folder: Path, number: int) -> None:
    """Leave this many steps that run, as a process does that is killed."""
    with Installation(url, folder) as it:
        it.machines.holding.set()
        session = it.starts("runs")
        it.machines.ended.wait_for(1)
        calm(it)
    with it.database.engine.begin() as connection:
        connection.execute(text("UPDATE attempts SET status = 'running'"))
        connection.execute(text("UPDATE attempts SET next_check_at = created_at, owner = 'bot-of-before'"))
    it.database.close()
    copy_session(url, session.id, number - 1)


def recovery(database: str, url: str, folder: Path, sizes: Sizes) -> list[Result]:
    """A new process finds steps that run: until every one of them is over, from its own first moment."""
    it = Installation(url, folder)

    def work() -> None:
        it.__enter__()
        it.machines.ended.wait_for(sizes.recovered)

    seconds = timed(work)
    it.__exit__()
    return [
        Result(benchmark="recovery", database=database, median=seconds, unit="s", holds=seconds <= RECOVERY_SECONDS)
    ]


def outbox(database: str, url: str, folder: Path, sizes: Sizes) -> list[Result]:
    """Messages to as many channels, wanted at once and shown by a Slack that takes no time."""
    with Installation(url, folder) as it:
        session = it.starts()
        calm(it)
    copy_session(url, session.id, sizes.messages)
    new = {"state": "ready", "ts": "", "sent_revision": 0}
    with it.database.engine.begin() as connection:
        connection.execute(update(OutboxRow).where(OutboxRow.session_id > session.id).values(new))
    it.database.close()
    floor = commit_rate(url, sizes.samples)
    it = Installation(url, folder)

    def work() -> None:
        it.__enter__()
        it.slack.shown.wait_for(2 * sizes.messages)

    seconds = timed(work)
    it.__exit__()
    return [_rate("outbox", database, 2 * sizes.messages / seconds, floor)]


def until_over(it: Installation, number: int) -> None:
    """Wait until this many sessions are completed."""
    over = select(func.count()).where(SessionRow.status == SessionStatus.COMPLETED)
    pause = threading.Event()
    it.machines.ended.wait_for(number)
    while True:
        with it.database.engine.connect() as connection:
            if connection.execute(over).scalar_one() >= number:
                return
        pause.wait(POLL_SECONDS)


def commit_rate(url: str, samples: int) -> float:
    """Return how many durable commits the database takes in a second, one after the other."""
    commit, taken = CommitFloor(url), Samples()
    for _ in range(samples):
        taken.take(commit)
    commit.close()
    return 1 / taken.median


def _rate(name: str, database: str, rate: float, floor: float) -> Result:
    return Result(benchmark=name, database=database, median=rate, unit="per s", ratio=floor / rate)
