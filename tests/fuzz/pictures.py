"""Target ``views``: whatever a session looks like, Slack takes its messages, and nothing in them can be forged.

Sessions come from the strategies of the views' own tests; Hypothesis turns a fuzzer's bytes into one of them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import cast

from hypothesis import HealthCheck, given, settings

from bot.blockkit import validate_message
from bot.views import lists, notices, result
from bot.views.card import card
from bot.views.gate import gate_message
from bot.views.parts import Rendered
from bot.views.text import escape, one_line, visible
from engine.explain import Explanation
from engine.model import Output, Session, Step
from engine.service import View
from tests.bot.views.builders import EXPLANATIONS, NOW, ODD, OUTPUTS, sessions
from tests.bot.views.reading import entities, markup
from tests.fuzz.target import Target, hidden_in


@settings(database=None, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), max_examples=1)
@given(session=sessions(most=3), told=EXPLANATIONS, output=OUTPUTS, text=ODD)
def drawn(session: Session, told: Explanation, output: Output, text: str) -> None:
    """One example of everything; the judges below hold for each."""
    pictures = [card(session, told, now=NOW), lists.session(View(session=session, explanation=told), NOW)]
    for step in session.steps:
        pictures += [result.result(session, step, output), *_about_gate(session, step)]
    pictures += [notices.attention(session, session.steps[0]), notices.closing(session)]
    _judge(session, pictures)
    _judge_words(text)


def _about_gate(session: Session, step: Step) -> Sequence[Rendered]:
    gate = step.gate
    return [draw(session, step, gate=gate, now=NOW) for draw in (gate_message, notices.reminder)] if gate else []


def _judge(session: Session, pictures: Sequence[Rendered]) -> None:
    known = _people(session)
    for picture in pictures:
        problems = validate_message(picture.text, picture.blocks, update=True)
        assert problems == [], problems
        for text in (picture.text, *markup(picture.blocks)):
            assert not hidden_in(text, allowed="\n\t"), f"nobody can see a part of {text!r}"
            strangers = [entity for entity in entities(text) if entity not in known]
            assert strangers == [], f"forged: {strangers}"


def _people(session: Session) -> set[str]:
    votes = [vote.actor.person for step in session.steps if step.gate for vote in step.gate.decisions]
    asked = [one for step in session.steps if step.audience for one in step.audience.approvers]
    asked += [one for step in session.steps if step.gate for one in step.gate.audience.approvers]
    return {f"<@{one.user}>" for one in (*votes, *asked, session.requester.person) if one}


def _judge_words(text: str) -> None:
    """Escaped text has no markup, and making text visible twice is making it visible once."""
    assert not {"<", ">", "`"} & set(escape(text))
    assert visible(visible(text)) == visible(text)
    assert not hidden_in(one_line(text))
    assert one_line(text)


#: What follows an input: a session takes some 2,000 bytes to draw, and of one that runs dry nothing is drawn at all.
REST = random.Random(0).randbytes(8000)


def call(data: bytes) -> None:
    fuzz = cast("Callable[[bytes], bytes | None]", drawn.hypothesis.fuzz_one_input)  # type: ignore[attr-defined]
    fuzz(data + REST[len(data) :])


VIEWS = Target(name="views", holds="any session is drawn in valid blocks without forgeries", call=call)
