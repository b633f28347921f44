"""The card shows the whole run and where it stands."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.views.card import card, progress
from engine.explain import Explanation, explain
from engine.model import FINAL_SESSIONS, AttemptStatus, GateStatus, Phase, SessionStatus, StepStatus, Verdict
from tests.bot.views.builders import (
    BOB,
    NOW,
    a_gate,
    a_planned_step,
    a_session,
    a_step,
    a_vote,
    a_waiting_step,
    an_ended_step,
)
from tests.bot.views.reading import buttons, literal, mentions, nodes

TOLD = Explanation(sentence="Waiting for somebody.")


def shown(session, told=TOLD, queue=()):
    return card(session, told, now=NOW, queue=queue)


def test_the_card_names_machine_requester_risk_and_plan() -> None:
    rendered = shown(a_session(ticket="INC-42"))

    for fact in ("web-01 (resource group rg-web)", "prod", "high", "INC-42", "service = nginx", "abababababab"):
        assert fact in literal(rendered.blocks)
    assert mentions(rendered.blocks)[0] == "U0ALICE"


def test_people_in_the_sentence_are_mentioned_and_not_spelled_as_ids() -> None:
    session = a_session()

    rendered = shown(session, explain(session, NOW))

    assert "U0BOB" not in literal(rendered.blocks)
    assert "U0BOB" in mentions(rendered.blocks)
    assert "<@U0BOB>" in rendered.text


def test_a_deadline_is_shown_as_a_time_because_minutes_left_would_soon_be_wrong() -> None:
    session = a_session()

    rendered = shown(session, explain(session, NOW))

    assert "left" not in literal(rendered.blocks) + rendered.text
    assert "2026-11-21 12:30 UTC" in [node["fallback"] for node in nodes(rendered.blocks) if node.get("type") == "date"]


def test_times_in_the_sentence_are_in_the_reader_s_time_zone() -> None:
    told = Explanation(
        sentence="Waiting since 2026-11-21 12:00:07 UTC for U0BOB, not 2026-13-45 99:00:00 UTC.",
        waits_for=(BOB,),
        next="It ends at 2026-11-21 12:30:00 UTC.",
    )

    rendered = shown(a_session(), told)

    dates = {node["fallback"]: node["timestamp"] for node in nodes(rendered.blocks) if node.get("type") == "date"}
    assert dates == {"2026-11-21 12:00:07 UTC": 1795262407, "2026-11-21 12:30:00 UTC": 1795264200}
    assert "2026-13-45 99:00:00 UTC" in literal(rendered.blocks)
    assert "U0BOB" in mentions(rendered.blocks)


@pytest.mark.parametrize(
    ("statuses", "told"),
    [
        ((StepStatus.SUCCEEDED, StepStatus.SUCCEEDED), "2 of 2 steps done"),
        ((StepStatus.SUCCEEDED, StepStatus.SKIPPED, StepStatus.SUCCEEDED), "2 done, 1 skipped of 3 steps"),
        ((StepStatus.FAILED, StepStatus.TIMED_OUT, StepStatus.PENDING), "0 done, 2 failed of 3 steps"),
        ((StepStatus.REJECTED, StepStatus.CANCELLED), "0 of 2 steps done"),
    ],
)
def test_progress_counts_as_done_only_what_was_done(statuses: tuple[StepStatus, ...], told: str) -> None:
    steps = [
        a_step(planned=a_planned_step(number=number), status=status) for number, status in enumerate(statuses, start=1)
    ]

    assert progress(replace(a_session(*steps), status=SessionStatus.FAILED)) == told


def test_every_step_has_a_line_with_its_state_and_duration() -> None:
    done = an_ended_step(StepStatus.SUCCEEDED, AttemptStatus.SUCCEEDED)
    waiting = a_step(planned=a_planned_step(number=2, name="Check"), status=StepStatus.WAITING_APPROVAL, gate=a_gate())

    rendered = shown(a_session(done, waiting))

    assert "Step 2 of 2" in literal(rendered.blocks)
    assert "✓ 1. Restart the web server: done, 2.2 s" in literal(rendered.blocks)
    assert "◔ 2. Check: waits for approval" in literal(rendered.blocks)


def test_rollback_steps_appear_only_when_they_may_run() -> None:
    undo = a_step(planned=a_planned_step(number=2, name="Undo: restart", phase=Phase.ROLLBACK))
    session = a_session(a_waiting_step(), undo)

    assert "Undo: restart" not in literal(shown(session).blocks)
    assert "Undo: restart" in literal(shown(replace(session, rolling_back=True)).blocks)


def test_a_long_run_shows_the_steps_around_the_current_one_and_counts_the_rest() -> None:
    steps = [
        an_ended_step(StepStatus.SUCCEEDED, AttemptStatus.SUCCEEDED, planned=a_planned_step(number=n))
        for n in range(1, 61)
    ]
    steps[39] = a_step(planned=a_planned_step(number=40), status=StepStatus.RUNNING)

    text = literal(shown(a_session(*steps, status=SessionStatus.IN_PROGRESS)).blocks)

    assert "… 24 earlier steps" in text
    assert "… 6 later steps" in text
    assert "◐ 40." in text


def test_the_place_in_the_queue_is_told() -> None:
    assert "number 2 in line for this machine, behind session 41" in literal(
        shown(a_session(), queue=(7, 41, 12)).blocks
    )


def test_cancel_asks_once_more_and_carries_only_the_number() -> None:
    button = buttons(shown(a_session()).blocks)["Cancel"]

    assert button["value"] == "12"
    assert "done stay done" in button["confirm"]["text"]["text"]


@pytest.mark.parametrize("status", sorted(FINAL_SESSIONS))
def test_a_session_that_is_over_cannot_be_cancelled(status: SessionStatus) -> None:
    assert buttons(shown(a_session(status=status)).blocks) == {}


def test_final_states_cannot_be_taken_for_each_other() -> None:
    vote = a_vote(BOB, Verdict.REJECT, reason="no")
    step = a_step(status=StepStatus.REJECTED, gate=a_gate(status=GateStatus.REJECTED, decisions=(vote,)))

    headlines = {status: shown(a_session(step, status=status)).text for status in FINAL_SESSIONS}

    assert "Rejected by <@U0BOB>" in headlines[SessionStatus.REJECTED]
    assert "Completed, but not verified" in headlines[SessionStatus.COMPLETED_UNVERIFIED]
    assert len(set(headlines.values())) == len(FINAL_SESSIONS)
