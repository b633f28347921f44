"""Answers, Home and notices: complete, counted, and for the right person."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot import grammar
from bot.blockkit import validate_message, validate_view
from bot.views import lists, notices
from bot.views import text as words
from bot.views.home import HomePage, home
from engine.explain import Explanation, explain
from engine.model import AttemptStatus, OnFailure, SessionStatus, StepStatus
from engine.ports import Check, Level, Summary
from engine.runbook import Document
from tests.bot.views.builders import (
    ALICE,
    BOB,
    CAROL,
    HOSTILE,
    NOW,
    a_plan,
    a_planned_step,
    a_session,
    a_step,
    a_vote,
    a_waiting_step,
    an_audience,
    an_ended_step,
)
from tests.bot.views.reading import buttons, entities, literal, preformatted
from tests.bot.views.test_dialogs import a_runbook


def valid(rendered):
    assert validate_message(rendered.text, rendered.blocks, update=True) == []
    return rendered


def a_view(session, told=None):
    return lists.View(session=session, explanation=told or explain(session, NOW), channel="C0OPS", thread_ts="1.2")


def a_summary(number: int = 12, **changes: object) -> Summary:
    summary = Summary(
        id=number,
        status=SessionStatus.WAITING_APPROVAL,
        runbook="restart-web",
        title="Restart the web server",
        target="web-01",
        requester="T0DEMO/U0ALICE",
        ticket="INC-42",
        waiting_step=2,
        current_step=2,
        created_at=NOW,
        finished_at=None,
        channel="C0OPS",
        thread_ts="1.2",
    )
    return replace(summary, **changes)


# ---------------------------------------------------------------- answers


def test_help_names_every_verb_that_the_grammar_knows() -> None:
    rendered = valid(lists.help_text(grammar.USAGES))

    for usage in grammar.USAGES.values():
        assert f"/runbook {usage.pattern}" in literal(rendered.blocks)
        assert words.escape(usage.pattern) in rendered.text


def test_the_list_shows_runbooks_and_why_a_file_cannot_be_used() -> None:
    document = Document(name="restart-web", runbook=a_runbook(), digest="ab" * 32, source="")

    rendered = valid(lists.runbooks([document], {"broken.yaml": "line 3: no such key <!channel>"}))

    assert "restart-web Restart the web server (risk low)" in literal(rendered.blocks)
    assert "line 3: no such key <!channel>" in literal(rendered.blocks)
    assert "1 file cannot be used." in rendered.text


def test_one_runbook_is_shown_with_parameters_and_steps() -> None:
    runbook = a_runbook(level={"type": "choice", "choices": ["soft", "hard"], "description": "How hard."})
    document = Document(name="restart-web", runbook=runbook, digest="ab" * 32, source="", modified_by="Alice")

    rendered = valid(lists.runbook(document))

    for fact in (
        "level (choice, one of soft, hard, required) How hard.",
        "1. Restart (main, risk low)",
        "changed by Alice",
    ):
        assert fact in literal(rendered.blocks)


def test_the_status_of_a_session_has_no_button_and_names_its_thread() -> None:
    rendered = valid(lists.session(a_view(a_session()), NOW))

    assert buttons(rendered.blocks) == {}
    assert "<#C0OPS>" in rendered.text


def test_why_names_people_deadline_and_what_follows() -> None:
    rendered = valid(lists.why(a_view(a_session())))

    assert "<@U0BOB>" in rendered.text
    assert "Waits for: " in literal(rendered.blocks)
    assert "the session expires" in literal(rendered.blocks)


def test_pending_counts_what_it_cannot_show() -> None:
    rendered = valid(lists.pending([a_view(a_session(id=number)) for number in range(1, 41)], NOW))

    assert "and 10 more sessions" in literal(rendered.blocks)


@pytest.mark.parametrize(
    "empty", [lists.status([]), lists.history([], "INC-1"), lists.pending([], NOW), lists.checks([])]
)
def test_an_empty_answer_says_that_there_is_nothing(empty: lists.Rendered) -> None:
    assert valid(empty).text


def test_history_names_status_ticket_and_number() -> None:
    rendered = valid(lists.history([a_summary()], "INC-42"))

    assert "12 Restart the web server on web-01: waiting for approval, waits at step 2, ticket INC-42" in literal(
        rendered.blocks
    )


def test_a_plan_as_text_shows_the_command_in_a_fence_that_it_cannot_leave() -> None:
    step = a_planned_step(script="echo '```' <!channel> `id`\n")

    text = lists.plan_text(a_plan(steps=(step,)))

    assert text.count("```") == 2
    assert entities(text) == []
    assert "`id`" in text


def test_a_plan_that_is_too_long_says_how_much_is_missing() -> None:
    steps = tuple(a_planned_step(number=number, script="x" * 5900) for number in range(1, 5))

    text = lists.plan_text(a_plan(steps=steps))

    assert "more characters" in text
    assert len(text) < notices.EPHEMERAL_MAX


def test_checks_say_what_to_do() -> None:
    check = Check(
        name="role", level=Level.BLOCK, evidence="No right to run commands.", remedy="Assign the role runner."
    )

    assert "To do: Assign the role runner." in literal(valid(lists.checks([check])).blocks)
    assert "To do: Assign the role runner." in lists.checks_text([check])


# ---------------------------------------------------------------- home


def a_home(**page):
    person = page.pop("person", BOB)
    view = home(HomePage(**page), person=person, now=page.pop("now", NOW))
    assert validate_view(view) == []
    return view


def test_home_shows_the_whole_command_with_the_two_buttons() -> None:
    view = a_home(waiting=[a_session()])

    assert list(buttons(view["blocks"])) == ["Run a runbook", "Approve & Continue", "Reject"]
    assert preformatted(view["blocks"]) == ["set -eu\nsystemctl restart nginx\n"]


@pytest.mark.parametrize("person", [ALICE, CAROL])
def test_home_asks_neither_the_requester_nor_who_has_voted(person) -> None:
    step = a_waiting_step(audience=an_audience(approvers=(ALICE, BOB, CAROL), quorum=2), decisions=(a_vote(CAROL),))

    view = a_home(waiting=[a_session(step)], person=person)

    assert "Approve & Continue" not in buttons(view["blocks"])
    assert "Nothing waits for you." in literal(view["blocks"])


def test_home_shows_the_values_that_the_command_reads() -> None:
    step = replace(a_waiting_step(), planned=a_planned_step(script='systemctl restart "$service"\n'))

    view = a_home(waiting=[a_session(step)])

    assert preformatted(view["blocks"])[1] == "service = nginx"


def test_home_asks_nothing_past_the_deadline() -> None:
    view = home(HomePage(waiting=[a_session()]), person=BOB, now=NOW + timedelta(hours=1))

    assert "Approve & Continue" not in buttons(view["blocks"])


def test_home_keeps_within_a_hundred_blocks_and_counts_the_rest() -> None:
    rows = [a_summary(number) for number in range(9)]

    view = a_home(waiting=[a_session(id=n) for n in range(1, 31)], mine=rows, running=rows, recent=rows)

    assert len(view["blocks"]) <= 100
    assert "and 18 more: /runbook pending" in literal(view["blocks"])
    assert "and 1 more: /runbook history" in literal(view["blocks"])


# ---------------------------------------------------------------- notices


def test_a_reminder_goes_to_those_who_have_not_voted() -> None:
    step = a_waiting_step(audience=an_audience(quorum=2), decisions=(a_vote(BOB),))

    rendered = valid(notices.reminder(a_session(step), step, gate=step.gate, now=NOW))

    assert "<@U0CAROL>" in rendered.text
    assert "<@U0BOB>" not in rendered.text


def test_a_failure_offers_the_choices_that_the_machine_would_take() -> None:
    planned = a_planned_step(on_failure=OnFailure.ASK)
    step = an_ended_step(StepStatus.FAILED, AttemptStatus.FAILED, planned=planned, reason="exit code 1")
    session = a_session(step, status=SessionStatus.NEEDS_ATTENTION)

    found = buttons(valid(notices.attention(session, step)).blocks)

    assert {label: button["value"] for label, button in found.items()} == {
        "Retry": "12|1|retry",
        "Skip": "12|1|skip",
        "Stop": "12|1|stop",
    }


def test_an_unknown_outcome_asks_for_evidence_and_never_says_failed() -> None:
    step = an_ended_step(StepStatus.UNKNOWN, AttemptStatus.UNKNOWN, exit_code=None)

    rendered = valid(notices.attention(a_session(step, status=SessionStatus.NEEDS_ATTENTION), step))

    assert list(buttons(rendered.blocks)) == ["It worked", "It did not work"]
    assert "unknown outcome" in rendered.text
    assert "failed" not in rendered.text


def test_an_answered_question_has_no_buttons_any_more() -> None:
    planned = a_planned_step(on_failure=OnFailure.ASK)
    step = an_ended_step(StepStatus.FAILED, AttemptStatus.FAILED, planned=planned)

    rendered = valid(notices.attention(a_session(step), step, current=False))

    assert buttons(rendered.blocks) == {}


def test_the_closing_line_says_how_it_ended_how_long_it_took_and_who_decided() -> None:
    step = a_step(status=StepStatus.SUCCEEDED, gate=replace(a_waiting_step().gate, decisions=(a_vote(BOB),)))
    session = a_session(step, status=SessionStatus.COMPLETED, finished_at=NOW + timedelta(minutes=12))

    rendered = valid(notices.closing(session))

    assert "is over: Completed. It took 12 min." in rendered.text
    assert "approved step 1" in literal(rendered.blocks)


def test_what_a_person_is_told_when_a_channel_is_lost_is_harmless() -> None:
    told = notices.undeliverable(a_session(plan=a_plan(title=HOSTILE)), "the channel is archived.")

    assert entities(told) == []
    assert "`/runbook status 12`" in told


# ---------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "unknown"),
        (0.44, "0.4 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (125, "2 min 5 s"),
        (3600, "1 h"),
        (11_400, "3 h 10 min"),
    ],
)
def test_durations_are_short(seconds: float | None, text: str) -> None:
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(1, "1 byte"), (999, "999 bytes"), (2500, "2.5 kB"), (10_000_000, "10.0 MB")]
)
def test_sizes_are_short(count: int, text: str) -> None:
    assert words.size(count) == text


def test_a_sentence_mentions_only_the_people_it_is_about() -> None:
    told = Explanation(sentence="Waiting for U0BOB, not U0CAROL <@U0CAROL>", waits_for=(BOB,))

    assert words.told(told.sentence, told.waits_for) == "Waiting for <@U0BOB>, not U0CAROL &lt;@U0CAROL&gt;"
