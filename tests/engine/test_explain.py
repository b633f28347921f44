"""The sentence for every state: who must do what by when, so that no session ever waits and nobody knows why."""

from __future__ import annotations

from datetime import timedelta

import pytest

from engine import events as ev
from engine.explain import FINAL_SENTENCES, Explanation, explain, missing_approvals
from engine.model import FINAL_SESSIONS, OnFailure
from engine.model import SessionStatus as N
from engine.reactions import basis_of
from tests.builders import (
    ALICE,
    BOB,
    CAROL,
    DAVE,
    NOW,
    a_free_step,
    a_manual_step,
    a_session,
    a_step,
    an_audience,
    an_undo,
)
from tests.engine.story import A, Story

DEADLINE = NOW + timedelta(minutes=18)


def asking(story: Story) -> Story:
    return story.runs(A.FAILED, message="Exit code 1.")


def test_session_twelve_says_whom_it_waits_for_since_when_until_when_and_what_follows() -> None:
    story = Story(a_step())

    told = story.waits(minutes=5).why()

    assert told == Explanation(
        sentence=(
            "Waiting for 1 of U0BOB, U0CAROL to approve step 1 (Restart nginx) since 2026-03-02 09:00:00 UTC, "
            "until 2026-03-02 09:30:00 UTC (25 min left); nothing runs before that."
        ),
        waits_for=(BOB, CAROL),
        since=NOW,
        until=NOW + timedelta(minutes=30),
        next="When it is approved, it runs on web-1; when nobody decides in time, the session expires.",
    )


def test_person_who_has_voted_is_not_waited_for() -> None:
    story = Story(a_step(), audience=an_audience(BOB, CAROL, DAVE, quorum=3)).approves(BOB)

    told = story.why()

    assert told.waits_for == (CAROL, DAVE)
    assert "2 of U0CAROL, U0DAVE" in told.sentence
    assert missing_approvals(story.gate) == 2


def test_requester_is_not_waited_for() -> None:
    assert Story(a_step(), audience=an_audience(ALICE, BOB)).why().waits_for == (BOB,)


def test_only_person_who_may_approve_is_named_without_a_count() -> None:
    assert Story(a_step(), audience=an_audience(BOB)).why().sentence.startswith("Waiting for U0BOB to approve step 1")


def test_last_minute_is_counted_in_seconds_and_never_below_zero() -> None:
    story = Story(a_step()).waits(minutes=29, seconds=15)

    assert "(45 s left)" in story.why().sentence
    assert "(0 s left)" in story.waits(hours=1).why().sentence


def test_manual_step_asks_for_a_report() -> None:
    told = Story(a_manual_step()).why()

    assert told.sentence.startswith("Waiting for 1 of U0BOB, U0CAROL to do and report step 1 (Tell the customer)")
    assert told.next.startswith("When it is reported done, the next step is looked at")


def test_stored_session_is_about_to_start() -> None:
    assert explain(a_session(), NOW).sentence == "Stored, about to start."


def test_approved_step_is_about_to_start() -> None:
    told = Story(a_step()).approves().why()

    assert told.sentence == "About to start step 1 (Restart nginx) on web-1."
    assert "output comes into the thread" in told.next


def test_session_caught_between_two_steps_says_so() -> None:
    told = explain(a_session(status=N.IN_PROGRESS, started_at=NOW), NOW)

    assert (told.sentence, told.since) == ("Between two steps: the next one is looked at now.", NOW)


def test_step_that_waits_for_its_machine_names_the_session_that_holds_it() -> None:
    story = Story(a_step()).approves().is_delayed()

    assert "waits: session 7 holds web-1." in story.why(queue=(7, 12)).sentence
    assert "waits: session 7 holds web-1, number 2 in line." in story.why(queue=(7, 9, 12)).sentence


def test_approved_step_whose_machine_is_held_is_not_said_to_be_about_to_start() -> None:
    story = Story(a_step()).approves()

    assert "waits: session 7 holds web-1." in story.why(queue=(7, 12)).sentence
    assert "About to start" in story.why(queue=(12, 13)).sentence


@pytest.mark.parametrize("queue", [(), (12,), (12, 13)])
def test_step_that_is_first_in_line_gives_its_own_reason(queue: tuple[int, ...]) -> None:
    told = Story(a_step()).approves().is_delayed().why(queue=queue)

    assert told.sentence == "Step 1 (Restart nginx) is approved and waits: web-1 is busy."
    assert told.next == "It starts by itself; nobody has to do anything."


def test_step_that_was_asked_for_patience_says_when_it_tries_again() -> None:
    story = Story(a_step()).approves().is_delayed(until=NOW + timedelta(seconds=40))

    told = story.why()

    assert told.until == NOW + timedelta(seconds=40)
    assert "next try at 2026-03-02 09:00:40 UTC" in told.sentence


def test_queued_step_without_a_reason_still_says_something() -> None:
    story = Story(a_step()).approves()
    story.happens(ev.Delayed(step_number=1, reason="", basis=basis_of(story.step(1))))

    assert "waits: web-1 asked for patience" in story.why().sentence


def test_running_step_says_how_far_it_is_and_what_happens_if_it_falls_silent() -> None:
    story = Story(a_step()).approves().claims()
    sending = story.why()
    accepted = story.submits().why()
    running = story.is_seen_running().why()

    assert "is being sent to web-1; whether it arrived is being checked" in sending.sentence
    assert "was accepted for web-1 and has not reported a start yet" in accepted.sentence
    assert "is running on web-1 since 2026-03-02 09:00:00 UTC." in running.sentence
    assert {sending.until, accepted.until, running.until} == {DEADLINE}
    assert running.next == (
        "If it says nothing by 2026-03-02 09:18:00 UTC, its outcome is unknown and a person decides."
    )


def test_running_step_says_that_it_was_asked_to_stop() -> None:
    told = Story(a_step()).approves().claims().submits().cancels().why()

    assert told.sentence.endswith("It was asked to stop, which is not confirmed yet.")


def test_failure_that_asks_names_the_people_and_their_choices() -> None:
    story = asking(Story(a_step(on_failure=OnFailure.ASK), an_undo(1)).approves())

    told = story.why()

    assert told.sentence == (
        "Step 1 (Restart nginx) failed (Exit code 1.); "
        "waiting for U0BOB, U0CAROL to choose: retry, skip, rollback, stop."
    )
    assert (told.waits_for, told.since) == ((BOB, CAROL), NOW)
    assert "no deadline" in told.next


def test_requester_is_not_asked_to_choose_about_a_gated_step() -> None:
    story = asking(Story(a_step(on_failure=OnFailure.ASK), audience=an_audience(ALICE, BOB)).approves())

    assert story.why().waits_for == (BOB,)


def test_choice_about_an_ungated_step_is_the_requesters() -> None:
    assert asking(Story(a_free_step(on_failure=OnFailure.ASK))).why().waits_for == (ALICE,)


def test_unknown_outcome_says_that_nobody_can_prove_it_and_since_when() -> None:
    story = Story(a_step()).approves().waits(minutes=20).runs(A.UNKNOWN)

    told = story.why()

    assert "has an unknown outcome: nobody can prove whether it ran; waiting for" in told.sentence
    assert told.sentence.endswith("to choose: succeeded, failed.")
    assert told.since == NOW + timedelta(minutes=20)


def test_attention_without_a_step_that_asks_still_names_somebody() -> None:
    told = explain(a_session(status=N.NEEDS_ATTENTION), NOW)

    assert told.waits_for == (ALICE,)


def test_paused_session_names_the_step_that_comes_next() -> None:
    between = Story(a_free_step(), a_free_step(name="Reload")).claims().submits().pauses().ends(A.SUCCEEDED)

    assert between.why().sentence == "Paused by Alice before step 2 (Reload); nothing runs."
    assert between.why().next == "`/runbook resume 12` goes on, `/runbook cancel 12` ends it."
    assert between.why().waits_for == (ALICE,)


def test_paused_session_names_the_approved_step_and_not_the_one_behind_it() -> None:
    story = Story(a_step(), a_free_step(name="Reload")).approves().pauses()

    assert story.why().sentence == "Paused by Alice before step 1 (Restart nginx); nothing runs."


def test_session_paused_before_its_rollback_names_the_rollback_step() -> None:
    story = Story(a_free_step(on_failure=OnFailure.ROLLBACK), a_free_step(name="Reload"), an_undo(1))

    story.claims().submits().pauses().ends(A.FAILED)

    assert "before step 3 (Undo: step 1)" in story.why().sentence


def test_paused_session_with_nothing_left_says_so() -> None:
    assert "before its end" in explain(a_session(status=N.PAUSED, paused_by="Alice", steps=()), NOW).sentence


@pytest.mark.parametrize("status", sorted(FINAL_SESSIONS))
def test_session_that_is_over_says_how_and_that_it_is_over(status: N) -> None:
    told = explain(a_session(status=status, reason="Because.", finished_at=NOW), NOW)

    assert told == Explanation(sentence=f"{FINAL_SENTENCES[status]} Because.", since=NOW, next="This session is over.")
    assert explain(a_session(status=status), NOW).sentence == FINAL_SENTENCES[status]


def test_every_final_status_has_its_sentence() -> None:
    assert set(FINAL_SENTENCES) == FINAL_SESSIONS
