"""Every fault of Azure in every kind of request: sent once, done at most once, and nothing said without evidence.

Predecessor A5 and A7: the SDK's own retries and a re-send after a time-out ran a command up to five times. Faults are
armed in the local Azure, so that the real SDK, its retries, time-outs and parsing are in the loop. Requests that a cell
strikes and that leave the session able to go on are struck in one session of three steps, one trouble each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from engine import events as ev
from engine.model import AttemptStatus, SessionStatus, StepStatus
from engine.worker import Patience
from playground.azure import AzureCloud
from tests.connectors.harness import until
from tests.faults.azure_bench import Bench, Shelf, bench
from tests.faults.azure_trouble import Strikes, Trouble
from tests.storage.databases import migrated_file

__all__ = ["migrated_file"]

WHEN = ("first", "middle", "last")
UNCERTAIN = (408, 500, 502, 503, 504)  #: statuses that do not say whether the work was done
REFUSALS = (409, 429)
HANGS = 0.6  #: seconds until a silent connection is given up, where that is the subject

Open = Callable[..., AbstractContextManager[Bench]]


# ---------------------------------------------------------------- the matrix


def _statuses(statuses: Sequence[int], *, done: bool = False) -> list[Trouble]:
    return [
        Trouble(name=str(status), kind="answer", status=status, done=done, retry_after=patience)
        for status in statuses
        for patience in (None, 1)
    ]


def _silent(*, done: bool) -> list[Trouble]:
    """The answer is lost, late, cut or no JSON."""
    return [Trouble(name=kind, kind=kind, done=done) for kind in ("reset", "hang", "half", "garbage")]


TOKEN = Trouble(name="token", kind="token")
UNDONE = [*_statuses(UNCERTAIN), *_silent(done=False)]
DONE = [*_statuses(UNCERTAIN, done=True), *_silent(done=True)]
REFUSED = _statuses(REFUSALS)
ADOPTED = _statuses((409,), done=True)  #: Azure calls it a conflict, and did it
WRITING = [*UNDONE, *DONE, *REFUSED, TOKEN]
READING = [*_statuses((*UNCERTAIN, *REFUSALS)), *_silent(done=True), Trouble(name="reset", kind="reset"), TOKEN]
GOES_ON = [*DONE, *REFUSED, *ADOPTED]
LOOKUPS = {True: (1, 3, 6), False: (1, 4, 10)}  #: look-ups to strike; the last of a lost one is the one that decides


@dataclass(frozen=True)
class Case:
    """One session: what is struck in it, and so which cells of the matrix it covers."""

    strikes: Strikes
    steps: int

    def __str__(self) -> str:
        lost = {True: "", False: "-never-arrived"}[self.strikes.arrives]
        hits = "_".join(f"{number}:{trouble}" for number, trouble in self.strikes.at.items())
        return f"{self.strikes.operation}{lost}-{hits or self.strikes.for_ever}"

    @property
    def troubles(self) -> tuple[Trouble, ...]:
        return tuple(self.strikes.at.values()) or ((self.strikes.for_ever,) if self.strikes.for_ever else ())


def _rotated(operation: str, troubles: Sequence[Trouble]) -> list[Case]:
    """Each trouble at the first, the middle and the last step, three different ones in each session."""
    size = len(troubles)
    return [
        Case(Strikes(operation=operation, at={n + 1: troubles[(i + n * 7) % size] for n in range(3)}), steps=3)
        for i in range(size)
    ]


def _single(operation: str, troubles: Sequence[Trouble], numbers: Sequence[int], *, arrives: bool = True) -> list[Case]:
    return [
        Case(Strikes(operation=operation, at={number: trouble}, arrives=arrives), steps=1)
        for trouble in troubles
        for number in numbers
    ]


STOPPED = [
    Case(Strikes(operation="submit", at={number: trouble}), steps=3) for trouble in UNDONE for number in (1, 2, 3)
]
TOKENLESS = [Case(Strikes(operation="submit", at={number: TOKEN}), steps=3) for number in (1, 2, 3)]
SUBMITTED = _rotated("submit", GOES_ON)
POLLED = _single("poll", READING, (1, 2, 3))
FOUND = _single("lookup", READING, LOOKUPS[True])
LOST = _single("lookup", READING, LOOKUPS[False], arrives=False)
DELETED = _rotated("delete", WRITING)
NEVER_SEEN = [Case(Strikes(operation="poll", for_ever=trouble, machine_too=True), steps=1) for trouble in READING]
ASKED = [Case(Strikes(operation="poll", for_ever=trouble), steps=1) for trouble in (READING[0], TOKEN)]
NEVER_FOUND = [
    Case(Strikes(operation="lookup", for_ever=trouble, arrives=arrives), steps=1)
    for trouble in READING
    for arrives in (True, False)
]
EVERY = [*STOPPED, *TOKENLESS, *SUBMITTED, *POLLED, *FOUND, *LOST, *DELETED, *NEVER_SEEN, *NEVER_FOUND]

each = partial(pytest.mark.parametrize, "case", ids=str)


def test_matrix_has_every_cell_of_the_promise():
    cells = [
        (case.strikes.operation, case.strikes.arrives, number, trouble)
        for case in EVERY
        for number, trouble in (case.strikes.at or {0: case.strikes.for_ever}).items()
    ]
    names = {trouble.name for *_, trouble in cells if trouble}
    by_operation = {name: sum(cell[0] == name for cell in cells) for name in ("submit", "poll", "lookup", "delete")}

    assert len(set(cells)) == len(cells) == 444
    assert by_operation == {"submit": 105, "poll": 80, "lookup": 160, "delete": 99}
    assert names == {"408", "409", "429", "500", "502", "503", "504", "reset", "hang", "half", "garbage", "token"}


# ---------------------------------------------------------------- the bench


@pytest.fixture(scope="module")
def cloud() -> Iterator[AzureCloud]:
    """One cloud for all cells; each cell has run commands and words of its own."""
    with AzureCloud.start(speed=200.0, bucket_speed=1e6) as running, pytest.MonkeyPatch.context() as environment:
        running.platform.buckets.enabled = False
        for name, value in running.environment().items():
            environment.setenv(name, value)
        for idle in ("rg-prod/web-02", "rg-prod/db-01", "rg-prod/win-01", "rg-staging/web-02"):
            running.vm(idle).deallocate()  # their agents would poll all the time
        yield running


@pytest.fixture(scope="module")
def shelf(migrated_file: Path) -> Iterator[Shelf]:
    with TemporaryDirectory(prefix="runbook-benches-") as made:
        kept = Shelf(migrated_file, Path(made))
        yield kept
        kept.database.close()


@pytest.fixture
def opened(cloud: AzureCloud, shelf: Shelf) -> Open:
    def start(case: Case, **options: object) -> AbstractContextManager[Bench]:
        hangs = any(trouble.kind == "hang" for trouble in case.troubles)
        settings = {"read_seconds": HANGS} if hangs else {}
        given = {"strikes": case.strikes, "steps": case.steps, "settings": settings}
        return bench(cloud, shelf, **(given | options))

    return start


def require_truth(made: Bench) -> None:
    """What holds in every cell, judged by the cloud's ledger and by what happened on the machine."""
    attempts = made.attempts()
    for name, (_, outcome) in attempts.items():
        sent = made.puts(name)
        assert len(sent) == 1 or (not sent and outcome == AttemptStatus.NOT_STARTED), (name, sent, outcome)
        assert not (outcome == AttemptStatus.NOT_STARTED and any(sent)), (name, "was done")
    for step in made.session.steps:
        effects = made.effects(step.number)
        assert effects <= 1
        if step.status is StepStatus.SUCCEEDED:
            assert effects == 1
        elif effects:
            assert step.status is StepStatus.UNKNOWN
        elif step.status is StepStatus.FAILED:
            assert step.attempt
            assert step.attempt.status is AttemptStatus.NOT_STARTED


def require_clean(made: Bench) -> None:
    made.works()
    until(lambda: not made.leftovers())
    assert made.connector.struck


def statuses(made: Bench) -> list[StepStatus]:
    return [step.status for step in made.session.steps]


def tries(made: Bench) -> list[int]:
    return [step.attempts for step in made.session.steps]


# ---------------------------------------------------------------- sending


@each(SUBMITTED)
def test_step_whose_sending_met_trouble_is_done_once_and_shown_as_done(opened: Open, case: Case):
    with opened(case) as made:
        made.works()

        assert statuses(made) == [StepStatus.SUCCEEDED] * 3
        assert tries(made) == [2 if trouble in REFUSED else 1 for trouble in case.troubles]
        require_truth(made)
        require_clean(made)


@each(STOPPED)
def test_step_that_was_lost_on_the_way_is_neither_done_nor_failed_until_its_absence_is_proven(opened: Open, case: Case):
    (number,) = case.strikes.at
    with opened(case) as made:
        made.works_until(lambda: made.connector.struck > 0)
        at_first = made.step(number)
        made.works()
        decisive = made.clock.now()

        assert at_first.status is StepStatus.RUNNING
        assert at_first.attempt
        assert at_first.attempt.status is AttemptStatus.SUBMITTING
        assert at_first.attempt.not_after
        assert decisive > at_first.attempt.not_after
        assert statuses(made)[number - 1 :] == [StepStatus.FAILED, *[StepStatus.PENDING] * (3 - number)]
        assert made.session.status is SessionStatus.NEEDS_ATTENTION
        require_truth(made)
        require_clean(made)


@each(TOKENLESS)
def test_step_for_which_there_was_no_token_was_certainly_not_started_and_waits_for_a_person(opened: Open, case: Case):
    (number,) = case.strikes.at
    with opened(case) as made:
        made.works()

        assert statuses(made)[number - 1 :] == [StepStatus.FAILED, *[StepStatus.PENDING] * (3 - number)]
        assert made.session.status is SessionStatus.NEEDS_ATTENTION
        assert [made.puts(name) for name, (step, _) in made.attempts().items() if step == number] == [[]]
        require_truth(made)
        require_clean(made)


# ---------------------------------------------------------------- watching


@each(POLLED)
def test_poll_that_fails_is_made_again_and_the_result_is_seen(opened: Open, case: Case):
    with opened(case) as made:
        made.works()

        assert statuses(made) == [StepStatus.SUCCEEDED]
        assert made.connector.calls["poll"] == (4 if 3 in case.strikes.at else 3)
        require_truth(made)
        require_clean(made)


@each(NEVER_SEEN)
def test_command_that_cannot_be_watched_any_more_is_unknown_and_waits_for_a_person(opened: Open, case: Case):
    settings = {"poll_seconds": (300.0,), "side_seconds": 0.3, "read_seconds": HANGS}
    with opened(case, settings=settings) as made:
        made.works()

        assert statuses(made) == [StepStatus.UNKNOWN]
        assert made.session.status is SessionStatus.NEEDS_ATTENTION
        assert made.effects(1) == 1
        require_truth(made)
        made.connector.heals()
        made.chooses(ev.Choice.SUCCEEDED)
        require_clean(made)


@each(ASKED)
def test_machine_is_asked_itself_when_azure_cannot_say_what_became_of_a_command(opened: Open, case: Case):
    with opened(case, settings={"poll_seconds": (300.0,)}) as made:
        made.works()

        assert statuses(made) == [StepStatus.SUCCEEDED]
        require_truth(made)
        require_clean(made)


# ---------------------------------------------------------------- looking up


@each(FOUND)
def test_command_whose_answer_was_lost_is_found_although_looking_fails(opened: Open, case: Case):
    (number,) = case.strikes.at
    with opened(case) as made:
        made.works()

        assert statuses(made) == [StepStatus.SUCCEEDED]
        assert tries(made) == [1]
        assert made.connector.calls["lookup"] == number + 1
        require_truth(made)
        require_clean(made)


@each(LOST)
def test_command_that_never_arrived_is_called_so_only_after_a_look_that_worked(opened: Open, case: Case):
    (number,) = case.strikes.at
    with opened(case) as made:
        made.works()

        assert statuses(made) == [StepStatus.FAILED]
        assert made.effects(1) == 0
        assert made.connector.calls["lookup"] == (11 if number == 10 else 10)
        require_truth(made)
        require_clean(made)


@each(NEVER_FOUND)
def test_command_that_can_never_be_looked_up_is_unknown_whether_it_ran_or_not(opened: Open, case: Case):
    with opened(case, patience=Patience(lookups=(0, 300))) as made:
        made.works()

        assert statuses(made) == [StepStatus.UNKNOWN]
        assert made.session.status is SessionStatus.NEEDS_ATTENTION
        require_truth(made)
        until(lambda: made.effects(1) == int(case.strikes.arrives))
        made.connector.heals()
        made.chooses(ev.Choice.FAILED)
        require_clean(made)


# ---------------------------------------------------------------- removing


@each(DELETED)
def test_removal_that_met_trouble_is_asked_for_again_until_nothing_is_left(opened: Open, case: Case):
    with opened(case) as made:
        made.works()

        assert statuses(made) == [StepStatus.SUCCEEDED] * 3
        assert tries(made) == [1, 1, 1]
        require_truth(made)
        require_clean(made)
