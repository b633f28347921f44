"""Logs tell the story of a session, as JSON, and hold neither secrets nor anything that steers a terminal."""

from __future__ import annotations

import io
import json
import logging
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bot.logs import configure, get_logger, redactor
from engine.model import SessionStatus
from tests.bot.works import TOKENS, Works

SECRET = "s3cr3t-signing-value"
SHAPES = [
    "xoxb-1234567890-abcdef",
    "xapp-1-A0-123-abcdef",
    "Authorization: Bearer abcdefgh.12345678",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJl",
    "https://hooks.slack.com/actions/T0/1/abcdef",
    "postgresql://runbook:hunter22@db/runbook",
]
BARE = {"Authorization: Bearer abcdefgh.12345678": "abcdefgh", "postgresql://runbook:hunter22@db/runbook": "hunter22"}


@dataclass
class Logged:
    """What was written, line by line."""

    stream: io.StringIO = field(default_factory=io.StringIO)

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def records(self) -> list[dict]:
        return [json.loads(line) for line in self.text.splitlines()]


@pytest.fixture
def logged(logging_kept: None) -> Logged:
    made = Logged()
    configure(level="INFO", secrets=(SECRET, ""), stream=made.stream)
    return made


class Odd:
    """Something that only its ``repr`` tells about."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return f"Odd({self.text})"


def places(text: str) -> list[dict]:
    """A text in every place of a record that a text can be in."""
    return [
        {"plain": text},
        {"deep": {"list": [1, ("x", {"inner": f"before {text} after"})]}},
        {"key": {text: 1}},
        {"error": ValueError(text)},
        {"odd": Odd(text)},
        {"raw": text.encode()},
        {"group": {text}},
        {"path": Path(text.replace("/", "_")) if "://" not in text else text},
    ]


@pytest.mark.parametrize("place", range(8))
@pytest.mark.parametrize("text", [SECRET, *SHAPES])
def test_secret_is_gone_from_every_place_of_a_record(logged: Logged, text: str, place: int):
    get_logger("test").info("something_happened", **places(text)[place])

    assert len(logged.records) == 1
    assert BARE.get(text, text) not in logged.text
    assert "[redacted]" in logged.text


def test_secret_is_gone_from_event_names_exceptions_and_foreign_records(logged: Logged):
    event = f"failed {SECRET}"
    try:
        int(SECRET)
    except ValueError:
        get_logger("test").exception(event)
        logging.getLogger("library").exception("failed %s", SECRET, extra={"row": SECRET})

    assert len(logged.records) == 2
    assert "ValueError" in logged.text
    assert SECRET not in logged.text


def test_encoded_secret_is_gone_as_well(logged: Logged):
    get_logger("test").info("request", header="czNjcjN0LXNpZ25pbmctdmFsdWU=")  # base64 of the secret

    assert "czNjcjN0LXNpZ25pbmctdmFsdWU" not in logged.text


def test_empty_secret_redacts_nothing():
    assert redactor(("",))(None, "info", {"event": "started", "count": 3}) == {"event": "started", "count": 3}


def test_numbers_and_truth_stay_what_they_are(logged: Logged):
    get_logger("test").info("counted", whole=3, part=0.5, yes=True, nothing=None)

    (record,) = logged.records
    assert [record[name] for name in ("whole", "part", "yes", "nothing")] == [3, 0.5, True, None]


@pytest.mark.parametrize("hostile", ["\x1b[31m", "\x07", "\r", "\x9b2J", "\u202e", "\u200b", "\x00"])
def test_control_characters_are_gone(logged: Logged, hostile: str):
    get_logger("test").info(f"event{hostile}", name=f"a{hostile}b", deep=[{"x": hostile}])

    (record,) = logged.records
    assert hostile not in json.dumps(record, ensure_ascii=False)


def test_one_record_is_one_line_whatever_it_holds(logged: Logged):
    get_logger("test").info("event", text='line one\n{"event": "forged"}\nline three')

    assert [record["event"] for record in logged.records] == ["event"]


def test_record_has_time_level_and_logger(logged: Logged):
    get_logger("test").warning("something_happened")

    (record,) = logged.records
    assert (record["level"], record["logger"]) == ("warning", "test")
    assert record["timestamp"].endswith("Z")


def test_fields_of_libraries_that_use_plain_logging_are_kept(logged: Logged):
    logging.getLogger("storage.queue").warning("sweep_failed", extra={"code": "storage_unavailable"})

    (record,) = logged.records
    assert (record["event"], record["code"]) == ("sweep_failed", "storage_unavailable")


@pytest.mark.parametrize("name", ["slack_bolt", "slack_sdk.web", "azure.identity", "uvicorn.access", "apscheduler.job"])
def test_libraries_that_print_bodies_or_repeat_us_are_muted(logged: Logged, name: str):
    logging.getLogger(name).info("body=payload")

    assert logged.text == ""


def test_level_of_the_settings_is_obeyed(logging_kept: None):
    made = Logged()
    configure(level="ERROR", stream=made.stream)

    get_logger("test").warning("quiet")
    get_logger("test").error("loud")

    assert [record["event"] for record in made.records] == ["loud"]


# ---------------------------------------------------------------- a whole session


@pytest.fixture
def told(logged: Logged, works: Works) -> list[dict]:
    """The log of a session that was approved twice and ran to its end."""
    session = works.start()
    with works.working():
        for step in (1, 2):
            works.wait_until(lambda: works.session(session.id).open_gate is not None)
            works.vote(session, step)
            works.wait_until(lambda: works.session(session.id).status is not SessionStatus.IN_PROGRESS)
        works.wait_until(lambda: works.session(session.id).status is SessionStatus.COMPLETED)
    return logged.records


def tagged(told: list[dict], tag: str) -> list[dict]:
    return [record for record in told if record["event"].startswith(f"[{tag}]")]


def test_start_is_tagged_with_session_actor_and_target(told: list[dict]):
    (record,) = tagged(told, "START_EXECUTION")

    assert (record["session_id"], record["actor"], record["target"]) == (1, "T0HOME/U0ALICE", "local")
    assert record["status"] == "waiting_approval"


def test_each_decision_is_tagged_with_session_step_and_actor(told: list[dict]):
    found = [(record["session_id"], record["step"], record["actor"]) for record in tagged(told, "APPROVE_STEP")]

    assert found == [(1, 1, "T0HOME/U0BOB"), (1, 2, "T0HOME/U0BOB")]


def test_each_run_is_tagged_when_it_is_sent_and_when_it_ends(told: list[dict]):
    found = tagged(told, "EXECUTE_STEP")

    assert {record["step"] for record in found} == {1, 2, 3}
    assert {(record["session_id"], record["actor"]) for record in found} == {(1, "system")}
    assert [record["outcome"] for record in found if "ended" in record["event"]] == ["succeeded"] * 3
    assert [record["exit_code"] for record in found if "ended" in record["event"]] == [0] * 3


def test_tags_come_in_the_order_in_which_it_happened(told: list[dict]):
    tags = [record["event"].split("]")[0].lstrip("[") for record in told if record["event"].startswith("[")]

    assert tags[:3] == ["START_EXECUTION", "APPROVE_STEP", "EXECUTE_STEP"]


def test_log_of_a_session_holds_neither_its_output_nor_a_token(told: list[dict]):
    text = json.dumps(told)

    assert "state of nginx" not in text
    assert not [token for token in TOKENS.values() if token in text]
