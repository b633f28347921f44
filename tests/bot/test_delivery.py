"""The outbox worker: what is wanted is shown, once and in order, whatever Slack and the network do."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import structlog

from bot.delivery import DeliverySettings
from bot.delivery_render import Parcel, Renderer
from engine.effects import Purpose
from engine.errors import StorageUnavailable
from engine.model import Place
from engine.ports import Message, Reply, UnitOfWork
from playground.slack import FaultKind, SlackWorkspace
from playground.slack.clock import Clock as SlackClock
from playground.slack.state import AppConfig
from tests.bot.delivering import ALICE, BOB, START, PostOffice, folder, keys, new_database, office, rooted, ws

__all__ = ["folder", "office", "rooted", "ws"]

POST = "chat.postMessage"


# ---------------------------------------------------------------- the plain way


def test_the_card_becomes_the_thread_and_the_rest_follows_in_order(office: PostOffice, ws: SlackWorkspace) -> None:
    session = office.session()
    office.want(session, Purpose.GATE, 1, 1)
    office.want(session, Purpose.CLOSING)

    office.drain()

    root = ws.channel("ops").messages()[0]
    assert office.shown() == keys(session, (Purpose.CARD, 0, 0), (Purpose.GATE, 1, 1), (Purpose.CLOSING, 0, 0))
    assert [message.thread_ts for message in ws.channel("ops").all()] == [None, root.ts, root.ts]


def test_a_gate_arrives_with_its_buttons(office: PostOffice, ws: SlackWorkspace) -> None:
    session = office.session()
    office.want(session, Purpose.GATE, 1, 1)

    office.drain()

    assert ws.channel("ops").all()[1].buttons() == ["Approve & Continue", "Reject"]


def test_every_call_switches_previews_and_name_linking_off(office: PostOffice, rooted) -> None:
    office.want(rooted, Purpose.CARD)
    office.want(rooted, Purpose.GATE, 1, 1)
    office.drain()

    calls = office.calls(POST, "chat.update")

    assert len(calls) == 3
    for flag, value in (("unfurl_links", False), ("unfurl_media", False), ("parse", "none"), ("link_names", False)):
        assert {call.request[flag] for call in calls} == {value}


def test_a_shown_message_is_edited_with_text_and_blocks(office: PostOffice, rooted, ws: SlackWorkspace) -> None:
    office.want(rooted, Purpose.CARD)

    office.deliver()

    (card,) = ws.channel("ops").all()
    assert len(card.edits) == 1
    assert card.blocks
    assert card.edited is None
    assert card.metadata["event_payload"]["revision"] == 2


def test_edits_that_were_wanted_in_a_hurry_become_one(office: PostOffice, rooted) -> None:
    for _ in range(20):
        office.want(rooted, Purpose.CARD)

    office.drain()

    assert office.count("chat.update") == 1
    assert office.row(rooted, Purpose.CARD).sent_revision == 21


def test_a_card_that_somebody_deleted_is_posted_again(office: PostOffice, rooted, ws: SlackWorkspace) -> None:
    with ws.world.lock:
        ws.world.channels["C0OPS"].messages.clear()
    office.want(rooted, Purpose.CARD)

    office.drain()

    assert [message.ts for message in ws.channel("ops").all()] == [office.row(rooted, Purpose.CARD).ts]


# ---------------------------------------------------------------- in doubt


@pytest.mark.parametrize(
    "fault", [FaultKind.DROP_AFTER_WORK, FaultKind.RESET_BEFORE_WORK, FaultKind.SERVER_ERROR], ids=str
)
@pytest.mark.parametrize("purpose", [Purpose.CARD, Purpose.GATE], ids=str)
def test_a_post_that_was_not_confirmed_is_shown_exactly_once(
    office: PostOffice, ws: SlackWorkspace, fault: FaultKind, purpose: Purpose
) -> None:
    session = office.session()
    if purpose is Purpose.GATE:
        office.deliver()
        office.want(session, Purpose.GATE, 1, 1)
    ws.faults.switch_on(fault, on=POST)

    office.drain()

    assert ws.faults.count(fault) == 1
    assert len(office.shown()) == len(set(office.shown())) == (2 if purpose is Purpose.GATE else 1)
    assert office.stats() == {"sent": len(office.shown())}


def test_a_post_in_doubt_is_looked_up_before_it_is_sent_again(office: PostOffice, ws: SlackWorkspace) -> None:
    session = office.session()
    ws.faults.switch_on(FaultKind.DROP_AFTER_WORK, on=POST)

    office.deliver()
    before = office.row(session, Purpose.CARD)
    office.drain()

    assert before.state == "unknown"
    assert office.count("conversations.history") == 1
    assert office.count(POST) == 1
    assert office.row(session, Purpose.CARD).ts == ws.channel("ops").all()[0].ts


def test_doubt_outlives_a_look_that_slack_did_not_allow(office: PostOffice, ws: SlackWorkspace) -> None:
    office.session()
    ws.faults.switch_on(FaultKind.DROP_AFTER_WORK, on=POST)
    ws.faults.switch_on(FaultKind.RATE_LIMITED, on="conversations.history", seconds=5)

    office.drain()

    assert office.count("conversations.history") == 2
    assert len(office.shown()) == 1


def test_doubt_outlives_the_wait_for_a_turn(office: PostOffice, ws: SlackWorkspace) -> None:
    others = [office.session() for _ in range(4)]
    office.drain()
    ws.clock.advance(10)
    session = office.session()
    ws.faults.switch_on(FaultKind.DROP_AFTER_WORK, on=POST)
    office.deliver()
    for other in others:
        office.want(other, Purpose.GATE, 1, 1)
    ws.clock.advance(3)

    office.deliver()
    waiting = office.row(session, Purpose.CARD).state
    office.drain()

    assert waiting == "unknown"
    assert office.shown().count(keys(session, (Purpose.CARD, 0, 0))[0]) == 1


def test_a_worker_that_died_between_post_and_record_leaves_one_message(office: PostOffice, ws: SlackWorkspace) -> None:
    session = office.session()
    with office.units() as uow:
        (claimed,) = uow.outbox.claim(now=office.clock.now(), limit=10)
        uow.commit()
        parcel = Renderer(office.clock).render(uow, claimed)
    assert parcel is not None
    office.sender().send(parcel)

    ws.clock.advance(61)
    office.restart()
    office.drain()

    assert office.shown() == keys(session, (Purpose.CARD, 0, 0))
    assert office.row(session, Purpose.CARD).ts == ws.channel("ops").all()[0].ts


def test_an_adopted_message_that_is_out_of_date_is_edited(office: PostOffice, ws: SlackWorkspace) -> None:
    session = office.session()
    ws.faults.switch_on(FaultKind.DROP_AFTER_WORK, on=POST)
    office.deliver()
    office.want(session, Purpose.CARD)

    office.drain()

    (card,) = ws.channel("ops").all()
    assert card.metadata["event_payload"]["revision"] == 2
    assert office.row(session, Purpose.CARD).sent_revision == 2


def test_without_the_right_to_look_a_repetition_says_that_it_may_be_one(folder: Path) -> None:
    scopes = AppConfig().scopes - {"channels:history"}
    with SlackWorkspace.start(clock=SlackClock(frozen_at=START), app=AppConfig(scopes=scopes)) as ws:
        office = PostOffice(ws, new_database(folder))
        office.session()
        ws.faults.switch_on(FaultKind.DROP_AFTER_WORK, on=POST)

        office.drain()
        office.close()

        first, second = ws.channel("ops").all()
        assert "may be shown twice" not in first.text
        assert "may be shown twice" in second.text


def test_doubt_outlives_a_repetition_that_slack_put_off(folder: Path) -> None:
    scopes = AppConfig().scopes - {"channels:history"}
    with SlackWorkspace.start(clock=SlackClock(frozen_at=START), app=AppConfig(scopes=scopes)) as ws:
        office = PostOffice(ws, new_database(folder))
        office.session()
        ws.faults.switch_on(FaultKind.DROP_AFTER_WORK, on=POST)
        office.deliver()
        ws.faults.switch_on(FaultKind.RATE_LIMITED, on=POST, seconds=5)

        office.drain()
        office.close()

        assert office.count(POST) == 3
        assert ["may be shown twice" in post.text for post in ws.channel("ops").all()] == [False, True]


# ---------------------------------------------------------------- patience


@pytest.mark.parametrize("fault", [FaultKind.RATE_LIMITED, FaultKind.RATE_LIMITED_EMPTY], ids=str)
def test_slacks_wish_for_patience_is_kept_in_the_row_and_survives_a_restart(
    office: PostOffice, ws: SlackWorkspace, fault: FaultKind
) -> None:
    session = office.session()
    ws.faults.switch_on(fault, on=POST, seconds=30)
    office.deliver()

    office.restart()
    office.deliver_for(29)
    early = office.count(POST)
    office.drain()

    row = office.row(session, Purpose.CARD)
    assert early == 1
    assert (row.state, row.tries) == ("sent", 0)
    assert office.count(POST) == 2


def test_a_channel_gets_no_more_than_slack_allows(office: PostOffice, ws: SlackWorkspace) -> None:
    sessions = [office.session() for _ in range(8)]
    for session in sessions:
        office.want(session, Purpose.GATE, 1, 1)

    seconds = office.drain()

    assert len(office.shown()) == 16
    assert [call.note for call in office.calls(POST) if not call.ok] == []
    assert 13 <= seconds <= 16


def test_after_an_hour_of_silence_everything_arrives_once_in_order_and_at_slacks_pace(
    office: PostOffice, ws: SlackWorkspace
) -> None:
    channels = ("C0OPS", "C0RANDOM", "C0PRIVATE")
    sessions = [office.session(channels[number % 3]) for number in range(12)]
    for session in sessions:
        office.want(session, Purpose.GATE, 1, 1)
        office.want(session, Purpose.RESULT, 1, 1)
        office.want(session, Purpose.CLOSING)
    for kind in (FaultKind.RESET_BEFORE_WORK,):
        ws.faults.switch_on(kind, times=None)
    office.deliver_for(3600, step=20)
    assert office.shown() == []

    ws.faults.clear()
    seconds = office.drain()

    largest = 16  # messages of the fullest channel, one per second
    assert seconds <= largest * 1.2 + 15
    for number, session in enumerate(sessions):
        name = ("ops", "random", "private")[number % 3]
        mine = [key for key in office.shown(name) if key.startswith(f"session/{session.id}/")]
        assert [key.split("/")[2] for key in mine] == ["card", "gate", "result", "closing"]
    assert [call.note for call in office.calls(POST) if call.note.startswith("HTTP 429")] == []


def test_decisions_go_before_progress_when_edits_are_scarce(office: PostOffice, ws: SlackWorkspace) -> None:
    sessions = [office.session("C0OPS" if number % 2 else "C0RANDOM") for number in range(12)]
    for session in sessions:
        office.want(session, Purpose.GATE, 1, 1)
    office.drain()
    for session in sessions:
        office.want(session, Purpose.CARD)
    office.want(sessions[-1], Purpose.GATE, 1, 1)
    before = len(office.calls("chat.update"))

    office.deliver()
    office.deliver()

    edited = [call.request["metadata"]["event_payload"]["outbox"] for call in office.calls("chat.update")[before:]]
    cards = [key for key in edited if "/card/" in key]
    assert keys(sessions[-1], (Purpose.GATE, 1, 1))[0] in edited
    assert len(cards) < 12


# ---------------------------------------------------------------- one bad message


def test_an_archived_channel_parks_its_message_tells_the_requester_and_delays_nobody(
    office: PostOffice, ws: SlackWorkspace
) -> None:
    bad = office.session("C0ARCHIVED")
    good = office.session("C0OPS")

    office.deliver()

    parked = office.row(bad, Purpose.CARD)
    assert (parked.state, parked.error) == ("dead", "is_archived")
    assert office.row(good, Purpose.CARD).state == "sent"
    (told,) = ws.direct("alice").all()
    assert f"Session {bad.id}" in told.text
    assert "the channel is archived" in told.text


def test_a_channel_without_the_bot_is_named_with_its_cure(office: PostOffice, ws: SlackWorkspace) -> None:
    office.session("C0NOBOT")

    office.drain()

    assert "/invite @Runbook Bot" in ws.direct("alice").all()[0].text


def test_one_message_that_always_fails_does_not_hold_up_its_channel(office: PostOffice, ws: SlackWorkspace) -> None:
    bad = office.session()
    office.deliver()
    ws.faults.switch_on(FaultKind.SERVER_ERROR, on=POST)
    office.want(bad, Purpose.GATE, 1, 1)
    office.deliver()

    good = office.session()
    office.deliver_for(2)

    assert office.row(good, Purpose.CARD).state == "sent"


class BadLayout(Renderer):
    """Renders a layout that Slack refuses."""

    def render(self, uow: UnitOfWork, message: Message) -> Parcel | None:
        parcel = super().render(uow, message)
        assert parcel is not None
        assert parcel.rendered is not None
        return replace(parcel, rendered=replace(parcel.rendered, blocks=[{"type": "header"}]))


def test_a_layout_that_slack_refuses_is_shown_as_words(ws: SlackWorkspace, folder: Path) -> None:
    office = PostOffice(ws, new_database(folder), renderer=BadLayout)
    session = office.session()

    office.drain()
    office.close()

    (message,) = ws.channel("ops").all()
    assert message.blocks == []
    assert f"Session {session.id}:" in message.text
    assert "Shown without its layout" in message.text


def test_while_the_token_is_refused_nothing_is_given_up(office: PostOffice, ws: SlackWorkspace) -> None:
    ws.revoke_token()
    session = office.session()
    with structlog.testing.capture_logs() as records:
        office.deliver_for(120, step=10)
    waiting = office.row(session, Purpose.CARD)

    ws.revoke_token(revoked=False)
    office.drain()

    assert waiting.state == "ready"
    assert office.count(POST) <= 4
    assert "slack_refuses_token" in [record["event"] for record in records]
    assert len(office.shown()) == 1


# ---------------------------------------------------------------- people, homes


def test_a_person_is_told_through_slacks_address_for_the_answer(office: PostOffice, ws: SlackWorkspace) -> None:
    path = ws.world.new_response_url(user_id=ALICE.user, channel_id="C0SECRET")
    url = ws.base_url.replace("/api/", f"/response/{path}")
    with structlog.testing.capture_logs() as records:
        office.tell(
            "Not in that channel.", place=Place(team="T0DEMO", channel="C0SECRET"), reply=Reply(response_url=url)
        )
        office.drain()

    assert [message.text for message in ws.world.ephemerals[ALICE.user]] == ["Not in that channel."]
    assert path not in str(records)


def test_when_that_address_has_expired_the_channel_is_used(office: PostOffice, ws: SlackWorkspace) -> None:
    path = ws.world.new_response_url(user_id=ALICE.user, channel_id="C0OPS")
    url = ws.base_url.replace("/api/", f"/response/{path}")
    ws.clock.advance(31 * 60)

    office.tell("Too late for the other way.", reply=Reply(response_url=url))
    office.drain()

    assert [message.text for message in ws.world.ephemerals[ALICE.user]] == ["Too late for the other way."]
    assert office.count("chat.postEphemeral") == 1


def test_what_cannot_be_whispered_in_a_channel_is_told_directly(office: PostOffice, ws: SlackWorkspace) -> None:
    office.tell("You are not there.", place=Place(team="T0DEMO", channel="C0ARCHIVED"))

    office.drain()

    assert [message.text for message in ws.direct("alice").all()] == ["You are not there."]


def test_a_home_is_published_with_what_waits_for_that_person(office: PostOffice, ws: SlackWorkspace) -> None:
    office.session()
    with office.units() as uow:
        uow.outbox.publish_home(BOB, force=True)
        uow.commit()

    office.drain()

    assert "Approve & Continue" in ws.world.homes[BOB.user].buttons()
    assert "echo 'step 1'" in ws.world.homes[BOB.user].plain()


# ---------------------------------------------------------------- the loop


def test_the_loop_delivers_when_it_is_woken_and_ends_when_it_is_stopped(ws: SlackWorkspace, folder: Path) -> None:
    office = PostOffice(ws, new_database(folder), settings=DeliverySettings(poll_seconds=60))
    stop = threading.Event()
    loop = threading.Thread(target=office.deliverer.run, args=(stop,))
    loop.start()

    office.session()
    office.deliverer.wake()
    ws.wait_for(lambda: ws.world.channels["C0OPS"].messages)
    stop.set()
    office.deliverer.wake()
    loop.join(10)

    assert not loop.is_alive()
    assert office.stats() == {"sent": 1}
    office.close()


def test_looking_at_an_empty_outbox_commits_nothing_that_would_wake_the_loop_again(office: PostOffice) -> None:
    before = office.queue.commits

    office.deliverer.turn()

    assert office.queue.commits == before


def test_the_loop_looks_again_when_a_message_that_was_put_off_is_due(folder: Path) -> None:
    """Slack's second per message must not become two because rows are looked at once per minute."""
    with SlackWorkspace.start() as ws:
        office = PostOffice(ws, new_database(folder), settings=DeliverySettings(poll_seconds=60))
        for _ in range(5):
            office.session()
        stop = threading.Event()
        loop = threading.Thread(target=office.deliverer.run, args=(stop,))
        loop.start()

        ws.wait_for(lambda: len(ws.world.channels["C0OPS"].messages) == 5)
        stop.set()
        office.deliverer.wake()
        loop.join(10)
        office.close()

    assert not loop.is_alive()


class Broken(Renderer):
    """Breaks on the first message it is given."""

    broke = False

    def render(self, uow: UnitOfWork, message: Message) -> Parcel | None:
        if not self.broke:
            self.broke = True
            raise RuntimeError("broken on purpose")
        return super().render(uow, message)


def test_a_bug_in_one_message_ends_neither_the_loop_nor_the_message(ws: SlackWorkspace, folder: Path) -> None:
    office = PostOffice(ws, new_database(folder), renderer=Broken)
    first, second = office.session("C0OPS"), office.session("C0RANDOM")

    with structlog.testing.capture_logs():
        office.deliver()
    ws.clock.advance(timedelta(seconds=61).total_seconds())
    office.drain()
    office.close()

    assert [office.row(each, Purpose.CARD).state for each in (first, second)] == ["sent", "sent"]


class Away(Renderer):
    """The database goes away as the first message is about to be drawn, and is back a moment later."""

    gone = False

    def render(self, uow: UnitOfWork, message: Message) -> Parcel | None:
        if not self.gone:
            self.gone = True
            raise StorageUnavailable("The database server cannot be reached.")
        return super().render(uow, message)


def test_a_database_that_is_away_before_sending_delays_the_message_by_a_moment_only(
    ws: SlackWorkspace, folder: Path
) -> None:
    office = PostOffice(ws, new_database(folder), renderer=Away)
    session = office.session()

    with structlog.testing.capture_logs() as logged:
        office.deliver()
    office.close()

    assert office.row(session, Purpose.CARD).state == "sent"
    assert [line["event"] for line in logged] == ["outbox_waits_for_database"]


def test_a_turn_without_a_database_is_one_line_in_the_log(office: PostOffice) -> None:
    stop = threading.Event()

    def away() -> UnitOfWork:
        stop.set()
        raise StorageUnavailable("The database server cannot be reached.")

    office.deliverer._uow = away
    with structlog.testing.capture_logs() as logged:
        office.deliverer.run(stop)

    assert [(line["event"], "exc_info" in line) for line in logged] == [("delivery_without_database", False)]
