"""The verbs that change something: a known token, the step that was meant, and the same rules as a click."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from engine.model import GateStatus, SessionStatus, Source, StepStatus
from tests.bot.shell import Shell
from tests.bot.works import RUNBOOK, Works

ROOT = Path(__file__).parents[2]
BREAKS = (
    RUNBOOK.replace("name: restart-web", "name: breaks")
    .replace('echo "state of $service"', "exit 3")
    .replace("risk: low\n", "risk: low\n    on_failure: ask\n")
)


@pytest.fixture
def bob(shell: Shell) -> Shell:
    shell.login("bob")
    return shell


@pytest.fixture
def alice(shell: Shell) -> Shell:
    shell.login("alice")
    return shell


# ---------------------------------------------------------------- who acts

VERBS = [
    ("execute", "restart-web", "vm=local"),
    ("approve", "1", "--step", "1"),
    ("reject", "1", "--reason", "No."),
    ("cancel", "1"),
    ("pause", "1"),
    ("resume", "1"),
    ("choose", "1", "retry", "--step", "1", "--reason", "Again."),
]


@pytest.mark.parametrize("token", ["", "wrong", "token-of-bob-012345678"])
@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb[0])
def test_nobody_acts_without_a_known_token(shell: Shell, works: Works, verb: tuple[str, ...], token: str):
    works.start()
    shell.set(RUNBOOK_TOKEN=token)

    answer = shell.run(*verb)

    assert (answer.code, answer.out) == (1, "")
    assert "RUNBOOK_TOKEN" in answer.err
    assert token not in answer.err or not token
    assert works.session(1).open_gate.decisions == ()
    assert len(works.service.recent()) == 1


# ---------------------------------------------------------------- starting


def test_execute_starts_a_session_and_says_what_it_waits_for(alice: Shell, works: Works):
    answer = alice.run("execute", "restart-web", "vm=local", "service=apache", "ticket=INC-3")

    session = works.session(1)
    assert answer.code == 0
    assert answer.out.startswith("session 1 started\nWaiting for")
    assert (session.requester.source, session.requester.person.user) == (Source.CLI, "U0ALICE")
    assert (session.ticket, dict(session.plan.parameters)["service"]) == ("INC-3", "apache")


def test_execute_of_what_cannot_be_is_refused_and_starts_nothing(alice: Shell, works: Works):
    answer = alice.run("execute", "restart-web", "vm=local", "service=a;b")

    assert answer.code == 1
    assert "service" in answer.err
    assert works.service.recent() == ()


# ---------------------------------------------------------------- deciding


def test_approval_with_the_step_named_counts(bob: Shell, works: Works):
    session = works.start()

    answer = bob.run("approve", str(session.id), "--step", "1", "--reason", "Load is low.")

    gate = works.session(session.id).steps[0].gate
    assert answer.code == 0
    assert (gate.status, gate.decisions[0].actor.source, gate.decisions[0].reason) == (
        GateStatus.APPROVED,
        Source.CLI,
        "Load is low.",
    )


def test_approval_without_a_step_and_without_a_terminal_is_refused_and_names_the_step(bob: Shell, works: Works):
    session = works.start()

    answer = bob.run("approve", str(session.id))

    assert answer.code == 1
    assert "--step 1" in answer.err
    assert works.session(session.id).open_gate.decisions == ()


def test_what_would_be_approved_is_shown_byte_for_byte(bob: Shell, works: Works):
    session = works.start()

    answer = bob.run("approve", str(session.id))

    shown = [line.removeprefix("  | ") for line in answer.out.splitlines() if line.startswith("  | ")]
    assert shown == session.steps[0].planned.script.splitlines()
    assert session.digest in answer.out


@pytest.mark.parametrize("step", ["2", "3", "99"])
def test_approval_of_another_step_than_the_one_that_waits_is_refused(bob: Shell, works: Works, step: str):
    session = works.start()

    answer = bob.run("approve", str(session.id), "--step", step)

    assert answer.code == 1
    assert all(not (each.gate and each.gate.decisions) for each in works.session(session.id).steps)


def test_approval_of_a_decided_step_never_decides_the_next_one(bob: Shell, works: Works):
    session = works.start()
    with works.working():
        works.vote(session, name="carol")
        works.wait_until(lambda: works.session(session.id).open_gate is not None)

    answer = bob.run("approve", str(session.id), "--step", "1")

    second = works.session(session.id).steps[1]
    assert answer.code == 1
    assert (second.status, second.gate.decisions) == (StepStatus.WAITING_APPROVAL, ())


@pytest.mark.parametrize("name", ["alice", "dave"])
def test_requester_and_stranger_cannot_approve(shell: Shell, works: Works, name: str):
    session = works.start()
    shell.login(name)

    answer = shell.run("approve", str(session.id), "--step", "1")

    assert answer.code == 1
    assert works.session(session.id).open_gate.decisions == ()


def test_approval_where_nothing_waits_is_refused(bob: Shell, works: Works):
    session = works.start()
    bob.run("reject", str(session.id), "--reason", "No.")

    answer = bob.run("approve", str(session.id), "--step", "1")

    assert answer.code == 1
    assert "waits for no decision" in answer.err


def test_rejection_ends_the_session_with_its_reason(bob: Shell, works: Works):
    session = works.start()

    answer = bob.run("reject", str(session.id), "--reason", "Not during the launch.")

    assert answer.code == 0
    assert works.session(session.id).status is SessionStatus.REJECTED
    assert "Not during the launch." in bob.run("status", str(session.id)).out


def test_rejection_must_give_a_reason(bob: Shell, works: Works):
    session = works.start()

    assert bob.run("reject", str(session.id)).code == 2
    assert bob.run("reject", str(session.id), "--reason", " ").code == 1
    assert works.session(session.id).open_gate is not None


def answer_at_a_terminal(folder: Path, *arguments: str, says: str) -> subprocess.CompletedProcess[str]:
    """Run a verb with a terminal as its input."""
    ours, theirs = pty.openpty()
    try:
        os.write(ours, says.encode())
        return subprocess.run(
            [sys.executable, "-m", "bot", *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=theirs,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    finally:
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("says", "code", "status"), [("y\n", 0, GateStatus.APPROVED), ("n\n", 1, GateStatus.OPEN)])
def test_somebody_at_a_terminal_is_asked_after_seeing_it(
    bob: Shell, works: Works, tmp_path: Path, *, says: str, code: int, status: GateStatus
):
    session = works.start()

    done = answer_at_a_terminal(tmp_path, "approve", str(session.id), says=says)

    assert done.returncode == code, done.stderr
    assert "exactly this:" in done.stdout
    assert "Approve step 1?" in done.stdout
    assert works.session(session.id).steps[0].gate.status is status


# ---------------------------------------------------------------- steering


def test_cancel_pause_and_resume_do_what_they_say(alice: Shell, works: Works):
    session = works.start()
    works.vote(session)
    seen = []

    for verb in ("pause", "resume", "cancel"):
        assert alice.run(verb, str(session.id)).code == 0
        seen.append(works.session(session.id).status)

    assert seen == [SessionStatus.PAUSED, SessionStatus.IN_PROGRESS, SessionStatus.CANCELLED]


def test_what_waits_for_an_approval_cannot_be_paused(alice: Shell, works: Works):
    session = works.start()

    answer = alice.run("pause", str(session.id))

    assert answer.code == 1
    assert works.session(session.id).status is SessionStatus.WAITING_APPROVAL


def test_stranger_can_steer_nothing(shell: Shell, works: Works):
    session = works.start()
    shell.login("dave")

    codes = [shell.run(verb, str(session.id)).code for verb in ("pause", "cancel")]

    assert codes == [1, 1]
    assert works.session(session.id).status is SessionStatus.WAITING_APPROVAL


def test_choice_after_a_failure_needs_an_approver_and_a_reason(bob: Shell, works: Works, tmp_path: Path):
    (tmp_path / "runbooks" / "breaks.yaml").write_text(BREAKS, encoding="utf-8")
    session = works.service.start(works.request(runbook="breaks"))
    with works.working():
        works.vote(session)
        works.wait_until(lambda: works.session(session.id).status is SessionStatus.NEEDS_ATTENTION)

    bob.login("dave")
    stranger = bob.run("choose", str(session.id), "stop", "--step", "1", "--reason", "Because.")
    bob.login("bob")
    silent = bob.run("choose", str(session.id), "stop", "--step", "1", "--reason", "")
    done = bob.run("choose", str(session.id), "stop", "--step", "1", "--reason", "It is gone.")

    assert (stranger.code, silent.code, done.code) == (1, 1, 0)
    assert works.session(session.id).status is SessionStatus.FAILED
