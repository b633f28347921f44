"""A post office for tests: a real database, the local Slack workspace and the outbox worker, on one clock."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from slack_sdk import WebClient

from bot.delivery import Deliverer, DeliverySettings
from bot.delivery_render import Renderer
from bot.delivery_sender import SlackSender
from engine import events as ev
from engine.effects import Purpose
from engine.lifecycle import advance
from engine.model import Actor, Attempt, AttemptStatus, Output, Person, Place, Session, Source, StepStatus
from engine.ports import Message, Reply
from playground.slack import SlackWorkspace
from playground.slack.clock import Clock as SlackClock
from playground.slack.journal import Entry
from storage.database import Database, open_database
from storage.migrate import upgrade
from tests.storage.builders import NoQueue, a_draft, a_plan, an_audience, planned

ALICE = Person(team="T0DEMO", user="U0ALICE")
BOB = Person(team="T0DEMO", user="U0BOB")
CAROL = Person(team="T0DEMO", user="U0CAROL")
START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
_numbers = count(1)


@dataclass(frozen=True)
class SharedClock:
    """Our side of the workspace's clock, so that one jump moves both."""

    slack: SlackClock

    def now(self) -> datetime:
        return self.slack.today()


def new_database(folder: Path) -> Database:
    """A migrated database; the tables are made once and copied."""
    template = folder / "template.db"
    if not template.exists():
        upgrade(f"sqlite:///{template}")
    path = folder / f"{next(_numbers)}.db"
    shutil.copy(template, path)
    return open_database(f"sqlite:///{path}")


@dataclass
class PostOffice:
    """What a test drives: want messages, let time pass, deliver, look at Slack."""

    ws: SlackWorkspace
    database: Database
    settings: DeliverySettings = field(default_factory=DeliverySettings)
    renderer: Callable[[SharedClock], Renderer] = Renderer
    opened: list[Deliverer] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.queue = NoQueue()
        self.units = self.database.unit_of_work(self.queue, owner="test")
        self.clock = SharedClock(self.ws.clock)
        self.deliverer = self.restart()

    def restart(self) -> Deliverer:
        """A worker that knows nothing of the one before."""
        self.deliverer = Deliverer(
            self.units,
            self.clock,
            sender=self.sender(),
            renderer=self.renderer(self.clock),
            settings=self.settings,
        )
        self.opened.append(self.deliverer)
        return self.deliverer

    def sender(self) -> SlackSender:
        return SlackSender(WebClient(self.ws.bot_token, base_url=self.ws.base_url))

    def close(self) -> None:
        for deliverer in self.opened:
            deliverer.close()
        self.database.close()

    # ------------------------------------------------------------ wanting

    def session(self, channel: str = "C0OPS", *, card: bool = True) -> Session:
        """A session that waits at its first gate; its card is wanted."""
        draft = a_draft(
            a_plan(planned(1, requires_approval=True), planned(2)),
            audience=replace(an_audience(), approvers=(BOB, CAROL)),
            place=Place(team="T0DEMO", channel=channel),
            requester=Actor(person=ALICE, source=Source.SLACK, name="alice"),
            created_at=self.clock.now(),
        )
        with self.units() as uow:
            stored = uow.sessions.add(draft, request_key=f"delivery-{next(_numbers)}")
            session = advance(stored, ev.Started(), self.clock.now()).session
            uow.sessions.save(session, was=stored)
            if card:
                uow.outbox.show(session, Purpose.CARD)
            uow.commit()
        return session

    def want(self, session: Session, purpose: Purpose, step_number: int = 0, ordinal: int = 0) -> None:
        with self.units() as uow:
            uow.outbox.show(session, purpose, step_number=step_number, ordinal=ordinal)
            uow.commit()

    def tell(self, text: str, *, place: Place | None = None, reply: Reply | None = None) -> None:
        where = place or Place(team="T0DEMO", channel="C0OPS")
        with self.units() as uow:
            uow.outbox.tell(where, ALICE, text, key=f"told-{next(_numbers)}", reply=reply or Reply())
            uow.commit()

    def ended_with(self, session: Session, output: Output) -> Session:
        """Let the first step have run and printed something."""
        attempt = Attempt(id=f"attempt{next(_numbers)}", number=1, status=AttemptStatus.SUCCEEDED)
        step = replace(session.steps[0], status=StepStatus.SUCCEEDED, attempt=attempt, attempts=1, exit_code=0)
        after = replace(session, steps=(step, *session.steps[1:]), version=session.version + 1)
        with self.units() as uow:
            uow.sessions.save(after, was=session)
            uow.sessions.store_output(session.id, 1, output)
            for purpose in (Purpose.RESULT, Purpose.OUTPUT):
                uow.outbox.show(after, purpose, step_number=1, ordinal=1)
            uow.commit()
        return after

    def tries_again(self, session: Session) -> Session:
        """Let another attempt of the first step be running."""
        attempt = Attempt(id=f"attempt{next(_numbers)}", number=2, status=AttemptStatus.RUNNING)
        step = replace(session.steps[0], status=StepStatus.RUNNING, attempt=attempt, attempts=2, exit_code=None)
        after = replace(session, steps=(step, *session.steps[1:]), version=session.version + 1)
        with self.units() as uow:
            uow.sessions.save(after, was=session)
            uow.commit()
        return after

    # ------------------------------------------------------------ delivering

    def deliver(self) -> None:
        """Send all that can go now."""
        while self.deliverer.turn():
            assert self.deliverer.settle()

    def deliver_for(self, seconds: float, *, step: float = 0.5) -> None:
        """Let time pass, delivering as it goes."""
        end = self.clock.now() + timedelta(seconds=seconds)
        self.deliver()
        while self.clock.now() < end:
            self.ws.clock.advance(step)
            self.deliver()

    def drain(self, most: float = 3600) -> float:
        """Deliver until nothing is due any more; returns the seconds it took."""
        begun = self.clock.now()
        self.deliver()
        while self.open_rows():
            assert (self.clock.now() - begun).total_seconds() < most, self.stats()
            self.ws.clock.advance(0.5)
            self.deliver()
        return (self.clock.now() - begun).total_seconds()

    def open_rows(self) -> int:
        return sum(number for state, number in self.stats().items() if state in {"ready", "sending", "unknown"})

    # ------------------------------------------------------------ looking

    def stats(self) -> dict[str, int]:
        with self.units() as uow:
            return dict(uow.outbox.stats())

    def row(self, session: Session, purpose: Purpose, step_number: int = 0, ordinal: int = 0) -> Message:
        with self.units() as uow:
            found = uow.outbox.message(session.id, purpose, step_number=step_number, ordinal=ordinal)
        assert found is not None
        return found

    def shown(self, channel: str = "ops") -> list[str]:
        """The outbox keys of our messages in a channel, oldest first."""
        messages = [message for message in self.ws.channel(channel).all() if message.metadata]
        return [message.metadata["event_payload"]["outbox"] for message in messages if message.metadata]

    def calls(self, *methods: str) -> list[Entry]:
        return [entry for entry in self.ws.journal.calls() if entry.name in methods]

    def count(self, method: str) -> int:
        return Counter(entry.name for entry in self.ws.journal.calls())[method]


def keys(session: Session, *wanted: Sequence[Any]) -> list[str]:
    return [f"session/{session.id}/{purpose.value}/{step}/{ordinal}" for purpose, step, ordinal in wanted]


# ------------------------------------------------------------ fixtures


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("delivery")


@pytest.fixture
def ws() -> Iterator[SlackWorkspace]:
    with SlackWorkspace.start(clock=SlackClock(frozen_at=START)) as workspace:
        yield workspace


@pytest.fixture
def office(ws: SlackWorkspace, folder: Path) -> Iterator[PostOffice]:
    made = PostOffice(ws, new_database(folder))
    yield made
    made.close()


@pytest.fixture
def rooted(office: PostOffice):
    """A session whose card is shown."""
    session = office.session()
    office.deliver()
    return session
