"""The judges can convict: each kind of loss and doubling, made by hand in the evidence of a sound case, is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.crash.campaign.campaign import Campaign
from tests.crash.campaign.judges import Evidence, judge


@dataclass(frozen=True)
class Forgery:
    """A change to the evidence, and what the judges must then say."""

    forge: Callable[[Evidence], Evidence]
    verdict: str


def _without(*, kind: str) -> Callable[[Evidence], Evidence]:
    return lambda e: replace(e, audit=[line for line in e.audit if line["kind"] != kind])


def _twice(ledger: str, field: str, value: str) -> Callable[[Evidence], Evidence]:
    def forge(e: Evidence) -> Evidence:
        lines = getattr(e, ledger)
        found = next(line for line in lines if line[field] == value)
        changed: Any = {ledger: [*lines, found]}
        return replace(e, **changed)

    return forge


def _attempts(**changes: object) -> Callable[[Evidence], Evidence]:
    return lambda e: replace(e, attempts={name: row | changes for name, row in e.attempts.items()})


def _unshown(purpose: str) -> Callable[[Evidence], Evidence]:
    return lambda e: replace(e, slack=[line for line in e.slack if f"/{purpose}/" not in str(line.get("metadata"))])


FORGERIES = {
    "lost decision": Forgery(lambda e: replace(e, decisions=[]), "was acknowledged and is lost"),
    "doubled decision": Forgery(_twice("decisions", "verdict", "approve"), "counts 2 times"),
    "lost start": Forgery(
        lambda e: replace(e, sessions={n: row | {"request_key": "other"} for n, row in e.sessions.items()}),
        "start 'a' was acknowledged and is lost",
    ),
    "second submission": Forgery(_twice("machine", "did", "submit"), "was submitted 2 times"),
    "second effect": Forgery(_twice("machine", "did", "effect"), "took effect 2 times"),
    "no intent": Forgery(_without(kind="step_claimed"), "sent without its intent on record"),
    "no approval": Forgery(_without(kind="step_approve"), "sent without an approval on record"),
    "refusal forgotten": Forgery(
        lambda e: replace(e, people=[*e.people, {"act": "U0DAVE tries", "answer": "ok"}]), "and told that it counted"
    ),
    "cut audit trail": Forgery(_without(kind="step_submitted"), "breaks the chain"),
    "silent change": Forgery(_without(kind="step_ended"), "have holes or doubles"),
    "failure without evidence": Forgery(_attempts(status="failed"), "is said to have failed"),
    "denied effect": Forgery(_attempts(status="not_started"), "and has had an effect"),
    "unproven cancel": Forgery(_attempts(status="cancelled"), "the machine never stopped it"),
    "forgotten attempt": Forgery(_attempts(status="running"), "is still running"),
    "leftovers": Forgery(_attempts(cleaned_at=None), "was not cleared away"),
    "lost result": Forgery(_unshown("result"), "was never shown"),
    "result shown twice": Forgery(
        lambda e: replace(e, slack=[*e.slack, *(m for m in e.slack if "/result/1" in str(m.get("metadata")))]),
        "was posted 2 times",
    ),
    "nobody told of the end": Forgery(_unshown("closing"), "and nobody was told"),
}


@pytest.fixture
def sound(on_sqlite: Campaign) -> Evidence:
    """What an approved session leaves behind when nobody dies."""
    return on_sqlite.evidence("approve")


def test_sound_case_is_acquitted(sound: Evidence) -> None:
    assert judge(sound) == []


@pytest.mark.parametrize("name", FORGERIES)
def test_judges_convict(sound: Evidence, name: str) -> None:
    forgery = FORGERIES[name]

    found = judge(forgery.forge(sound))

    assert [problem for problem in found if forgery.verdict in problem], found
