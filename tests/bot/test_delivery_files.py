"""Long outputs as files: behind their result, once, and never in the way of what follows."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from slack_sdk import WebClient
from sqlalchemy import update

from bot.delivery_render import Parcel
from bot.delivery_sender import SlackSender
from engine.effects import Purpose
from engine.model import Output, Session
from playground.slack import FaultKind, SlackWorkspace
from playground.slack.clock import Clock as SlackClock
from playground.slack.state import AppConfig
from storage.ledgers import OutboxRow
from tests.bot.delivering import START, PostOffice, SharedClock, folder, new_database, office, rooted, ws

__all__ = ["folder", "office", "rooted", "ws"]


def test_a_long_output_comes_as_a_file_behind_its_result(office: PostOffice, rooted, ws: SlackWorkspace) -> None:
    text = "".join(f"line {number}\n" for number in range(200))
    office.ended_with(rooted, Output(stdout=text, stdout_bytes=len(text)))

    office.drain()

    (file,) = ws.channel("ops").files()
    assert file.content == text.encode()
    assert file.thread_ts == office.row(rooted, Purpose.CARD).ts
    assert "follows as a file" in ws.channel("ops").all()[1].plain()


def test_the_result_of_an_attempt_arrives_even_when_the_next_one_has_begun(
    office: PostOffice, rooted, ws: SlackWorkspace
) -> None:
    first = office.ended_with(rooted, Output(stdout="the first try said this\n", stdout_bytes=24))
    office.tries_again(first)

    office.drain()

    assert "the first try said this" in ws.channel("ops").all()[1].plain()


def test_a_short_output_needs_no_file(office: PostOffice, rooted, ws: SlackWorkspace) -> None:
    office.ended_with(rooted, Output(stdout="ok\n", stdout_bytes=3))

    office.drain()

    assert ws.channel("ops").files() == []
    assert office.row(rooted, Purpose.OUTPUT, 1, 1).state == "sent"


def test_a_file_that_may_not_be_attached_is_replaced_by_words(folder: Path) -> None:
    app = AppConfig(scopes=AppConfig().scopes - {"files:write"})
    with SlackWorkspace.start(clock=SlackClock(frozen_at=START), app=app) as ws:
        office = PostOffice(ws, new_database(folder))
        session = office.session()
        office.deliver()
        office.ended_with(session, Output(stdout="x" * 5000, stdout_bytes=5000))
        office.want(session, Purpose.CLOSING)

        office.drain()
        office.close()

        assert [key.split("/")[2] for key in office.shown()] == ["card", "result", "output", "closing"]
        assert "could not be attached" in ws.channel("ops").all()[2].text


def test_an_unconfirmed_file_is_not_sent_twice(office: PostOffice, rooted, ws: SlackWorkspace) -> None:
    office.ended_with(rooted, Output(stdout="x" * 5000, stdout_bytes=5000))
    ws.faults.switch_on(FaultKind.DROP_AFTER_WORK, on="files.completeUploadExternal")

    office.drain()

    assert len(ws.channel("ops").files()) == 1


def test_a_file_that_was_completed_before_a_crash_is_not_sent_again(
    office: PostOffice, rooted, ws: SlackWorkspace
) -> None:
    office.ended_with(rooted, Output(stdout="x" * 5000, stdout_bytes=5000))
    office.drain()
    forget_sending(office, rooted, Purpose.OUTPUT)

    office.drain()

    assert len(ws.channel("ops").files()) == 1
    assert set(office.stats()) == {"sent"}


class SharedLate(SlackSender):
    """Slack shows a file half a minute after it was taken; the process dies as the first one is."""

    def __init__(self, client: WebClient, clock: SharedClock) -> None:
        super().__init__(client)
        self._clock = clock
        self._taken_at: datetime | None = None

    def send(self, parcel: Parcel, *, repeat: bool = False) -> str:
        ts = super().send(parcel, repeat=repeat)
        if parcel.file and self._taken_at is None:
            self._taken_at = self._clock.now()
            raise SystemExit
        return ts

    def find(self, parcel: Parcel) -> tuple[str, int] | None:
        hidden = self._taken_at is None or self._clock.now() < self._taken_at + timedelta(seconds=30)
        return None if parcel.file and hidden else super().find(parcel)


def test_a_file_that_was_looked_for_in_vain_is_looked_for_anew_after_it_was_sent_and_not_noted(
    office: PostOffice, rooted, ws: SlackWorkspace
) -> None:
    sender = SharedLate(WebClient(ws.bot_token, base_url=ws.base_url), office.clock)
    office.sender = lambda: sender  # type: ignore[method-assign]
    office.restart()
    office.ended_with(rooted, Output(stdout="x" * 5000, stdout_bytes=5000))
    forget_sending(office, rooted, Purpose.OUTPUT)
    office.deliver_for(70)
    assert office.stats()["sending"] == 1

    with office.units() as uow:
        uow.outbox.orphan()  # as the next process begins
        uow.commit()
    office.restart()
    office.drain()

    assert len(ws.channel("ops").files()) == 1


def test_a_file_of_which_nobody_can_see_whether_it_was_sent_is_marked_as_a_repetition(folder: Path) -> None:
    app = AppConfig(scopes=AppConfig().scopes - {"channels:history", "groups:history"})
    with SlackWorkspace.start(app=app, clock=SlackClock(frozen_at=START)) as ws:
        office = PostOffice(ws, new_database(folder))
        session = office.session()
        office.ended_with(session, Output(stdout="x" * 5000, stdout_bytes=5000))
        office.drain()
        forget_sending(office, session, Purpose.OUTPUT)

        office.drain()
        office.close()

        texts = [message.text for message in ws.channel("ops").all() if message.files]
        assert ["may be shown twice" in text for text in texts] == [False, True]


def forget_sending(office: PostOffice, session: Session, purpose: Purpose) -> None:
    """As after a crash between Slack's confirmation and our note."""
    row = OutboxRow.session_id == session.id, OutboxRow.purpose == purpose
    unsure = {"state": "unknown", "sent_revision": 0, "ts": "", "sending_since": None, "error": ""}
    with office.database.engine.begin() as connection:
        connection.execute(update(OutboxRow).where(*row).values(unsure))


def test_a_thread_does_not_wait_for_a_file_for_ever(office: PostOffice, rooted, ws: SlackWorkspace) -> None:
    office.ended_with(rooted, Output(stdout="x" * 5000, stdout_bytes=5000))
    office.want(rooted, Purpose.CLOSING)
    ws.faults.switch_on(FaultKind.RESET_BEFORE_WORK, on="files.getUploadURLExternal", times=None)

    office.drain(most=90)

    assert [key.split("/")[2] for key in office.shown()][-2:] == ["output", "closing"]
