"""Runs a soak: batch after batch in one process, a sample now and then. Judging is for ``tests.soak.judge``."""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from storage.database import Database, open_database
from storage.migrate import upgrade
from tests.soak.judge import Sample
from tests.soak.world import LANES, Installation


def soak(
    folder: Path, *, sessions: int, every: int, tell: Callable[[Sample], None]
) -> tuple[list[Sample], Installation]:
    """Let so many sessions live; return the samples and the installation, which is closed."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    url = f"sqlite:///{folder / 'soak.db'}"
    upgrade(url)
    database = open_database(url)
    it = Installation(database, folder / "runbooks")
    samples: list[Sample] = []
    done = 0
    try:
        while done < sessions:
            count = min(LANES, sessions - done)
            it.batch(count)
            done += count
            if done // every > (done - count) // every:
                samples.append(sample(done, database))
                tell(samples[-1])
    finally:
        it.close()
        database.close()
    return samples, it


def sample(sessions: int, database: Database) -> Sample:
    """Measure this process, after everything that nobody holds any more is gone."""
    gc.collect()
    return Sample(
        sessions=sessions,
        seconds=time.process_time(),
        memory=int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096,
        objects=len(gc.get_objects()),
        threads=threading.active_count(),
        files=open_files(Path(str(database.engine.url.database))),
        database=size_of(database),
    )


def open_files(database: Path) -> int:
    """Count the open files but for the database's own: its pool opens one connection more when all are busy."""
    names = [str(entry.readlink()) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()]
    return sum(not name.startswith(str(database)) for name in names)


def size_of(database: Database) -> int:
    """Return what the pages in use take, whether they are in the file or still in its log."""
    with database.engine.connect() as connection:
        values = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in ("page_count", "freelist_count")
        ]
        page: int = connection.exec_driver_sql("PRAGMA page_size").scalar_one()
    pages, free = values
    return int((pages - free) * page)
