"""The doctor answers the four questions about a session that seems stuck, and says what blocks and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.doctor import examine, session_checks
from engine.errors import Transient
from engine.model import SessionStatus
from engine.ports import Check, Level
from tests.bot.works import RUNBOOK, Works

ASKS = (
    RUNBOOK.replace("name: restart-web", "name: asks")
    .replace('echo "state of $service"', "exit 3")
    .replace("risk: low\n", "risk: low\n    on_failure: ask\n")
)


def told(checks: tuple[Check, ...]) -> dict[str, tuple[Level, str]]:
    return {check.name: (check.level, check.evidence) for check in checks}


def test_session_12_waits_for_a_decision_that_nobody_has_made(works: Works):
    twelfth = [works.start() for _ in range(12)][-1]

    found = told(session_checks(works.session(12)))

    deadline = twelfth.open_gate.expires_at
    assert twelfth.id == 12
    assert found == {
        "decision": (Level.WARN, f"step 1 still needs 1 approval(s), until {deadline:%H:%M} UTC"),
        "decision received": (Level.OK, "none recorded for this step"),
        "command sent": (Level.OK, "nothing was sent for this step"),
        "result": (Level.OK, "none yet"),
    }


def test_missing_decision_comes_with_the_command_that_gives_it(works: Works):
    session = works.start()

    decision = session_checks(works.session(session.id))[0]

    assert f"`runbook approve {session.id}`" in decision.remedy


def test_decision_that_arrived_is_named_with_person_time_and_door(works: Works):
    session = works.start()
    works.vote(session)

    level, evidence = told(session_checks(works.session(session.id)))["decision received"]

    vote = works.session(session.id).steps[0].gate.decisions[0]
    assert level is Level.OK
    assert evidence == f"approve by T0HOME/U0BOB at {vote.at:%H:%M:%S} UTC (api)"


def test_ended_session_says_what_was_sent_and_how_it_came_back(works: Works):
    session = works.start()
    with works.working():
        for step in (1, 2):
            works.wait_until(lambda: works.session(session.id).open_gate is not None)
            works.vote(session, step)
            works.wait_until(lambda: works.session(session.id).status is not SessionStatus.IN_PROGRESS)
        works.wait_until(lambda: works.session(session.id).status is SessionStatus.COMPLETED)

    found = told(session_checks(works.session(session.id)))

    assert found["decision"] == (Level.OK, "no decision is missing")
    assert found["command sent"] == (Level.OK, "attempt 1 is succeeded")
    assert found["result"] == (Level.OK, "succeeded, exit code 0")


def test_failure_that_waits_for_a_choice_is_a_warning_with_the_reason(works: Works, tmp_path: Path):
    (tmp_path / "runbooks" / "asks.yaml").write_text(ASKS, encoding="utf-8")
    session = works.service.start(works.request(runbook="asks"))
    with works.working():
        works.vote(session)
        works.wait_until(lambda: works.session(session.id).status is SessionStatus.NEEDS_ATTENTION)

    found = told(session_checks(works.session(session.id)))

    level, evidence = found["result"]
    assert level is Level.WARN
    assert evidence.startswith("step 1 is failed: ")


def test_examination_covers_slack_every_connector_and_the_session(works: Works):
    session = works.start()

    found = examine(works, vm="local", session_id=session.id, live=True)

    names = [check.name for check in found]
    assert names[0] == "slack"
    assert {"bash", "state folder", "live", "decision"} <= set(names)
    assert not [check for check in found if check.level is Level.BLOCK]


def test_nothing_runs_on_a_machine_unless_asked(works: Works):
    assert "live" not in {check.name for check in examine(works, vm="local")}


def test_product_without_connectors_is_told_which_settings_switch_them_on(works: Works):
    works.connectors.clear()

    blocked = [check for check in examine(works) if check.level is Level.BLOCK]

    assert [check.name for check in blocked] == ["connectors"]
    assert "AZURE_SUBSCRIPTION_IDS" in blocked[0].remedy


class Silent:
    """A connector whose other side does not answer."""

    def doctor(self, _target, **_options):
        raise Transient("Azure does not answer.", hint="Look at its status page.")


def test_connector_that_does_not_answer_is_a_block_with_its_remedy_and_hides_no_other_check(works: Works):
    works.connectors["azure"] = Silent()

    found = told(examine(works))

    assert found["azure connector"] == (Level.BLOCK, "Azure does not answer.")
    assert "bash" in found


@pytest.mark.parametrize("vm", ["local/elsewhere", "local/"])
def test_machine_that_nothing_knows_is_a_block(works: Works, vm: str):
    blocked = [check for check in examine(works, vm=vm) if check.level is Level.BLOCK]

    assert all(vm in check.evidence for check in blocked)
    assert bool(blocked) is (vm == "local/elsewhere")
