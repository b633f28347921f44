"""Slack on a bad day, through the real SDK: every message is shown once and in order, every command counts once.

Predecessor A5: a repeated delivery ran a command again. Faults are switched on in the local Slack, whose clock is
moved by hand, so that an hour of silence takes seconds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text

from bot.delivery_sender import SlackSender
from engine.effects import Purpose
from engine.model import SessionStatus, StepStatus
from playground.slack import FaultKind, SlackWorkspace
from playground.slack.model import BOT_USER_ID, Channel
from playground.slack.seed import ALICE, BOB, CAROL, DAVE
from tests.bot.delivering import PostOffice, folder, keys, new_database, ws
from tests.bot.listeners.conftest import _no_proxy, database_file, workspace
from tests.faults.slack_bench import LateOffice, again, open_office, recorded
from tests.storage.databases import migrated_file

__all__ = ["_no_proxy", "database_file", "folder", "migrated_file", "workspace", "ws"]

APPROVE = "Approve & Continue"
POST = "chat.postMessage"
THREADS, EACH = 20, 25  #: an hour's worth of waiting messages: 500


class ImpatientOffice(PostOffice):
    """Gives a silent call up after a moment, in place of ten seconds."""

    def sender(self) -> SlackSender:
        made = super().sender()
        made._client.timeout = 0.5  # type: ignore[assignment]  # urllib takes fractions
        return made


@pytest.fixture
def post(ws: SlackWorkspace, folder: Path) -> Iterator[PostOffice]:
    made = ImpatientOffice(ws, new_database(folder))
    yield made
    ws.faults.clear()
    made.close()


# ---------------------------------------------------------------- one message in trouble

FAULTS = {
    "429": FaultKind.RATE_LIMITED,
    "429-empty": FaultKind.RATE_LIMITED_EMPTY,
    "500": FaultKind.SERVER_ERROR,
    "reset-after-accept": FaultKind.DROP_AFTER_WORK,
    "reset-before": FaultKind.RESET_BEFORE_WORK,
    "hang": FaultKind.SLOW_REPLY,
}
STORY = ((Purpose.CARD, 0, 0), (Purpose.GATE, 1, 1), (Purpose.CLOSING, 0, 0))


@pytest.mark.parametrize("times", [1, 3], ids=["once", "thrice"])
@pytest.mark.parametrize("nth", [0, 1, 2], ids=["first", "middle", "last"])
@pytest.mark.parametrize("fault", FAULTS)
def test_thread_is_shown_once_and_in_order_whatever_slack_answers(
    post: PostOffice, ws: SlackWorkspace, fault: str, nth: int, times: int
) -> None:
    session = post.session(card=False)
    for number, (purpose, step, ordinal) in enumerate(STORY):
        post.want(session, purpose, step, ordinal)
        if number == nth:
            ws.faults.switch_on(FAULTS[fault], on=POST, times=times, seconds=2)
        post.drain()

    assert ws.faults.count(FAULTS[fault]) == times or fault in {"reset-after-accept", "hang"}
    assert post.shown() == keys(session, *STORY)
    assert post.stats() == {"sent": 3}


@pytest.mark.parametrize("fault", FAULTS)
def test_edit_in_trouble_is_made_again_and_posts_nothing_new(post: PostOffice, ws: SlackWorkspace, fault: str) -> None:
    session = post.session()
    post.drain()
    ws.faults.switch_on(FAULTS[fault], on="chat.update", seconds=2)

    post.want(session, Purpose.CARD)
    post.drain()

    assert ws.faults.count(FAULTS[fault]) == 1
    assert post.shown() == keys(session, STORY[0])
    assert post.row(session, Purpose.CARD).sent_revision == 2


@pytest.mark.parametrize("fault", ["429", "429-empty"])
def test_nothing_is_posted_to_a_channel_before_slack_said_so(post: PostOffice, ws: SlackWorkspace, fault: str) -> None:
    for _ in range(8):
        post.session()
    ws.faults.switch_on(FAULTS[fault], on=POST, seconds=30)

    post.deliver_for(29)
    early = [call for call in post.calls(POST) if call.ok]
    post.drain()

    assert len(early) <= 2  # those that were under way together with the refused one
    assert len(post.shown()) == 8
    assert post.stats() == {"sent": 8}


# ---------------------------------------------------------------- an hour without Slack


def rooms(ws: SlackWorkspace, number: int) -> list[str]:
    """Make so many channels with everybody in them."""
    everybody = {ALICE, BOB, CAROL, DAVE, BOT_USER_ID}
    made = [Channel(id=f"C0ROOM{n}", name=f"room-{n}", members=everybody) for n in range(number)]
    with ws.world.lock:
        ws.world.channels |= {room.id: room for room in made}
    return [room.id for room in made]


def most_in_ten_seconds(times: list[float]) -> int:
    """The largest number of messages that ten seconds saw."""
    return max(sum(begin <= time < begin + 10 for time in times) for begin in times)


@pytest.mark.parametrize("outage", [FaultKind.RESET_BEFORE_WORK, FaultKind.SERVER_ERROR], ids=str)
def test_hour_without_slack_loses_nothing_and_keeps_every_threads_order(
    post: PostOffice, ws: SlackWorkspace, outage: FaultKind
) -> None:
    channels = rooms(ws, 5)
    sessions = [post.session(channels[n % 5]) for n in range(THREADS)]
    for session in sessions:
        for ordinal in range(1, EACH):
            post.want(session, Purpose.RESULT, 1, ordinal)
    ws.faults.switch_on(outage, times=None)
    post.deliver_for(3600, step=60)
    silence = [message for channel in channels for message in ws.channel(channel).all()]
    ws.faults.clear()
    ws.faults.switch_on(FaultKind.RATE_LIMITED, on=POST, times=5, seconds=3)

    seconds = post.drain()

    refusals = [call for call in post.calls(POST) if call.note.startswith("HTTP 429")]

    assert silence == []
    assert len(refusals) == ws.faults.count(FaultKind.RATE_LIMITED) == 5  # no other: we keep to the pace ourselves
    assert post.stats() == {"sent": THREADS * EACH}
    for number, channel in enumerate(channels):
        mine, times = defaultdict(list), []
        for message in ws.channel(channel).all():
            assert message.metadata
            key = message.metadata["event_payload"]["outbox"]
            mine[key.split("/")[1]].append(key)
            times.append(float(message.ts))
        expected = [session for n, session in enumerate(sessions) if n % 5 == number]
        assert len(mine) == len(expected) == THREADS // 5
        for session in expected:
            story = [(Purpose.CARD, 0, 0), *((Purpose.RESULT, 1, ordinal) for ordinal in range(1, EACH))]
            assert mine[str(session.id)] == keys(session, *story)
        assert most_in_ten_seconds(times) <= 10 + 3  # one in a second, and Slack's small burst
    queue = THREADS * EACH / len(channels)
    assert seconds <= queue * 1.2 + 30


# ---------------------------------------------------------------- deliveries that come again


@pytest.fixture
def office(workspace: SlackWorkspace, database_file: Path, tmp_path: Path) -> Iterator[LateOffice]:
    with open_office(workspace, database_file, tmp_path) as made:
        yield made


def executes(office: LateOffice) -> None:
    office.workspace.person("alice").types("/runbook execute restart-web vm=web-01", channel="ops")


def approves(office: LateOffice) -> None:
    office.waiting_session()
    office.workspace.person("bob").clicks(office.gate(), APPROVE)


def rejects(office: LateOffice) -> None:
    office.waiting_session()
    bob = office.workspace.person("bob")
    bob.clicks(office.gate(), "Reject")
    dialog = bob.modal()
    assert dialog
    bob.submits(dialog, {"reason": "wrong machine"})


def cancels(office: LateOffice) -> None:
    office.waiting_session()
    office.workspace.person("alice").types("/runbook cancel 1", channel="ops")


def opens_home(office: LateOffice) -> None:
    office.workspace.person("bob").opens_home()


ACTS: dict[str, tuple[Callable[[LateOffice], None], str]] = {
    "command": (executes, "session_started"),
    "click": (approves, "step_approve"),
    "submission": (rejects, "step_reject"),
    "cancel": (cancels, "session_cancel_asked"),
    "event": (opens_home, ""),
}
LATER = {"at once": 0, "a minute": 60, "five minutes": 300, "a day": 86_400}


def on_record(office: LateOffice) -> list[tuple[str, object]]:
    """All that the audit says has happened, refusals too."""
    with office.units() as uow:
        return [(record.kind, record.data) for record in uow.audit.records()]


@pytest.mark.parametrize("new_envelope", [False, True], ids=["same-envelope", "new-envelope"])
@pytest.mark.parametrize("later", LATER)
@pytest.mark.parametrize("act", ACTS)
def test_delivery_that_comes_again_changes_nothing(office: LateOffice, act: str, later: str, new_envelope: bool):
    does, kind = ACTS[act]
    kept = recorded(office)
    does(office)
    office.work()
    before = on_record(office)
    with office.units() as uow:
        sessions = [uow.sessions.get(s.id) for s in uow.sessions.recent(limit=9)]

    again(office, kept.sent[-1], new_envelope=new_envelope, seconds=LATER[later])
    office.work()

    with office.units() as uow:
        assert [uow.sessions.get(s.id) for s in uow.sessions.recent(limit=9)] == sessions
    assert [one for one in on_record(office) if one not in before] == []
    assert [what for what, _ in before].count(kind) == (1 if kind else 0)


@pytest.mark.parametrize("act", ACTS)
def test_delivery_that_comes_again_after_a_restart_changes_nothing(
    workspace: SlackWorkspace, database_file: Path, tmp_path: Path, act: str
):
    """The next process, or another replica, knows of the first delivery only what is in the rows."""
    does, _ = ACTS[act]
    with open_office(workspace, database_file, tmp_path / "first") as before:
        kept = recorded(before)
        does(before)
        before.work()
        known = on_record(before)
        workspace._dispatcher.transport = kept.way

    with open_office(workspace, database_file, tmp_path / "second") as after:
        again(after, kept.sent[-1], seconds=300)
        after.work()

        assert on_record(after) == known


def test_refused_click_that_comes_again_after_a_restart_is_refused_again(
    workspace: SlackWorkspace, database_file: Path, tmp_path: Path
):
    """Whoever was refused by a process that then died must not take silence for success."""
    with open_office(workspace, database_file, tmp_path / "first") as before:
        before.waiting_session()
        kept = recorded(before)
        workspace.person("dave").clicks(before.gate(), APPROVE)
        before.show()
        workspace._dispatcher.transport = kept.way
        told = before.told
        with before.units() as uow:
            uow._db.execute(text("DELETE FROM outbox WHERE purpose = 'ephemeral'"))  # as if it had died before it
            uow.commit()

    with open_office(workspace, database_file, tmp_path / "second") as after:
        again(after, kept.sent[-1], seconds=300)
        after.show()

        assert told
        assert [sentence for *_, sentence in after.told] == [sentence for *_, sentence in told]
        assert len(after.audit("decision_refused")) == 1


def test_command_whose_first_delivery_was_lost_counts_when_it_comes_again(office: LateOffice):
    """Retries are used, not dropped: a bot that ignores whatever says retry would lose it."""
    kept = recorded(office)
    office.workspace.faults.switch_on(FaultKind.SILENT_SOCKET, on="slash_commands")
    executes(office)
    nothing = list(office.jobs.keys)

    again(office, kept.sent[-1], seconds=60)
    office.work()

    assert nothing == []
    assert len(office.service.recent()) == 1


def test_clicks_that_overtake_each_other_decide_once(office: LateOffice):
    office.waiting_session()
    kept, gate = recorded(office), office.gate()
    office.workspace.person("bob").clicks(gate, APPROVE)
    office.workspace.person("carol").clicks(gate, APPROVE)
    first, second = (one for one in kept.sent if one.kind == "interactive")

    for delivery in (second, first, second, first):
        again(office, delivery)

    step = office.session().steps[0]
    assert (len(step.gate.decisions), step.status) == (1, StepStatus.APPROVED)


def test_rejection_that_comes_again_after_an_approval_elsewhere_is_not_undone(office: LateOffice):
    rejects(office)
    kept = recorded(office)
    office.workspace.person("carol").clicks(office.gate(), APPROVE)

    again(office, kept.sent[-1], seconds=86_400)

    assert office.session().status is SessionStatus.REJECTED


# ---------------------------------------------------------------- connections that come and go


def drops(workspace: SlackWorkspace) -> None:
    workspace.cut_sockets()


def refreshes(workspace: SlackWorkspace) -> None:
    workspace.refresh_sockets()


def falls_silent(workspace: SlackWorkspace) -> None:
    workspace.faults.switch_on(FaultKind.SILENT_SOCKET, on="interactive")


@pytest.mark.parametrize(
    ("trouble", "rounds"), [(drops, 1), (refreshes, 5), (falls_silent, 1)], ids=["drop", "refresh", "silence"]
)
def test_click_during_trouble_with_the_connection_counts_once_or_shows_an_error(
    office: LateOffice, trouble: Callable[[SlackWorkspace], None], rounds: int
):
    for _ in range(rounds):
        office.workspace.clock.advance(10)  # Slack's own limit is not the subject
        session = office.waiting_session()
        bob = office.workspace.person("bob")
        gate = next(m for m in reversed(office.workspace.channel("ops").all()) if m.is_reply and m.buttons())
        with ThreadPoolExecutor(1) as hand:
            clicking = hand.submit(bob.clicks, gate, APPROVE)
            trouble(office.workspace)
            click = clicking.result()
        office.workspace.wait_until_connected(2, timeout=30)
        recorded_votes = len(office.session(session.id).steps[0].gate.decisions)

        assert recorded_votes == 1 or click.warning
        if not recorded_votes:
            bob.clicks(gate, APPROVE)
        votes = office.session(session.id).steps[0].gate.decisions
        assert [vote.actor.person.user for vote in votes] == [BOB]


@pytest.mark.parametrize(("trouble", "rounds"), [(drops, 1), (refreshes, 5)], ids=["drop", "refresh"])
def test_command_during_trouble_with_the_connection_starts_one_session_or_shows_an_error(
    office: LateOffice, trouble: Callable[[SlackWorkspace], None], rounds: int
):
    for _ in range(rounds):
        before = len(office.service.recent())
        alice = office.workspace.person("alice")
        with ThreadPoolExecutor(1) as hand:
            typing = hand.submit(alice.types, "/runbook execute restart-web vm=web-01", channel="ops")
            trouble(office.workspace)
            typed = typing.result()
        office.workspace.wait_until_connected(2, timeout=30)
        office.work()

        started = len(office.service.recent()) - before
        assert started == 1 or (started == 0 and typed.error)
