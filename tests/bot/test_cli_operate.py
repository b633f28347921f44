"""The verbs of whoever runs the product: exit codes, problems with place and cure, evidence that cannot be bent."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry

from bot.cli import EXIT_CODES, exit_code
from bot.diagram import session_diagram, step_diagram
from bot.http import Readiness, build_http
from engine.errors import (
    Bug,
    Conflict,
    DeliveryError,
    Expired,
    Indeterminate,
    Misconfigured,
    NotAllowed,
    Precondition,
    RunbookError,
    Transient,
)
from playground.azure import AzureCloud
from playground.slack import SlackWorkspace
from playground.slack.seed import app_from_manifest
from storage.database import Database
from storage.errors import StorageUnavailable
from tests.bot.served import Front
from tests.bot.shell import Answer, Shell
from tests.bot.works import Works

ROOT = Path(__file__).parents[2]
BROKEN = """\
name: broken
title: Broken
titel: twice
"""
one_database = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


# ---------------------------------------------------------------- exit codes


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotAllowed(), 1),
        (Conflict(), 1),
        (Expired(), 1),
        (Precondition(), 1),
        (Misconfigured(), 3),
        (StorageUnavailable(), 3),
        (Transient(), 4),
        (Indeterminate(), 4),
        (DeliveryError(), 4),
        (Bug(), 70),
    ],
)
def test_exit_code_says_who_can_do_something_about_it(error: RunbookError, code: int):
    assert exit_code(error) == code
    assert code in EXIT_CODES


@pytest.mark.parametrize("arguments", [("dance",), ("show",), ("status", "twelve"), ("approve", "0"), ("lint", "gone")])
def test_what_is_not_understood_exits_with_2_and_shows_the_usage(bare_shell: Shell, arguments: tuple[str, ...]):
    answer = bare_shell.run(*arguments)

    assert (answer.code, answer.out) == (2, "")
    assert "Usage:" in answer.err


def test_version_is_that_of_the_package(bare_shell: Shell):
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]

    answer = bare_shell.run("--version")

    assert answer.code == 0
    assert answer.out in {f"runbook-bot {declared}\n", "runbook-bot from a source tree, not installed\n"}


@pytest.mark.parametrize("verb", ["list", "pending", "doctor"])
def test_missing_policy_exits_with_3_and_names_the_setting(bare_shell: Shell, verb: str):
    answer = bare_shell.run(verb)

    assert answer.code == 3
    assert "RUNBOOK_POLICY" in answer.err


@one_database
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"RUNBOOK_DIR": "nowhere"}, "RUNBOOK_DIR"),
        ({"DATABASE_URL": "sqlite:///fresh.db"}, "runbook migrate"),
        ({"DATABASE_URL": "mysql://root:hunter22@db/runbook"}, "DATABASE_URL"),
        ({"RUNBOOK_WORKERS": "0"}, "RUNBOOK_WORKERS"),
        ({"RUNBOOK_WROKERS": "8"}, "RUNBOOK_WORKERS"),
    ],
)
def test_unusable_setting_exits_with_3_and_says_the_cure(shell: Shell, settings: dict[str, str], words: str):
    shell.set(**settings)

    answer = shell.run("pending")

    assert answer.code == 3
    assert words in answer.err
    assert "hunter22" not in answer.err


def test_serving_without_a_token_is_refused_before_anything_starts(bare_shell: Shell):
    answer = bare_shell.run("serve")

    assert answer.code == 3
    assert "SLACK_BOT_TOKEN" in answer.err


@one_database
def test_cloud_that_does_not_answer_exits_with_4(shell: Shell):
    with AzureCloud.start() as cloud:
        settings = cloud.environment()
    shell.set(**settings)

    answer = shell.run("plan", "restart-web", "vm=web-01")

    assert answer.code == 4
    assert answer.out == ""


# ---------------------------------------------------------------- files


def test_lint_names_file_line_column_and_cure(bare_shell: Shell, tmp_path: Path):
    (tmp_path / "broken.yaml").write_text(BROKEN, encoding="utf-8")

    answer = bare_shell.run("lint", "broken.yaml")

    assert answer.code == 5
    assert re.search(r"^broken\.yaml:3:1: .*'titel'.*title", answer.out, re.MULTILINE)


def test_lint_finds_nothing_in_the_examples(bare_shell: Shell):
    answer = bare_shell.run("lint", str(ROOT / "runbooks"))

    assert (answer.code, answer.out) == (0, "No problems.\n")


def test_lint_shows_no_control_characters_of_a_file_or_its_name(bare_shell: Shell, tmp_path: Path):
    (tmp_path / "a\x1b[31m.yaml").write_text('name: "a\x1b[31m"\n\x1b[31m: x\n', encoding="utf-8")

    answer = bare_shell.run("lint", str(tmp_path))

    assert (answer.code, answer.controls) == (5, set())


def test_schema_is_the_one_that_editors_are_given(bare_shell: Shell):
    answer = bare_shell.run("schema")

    assert json.loads(answer.out) == json.loads((ROOT / "docs" / "runbook.schema.json").read_text(encoding="utf-8"))


def test_diagram_prints_both_life_cycles(bare_shell: Shell):
    assert bare_shell.run("diagram").out == f"{session_diagram()}\n{step_diagram()}\n"


def test_migrate_makes_a_fresh_database_usable_and_may_be_repeated(shell: Shell, tmp_path: Path):
    shell.set(DATABASE_URL=f"sqlite:///{tmp_path / 'fresh.db'}")

    told = [shell.run("migrate") for _ in range(2)]

    assert [answer.code for answer in told] == [0, 0]
    assert told[0].out == told[1].out
    assert shell.run("pending").code == 0


# ---------------------------------------------------------------- evidence


def test_whole_audit_chain_is_said_to_be_whole(shell: Shell, works: Works):
    works.vote(works.start())

    answer = shell.run("audit", "verify")

    assert answer.code == 0
    assert re.fullmatch(r"The audit chain of [1-9]\d* records is whole\.\n", answer.out)


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE audit_events SET actor = 'T0HOME/U0DAVE' WHERE seq = 2",
        "UPDATE audit_events SET kind = 'step_reject' WHERE seq = 2",
        "DELETE FROM audit_events WHERE seq = 1",
    ],
)
def test_tampered_record_is_found_and_exits_with_5(shell: Shell, works: Works, database: Database, tampering: str):
    works.vote(works.start())
    drop_the_guards(database)
    with database.engine.begin() as connection:
        assert connection.exec_driver_sql(tampering).rowcount == 1

    answer = shell.run("audit", "verify")

    assert answer.code == 5
    assert re.search(r"Record [12] ", answer.out)


def drop_the_guards(database: Database) -> None:
    """What somebody with all rights on the database would do first."""
    with database.engine.begin() as connection:
        if database.kind == "sqlite":
            query = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit_events'"
            for (name,) in connection.exec_driver_sql(query).all():
                connection.exec_driver_sql(f"DROP TRIGGER {name}")
        else:
            connection.exec_driver_sql("ALTER TABLE audit_events DISABLE TRIGGER USER")


def test_export_is_one_json_object_a_line_and_can_be_narrowed_to_a_session(shell: Shell, works: Works):
    works.vote(works.start())
    works.start()

    everything = [json.loads(line) for line in shell.run("audit", "export").out.splitlines()]
    second = [json.loads(line) for line in shell.run("audit", "export", "--session", "2").out.splitlines()]

    assert [record["seq"] for record in everything] == list(range(1, len(everything) + 1))
    assert {record["kind"] for record in everything} >= {"session_started", "step_approve"}
    assert {record["session_id"] for record in second} == {2}


# ---------------------------------------------------------------- health


@one_database
def test_doctor_exits_with_5_when_slack_cannot_be_used_and_says_what_to_do(shell: Shell):
    answer = shell.run("doctor")

    assert answer.code == 5
    assert "BLOCK  slack: SLACK_BOT_TOKEN is not set." in answer.out


@one_database
def test_doctor_is_content_when_everything_answers(shell: Shell, works: Works):
    works.start()
    with SlackWorkspace.start(app=app_from_manifest(ROOT / "manifest.yml")) as slack:
        shell.set(SLACK_API_URL=slack.base_url, SLACK_BOT_TOKEN=slack.bot_token, SLACK_APP_TOKEN=slack.app_token)

        answer = shell.run("doctor", "--vm", "local", "--session", "1", "--live")

    assert answer.code == 0, answer.out
    assert "ok     live: echo answered" in answer.out
    assert "warn   decision: step 1 still needs 1 approval(s)" in answer.out


@one_database
def test_doctor_names_a_machine_that_is_out_of_reach(shell: Shell):
    answer = shell.run("doctor", "--vm", "local/elsewhere")

    assert answer.code == 5
    assert "There is no VM 'local/elsewhere' within reach." in answer.out


def healthy(front: Front, client: httpx.Client, shell: Shell, *, trouble: str = "") -> None:
    """Have a serving process on the port of the settings."""
    readiness = Readiness(database=lambda: "", slack=lambda: trouble, workers=lambda: "")
    front.app = build_http(readiness, CollectorRegistry(), [])
    shell.set(RUNBOOK_HTTP_PORT=str(client.base_url.port))


def test_health_of_a_ready_process_is_silent(bare_shell: Shell, front: Front, client: httpx.Client):
    healthy(front, client, bare_shell)

    assert bare_shell.run("doctor", "--health") == Answer(0, "", "")


def test_health_does_not_go_through_a_proxy(bare_shell: Shell, front: Front, client: httpx.Client):
    healthy(front, client, bare_shell)
    bare_shell.set(http_proxy="http://127.0.0.1:9")

    assert bare_shell.run("doctor", "--health").code == 0


def test_health_of_an_unready_process_says_what_is_missing(bare_shell: Shell, front: Front, client: httpx.Client):
    healthy(front, client, bare_shell, trouble="Not connected\x1b[31m.")

    answer = bare_shell.run("doctor", "--health")

    assert (answer.code, answer.controls) == (5, set())
    assert "Not connected" in answer.err


def test_health_of_a_process_that_is_not_there_is_a_problem(bare_shell: Shell):
    bare_shell.set(RUNBOOK_HTTP_PORT="9")

    answer = bare_shell.run("doctor", "--health")

    assert answer.code == 5
    assert "Nothing answers" in answer.err


def test_health_without_an_http_side_asks_the_database(shell: Shell, tmp_path: Path):
    shell.set(SLACK_APP_TOKEN="xapp-1-A0-123-abcdef")
    fine = shell.run("doctor", "--health")
    shell.set(DATABASE_URL=f"sqlite:///{tmp_path / 'fresh.db'}")

    assert (fine.code, shell.run("doctor", "--health").code) == (0, 3)
