"""Whatever a session looks like, Slack takes its messages, and nothing in them can be forged."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.blockkit import validate_message, validate_view
from bot.views import lists, notices, result
from bot.views.card import card
from bot.views.gate import gate_message, superseded
from bot.views.home import HomePage, home
from bot.views.parts import Rendered
from engine.explain import Explanation
from engine.model import AttemptStatus, Gate, Output, Session, SessionStatus, StepStatus
from engine.plaintext import is_invisible
from engine.ports import Summary
from tests.bot.views.builders import (
    BOB,
    EXPLANATIONS,
    NOW,
    ODD,
    OUTPUTS,
    a_plan,
    a_session,
    an_ended_step,
    gates,
    sessions,
)
from tests.bot.views.reading import entities, literal, markup, nodes, preformatted

odd = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


def problems(rendered: Rendered) -> list[str]:
    return validate_message(rendered.text, rendered.blocks, update=True)


def forged(rendered: Rendered, session: Session) -> list[str]:
    """Entities that are no mention of somebody who really is in the session."""
    texts = [rendered.text, *markup(rendered.blocks)]
    people = {vote.actor.person for step in session.steps if step.gate for vote in step.gate.decisions}
    people |= {one for step in session.steps for a in (step.audience,) if a for one in a.approvers}
    people |= {one for step in session.steps if step.gate for one in step.gate.audience.approvers}
    known = {f"<@{one.user}>" for one in (*people, session.requester.person) if one}
    return [entity for text in texts for entity in entities(text) if entity not in known]


@odd
@given(session=sessions(most=6), told=EXPLANATIONS, queue=st.lists(st.integers(1, 99), max_size=4).map(tuple))
def test_card_is_valid_and_forges_nothing(session: Session, told: Explanation, queue: tuple[int, ...]) -> None:
    rendered = card(session, told, now=NOW, queue=(*queue, session.id))

    assert problems(rendered) == []
    assert forged(rendered, session) == []


@odd
@given(session=sessions(most=2), gate=gates(1))
def test_gate_is_valid_and_forges_nothing(session: Session, gate: Gate) -> None:
    step = replace(session.steps[0], gate=gate)

    rendered = gate_message(replace(session, steps=(step, *session.steps[1:])), step, gate=gate, now=NOW)

    assert problems(rendered) == []
    assert forged(rendered, replace(session, steps=(step,))) == []


@odd
@given(session=sessions(most=2), output=OUTPUTS)
def test_result_is_valid_and_forges_nothing(session: Session, output: Output) -> None:
    step = session.steps[0]

    rendered = [result.result(session, step, output), result.retried(session, step, 1), superseded(session, 1)]

    assert [problems(each) for each in rendered] == [[], [], []]
    assert [forged(each, session) for each in rendered] == [[], [], []]


@odd
@given(session=sessions(most=2), gate=gates(1))
def test_notices_are_valid_and_forge_nothing(session: Session, gate: Gate) -> None:
    step = session.steps[0]
    with_gate = replace(session, steps=(replace(step, gate=gate),))

    rendered = [
        notices.reminder(with_gate, step, gate=gate, now=NOW),
        notices.attention(session, step),
        notices.attention(replace(session, rolling_back=False), replace(step, status=StepStatus.UNKNOWN)),
        notices.closing(session),
    ]

    assert [problems(each) for each in rendered] == [[], [], [], []]
    assert [forged(each, s) for each, s in zip(rendered, [with_gate, *[session] * 3], strict=True)] == [[]] * 4


@odd
@given(several=st.lists(sessions(most=2), max_size=4), data=st.data())
def test_home_is_valid_however_much_there_is(several: list[Session], data: st.DataObject) -> None:
    waiting = [replace(each, steps=(replace(each.steps[0], gate=data.draw(gates(1))),)) for each in several]
    rows = [
        Summary(
            id=number,
            status=data.draw(st.sampled_from(SessionStatus)),
            runbook=data.draw(ODD),
            title=data.draw(ODD),
            target=data.draw(ODD),
            requester="",
            ticket=data.draw(ODD),
            waiting_step=None,
            current_step=1,
            created_at=NOW,
            finished_at=None,
            channel="",
            thread_ts="",
        )
        for number in range(data.draw(st.integers(0, 4)))
    ]

    view = home(HomePage(waiting=waiting * 20, mine=rows * 9, running=rows, recent=rows), person=BOB, now=NOW)

    assert validate_view(view) == []


@odd
@given(session=sessions(most=3), told=EXPLANATIONS)
def test_answers_are_valid_and_forge_nothing(session: Session, told: Explanation) -> None:
    view = lists.View(session=session, explanation=told, channel="C0OPS", thread_ts="1.2")

    rendered = [lists.session(view, NOW), lists.why(view), lists.pending([view] * 3, NOW)]

    assert [problems(each) for each in rendered] == [[], [], []]
    people = {f"<@{one.user}>" for one in told.waits_for} | {"<#C0OPS>"}
    assert [e for each in rendered for e in forged(each, session) if e not in people] == []


@pytest.mark.parametrize("status", list(SessionStatus))
@given(text=ODD)
@settings(max_examples=10, deadline=None)
def test_same_shape_whatever_the_words_are(status: SessionStatus, text: str) -> None:
    """A name can change what a message says but never how many of what kind of element it has."""
    told = Explanation(sentence="Waiting.")
    plain = card(a_session(plan=a_plan(title="x"), status=status), told, now=NOW)
    hostile = card(a_session(plan=a_plan(title=text), status=status), told, now=NOW)

    assert [node.get("type") for node in nodes(hostile.blocks)] == [node.get("type") for node in nodes(plain.blocks)]


@odd
@given(output=OUTPUTS)
def test_displayed_output_has_nothing_invisible(output: Output) -> None:
    step = an_ended_step(StepStatus.SUCCEEDED, AttemptStatus.SUCCEEDED)

    rendered = result.result(a_session(step), step, output)

    shown = "".join(preformatted(rendered.blocks)) + literal(rendered.blocks) + rendered.text
    assert [c for c in shown if is_invisible(c) and c not in "\n\t"] == []
