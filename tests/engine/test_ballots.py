"""Which gate a decision means, and who may steer a session."""

from __future__ import annotations

from typing import Any

import pytest

from engine import events as ev
from engine.ballots import Ballot, gate_meant, person_of, require_control
from engine.errors import Conflict, NotAllowed, NotFound
from engine.model import SYSTEM, OnFailure, Person, Verdict
from tests.builders import ALICE, BOB, CAROL, DAVE, a_free_step, a_step, an_actor, an_audience
from tests.engine.story import A, Story

CONTROLS = [ev.CancelAsked(actor=an_actor()), ev.Paused(actor=an_actor()), ev.Resumed(actor=an_actor())]


def a_ballot(**meaning: Any) -> Ballot:
    return Ballot(actor=an_actor(BOB), verdict=Verdict.APPROVE, **meaning)


def a_choice(step_number: int = 1, choice: ev.Choice = ev.Choice.RETRY) -> ev.Chosen:
    return ev.Chosen(step_number=step_number, choice=choice, actor=an_actor(), reason="I looked.")


def test_only_a_person_decides() -> None:
    assert person_of(an_actor(BOB)) == BOB
    with pytest.raises(NotAllowed, match="Only a person"):
        person_of(SYSTEM)


def test_decision_means_the_gate_whose_message_was_clicked() -> None:
    story = Story(a_step())

    assert gate_meant(story.session, a_ballot(gate_id=story.gate.id)) == story.gate


def test_click_means_its_gate_although_a_step_before_it_asked_nobody() -> None:
    story = Story(a_free_step(), a_step()).runs()

    assert gate_meant(story.session, a_ballot(gate_id=story.gate.id)).step_number == 2


def test_click_on_a_closed_gate_means_that_gate_and_not_the_one_that_is_open_now() -> None:
    story = Story(a_step(), a_step())
    clicked = story.gate.id
    story.approves().runs()

    meant = gate_meant(story.session, a_ballot(gate_id=clicked))

    assert (meant.id, meant.step_number) == (clicked, 1)


def test_click_on_a_gate_that_was_asked_again_is_sent_to_the_newer_message() -> None:
    story = Story(a_step())
    clicked = story.gate.id
    story.approves().loses_its_approval()

    with pytest.raises(Conflict, match=r"replaced by a newer one\. Use the newest message"):
        gate_meant(story.session, a_ballot(gate_id=clicked))


def test_decision_by_number_means_the_gate_of_that_step() -> None:
    story = Story(a_step(), a_step())

    assert gate_meant(story.session, a_ballot(session_id=12, step_number=1)).step_number == 1


def test_decision_about_a_step_that_does_not_wait_is_refused_and_never_moved_to_the_open_one() -> None:
    story = Story(a_step(), a_step())

    with pytest.raises(Conflict, match=r"Step 2 of session 12 does not wait for a decision\. It waits for step 1"):
        gate_meant(story.session, a_ballot(session_id=12, step_number=2))


def test_decision_about_a_session_that_waits_for_nobody_says_what_it_does() -> None:
    story = Story(a_free_step(), a_step())

    with pytest.raises(Conflict, match="It is in_progress"):
        gate_meant(story.session, a_ballot(session_id=12, step_number=2))


@pytest.mark.parametrize("number", [None, 0, 3, -1])
def test_decision_about_no_step_is_refused(number: int | None) -> None:
    story = Story(a_step(), a_step())

    with pytest.raises(NotFound, match="Session 12 has no step"):
        gate_meant(story.session, a_ballot(session_id=12, step_number=number))


@pytest.mark.parametrize("event", CONTROLS)
@pytest.mark.parametrize("person", [ALICE, BOB, CAROL])
def test_requester_and_approvers_may_cancel_pause_and_resume(person: Person, event: ev.Event) -> None:
    require_control(Story(a_free_step(), a_step()).session, person, event)


@pytest.mark.parametrize("event", CONTROLS)
def test_bystander_may_steer_nothing(event: ev.Event) -> None:
    with pytest.raises(NotAllowed, match="not concerned with session 12"):
        require_control(Story(a_step()).session, DAVE, event)


def asking(**changes: Any) -> Story:
    return Story(a_step(on_failure=OnFailure.ASK), a_step(), **changes).approves().runs(A.FAILED)


def test_choice_belongs_to_the_approvers_of_the_step() -> None:
    require_control(asking().session, CAROL, a_choice())


@pytest.mark.parametrize("person", [ALICE, DAVE])
def test_choice_does_not_belong_to_requester_or_bystander(person: Person) -> None:
    story = asking(audience=an_audience(ALICE, BOB))

    with pytest.raises(NotAllowed, match="not an approver of step 1"):
        require_control(story.session, person, a_choice())


@pytest.mark.parametrize("person", [ALICE, BOB])
def test_choice_about_an_ungated_step_belongs_to_everybody_concerned(person: Person) -> None:
    story = Story(a_free_step(on_failure=OnFailure.ASK), a_step()).runs(A.FAILED)

    require_control(story.session, person, a_choice())
    with pytest.raises(NotAllowed):
        require_control(story.session, DAVE, a_choice())


@pytest.mark.parametrize("number", [2, 9])
def test_choice_about_a_step_that_does_not_ask_is_refused(number: int) -> None:
    with pytest.raises(Conflict, match=f"Step {number} of session 12 does not wait for a choice"):
        require_control(asking().session, BOB, a_choice(number))
