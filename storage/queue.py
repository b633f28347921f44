"""The embedded work queue: a heap in memory that threads work off, filled by commits and by a sweep over the rows.

It may forget everything at any time: the sweep asks the rows what is due and finds it again. No job is in here before
its transaction has committed, and no two threads ever work on the same row.
"""

from __future__ import annotations

import heapq
import logging
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from itertools import count
from weakref import WeakKeyDictionary

from engine.errors import Bug, RunbookError
from engine.ports import Clock, Job, UnitOfWorkFactory

Handlers = Mapping[str, Callable[[str], None]]

log = logging.getLogger(__name__)
SWEEP_LIMIT = 5000  # jobs of each kind in one sweep
SHORTEST_WAIT = 0.05  # seconds; a row that stays due must not turn the sweep into a busy loop


def carry_out(handlers: Handlers, task: str, row_id: str) -> None:
    """Do one job; whatever goes wrong in it must not end the worker."""
    try:
        handlers[task](row_id)
    except Exception:  # the outermost loop of a worker: the row still says what is due, the sweep finds it
        log.exception("job_failed", extra={"task": task, "row": row_id})


class EmbeddedQueue:
    """See ``engine.ports.WorkQueue``. ``sweep_with`` must be told where the rows are before ``run``."""

    def __init__(self, clock: Clock, *, threads: int = 4, sweep_seconds: float = 3.0) -> None:
        self._clock = clock
        self._threads = threads
        self._sweep_seconds = sweep_seconds
        self._units: UnitOfWorkFactory | None = None
        self._uncommitted: WeakKeyDictionary[object, list[Job]] = WeakKeyDictionary()
        self._heap = _Heap()
        self._changed = threading.Condition()
        self._sweep_now = threading.Event()
        self._open = False

    def sweep_with(self, units: UnitOfWorkFactory) -> None:
        """Take units of work from here to ask the rows what is due."""
        self._units = units

    # ------------------------------------------------------------ filling

    def defer(self, tx: object, task: str, row_id: str, not_before: datetime | None = None) -> None:
        with self._changed:
            self._uncommitted.setdefault(tx, []).append(Job(task=task, id=row_id, not_before=not_before))

    def after_commit(self, tx: object) -> None:
        with self._changed:
            self._add(self._uncommitted.pop(tx, []))

    def forget(self) -> None:
        """Drop everything, as a crash would."""
        with self._changed:
            self._heap.clear()

    def wake(self) -> None:
        """Look at the clock and at the rows again now."""
        self._sweep_now.set()

    def waiting(self) -> int:
        """Return how many jobs are known and not being worked on."""
        with self._changed:
            return len(self._heap)

    def _add(self, jobs: list[Job]) -> None:
        if jobs:
            now = self._clock.now()
            for job in jobs:
                self._heap.push(job, job.not_before or now)
            self._changed.notify_all()

    # ------------------------------------------------------------ working

    def run(self, handlers: Handlers, stop: threading.Event) -> None:
        if self._units is None:
            raise Bug("The queue was not told where the rows are.")
        self._open = True
        workers = [
            threading.Thread(target=self._work, args=(handlers,), name=f"worker-{number}")
            for number in range(self._threads)
        ]
        for worker in workers:
            worker.start()
        waker = threading.Thread(target=self._wake_at, args=(stop,), name="queue-stop", daemon=True)
        waker.start()
        try:
            self._sweep_until(stop, self._units)
        finally:
            self._close()
            for worker in workers:
                worker.join()

    def _work(self, handlers: Handlers) -> None:
        while (job := self._take()) is not None:
            try:
                carry_out(handlers, job.task, job.id)
            finally:
                self._finished(job)

    def _take(self) -> Job | None:
        with self._changed:
            while self._open:
                now = self._clock.now()
                job = self._heap.pop(now)
                if job is not None:
                    return job
                due = self._heap.next_due()
                self._changed.wait(max((due - now).total_seconds(), SHORTEST_WAIT) if due else None)
        return None

    def _finished(self, job: Job) -> None:
        with self._changed:
            if self._heap.release(job):
                self._changed.notify_all()

    def _close(self) -> None:
        with self._changed:
            self._open = False
            self._changed.notify_all()

    def _wake_at(self, stop: threading.Event) -> None:
        stop.wait()
        self._sweep_now.set()

    # ------------------------------------------------------------ sweeping

    def _sweep_until(self, stop: threading.Event, units: UnitOfWorkFactory) -> None:
        while not stop.is_set():
            self._sweep_now.clear()
            wait = self._sweep_seconds
            try:
                wait = self._sweep(units)
            except RunbookError as trouble:  # the database is away: what is due stays due
                log.warning("sweep_failed", extra={"code": trouble.code, "reason": trouble.message})
            if not stop.is_set():
                self._sweep_now.wait(wait)

    def _sweep(self, units: UnitOfWorkFactory) -> float:
        """Add what the rows say is due; return the seconds until it is worth looking again."""
        now = self._clock.now()
        with units() as uow:
            jobs = uow.due(now=now, limit=SWEEP_LIMIT)
            following = uow.next_due(now=now)
        with self._changed:
            self._add([job for job in jobs if not self._heap.working_on(job)])
            self._changed.notify_all()  # whoever waits for a time should look at the clock, too
        if following is None:
            return self._sweep_seconds
        return min(self._sweep_seconds, max((following - now).total_seconds(), SHORTEST_WAIT))


class _Heap:
    """Jobs by the time they are due, each once; a row that somebody works on is passed over until it is released."""

    def __init__(self) -> None:
        self._order = count()
        self._entries: list[tuple[datetime, int, Job]] = []
        self._due: dict[tuple[str, str], datetime] = {}
        self._busy: dict[str, Job] = {}
        self._held: list[tuple[datetime, Job]] = []

    def __len__(self) -> int:
        return len(self._due)

    def push(self, job: Job, due: datetime) -> None:
        known = self._due.get((job.task, job.id))
        if known is not None and known <= due:
            return
        self._due[job.task, job.id] = due
        heapq.heappush(self._entries, (due, next(self._order), job))

    def pop(self, now: datetime) -> Job | None:
        while self._entries and self._entries[0][0] <= now:
            due, _, job = heapq.heappop(self._entries)
            if self._due.get((job.task, job.id)) != due:
                continue  # an earlier time for the same job has replaced this entry
            if job.id in self._busy:
                self._held.append((due, job))
                continue
            del self._due[job.task, job.id]
            self._busy[job.id] = job
            return job
        return None

    def release(self, job: Job) -> bool:
        """Let others work on the row; True if somebody was waiting for that."""
        del self._busy[job.id]
        held = [(due, other) for due, other in self._held if other.id == job.id]
        self._held = [(due, other) for due, other in self._held if other.id != job.id]
        for due, other in held:
            heapq.heappush(self._entries, (due, next(self._order), other))
        return bool(held)

    def working_on(self, job: Job) -> bool:
        busy = self._busy.get(job.id)
        return busy is not None and busy.task == job.task

    def next_due(self) -> datetime | None:
        return self._entries[0][0] if self._entries else None

    def clear(self) -> None:
        self._entries, self._due, self._held = [], {}, []
