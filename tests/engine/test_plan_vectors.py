"""Golden vectors: the digest of a plan must be the same in every version, on every machine.

A digest that changes here voids every approval that is open during an upgrade. If the change is meant, raise
``engine.plan.FORMAT`` and add vectors; do not edit the old ones.
"""

from __future__ import annotations

import pytest

from engine.model import Expect, OnFailure, Phase, Plan, PlannedStep, Risk, Shell, StepKind, Target
from engine.plan import digest_of, encode, step_digest

SMALL = Plan(
    runbook="r",
    title="T",
    description="",
    owner="o",
    service="",
    environment="e",
    risk=Risk.NONE,
    runbook_digest="",
    policy_version="",
    parameters=(),
    target=Target(connector="local", id="i", name="n"),
    steps=(),
)
WHOLE = Plan(
    runbook="restart-web",
    title="Restart a web service",
    description="Zürich",
    owner="web-team",
    service="web",
    environment="prod",
    risk=Risk.MEDIUM,
    runbook_digest="a" * 64,
    policy_version="b" * 64,
    parameters=(("service", "nginx"),),
    target=Target(connector="azure", id="/vm/1", name="web-01", group="rg", fingerprint="f", location="westeurope"),
    steps=(
        PlannedStep(
            number=1,
            phase=Phase.MAIN,
            name="Restart",
            kind=StepKind.COMMAND,
            risk=Risk.MEDIUM,
            requires_approval=True,
            script='systemctl restart "$service"\n',
            shell=Shell.BASH,
            timeout_seconds=60,
            retries=1,
            on_failure=OnFailure.ASK,
            expect=Expect(exit_codes=(0, 3), contains=("ok",), matches="^a", number="< 1"),
            capture=(("load", "after:load="),),
        ),
        PlannedStep(
            number=2,
            phase=Phase.ROLLBACK,
            name="Undo: Restart",
            kind=StepKind.COMMAND,
            risk=Risk.MEDIUM,
            requires_approval=True,
            script="systemctl start nginx",
            undoes=1,
        ),
    ),
)


@pytest.mark.parametrize(
    ("plan", "digest"),
    [
        (SMALL, "f0a5c4e35cd43a845392f02753c9faaaa85f5cbc11270b6f3656e1e1cbb7e802"),
        (WHOLE, "aa572e8b50032f6a1d57433ed859c8006dac71316268e1ce167230b5ea95b073"),
    ],
)
def test_the_digest_of_a_plan_never_changes(plan: Plan, digest: str) -> None:
    assert digest_of(plan) == digest


def test_the_digest_of_a_step_never_changes() -> None:
    assert step_digest(WHOLE, 2) == "2e958a45c7c26690dcb5c6fc76790d9195d45cbfe0ede18c38f49cc3be625b3d"


def test_the_encoding_begins_as_documented() -> None:
    start = (
        b"runbook-plan\n"
        b"I\0\0\0\0\0\0\0\x011"  # format version 1
        b"D\0\0\0\0\0\0\0\x0d"  # thirteen fields
        b"S\0\0\0\0\0\0\0\x0bdescriptionS\0\0\0\0\0\0\0\0"
        b"S\0\0\0\0\0\0\0\x0benvironmentS\0\0\0\0\0\0\0\x01e"
    )

    assert encode(SMALL).startswith(start)
