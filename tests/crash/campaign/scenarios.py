"""The scenarios: what people do, how the machine behaves meanwhile, and how each session may end.

An act is done when its moment has come and, if the process dies before it was acknowledged, once more. Which
process is alive when, and where it dies, no scenario knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.errors import NotAllowed
from engine.events import Choice
from engine.model import AttemptStatus, Person, SessionStatus, Verdict
from tests.builders import ALICE, BOB, CAROL, DAVE
from tests.crash.campaign.installation import Installation
from tests.crash.campaign.machine import Nature

Ready = Callable[[Installation], bool]
N = SessionStatus
RESTARTS = (2.0, 75.0)  #: seconds for which a process stays dead: before and after others are thought dead
DAY = 86_400.0

_HEAD = """\
name: {name}
title: A runbook of the crash campaign
owner: platform-team
environment: prod
risk: low
os: linux
targets: any
{approval}steps:
"""
_ASKS = """\
  - name: Change {number}
    run: echo change {number}
    requires_approval: true
{more}"""
_FREE = """\
  - name: Look {number}
    risk: none
    run: echo look {number}
    requires_approval: false
{more}"""
_BY_HAND = """\
  - name: Call them
    type: manual
    run: Call the customer.
"""


def _runbook(name: str, *steps: str, approval: str = "") -> str:
    return _HEAD.format(name=name, approval=approval) + "".join(steps)


def _asks(number: int = 1, more: str = "") -> str:
    return _ASKS.format(number=number, more=more)


def _free(number: int, more: str = "") -> str:
    return _FREE.format(number=number, more=more)


RUNBOOKS: Mapping[str, str] = {
    "one-step": _runbook("one-step", _asks()),
    "two-steps": _runbook("two-steps", _asks(), _free(2)),
    "two-people": _runbook("two-people", _asks(), approval="approval:\n  quorum: 2\n"),
    "tries-again": _runbook("tries-again", _asks(more="    retries: 1\n")),
    "undoes": _runbook(
        "undoes",
        _asks(1, "    rollback: echo undo 1\n"),
        _free(2, "    on_failure: rollback\n"),
    ),
    "by-hand": _runbook("by-hand", _BY_HAND, _free(2)),
}


@dataclass(frozen=True)
class Act:
    """One thing that a person does, at its moment. ``vote`` says who decided what, for the judges."""

    name: str
    when: Ready
    do: Callable[[Installation], None]
    vote: tuple[str, str, str] | None = None  #: key of the session, person, verdict
    power_cut: bool = False  #: the process dies right after it, whatever else happens


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A script."""

    name: str
    acts: tuple[Act, ...]
    ends: Mapping[str, frozenset[str]]  #: how the sessions may end, by start key
    nature: Nature = field(default_factory=Nature)
    policy: Mapping[str, Any] = field(default_factory=dict)
    asleep: tuple[float, ...] = RESTARTS
    history_readable: bool = True
    files: int = 0  #: how many files are to be seen
    tells: Mapping[str, int] = field(default_factory=dict)  #: audit kind -> how often exactly


# ------------------------------------------------------------ moments


def at_once(_: Installation) -> bool:
    return True


def asked(key: str = "a", step: int = 0) -> Ready:
    """The request for a decision is to be seen in Slack."""

    def ready(it: Installation) -> bool:
        session = it.session(key)
        gate = session.open_gate if session else None
        fits = gate is not None and step in {0, gate.step_number}
        return bool(fits and session and it.gate_message(session))

    return ready


def is_now(*statuses: SessionStatus, key: str = "a") -> Ready:
    return lambda it: (session := it.session(key)) is not None and session.status in statuses


def attempt_is(*statuses: AttemptStatus, key: str = "a") -> Ready:
    def ready(it: Installation) -> bool:
        session = it.session(key)
        step = session.current_step if session else None
        return bool(step and step.attempt and step.attempt.status in statuses)

    return ready


def reminded(it: Installation) -> bool:
    session = it.session()
    return bool(session and session.open_gate and session.open_gate.reminded)


# ------------------------------------------------------------ acts


def starts(runbook: str, key: str = "a", when: Ready = at_once) -> Act:
    return Act(f"start {key}", when, lambda it: it.starts(runbook, key))


def votes(
    person: Person, verdict: Verdict = Verdict.APPROVE, *, key: str = "a", step: int = 0, when: Ready | None = None
) -> Act:
    name = f"{person.user} {verdict.value} {key} {step}"
    return Act(
        name,
        when or asked(key, step),
        lambda it: it.decides(person, name, verdict=verdict, key=key),
        vote=(key, person.user, verdict.value),
    )


def is_refused(person: Person) -> Act:
    """Somebody clicks who may not decide: kept as evidence, counted as nothing, and told so whenever it comes again."""
    return Act(f"{person.user} tries", asked(), lambda it: it.decides(person, f"{person.user} tries"))


def cancels(when: Ready) -> Act:
    return Act("cancel", when, lambda it: it.cancels(ALICE))


def chooses(choice: Choice) -> Act:
    return Act(f"choose {choice.value}", is_now(N.NEEDS_ATTENTION), lambda it: it.chooses(BOB, choice))


def power_cut(when: Ready, name: str = "power cut") -> Act:
    return Act(name, when, lambda _: None, power_cut=True)


# ------------------------------------------------------------ the scripts


def _ends(*statuses: str, key: str = "a") -> dict[str, frozenset[str]]:
    return {key: frozenset(statuses)}


_RUNS = (AttemptStatus.ACCEPTED, AttemptStatus.RUNNING)
_SENT = attempt_is(*_RUNS)
_QUIET = Nature(mute=True, polls=(10.0, 400.0))

_WAITING = (
    Scenario(name="start", acts=(starts("one-step"),), ends=_ends("waiting_approval")),
    Scenario(name="reject", acts=(starts("one-step"), votes(BOB, Verdict.REJECT)), ends=_ends("rejected")),
    Scenario(
        name="expire",
        acts=(starts("one-step"), Act("wait", is_now(N.EXPIRED), lambda _: None)),
        ends=_ends("expired"),
        asleep=(2.0, 1801.0, 3 * DAY),
        tells={"gate_expired": 1},
    ),
    Scenario(
        name="reminder",
        acts=(starts("one-step"), Act("wait", reminded, lambda _: None), votes(BOB)),
        ends=_ends("completed"),
        tells={"approvers_reminded": 1},
    ),
    Scenario(name="cancel while waiting", acts=(starts("one-step"), cancels(asked())), ends=_ends("cancelled")),
    Scenario(
        name="stranger refused",
        acts=(starts("one-step"), is_refused(DAVE), votes(BOB, Verdict.REJECT)),
        ends=_ends("rejected"),
    ),
    Scenario(name="manual step", acts=(starts("by-hand"), votes(BOB)), ends=_ends("completed")),
)

_RUNNING = (
    Scenario(name="approve", acts=(starts("two-steps"), votes(BOB)), ends=_ends("completed")),
    Scenario(name="quorum of two", acts=(starts("two-people"), votes(BOB), votes(CAROL)), ends=_ends("completed")),
    Scenario(
        name="cancel while running",
        acts=(starts("one-step"), votes(BOB), cancels(_SENT)),
        nature=Nature(seconds=300),
        ends=_ends("cancelled"),
    ),
    Scenario(
        name="cancel while submitting",
        acts=(starts("one-step"), votes(BOB), cancels(attempt_is(AttemptStatus.SUBMITTING, *_RUNS))),
        nature=Nature(seconds=300, meets=("answer lost",)),
        ends=_ends("cancelled"),
    ),
    Scenario(
        name="automatic retry",
        acts=(starts("tries-again"), votes(BOB)),
        nature=Nature(codes=(1,)),
        ends=_ends("completed"),
    ),
    Scenario(
        name="output upload",
        acts=(starts("one-step"), votes(BOB)),
        nature=Nature(printed="a line of output\n" * 400),
        ends=_ends("completed"),
        asleep=RESTARTS[:1],  # Slack does not show the file yet when the next process looks for it
        files=1,
    ),
    Scenario(
        name="output upload, history not readable",
        acts=(starts("one-step"), votes(BOB)),
        nature=Nature(printed="a line of output\n" * 400),
        ends=_ends("completed"),
        history_readable=False,
        files=1,
    ),
    Scenario(
        name="restart during polling",
        acts=(
            starts("one-step"),
            votes(BOB),
            power_cut(_SENT),
            power_cut(attempt_is(AttemptStatus.RUNNING), "another power cut"),
        ),
        nature=Nature(seconds=120),
        ends=_ends("completed"),
    ),
    Scenario(
        name="answer lost",
        acts=(starts("one-step"), votes(BOB)),
        nature=Nature(meets=("answer lost",), leftovers=1),
        ends=_ends("completed"),
    ),
    Scenario(
        name="not started",
        acts=(starts("one-step"), votes(BOB)),
        nature=Nature(meets=("throttled",)),
        ends=_ends("completed"),
    ),
    Scenario(
        name="request lost",
        acts=(starts("one-step"), votes(BOB), chooses(Choice.RETRY), votes(CAROL)),
        nature=Nature(meets=("request lost",)),
        ends=_ends("completed"),
    ),
    Scenario(
        name="unknown outcome",
        acts=(starts("two-steps"), votes(BOB), chooses(Choice.FAILED)),
        nature=_QUIET,
        ends=_ends("failed"),
    ),
    Scenario(
        name="rollback",
        acts=(starts("undoes"), votes(BOB, step=1), votes(CAROL, step=3)),
        nature=Nature(codes=(0, 1, 0)),
        ends=_ends("failed"),
    ),
    Scenario(
        name="two sessions on one machine",
        acts=(starts("one-step", "a"), starts("one-step", "b"), votes(BOB, key="a"), votes(BOB, key="b")),
        ends=_ends("completed") | _ends("completed", key="b"),
        nature=Nature(seconds=20, polls=(4.0, 20.0)),
    ),
    Scenario(
        name="pause and resume",
        acts=(
            starts("two-steps"),
            votes(BOB),
            Act("pause", _SENT, lambda it: it.pauses(ALICE)),
            Act("resume", is_now(N.PAUSED), lambda it: it.resumes(ALICE)),
        ),
        ends=_ends("completed"),
        nature=Nature(seconds=20, polls=(4.0, 20.0)),
    ),
    Scenario(
        name="history not readable",
        acts=(starts("one-step"), votes(BOB)),
        ends=_ends("completed"),
        history_readable=False,
    ),
)

_BESIDES = (
    Scenario(
        name="questions",
        acts=(
            Act("home", at_once, lambda it: it.opens_home(BOB)),
            Act("help", at_once, lambda it: it.is_told(ALICE, "help")),
            Act("plan", at_once, lambda it: it.asks("plan", "one-step", "plan")),
            Act(
                "outsider",
                at_once,
                lambda it: it.requests.turn_away("T9/U9", NotAllowed("Another workspace."), delivery="d9"),
            ),
            starts("one-step"),
            votes(BOB, Verdict.REJECT),
        ),
        ends=_ends("rejected"),
    ),
)

SCENARIOS: Mapping[str, Scenario] = {each.name: each for each in (*_WAITING, *_RUNNING, *_BESIDES)}
