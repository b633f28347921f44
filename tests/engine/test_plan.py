"""The plan: what is approved is every byte that will run, and no other plan has its digest."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterator
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from engine import model
from engine.errors import Bug, InvalidInput
from engine.model import Expect, OnFailure, Phase, Plan, PlannedStep, Risk, Shell, StepKind, Target
from engine.parameters import Parameter
from engine.plan import digest_of, encode, outline, render, step_digest
from engine.runbook import After, Approval, Document, ExpectRule, Runbook, Step

TARGET = Target(connector="azure", id="/vm/1", name="web-01", group="rg-prod", fingerprint="f-1", location="westeurope")


def a_document(**changes: Any) -> Document:
    fields = {
        "name": "demo",
        "title": "Demo",
        "owner": "team",
        "environment": "prod",
        "risk": "high",
        "os": "linux",
        "targets": ["rg-prod/web-*"],
        "parameters": {"size": {"default": "1"}},
        "prechecks": [{"name": "Look", "run": "uptime", "on_failure": "ask"}],
        "steps": [
            {"name": "First", "run": 'grow "$size"', "rollback": 'shrink "$size"', "risk": "low", "timeout": "10m"},
            {"name": "Ask", "type": "manual", "run": "Call the owner."},
            {"name": "Second", "run": "restart", "rollback": "start", "requires_approval": False},
        ],
        "postchecks": [{"name": "Prove", "run": "is-active"}],
    }
    runbook = Runbook.model_validate({**fields, **changes})
    return Document(name="demo", runbook=runbook, digest="d" * 64, source="demo.yaml")


def a_plan(document: Document | None = None, **changes: Any) -> Plan:
    given: dict[str, Any] = {
        "values": {"size": "10"},
        "target": TARGET,
        "policy_version": "p1",
        "needs_approval": lambda _phase, risk, _declared: risk.rank > Risk.NONE.rank,
    }
    return render(document or a_document(), **{**given, **changes})


def test_steps_are_numbered_through_all_phases_and_undo_steps_follow_in_reverse() -> None:
    plan = a_plan()

    assert [(step.number, step.phase, step.name, step.undoes) for step in plan.steps] == [
        (1, Phase.PRECHECK, "Look", 0),
        (2, Phase.MAIN, "First", 0),
        (3, Phase.MAIN, "Ask", 0),
        (4, Phase.MAIN, "Second", 0),
        (5, Phase.POSTCHECK, "Prove", 0),
        (6, Phase.ROLLBACK, "Undo: Second", 4),
        (7, Phase.ROLLBACK, "Undo: First", 2),
    ]


def test_an_undo_step_has_the_shell_risk_and_timeout_of_its_step_and_is_gated_like_it() -> None:
    asked: list[tuple[Phase, Risk, bool | None]] = []

    def needs_approval(phase: Phase, risk: Risk, declared: bool | None) -> bool:
        asked.append((phase, risk, declared))
        return True

    undo = a_plan(needs_approval=needs_approval).steps[-1]

    assert (undo.risk, undo.timeout_seconds, undo.shell, undo.requires_approval) == (Risk.LOW, 600, Shell.BASH, True)
    assert asked[-2:] == [(Phase.MAIN, Risk.HIGH, False), (Phase.MAIN, Risk.LOW, None)]


def test_a_script_is_the_prologue_of_the_values_it_names_and_then_the_text_of_the_author() -> None:
    plan = a_plan()

    assert plan.steps[1].script == 'size="$(printf %s \'MTA=\' | base64 -d)" || exit 96\ngrow "$size"'
    assert plan.steps[6].script == 'size="$(printf %s \'MTA=\' | base64 -d)" || exit 96\nshrink "$size"'
    assert plan.steps[3].script == "restart"


def test_a_manual_step_has_instructions_and_no_script() -> None:
    step = a_plan().steps[2]

    assert (step.kind, step.script, step.instructions) == (StepKind.MANUAL, "", "Call the owner.")


def test_a_machine_with_another_operating_system_is_refused() -> None:
    with pytest.raises(InvalidInput, match="demo is for linux, but web-01 runs windows"):
        a_plan(target=dataclasses.replace(TARGET, os="windows"))


def test_a_machine_outside_the_targets_is_refused_with_those_that_are_allowed() -> None:
    with pytest.raises(InvalidInput, match=r"may not be used on rg-prod/db-01. It is for rg-prod/web-\*"):
        a_plan(target=dataclasses.replace(TARGET, name="db-01"))


def test_a_script_too_long_to_be_shown_with_its_values_is_refused() -> None:
    document = a_document(steps=[{"name": "Long", "run": '"$size"\n' + "x" * 5000}])

    with pytest.raises(InvalidInput, match="an approver can be shown at most 6000"):
        a_plan(document, values={"size": "y" * 1000})


@pytest.mark.parametrize("values", [{}, {"size": "1", "other": "2"}])
def test_values_that_were_not_checked_against_the_runbook_are_a_bug(values: dict[str, str]) -> None:
    with pytest.raises(Bug):
        a_plan(values=values)


def test_the_outline_shows_every_byte_of_every_script() -> None:
    plan = a_plan(a_document(steps=[{"name": "A", "run": 'a "$size"  \n\n\tb\n'}, {"name": "B", "run": "c"}]))

    text = outline(plan)
    shown = [line.removeprefix("    | ") for line in text.split("\n") if line.startswith("    | ")]

    assert "\n".join(shown) == "\n".join(step.script.removesuffix("\n") for step in plan.steps)
    assert digest_of(plan) in text


def test_the_outline_names_what_an_approver_must_know() -> None:
    text = outline(a_plan())

    for part in ("rg-prod/web-01", "f-1", "size = '10'", "needs approval", "Call the owner.", "undoes step 4", "p1"):
        assert part in text


# ---------------------------------------------------------------- the digest


def other_values(value: object, annotation: Any) -> Iterator[object]:
    """Yield values of the same type that differ from the given one in one place."""
    if isinstance(value, Enum):
        yield next(other for other in type(value) if other is not value)
    elif isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield value + 1
    elif isinstance(value, str):
        yield value + "x"
    elif dataclasses.is_dataclass(value):
        yield from changed(value)
    elif isinstance(value, tuple):
        yield from other_tuples(value, annotation)
    else:
        raise TypeError(f"teach this test about {type(value)}")


def other_tuples(value: tuple[Any, ...], annotation: Any) -> Iterator[object]:
    assert value, "the plan under test must fill every list, or its items are not tested"
    yield value[:-1]
    yield (*value, value[-1])
    for index, item in enumerate(value):
        for other in other_values(item, annotation):
            yield (*value[:index], other, *value[index + 1 :])


def changed(record: Any) -> Iterator[Any]:
    """Yield copies of a record, each with one field changed, however deep."""
    for field in dataclasses.fields(record):
        for other in other_values(getattr(record, field.name), field.type):
            yield dataclasses.replace(record, **{field.name: other})


FULL_STEP = PlannedStep(
    number=1,
    phase=Phase.MAIN,
    name="First",
    kind=StepKind.COMMAND,
    risk=Risk.LOW,
    requires_approval=True,
    script="grow",
    instructions="call",
    expect=Expect(contains=("a",), not_contains=("b",), matches="c", number="< 1"),
    capture=(("load", "number"),),
)
FULL_PLAN = dataclasses.replace(a_plan(), steps=(FULL_STEP, dataclasses.replace(FULL_STEP, number=2)))


def test_every_change_of_a_single_field_changes_the_digest() -> None:
    plans = list(changed(FULL_PLAN))

    digests = {digest_of(plan) for plan in plans}

    assert len(plans) > 60
    assert len(digests) == len(plans)
    assert digest_of(FULL_PLAN) not in digests


def test_every_change_of_a_step_or_of_the_machine_changes_the_digest_of_the_step() -> None:
    steps = [dataclasses.replace(FULL_PLAN, steps=(step,)) for step in changed(FULL_STEP) if step.number == 1]
    machines = [dataclasses.replace(FULL_PLAN, target=target) for target in changed(TARGET)]

    digests = {step_digest(plan, 1) for plan in [*steps, *machines]}

    assert len(digests) == len(steps) + len(machines)
    assert step_digest(FULL_PLAN, 1) not in digests


def test_a_step_that_the_plan_lacks_has_no_digest() -> None:
    with pytest.raises(Bug, match="no step 9"):
        step_digest(a_plan(), 9)


def records(kind: type[Any]) -> st.SearchStrategy[Any]:
    """Build any value of a record type from its annotations."""
    hints = typing.get_type_hints(kind, vars(model))
    return st.builds(kind, **{name: values(hint) for name, hint in hints.items()})


def values(hint: Any) -> st.SearchStrategy[Any]:
    if hint in (str, int, bool):
        short = {str: st.text("ab0I\x00", max_size=3), int: st.integers(-2, 12), bool: st.booleans()}
        return short[hint]
    if typing.get_origin(hint) is tuple:
        inner = typing.get_args(hint)
        if inner[-1] is Ellipsis:
            return st.lists(values(inner[0]), max_size=2).map(tuple)
        return st.tuples(*(values(part) for part in inner))
    return st.sampled_from(list(hint)) if issubclass(hint, Enum) else records(hint)


@given(one=records(Plan), other=records(Plan))
def test_two_plans_share_an_encoding_only_when_they_are_equal(one: Plan, other: Plan) -> None:
    assert (encode(one) == encode(other)) == (one == other)


@given(plan=records(Plan))
def test_an_encoding_can_be_read_back_whole_so_it_is_unambiguous(plan: Plan) -> None:
    data = encode(plan).removeprefix(b"runbook-plan\n")

    version, rest = decoded(data)
    content, end = decoded(rest)

    assert (version, end) == (plan.format, b"")
    assert content == as_plain(plan)


def decoded(data: bytes) -> tuple[object, bytes]:
    """Read one value of the documented format; return it and the bytes after it."""
    tag, data = data[:1], data[1:]
    if tag == b"B":
        return bool(data[0]), data[1:]
    length, data = int.from_bytes(data[:8], "big"), data[8:]
    if tag in (b"I", b"S"):
        text = data[:length].decode()
        return (int(text) if tag == b"I" else text), data[length:]
    items = []
    for _ in range(length * (2 if tag == b"D" else 1)):
        item, data = decoded(data)
        items.append(item)
    return (dict(zip(items[::2], items[1::2], strict=True)) if tag == b"D" else items), data


def as_plain(value: object) -> object:
    if dataclasses.is_dataclass(value):
        return {field.name: as_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [as_plain(item) for item in value]
    return value.value if isinstance(value, Enum) else value


def test_a_value_that_the_format_does_not_know_is_a_bug() -> None:
    with pytest.raises(Bug, match="cannot hold a float"):
        encode(dataclasses.replace(FULL_PLAN, title=typing.cast("str", 1.5)))


# ---------------------------------------------------------------- every field of the document arrives

LOUD = {
    "name": "loud",
    "title": "A loud title",
    "description": "A loud description",
    "owner": "loud-team",
    "service": "loud-service",
    "environment": "loud-environment",
    "risk": "high",
    "os": "windows",
    "targets": ["rg-prod/*"],
    "parameters": {"size": {"default": "7"}},
    "approval": {"quorum": 3, "expires": 11},
    "prechecks": [{"name": "Look", "run": "look"}],
    "steps": [
        {
            "name": "Loud step",
            "type": "command",
            "run": "loud $size",
            "shell": "powershell",
            "risk": "low",
            "requires_approval": True,
            "expect": {"exit_code": 7, "contains": "A", "not_contains": "B", "matches": "C", "number": "< 1"},
            "capture": {"load": {"after": "load="}},
            "timeout": "61s",
            "retries": 4,
            "on_failure": "rollback",
            "rollback": "unloud",
        }
    ],
    "postchecks": [{"name": "Prove", "run": "prove"}],
}
#: field of the document -> what proves, in the plan, that it arrived
ARRIVES: dict[str, Any] = {
    "Runbook.name": lambda p: p.runbook == "loud",
    "Runbook.title": lambda p: p.title == "A loud title",
    "Runbook.description": lambda p: p.description == "A loud description",
    "Runbook.owner": lambda p: p.owner == "loud-team",
    "Runbook.service": lambda p: p.service == "loud-service",
    "Runbook.environment": lambda p: p.environment == "loud-environment",
    "Runbook.risk": lambda p: p.risk is Risk.HIGH,
    "Runbook.os": lambda p: p.target.os == "windows",
    "Runbook.targets": lambda p: p.target.group == "rg-prod",
    "Runbook.parameters": lambda p: p.parameters == (("size", "7"),),
    "Runbook.approval": lambda _: LOUD_DOCUMENT.runbook.approval == Approval(quorum=3, expires=11),
    "Runbook.prechecks": lambda p: p.steps[0].script == "look",
    "Runbook.steps": lambda p: p.steps[1].phase is Phase.MAIN,
    "Runbook.postchecks": lambda p: p.steps[2].script == "prove",
    "Step.name": lambda p: p.steps[1].name == "Loud step",
    "Step.type": lambda p: p.steps[1].kind is StepKind.COMMAND,
    "Step.run": lambda p: p.steps[1].script.endswith("\nloud $size"),
    "Step.shell": lambda p: p.steps[1].shell is Shell.POWERSHELL,
    "Step.risk": lambda p: p.steps[1].risk is Risk.LOW,
    "Step.requires_approval": lambda p: p.steps[1].requires_approval is True,
    "Step.expect": lambda p: p.steps[1].expect.exit_codes == (7,),
    "Step.capture": lambda p: p.steps[1].capture[0][0] == "load",
    "Step.timeout": lambda p: p.steps[1].timeout_seconds == 61,
    "Step.retries": lambda p: p.steps[1].retries == 4,
    "Step.on_failure": lambda p: p.steps[1].on_failure is OnFailure.ROLLBACK,
    "Step.rollback": lambda p: p.steps[3].script == "unloud",
    "ExpectRule.exit_code": lambda p: p.steps[1].expect.exit_codes == (7,),
    "ExpectRule.contains": lambda p: p.steps[1].expect.contains == ("A",),
    "ExpectRule.not_contains": lambda p: p.steps[1].expect.not_contains == ("B",),
    "ExpectRule.matches": lambda p: p.steps[1].expect.matches == "C",
    "ExpectRule.number": lambda p: p.steps[1].expect.number == "< 1",
    "After.after": lambda p: p.steps[1].capture == (("load", "after:load="),),
    # what the author asks of approvals goes to the policy, not into the plan; the digest of the file covers it
    "Approval.quorum": lambda _: LOUD_DOCUMENT.runbook.approval.quorum == 3,
    "Approval.expires": lambda _: LOUD_DOCUMENT.runbook.approval.expires == 11,
}
LOUD_DOCUMENT = Document(name="loud", runbook=Runbook.model_validate(LOUD), digest="d" * 64, source="loud.yaml")
PARTS: tuple[type[BaseModel], ...] = (Runbook, Step, ExpectRule, After, Approval)


def test_every_field_of_the_document_is_known_to_this_test() -> None:
    fields = {f"{part.__name__}.{name}" for part in PARTS for name in part.model_fields}

    assert fields == set(ARRIVES)


def test_no_other_part_hides_in_the_document() -> None:
    found: set[object] = set()
    _collect(Runbook, found)

    assert found == {*PARTS, Parameter}  # a parameter's fields are tested with the values that they allow


def _collect(hint: Any, found: set[object]) -> None:
    is_part = isinstance(hint, type) and not isinstance(hint, types.GenericAlias) and issubclass(hint, BaseModel)
    if is_part and hint not in found:
        found.add(hint)
        for field in hint.model_fields.values():
            _collect(field.annotation, found)
    for part in typing.get_args(hint):
        _collect(part, found)


@pytest.mark.parametrize("field", sorted(ARRIVES))
def test_a_field_of_the_document_reaches_the_plan(field: str) -> None:
    target = dataclasses.replace(TARGET, os="windows")

    plan = a_plan(
        LOUD_DOCUMENT, values={"size": "7"}, target=target, needs_approval=lambda _p, _r, declared: declared is True
    )

    assert ARRIVES[field](plan)


def test_what_the_author_wrote_about_approval_reaches_the_policy() -> None:
    plan = a_plan(
        LOUD_DOCUMENT,
        values={"size": "7"},
        target=dataclasses.replace(TARGET, os="windows"),
        needs_approval=lambda _p, _r, declared: declared is True,
    )

    assert [step.requires_approval for step in plan.steps] == [False, True, False, True]
