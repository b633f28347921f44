"""The clock wakes everything on time, never twice at once, and one failing wake-up stops no other."""

from __future__ import annotations

import threading

from bot.scheduler import Clockwork

PATIENCE = 30.0
OFTEN = 0.01  #: seconds between two ticks


def test_each_wake_up_comes_again_and_again():
    ticks = {"sweep": threading.Semaphore(0), "outbox": threading.Semaphore(0)}
    clockwork = Clockwork({name: tick.release for name, tick in ticks.items()}, seconds=OFTEN)

    clockwork.start()
    came = [tick.acquire(timeout=PATIENCE) for tick in ticks.values() for _ in range(3)]
    clockwork.stop()

    assert all(came)


def test_slow_wake_up_is_never_running_twice():
    running, most, ticks = threading.Semaphore(1), [], threading.Semaphore(0)

    def slow() -> None:
        most.append(running.acquire(blocking=False))
        ticks.release()
        threading.Event().wait(OFTEN * 5)  # longer than the interval
        running.release()

    clockwork = Clockwork({"slow": slow}, seconds=OFTEN)
    clockwork.start()
    came = [ticks.acquire(timeout=PATIENCE) for _ in range(3)]
    clockwork.stop()

    assert all(came)
    assert all(most)


def test_failing_wake_up_neither_ends_itself_nor_the_others():
    failed, fine = threading.Semaphore(0), threading.Semaphore(0)

    def fail() -> None:
        failed.release()
        raise ValueError("the database is away")

    clockwork = Clockwork({"fail": fail, "fine": fine.release}, seconds=OFTEN)
    clockwork.start()
    came = [each.acquire(timeout=PATIENCE) for each in (failed, failed, fine, fine)]
    clockwork.stop()

    assert all(came)


def test_nothing_ticks_after_stopping_and_stopping_waits_for_what_runs():
    begun, ended = threading.Event(), threading.Event()
    go_on = threading.Event()

    def work() -> None:
        begun.set()
        go_on.wait(PATIENCE)
        ended.set()

    clockwork = Clockwork({"work": work}, seconds=OFTEN)
    clockwork.start()
    assert begun.wait(PATIENCE)
    stopper = threading.Thread(target=clockwork.stop)
    stopper.start()
    go_on.set()
    stopper.join(PATIENCE)

    assert ended.is_set()
    assert not stopper.is_alive()


def test_stopping_what_never_ticked_is_harmless():
    Clockwork({}).stop()
