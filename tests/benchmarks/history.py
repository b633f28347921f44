"""What people look at beside a long history: pending approvals, the status of sessions, the Home tab.

The history is copied by SQL from one session that ran to its end. Each look is timed in turn on a database with the
history and on one without, so the ratio is what a million steps cost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from engine.effects import Purpose
from engine.model import Session, SessionStatus
from engine.ports import Message
from tests.benchmarks.clicks import calm
from tests.benchmarks.filling import copy_session
from tests.benchmarks.installation import ALICE, BOB, Installation
from tests.benchmarks.measuring import Result, Samples, Sizes
from tests.benchmarks.throughput import STEPS, until_over

SLOWER = 1.2  #: how much slower a look may be beside the history
OPEN = 20  #: sessions that wait, in both databases
NEWEST = 20


def looks(it: Installation, session: Session) -> Mapping[str, Callable[[], object]]:
    """Return what people look at, by the name of the benchmark."""
    home = _home_of(it)

    def draw_home() -> None:
        with it.uow() as uow:
            it.renderer.render(uow, home)

    return {
        "history-pending": lambda: it.service.waiting(limit=NEWEST),
        "history-status": lambda: it.service.recent(limit=NEWEST),
        "history-completed": lambda: it.service.recent(status=SessionStatus.COMPLETED, limit=NEWEST),
        "history-of-one": lambda: it.service.recent(requester=ALICE, limit=NEWEST),
        "history-page": lambda: it.service.recent(limit=NEWEST, before=session.id),
        "history-why": lambda: it.service.view(session.id),
        "history-home": draw_home,
    }


def a_past(url: str, folder: Path, steps: int) -> None:
    """Fill a database with this many steps of sessions that are over, then let some wait."""
    with Installation(url, folder) as it:
        over = it.starts("runs")
        until_over(it, 1)
        calm(it)
    copy_session(url, over.id, max(1, steps // STEPS))
    with Installation(url, folder) as it:
        for _ in range(OPEN):
            it.starts()
        calm(it)


def history(database: str, long: str, short: str, folder: Path, sizes: Sizes) -> list[Result]:
    """Time each look on both databases in turn."""
    taken: dict[str, tuple[Samples, Samples]] = {}
    with ExitStack() as stack:
        both = [Installation(url, folder) for url in (long, short)]
        for it in both:
            stack.callback(it.close)
        sides = [looks(it, it.service.waiting(limit=1)[0].session) for it in both]
        for name in sides[0]:
            taken[name] = Samples(), Samples()
            for _ in range(sizes.samples):
                for side, into in zip(sides, taken[name], strict=True):
                    into.take(side[name])
    return [_row(name, database, *samples) for name, samples in taken.items()]


def _home_of(it: Installation) -> Message:
    with it.uow() as uow:
        uow.outbox.publish_home(BOB, force=True)
        found = next(message for message in uow.outbox.claim(now=it.clock.now(), limit=100) if message.user == BOB.user)
    assert found.purpose is Purpose.HOME
    return found


def _row(name: str, database: str, long: Samples, short: Samples) -> Result:
    return Result(
        benchmark=name,
        database=database,
        median=long.median * 1000,
        p99=long.p99 * 1000,
        unit="ms",
        ratio=long.median / short.median,
        holds=long.median <= SLOWER * short.median,
    )
