"""The database on a bad day: whoever clicks is answered in time, nothing is claimed that was not recorded, and the
service goes on by itself once the database is back.

Predecessor A6: the decision was committed after the command had run. What is on record is read from the rows.
"""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.errors import RunbookError, StorageUnavailable
from engine.model import Person, Session, StepStatus
from playground.slack import SlackWorkspace
from playground.slack.model import Message
from playground.slack.people import Person as Someone
from playground.slack.results import ActionResult
from storage.audit import verify
from storage.database import Database, open_database
from storage.migrate import upgrade
from tests.bot.listeners.conftest import _no_proxy, workspace
from tests.bot.works import Works
from tests.engine.crew import Crew
from tests.faults.databases import fill, halted, held_by_another_process, held_until_answered, set_writable, small_disk
from tests.faults.slack_bench import LateOffice, open_office
from tests.postgres import Server
from tests.storage.databases import migrated_file

__all__ = ["_no_proxy", "migrated_file", "workspace"]

APPROVE = "Approve & Continue"
IN_TIME_MS = 2800  #: Slack gives up at 3000


@pytest.fixture
def database_file(tmp_path: Path, migrated_file: Path) -> Path:
    path = tmp_path / "runbook.db"
    shutil.copy(migrated_file, path)
    return path


@pytest.fixture
def office(workspace: SlackWorkspace, database_file: Path, tmp_path: Path) -> Iterator[LateOffice]:
    with open_office(workspace, database_file, tmp_path) as made:
        yield made


def votes(office: LateOffice) -> list[Person | None]:
    gate = office.session().steps[0].gate
    assert gate
    return [vote.actor.person for vote in gate.decisions]


def shows_the_truth(office: LateOffice, gate: Message) -> bool:
    """Say whether the buttons are there exactly as long as the request is open."""
    office.workspace.clock.advance(5)  # Slack's own limit is not the subject
    office.clock.advance(seconds=5)
    office.show()
    buttons = office.workspace.channel("ops").message(gate.ts).buttons()
    return bool(buttons) == (office.session().steps[0].status is StepStatus.WAITING_APPROVAL)


def said_to(office: LateOffice, person: Someone) -> list[str]:
    """What only this person was told: at once, past the database, or through the outbox."""
    office.show()
    at_once = [message.text for message in person.ephemerals()]
    return [*at_once, *(text for user, _, text in office.told if user == person.id)]


# ---------------------------------------------------------------- locked


@pytest.mark.parametrize("seconds", [0.5, 2, 5])
def test_click_while_the_database_is_locked_is_recorded_or_visibly_not(
    office: LateOffice, database_file: Path, seconds: float
):
    office.waiting_session()
    bob, gate = office.workspace.person("bob"), office.gate()

    with held_by_another_process(database_file, seconds):
        click = bob.clicks(gate, APPROVE)
        at_once = len(votes(office))
    office.settle()

    assert click.acked
    assert click.latency_ms < IN_TIME_MS
    assert len(votes(office)) == at_once
    assert shows_the_truth(office, gate)
    assert at_once == 1 or any("busy" in text for text in said_to(office, bob))


@pytest.mark.parametrize("seconds", [0.5, 2, 5])
def test_click_that_did_not_count_while_the_database_was_locked_counts_afterwards(
    office: LateOffice, database_file: Path, seconds: float
):
    office.waiting_session()
    bob, gate = office.workspace.person("bob"), office.gate()
    with held_by_another_process(database_file, seconds):
        bob.clicks(gate, APPROVE)

    bob.clicks(gate, APPROVE)

    assert [person.user for person in votes(office) if person] == [bob.id]
    assert shows_the_truth(office, gate)


@pytest.mark.parametrize("seconds", [0.5, 2, 5])
def test_everybody_who_types_while_the_database_is_locked_is_answered_in_time(
    office: LateOffice, database_file: Path, seconds: float
):
    people = [office.workspace.person(name) for name in ("alice", "bob", "carol", "dave")] * 3
    line = "/runbook execute restart-web vm=web-01"

    with held_by_another_process(database_file, seconds), ThreadPoolExecutor(len(people)) as hands:
        answers = list(hands.map(lambda person: person.types(line, channel="ops"), people))
    office.settle()
    office.work()

    started = len(office.service.recent(limit=50))
    promised = sum("Preparing" in answer.text for answer in answers)
    assert max(answer.latency_ms for answer in answers) < IN_TIME_MS
    assert all(answer.acked for answer in answers)
    assert promised <= started <= len(people)
    assert all("Preparing" in a.text or "busy" in a.text or "Not confirmed" in a.text for a in answers)


# ---------------------------------------------------------------- thirty people at once

PEOPLE = ("bob", "carol")
REQUESTS = 15  #: open requests, on each of which both click at the same moment
TRUTHS = ("busy", "Not confirmed", "Recorded now", "was already approved", "cannot be reached", "are in use")


@dataclass
class Crowd:
    """Everybody who may approve, and every request that waits for it."""

    office: LateOffice
    gates: list[Message]

    @classmethod
    def gathers(cls, office: LateOffice, requests: int) -> Crowd:
        for _ in range(requests):
            office.workspace.clock.advance(5)  # Slack's own limits are not the subject
            office.waiting_session()
        shown = [message for message in office.workspace.channel("ops").all() if message.is_reply and message.buttons()]
        assert len(shown) == requests
        return cls(office, shown)

    def clicks(self, hands: ThreadPoolExecutor) -> list[Future[ActionResult]]:
        people = [self.office.workspace.person(name) for name in PEOPLE]
        return [hands.submit(person.clicks, gate, APPROVE) for gate in self.gates for person in people]

    def require_answers(self, clicks: list[ActionResult]) -> None:
        """Everybody is answered in time, and whoever was not recorded is told so."""
        assert all(click.acked for click in clicks)
        assert max(click.latency_ms for click in clicks) < IN_TIME_MS
        for name in PEOPLE:
            person = self.office.workspace.person(name)
            recorded_of = sum(person.id in self._voters(gate) for gate in self.gates)
            sentences = said_to(self.office, person)
            assert len(sentences) >= len(self.gates) - recorded_of, sentences
            assert sum("Recorded now" in sentence for sentence in sentences) <= recorded_of
            assert all(any(truth in sentence for truth in TRUTHS) for sentence in sentences), sentences

    def require_truth(self) -> None:
        """After a while every message shows what is on record, and each request was decided at most once."""
        self.office.workspace.clock.advance(60)
        self.office.show()
        for gate in self.gates:
            shown = self.office.workspace.channel("ops").message(gate.ts)
            assert bool(shown.buttons()) == (not self._voters(gate))
            assert len(self._voters(gate)) <= 1

    def _voters(self, gate: Message) -> list[str]:
        action = next(a for block in gate.blocks if block["type"] == "actions" for a in block["elements"])
        with self.office.units() as uow:
            number = uow.sessions.by_gate(action["value"])
        assert number
        found = self.office.session(number).steps[0].gate
        assert found
        return [vote.actor.person.user for vote in found.decisions if vote.actor.person]


@pytest.mark.parametrize("seconds", [0.5, 2.0, None], ids=["half a second", "two seconds", "until all are answered"])
def test_thirty_who_click_while_the_database_is_locked_are_answered_in_time_and_with_the_truth(
    office: LateOffice, database_file: Path, seconds: float | None
):
    crowd = Crowd.gathers(office, REQUESTS)

    with ThreadPoolExecutor(2 * REQUESTS) as hands, held_until_answered(database_file, seconds) as let_go:
        clicking = crowd.clicks(hands)
        clicks = [each.result() for each in clicking]
        let_go.set()
    office.settle()

    crowd.require_answers(clicks)
    crowd.require_truth()


def test_whoever_clicks_in_a_minute_without_the_lock_is_answered_in_time_and_with_the_truth(
    office: LateOffice, database_file: Path
):
    """Longer than any patience: what waited for the lock has given up when it comes free."""
    crowd = Crowd.gathers(office, 4)

    with held_by_another_process(database_file, 60), ThreadPoolExecutor(8) as hands:
        clicks = [each.result() for each in crowd.clicks(hands)]
    office.settle()

    crowd.require_answers(clicks)
    crowd.require_truth()


# ---------------------------------------------------------------- full, or read only


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", kib=2048) as folder:
        yield folder


@pytest.fixture
def small_office(disk: Path, workspace: SlackWorkspace, migrated_file: Path, tmp_path: Path) -> Iterator[LateOffice]:
    """The office with its database on a small disk."""
    shutil.copy(migrated_file, disk / "runbook.db")
    with open_office(workspace, disk / "runbook.db", tmp_path) as made:
        yield made


def intact(file: Path) -> bool:
    with sqlite3.connect(file) as connection:
        found = connection.execute("PRAGMA integrity_check").fetchall()
    connection.close()
    return found == [("ok",)]


def test_click_on_a_full_disk_is_never_shown_as_recorded_and_counts_once_there_is_room(
    small_office: LateOffice, disk: Path
):
    small_office.waiting_session()
    bob, gate = small_office.workspace.person("bob"), small_office.gate()
    filler = fill(disk)

    click = bob.clicks(gate, APPROVE)
    typed = bob.types("/runbook execute restart-web vm=web-01", channel="ops")
    then = len(votes(small_office))
    filler.unlink()
    bob.clicks(gate, APPROVE)

    assert (click.acked, then) == (True, 0)
    assert any("disk of the database is full" in text for text in said_to(small_office, bob))
    assert "disk of the database is full" in typed.text
    assert typed.latency_ms < IN_TIME_MS
    assert [person.user for person in votes(small_office) if person] == [bob.id]
    assert shows_the_truth(small_office, gate)
    assert intact(disk / "runbook.db")


@pytest.mark.parametrize("pages", range(12))
def test_decision_on_a_disk_with_hardly_any_room_is_whole_or_not_there(disk: Path, migrated_file: Path, pages: int):
    shutil.copy(migrated_file, disk / "runbook.db")
    database = open_database(f"sqlite:///{disk / 'runbook.db'}")
    crew = Crew(database, disk)
    number = crew.starts()
    filler = fill(disk, leave=pages * 4096)

    refusal = ""
    try:
        crew.approves(number)
    except StorageUnavailable as error:
        refusal = error.message
    filler.unlink()
    acknowledged = not refusal
    counted = crew.count("step_approve")
    status = crew.step(number).status
    if not acknowledged:
        crew.approves(number)

    assert acknowledged or "full" in refusal
    assert counted == int(acknowledged)
    assert status is (StepStatus.APPROVED if acknowledged else StepStatus.WAITING_APPROVAL)
    assert crew.step(number).status is StepStatus.APPROVED
    assert verify(crew.audit()) == []
    database.close()
    assert intact(disk / "runbook.db")


def test_click_on_a_database_that_can_only_be_read_is_refused_and_counts_once_it_can_be_written(
    small_office: LateOffice, disk: Path
):
    small_office.waiting_session()
    bob, gate = small_office.workspace.person("bob"), small_office.gate()
    small_office.database.engine.dispose()
    set_writable(disk, writable=False)

    click = bob.clicks(gate, APPROVE)
    typed = bob.types("/runbook pause 1", channel="ops")
    small_office.database.engine.dispose()
    set_writable(disk, writable=True)
    bob.clicks(gate, APPROVE)

    assert click.acked
    assert any("rights of the folder" in text or "can only be read" in text for text in said_to(small_office, bob))
    assert typed.latency_ms < IN_TIME_MS
    assert "database" in typed.text
    assert [person.user for person in votes(small_office) if person] == [bob.id]


# ---------------------------------------------------------------- a server that falls silent


@pytest.mark.parametrize("seconds", [0, 60], ids=["until all are answered", "a minute"])
def test_clicks_while_the_server_is_silent_are_answered_in_time_and_corrected_once_it_speaks_again(
    postgres_server: Server, served_url: str, workspace: SlackWorkspace, tmp_path: Path, seconds: float
):
    """No limit of the database's own can help here: its processes do not run."""
    with open_office(workspace, served_url, tmp_path) as office:
        crowd = Crowd.gathers(office, 8)

        with ThreadPoolExecutor(16) as hands, halted(postgres_server, seconds):
            clicks = [each.result() for each in crowd.clicks(hands)]
        office.settle()

        crowd.require_answers(clicks)
        crowd.require_truth()


# ---------------------------------------------------------------- a server that is stopped


@pytest.fixture
def served_url(postgres_server: Server) -> Iterator[str]:
    url = postgres_server.create_database(template=postgres_server.create_template("storage", upgrade))
    yield url
    postgres_server.drop_database(url)


@pytest.fixture
def served(postgres_server: Server) -> Iterator[Database]:
    url = postgres_server.create_database(template=postgres_server.create_template("storage", upgrade))
    database = open_database(url)
    yield database
    database.close()
    postgres_server.start()
    postgres_server.drop_database(url)


def approve_all(crew: PreparedCrew, numbers: list[int], acknowledged: list[int], enough: threading.Event) -> list[str]:
    """Approve one after the other; return what was said of those that could not be recorded."""
    refused = []
    for number in numbers:
        try:
            crew.approves(number, gate_id=crew.known[number])
            acknowledged.append(number)
        except RunbookError as refusal:
            refused.append(refusal.code)
        if len(acknowledged) >= 3:
            enough.set()
    enough.set()
    return refused


class PreparedCrew(Crew):
    """Knows its gates by heart, so that a vote is one visit to the database."""

    def prepare(self, many: int) -> list[int]:
        numbers = [self.starts() for _ in range(many)]
        self.known = {number: self.gate(number).id for number in numbers}
        return numbers


@pytest.mark.parametrize("round_", range(3))
def test_decision_that_was_acknowledged_survives_the_servers_sudden_end(
    served: Database, postgres_server: Server, tmp_path: Path, round_: int
):
    crew = PreparedCrew(served, tmp_path)
    numbers = crew.prepare(60)
    acknowledged: list[int] = []
    enough = threading.Event()

    with ThreadPoolExecutor(1) as hand:
        voting = hand.submit(approve_all, crew, numbers, acknowledged, enough)
        assert enough.wait(60)
        postgres_server.stop_immediate()
        refused = voting.result()
    kept = list(acknowledged)
    postgres_server.start()

    assert kept
    assert set(refused) <= {"storage_unavailable"}
    assert [number for number in kept if crew.step(number).status is not StepStatus.APPROVED] == []
    for number in numbers:
        if crew.step(number).status is StepStatus.WAITING_APPROVAL:
            crew.approves(number)
    assert {crew.step(number).status for number in numbers} == {StepStatus.APPROVED}
    assert [len(gate.decisions) for n in numbers if (gate := crew.step(n).gate)] == [1] * len(numbers)
    assert verify(crew.audit()) == []


def test_sessions_go_on_by_themselves_after_the_server_was_away(
    served: Database, postgres_server: Server, tmp_path: Path
):
    works = Works(served, tmp_path)
    with works.working():
        sessions = [works.start() for _ in range(3)]
        for session in sessions[:2]:
            works.vote(session)
        postgres_server.stop_immediate()
        with pytest.raises(RunbookError) as refusal:
            works.vote(sessions[2])
        postgres_server.start()
        works.vote(sessions[2])
        works.clock.advance(seconds=61)  # what was sent just before and could not be noted is looked up now
        works.wait_until(lambda: [waits_for_step(works, session) for session in sessions] == [2, 2, 2])

    assert refusal.value.code == "storage_unavailable"
    assert [works.session(session.id).steps[0].attempts for session in sessions] == [1, 1, 1]


def waits_for_step(works: Works, session: Session) -> int:
    gate = works.session(session.id).open_gate
    return gate.step_number if gate else 0
