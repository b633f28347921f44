"""The verbs that only look: they need no token, tell the whole truth, and let nobody's text steer a terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.model import SessionStatus, Verdict
from engine.service import Ballot
from tests.bot.shell import Shell
from tests.bot.works import TOKENS, Works, actor

HOSTILE = "\x1b[31mred\x1b]0;title\x07 \u202eevil\nsession 99 started\r"


def test_list_names_runbooks_and_what_is_wrong_with_refused_files(shell: Shell, tmp_path: Path):
    (tmp_path / "runbooks" / "broken.yaml").write_text("name: broken\ntitel: x\n", encoding="utf-8")

    answer = shell.run("list")

    assert answer.code == 0
    assert "restart-web  prod         medium  Restart a web service" in answer.out
    assert "refused: broken.yaml" in answer.out
    assert "titel" in answer.out


def test_show_names_parameters_steps_and_risks(shell: Shell):
    answer = shell.run("show", "restart-web")

    assert answer.code == 0
    assert "service (string, default nginx) name of the service" in answer.out
    assert "2. [main] Restart (risk medium)" in answer.out


def test_unknown_runbook_is_refused_with_the_nearest_name(shell: Shell):
    answer = shell.run("show", "restart-wep")

    assert (answer.code, answer.out) == (1, "")
    assert "restart-web" in answer.err


def test_plan_prints_every_byte_of_every_script_and_starts_nothing(shell: Shell, works: Works):
    answer = shell.run("plan", "restart-web", "vm=local", "service=apache")

    planned = works.service.preview(works.request(values={"service": "apache"}))
    printed = {line.strip(" |\t") for line in answer.out.splitlines()}
    lines = [line for step in planned.steps for line in step.script.splitlines() if line.strip()]
    assert answer.code == 0
    assert len(lines) > len(planned.steps)
    assert [line for line in lines if line.strip(" |\t") not in printed] == []
    assert works.service.recent() == ()


@pytest.mark.parametrize("values", [["vm"], ["=x"], ["vm=local", "vm=web-01"]])
def test_values_that_cannot_be_read_are_refused(shell: Shell, values: list[str]):
    assert shell.run("plan", "restart-web", *values).code == 1


def test_status_shows_every_step_with_output_and_exit_code(shell: Shell, works: Works):
    session = works.start(ticket="INC-7")
    with works.working():
        works.vote(session)
        works.wait_until(lambda: works.session(session.id).open_gate is not None)

    answer = shell.run("status", str(session.id))

    assert answer.code == 0
    assert "1. [precheck] Look at it: succeeded, exit 0" in answer.out
    assert "| state of nginx" in answer.out
    assert "2. [main] Restart: waiting approval" in answer.out
    assert "ticket INC-7" in answer.out
    assert session.digest in answer.out


def test_status_without_a_number_lists_the_recent_ones(shell: Shell, works: Works):
    for _ in range(2):
        works.start()

    lines = shell.run("status").out.splitlines()

    assert [line.split()[:3] for line in lines] == [
        ["ID", "STATUS", "RUNBOOK"],
        ["2", "waiting_approval", "restart-web"],
        ["1", "waiting_approval", "restart-web"],
    ]


def test_why_says_who_must_do_what_by_when(shell: Shell, works: Works):
    answer = shell.run("why", str(works.start().id))

    assert answer.code == 0
    assert "to approve step 1 (Look at it)" in answer.out
    assert "U0BOB" in answer.out


def test_pending_lists_what_waits_and_says_when_nothing_does(shell: Shell, works: Works):
    nothing = shell.run("pending")
    works.start()

    assert nothing.out == "Nothing waits for an approval.\n"
    assert shell.run("pending").out.startswith("session 1: Waiting for")


def test_history_is_narrowed_by_ticket_state_and_page(shell: Shell, works: Works):
    for ticket in ("INC-1", "INC-2", "INC-2"):
        works.start(ticket=ticket)
    works.vote(works.session(2), verdict=Verdict.REJECT)

    def shown(*options: str) -> list[str]:
        return [line.split()[0] for line in shell.run("history", *options).out.splitlines()[1:]]

    assert shown("--ticket", "INC-2") == ["3", "2"]
    assert shown("--status", "rejected") == ["2"]
    assert shown("--limit", "1") == ["3"]
    assert shown("--before", "2") == ["1"]


@pytest.mark.parametrize("arguments", [("status", "404"), ("why", "404"), ("status", str(10**30))])
def test_session_that_does_not_exist_is_refused(shell: Shell, arguments: tuple[str, ...]):
    answer = shell.run(*arguments)

    assert (answer.code, answer.out) == (1, "")


def test_history_before_an_absurd_number_is_no_defect(shell: Shell):
    assert shell.run("history", "--before", str(10**30)).code in {0, 1}


def test_names_and_reasons_steer_no_terminal_and_forge_no_line(shell: Shell, works: Works):
    session = works.start(ticket="INC-1")
    works.service.decide(
        Ballot(actor=actor("bob"), verdict=Verdict.REJECT, reason=HOSTILE, session_id=session.id, step_number=1)
    )

    answers = [shell.run(*words) for words in (("status",), ("status", "1"), ("why", "1"), ("history",), ("pending",))]
    answers += [shell.run("audit", "export"), shell.run("show", HOSTILE), shell.run("plan", HOSTILE, f"vm={HOSTILE}")]

    for answer in answers:
        assert answer.controls == set()
        assert not [line for line in (answer.out + answer.err).splitlines() if line.startswith("session 99")]
    assert works.session(1).status is SessionStatus.REJECTED


def test_output_of_a_machine_steers_no_terminal(shell: Shell, works: Works, tmp_path: Path):
    file = tmp_path / "runbooks" / "restart-web.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace('echo "state of $service"', r"printf '\033[31mred\033]0;t\007\r\n'"), encoding="utf-8")
    session = works.start()
    with works.working():
        works.vote(session)
        works.wait_until(lambda: works.session(session.id).open_gate is not None)

    answer = shell.run("status", str(session.id))

    assert "red" in answer.out
    assert answer.controls == set()


def test_no_verb_ever_prints_the_token(shell: Shell, works: Works):
    shell.login("bob")
    works.start()

    answers = [shell.run(*words) for words in (("status", "1"), ("doctor",), ("audit", "export"))]

    assert not [answer for answer in answers if TOKENS["bob"] in answer.out + answer.err]
