"""What people type: answers in the acknowledgement, work afterwards, refusals as sentences."""

from __future__ import annotations

import pytest

from bot.grammar import USAGES
from engine.model import SessionStatus
from playground.slack.faults import FaultKind
from tests.bot.listeners.office import Office


def types(person, text: str, channel: str = "ops"):
    return person.types(f"/runbook {text}", channel=channel)


def test_help_lists_every_command(alice):
    answer = types(alice, "help")

    assert all(f"/runbook {usage.pattern.split()[0]}" in answer.message.plain() for usage in USAGES.values())


def test_empty_command_is_answered_with_help(alice):
    assert "execute" in types(alice, "").text


def test_list_shows_runbooks_to_the_person_alone(alice, office: Office):
    answer = types(alice, "list")

    assert "restart-web" in answer.message.plain()
    assert answer.message.ephemeral_to == alice.id


def test_show_names_the_parameters(alice):
    assert "service" in types(alice, "show restart-web").message.plain()


def test_every_answer_is_timed_and_every_refusal_counted(alice, office: Office):
    types(alice, "help")
    types(alice, "show restart-wbe")

    assert [kind for kind, _ in office.answered] == ["command", "command"]
    assert all(0 <= seconds < 3 for _, seconds in office.answered)
    assert office.refused == ["not_found"]


def test_unknown_runbook_is_refused_with_the_nearest_name(alice):
    assert "restart-web" in types(alice, "show restart-wbe").text


def test_typing_error_is_answered_with_place_and_cure(alice):
    answer = types(alice, 'execute restart-web vm="web-01')

    assert answer.acked
    assert "never closed" in answer.text


def test_execute_is_acknowledged_before_anything_is_looked_up(alice, office: Office):
    office.machines.patient = False

    answer = types(alice, "execute restart-web vm=web-01 ticket=INC-1")

    assert "Preparing" in answer.text
    assert office.service.recent() == ()


def test_execute_starts_a_session_with_its_thread(alice, office: Office):
    types(alice, "execute restart-web vm=web-01 ticket=INC-1")
    office.work()
    office.show()

    session = office.session()

    assert session.status is SessionStatus.WAITING_APPROVAL
    assert session.ticket == "INC-1"
    assert session.requester.person.user == alice.id
    assert "Approve & Continue" in office.gate().buttons()


def test_wrong_value_is_refused_at_once(alice, office: Office):
    answer = types(alice, "execute restart-web vm=web-01 service=Nope!")

    assert "service" in answer.text
    assert office.jobs.keys == []


def test_refusal_of_the_worker_reaches_the_requester(alice, office: Office):
    types(alice, "execute restart-web vm=elsewhere")
    office.work()
    office.show()

    assert [(user, "elsewhere" in text) for user, _, text in office.told] == [(alice.id, True)]


def test_outage_of_azure_reaches_the_requester_and_is_not_repeated(alice, office: Office):
    office.machines.patient = False
    types(alice, "execute restart-web vm=web-01")
    key = office.jobs.keys[0]
    office.work()
    office.requests.carry_out(key)
    office.show()

    assert len(office.told) == 1
    assert "patience" in office.told[0][2]
    with office.units() as uow:
        assert uow.inbox.get(key) is None


def test_one_command_delivered_twice_starts_one_session(alice, office: Office):
    office.workspace.faults.switch_on(FaultKind.DUPLICATE_NEW_ENVELOPE, on="slash_commands")

    types(alice, "execute restart-web vm=web-01")
    office.work()

    assert len(office.service.recent()) == 1


def test_plan_runs_nothing_and_shows_the_exact_script(alice, office: Office):
    answer = types(alice, "plan restart-web vm=web-01")
    office.work()
    office.show()

    assert "Nothing is run" in answer.text
    assert 'systemctl restart "$service"' in office.told[0][2]
    assert office.service.recent() == ()


def test_doctor_answers_later_with_what_was_seen(alice, office: Office):
    types(alice, "doctor web-01")
    office.work()
    office.show()

    assert "web-01 answers" in office.told[0][2]


@pytest.mark.parametrize("text", ["status", "pending", "history", "status 1", "why 1", "history ticket=NONE"])
def test_questions_about_sessions_are_answered_in_the_acknowledgement(text: str, alice, office: Office):
    office.waiting_session()

    answer = types(alice, text)

    assert answer.acked
    assert ("restart" in answer.message.plain().lower()) == ("NONE" not in text)


def test_why_names_who_must_decide(alice, office: Office):
    office.waiting_session()

    assert "U0BOB" in types(alice, "why 1").message.plain()


def test_question_about_an_unknown_session_is_a_sentence(alice):
    assert "There is no session 99" in types(alice, "why 99").text


def test_requester_cancels_with_a_reason(alice, office: Office):
    office.waiting_session()

    answer = types(alice, "cancel 1 it's the wrong machine")

    assert "cancelled" in answer.text
    assert office.session().status is SessionStatus.CANCELLED
    assert office.audit("session_cancel_asked")[0].data["reason"] == "it's the wrong machine"


def test_somebody_else_cannot_cancel(office: Office):
    office.waiting_session()

    answer = types(office.workspace.person("dave"), "cancel 1")

    assert "not concerned with session 1" in answer.text
    assert office.session().status is SessionStatus.WAITING_APPROVAL


def test_pausing_what_waits_for_people_is_refused_with_the_reason(alice, office: Office):
    office.waiting_session()

    assert types(alice, "pause 1").acked


def test_guest_gets_help_and_nothing_else(gina, office: Office):
    office.waiting_session()

    assert "execute" in types(gina, "help").text
    assert "Guests may not" in types(gina, "status 1").text


def test_markup_in_a_refusal_is_shown_and_not_obeyed(alice):
    assert "&lt;!channel&gt;" in types(alice, "show <!channel>").text


def test_flood_of_one_person_costs_nobody_else_an_answer(alice, bob):
    answers = [types(alice, "help") for _ in range(31)]

    assert "many requests" in answers[-1].text
    assert "execute" in types(bob, "help").text
