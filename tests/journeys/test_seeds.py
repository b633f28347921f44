"""The case this product exists for: session 12 waits for an approval of its first precheck, and everybody can tell.

Once nobody could: was it not approved, crashed after the approval, or was only the page missing (predecessor A1, A3)?
The queries, the request and the words searched for in the log are those of the people who looked into it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy.engine import RowMapping

from playground.slack.model import Message, View
from playground.stage import TOKENS, Stage
from playground.stories import APPROVE, REJECT
from tests.journeys.conftest import open_room, scene_in
from tests.journeys.rows import Rows
from tests.journeys.test_every_door import call

SESSION = """
-- Check session status
SELECT id, status, waiting_for_approval, approval_step_number, current_step
FROM execution_sessions WHERE id = 12;
"""
STEPS = """
-- Check steps
SELECT step_number, step_type, requires_approval, approved, completed, command
FROM execution_steps WHERE session_id = 12 ORDER BY step_number;
"""
CHECK = "systemctl is-active nginx"
NOTE = 'effect "noted"'


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What could be seen at one moment."""

    session: tuple[Any, ...]
    steps: list[tuple[Any, ...]]
    cli: str
    slack: str
    effects: list[str]


@dataclass(frozen=True, kw_only=True)
class Case:
    """The whole case: before the approval, the approval, afterwards."""

    waiting: Looked
    home: View
    pending: str
    request: Message
    answer: tuple[int, dict[str, object]]
    done: Looked
    log: str


@pytest.fixture(scope="module")
def case(stage: Stage) -> Case:
    """Start session 12, look at it from everywhere, approve it as the notes say, and look again."""
    rows = Rows(stage)
    rows.number_from(12)
    scene = scene_in(stage, open_room(stage))
    vm = stage.cloud.vm("rg-prod/web-01")

    def look() -> Looked:
        return Looked(
            session=values(rows.one(SESSION)),
            steps=[values(row) for row in rows.all(STEPS)],
            cli=stage.bot.command("why", "12").stdout,
            slack=scene.asks("dave", "/runbook why 12"),
            effects=[line.partition(" ")[2] for line in vm.effects()],
        )

    scene.executes("alice", "/runbook execute checked-first vm=rg-prod/web-01")
    request = scene.gate()
    waiting = look()
    bob = scene.person("bob")
    bob.opens_home()
    home = scene.wait_for(lambda: (h := bob.home()) and "Session 12" in h.plain() and h, "session 12 in App Home")
    pending = scene.asks("bob", "/runbook pending")
    answer = call(stage, "/12/approve-step?step_number=1", {"approve": True}, token=TOKENS["bob"])
    scene.wait_for_words("is over", "completed")
    return Case(
        waiting=waiting,
        home=home,
        pending=pending,
        request=request,
        answer=answer,
        done=look(),
        log="\n".join(stage.bot.log_lines()),
    )


def values(row: RowMapping) -> tuple[Any, ...]:
    return tuple(row.values())


def test_query_for_the_session_says_that_it_waits_at_step_1(case: Case):
    assert case.waiting.session == (12, "waiting_approval", True, 1, 1)


def test_query_for_the_steps_says_that_nobody_has_decided_and_nothing_ran(case: Case):
    assert case.waiting.steps == [
        (1, "precheck", True, None, False, CHECK),
        (2, "main", False, None, False, NOTE),
    ]
    assert case.waiting.effects == []


def test_one_sentence_says_who_must_do_what_by_when(case: Case):
    """Predecessor A1, and the last test that its study asks for."""
    for told in (case.waiting.cli, case.waiting.slack):
        assert "Waiting for" in told
        assert "U0BOB" in told
        assert "U0CAROL" in told
        assert "step 1 (Is the service there)" in told
        assert "until" in told
        assert "nothing runs before that" in told


def test_app_home_shows_it_with_the_command_and_both_buttons(case: Case):
    """Predecessor A1: the approvals were on a page that nobody found."""
    assert "Session 12, step 1: Is the service there" in case.home.plain()
    assert CHECK in case.home.plain()
    assert {APPROVE, REJECT} <= set(case.home.buttons())


def test_pending_lists_it(case: Case):
    """Predecessor A3 and A4: the list of pending approvals answered 404."""
    assert "session 12" in case.pending.lower()


def test_request_in_the_thread_mentions_those_who_may_decide(case: Case):
    assert "<@U0BOB>" in case.request.text
    assert CHECK in case.request.plain()


def test_the_notes_own_request_approves_it(case: Case):
    status, answer = case.answer

    assert status == 200
    assert answer["session_id"] == 12


def test_after_the_approval_the_check_runs_and_the_next_step_follows_by_itself(case: Case):
    """Predecessor A16: at most one step ran after an approval, and then the engine stopped for good."""
    assert case.done.session == (12, "completed", False, None, None)
    assert case.done.steps == [
        (1, "precheck", True, True, True, CHECK),
        (2, "main", False, case.done.steps[1][3], True, NOTE),
    ]
    assert case.done.effects == ["noted"]


def test_log_has_the_words_that_are_searched_for(case: Case):
    for tag in ("[START_EXECUTION]", "[APPROVE_STEP]", "[EXECUTE_STEP]"):
        assert any(tag in line and "12" in line for line in case.log.splitlines()), tag


def test_afterwards_the_sentence_says_that_it_is_over(case: Case):
    assert "Completed" in case.done.cli
    assert "Completed" in case.done.slack
