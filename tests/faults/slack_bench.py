"""What the Slack fault tests share: an office whose clock can be moved, and a record of what Slack has delivered.

A recorded delivery can be sent again later, as Slack does and as somebody with a copy could. Nothing here acknowledges,
dedupes or decides anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from bot.slack import build_app
from bot.socket_mode import SocketMode
from playground.slack import SlackWorkspace
from playground.slack.delivery import Answer, Delivery, Transport, new_envelope_id
from storage.database import open_database
from tests.bot.listeners.office import RUNBOOK, Office
from tests.fakes.clock import MovableClock


class LateOffice(Office):
    """The office on a clock that a test moves ahead."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.app.listener_runner.listener_executor.shutdown()
        self.clock = MovableClock()
        self.service, self.requests = self._core()
        self.desk = replace(self.desk, service=self.service, requests=self.requests, clock=self.clock)
        self.app = build_app(self.desk, self.client, signing_secret=self.workspace.signing_secret)


@dataclass
class Recorder:
    """A way to the bot that keeps what went over it; see ``playground.slack.delivery.Transport``."""

    way: Transport
    sent: list[Delivery] = field(default_factory=list)

    async def send(self, delivery: Delivery) -> Answer:
        self.sent.append(delivery)
        return await self.way.send(delivery)


@contextmanager
def open_office(workspace: SlackWorkspace, where: Path | str, folder: Path) -> Iterator[LateOffice]:
    """The bot's Slack side on two real sockets; its database is a file, or at an address."""
    runbooks = folder / "runbooks"
    runbooks.mkdir(parents=True)
    (runbooks / "restart-web.yaml").write_text(RUNBOOK, encoding="utf-8")
    database = open_database(where if isinstance(where, str) else f"sqlite:///{where}")
    made = LateOffice(workspace, database, runbooks)
    sockets = SocketMode(made.app, workspace.app_token, clock=made.clock)
    sockets.start()
    workspace.wait_until_connected(2)
    try:
        yield made
    finally:
        sockets.close()
        made.close()
        database.close()


def recorded(office: Office) -> Recorder:
    """Keep every delivery from now on."""
    dispatcher = office.workspace._dispatcher
    kept = Recorder(dispatcher.transport)
    dispatcher.transport = kept
    return kept


def again(office: LateOffice, delivery: Delivery, *, new_envelope: bool = True, seconds: float = 0.0) -> Answer:
    """Deliver the same thing once more, so many seconds later."""
    if seconds:
        office.clock.advance(seconds=seconds)
        office.workspace.clock.advance(seconds)
    envelope = new_envelope_id(office.workspace.world) if new_envelope else delivery.envelope_id
    sent_at = office.workspace.clock.now()
    return office.workspace.deliver(replace(delivery, envelope_id=envelope, sent_at=sent_at, retry_num=1))
