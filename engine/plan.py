"""Makes a runbook, its values and a machine into a plan: every byte that will be approved, sent and run.

A plan is made once and never changed. ``digest_of`` binds an approval to it. Nothing here may read a file,
look anything up, or leave a value to be filled in later.

Encoding, format version 1. All lengths and counts are 8 bytes, big-endian. A value is one tag byte, then:

    N  none      nothing
    B  boolean   one byte, 0 or 1
    I  integer   length, decimal digits in ASCII
    S  text      length, UTF-8
    T  list      count, then each value
    D  record    count of fields, then for each field in order of its name: its name as S, then its value

An enumeration is written as the text of its value. ``encode`` writes the magic ``runbook-plan``, a newline,
the format version as I, then the plan as D. Every value says where it ends, so two different plans never
share an encoding. A change of the fields of a plan is a change of the format: raise ``FORMAT``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from hashlib import sha256

from engine.errors import Bug, InvalidInput
from engine.model import OnFailure, Phase, Plan, PlannedStep, Risk, StepKind, Target
from engine.parameters import prologue
from engine.plaintext import MAX_SCRIPT
from engine.runbook import Document, Runbook, Step, mentions, native_shell

FORMAT = 1

NeedsApproval = Callable[[Phase, Risk, bool | None], bool]  #: phase, risk, what the author wrote -> gated?


@dataclass(frozen=True, kw_only=True)
class _Maker:
    """Renders the steps of one runbook with one set of values."""

    runbook: Runbook
    values: Mapping[str, str]
    needs_approval: NeedsApproval

    def step(self, number: int, phase: Phase, step: Step) -> PlannedStep:
        risk = self.runbook.risk_of(step)
        manual = step.type is StepKind.MANUAL
        return PlannedStep(
            number=number,
            phase=phase,
            name=step.name,
            kind=step.type,
            risk=risk,
            requires_approval=self.needs_approval(phase, risk, step.requires_approval),
            script="" if manual else self.script(step.name, step.run),
            instructions=step.run if manual else "",
            shell=native_shell(self.runbook.os),
            timeout_seconds=step.timeout,
            retries=step.retries,
            on_failure=step.on_failure or _default_on_failure(phase),
            expect=step.expect.to_model(),
            capture=step.captures(),
        )

    def undo(self, number: int, done: PlannedStep, step: Step) -> PlannedStep:
        return PlannedStep(
            number=number,
            phase=Phase.ROLLBACK,
            name=f"Undo: {step.name}",
            kind=StepKind.COMMAND,
            risk=done.risk,
            requires_approval=self.needs_approval(Phase.MAIN, done.risk, step.requires_approval),
            script=self.script(f"Undo: {step.name}", step.rollback or ""),
            shell=done.shell,
            timeout_seconds=done.timeout_seconds,
            undoes=done.number,
        )

    def script(self, name: str, text: str) -> str:
        """Put the prologue of the values that a text names before it."""
        shell = native_shell(self.runbook.os)
        used = {key: value for key, value in self.values.items() if mentions(text, key)}
        script = prologue(shell, used) + text
        if len(script) > MAX_SCRIPT:
            raise InvalidInput(
                f"The script of {name!r} has {len(script)} characters with these values; an approver can be "
                f"shown at most {MAX_SCRIPT}.",
                hint="Give shorter values, or split the step in the runbook.",
            )
        return script


def render(
    document: Document,
    *,
    values: Mapping[str, str],
    target: Target,
    policy_version: str,
    needs_approval: NeedsApproval,
) -> Plan:
    """Make the plan. ``values`` come from ``check_values``; a machine that does not fit is refused."""
    runbook = document.runbook
    _check_target(runbook, target)
    if set(values) != set(runbook.parameters):
        raise Bug("A plan needs the checked value of every declared parameter and no other.")
    maker = _Maker(runbook=runbook, values=values, needs_approval=needs_approval)
    steps = tuple(maker.step(n, phase, step) for n, (phase, step) in enumerate(runbook.phased(), start=1))
    return Plan(
        runbook=runbook.name,
        title=runbook.title,
        description=runbook.description,
        owner=runbook.owner,
        service=runbook.service,
        environment=runbook.environment,
        risk=runbook.risk,
        runbook_digest=document.digest,
        policy_version=policy_version,
        parameters=tuple(sorted(values.items())),
        target=target,
        steps=steps + _undo_steps(maker, steps),
        format=FORMAT,
    )


def encode(plan: Plan) -> bytes:
    """Return the bytes that are hashed; two plans have the same bytes only if they are equal."""
    return b"runbook-plan\n" + _encoded(plan.format) + _encoded(plan)


def digest_of(plan: Plan) -> str:
    """Return the SHA-256 of the plan, in hexadecimal."""
    return sha256(encode(plan)).hexdigest()


def step_digest(plan: Plan, number: int) -> str:
    """Return the SHA-256 of one step and the machine it is for, in hexadecimal."""
    found = next((step for step in plan.steps if step.number == number), None)
    if found is None:
        raise Bug(f"The plan has no step {number}.")
    return sha256(b"runbook-step\n" + _encoded(plan.format) + _encoded((plan.target, found))).hexdigest()


def outline(plan: Plan) -> str:
    """Return the whole plan as text: every byte of every script, after a margin."""
    lines = [
        f"{plan.title} ({plan.runbook})",
        *_entry("", plan.description),
        f"owner        {plan.owner}",
        f"service      {plan.service or 'none'}",
        f"environment  {plan.environment}",
        f"risk         {plan.risk}",
        f"target       {_target_text(plan.target)}",
        *(f"parameter    {name} = {value!r}" for name, value in plan.parameters),
        f"plan         {digest_of(plan)}",
        f"runbook      {plan.runbook_digest}",
        f"policy       {plan.policy_version}",
    ]
    for step in plan.steps:
        lines += ["", *_step_lines(step)]
    return "\n".join(lines) + "\n"


def _check_target(runbook: Runbook, target: Target) -> None:
    if target.os != runbook.os:
        raise InvalidInput(
            f"{runbook.name} is for {runbook.os}, but {target.name} runs {target.os}.",
            hint=f"Choose a {runbook.os} machine or a runbook for {target.os}.",
        )
    if not runbook.allows(target):
        raise InvalidInput(
            f"{runbook.name} may not be used on {_place(target)}.",
            hint=f"It is for {', '.join(runbook.targets)}. Its owner, {runbook.owner}, can change that.",
        )


def _undo_steps(maker: _Maker, steps: tuple[PlannedStep, ...]) -> tuple[PlannedStep, ...]:
    pairs = [
        (planned, step)
        for planned, (phase, step) in zip(steps, maker.runbook.phased(), strict=True)
        if phase is Phase.MAIN and step.rollback is not None
    ]
    return tuple(
        maker.undo(number, planned, step)
        for number, (planned, step) in enumerate(reversed(pairs), start=len(steps) + 1)
    )


def _default_on_failure(phase: Phase) -> OnFailure:
    return OnFailure.CONTINUE if phase is Phase.POSTCHECK else OnFailure.STOP


def _encoded(value: object) -> bytes:
    match value:
        case None:
            return b"N"
        case bool():
            return b"B" + bytes([value])
        case int():
            return b"I" + _sized(str(value).encode("ascii"))
        case str():  # an enumeration of ours is a text, too
            return b"S" + _sized(str(value).encode("utf-8"))
        case tuple():
            return b"T" + _count(len(value)) + b"".join(map(_encoded, value))
        case _:
            return b"D" + _encoded_record(value)


def _encoded_record(value: object) -> bytes:
    if not is_dataclass(value) or isinstance(value, type):
        raise Bug(f"A plan cannot hold a {type(value).__name__}.")
    names = sorted(field.name for field in fields(value))
    return _count(len(names)) + b"".join(_encoded(name) + _encoded(getattr(value, name)) for name in names)


def _sized(content: bytes) -> bytes:
    return _count(len(content)) + content


def _count(number: int) -> bytes:
    return number.to_bytes(8, "big")


def _place(target: Target) -> str:
    return f"{target.group}/{target.name}" if target.group else target.name


def _target_text(target: Target) -> str:
    details = (target.os, target.location, target.id, target.fingerprint)
    return f"{_place(target)} ({target.connector}; {'; '.join(part for part in details if part)})"


def _step_lines(step: PlannedStep) -> list[str]:
    facts = [step.kind, f"risk {step.risk}", "needs approval" if step.requires_approval else "no approval"]
    if step.kind is StepKind.COMMAND:
        facts += [step.shell, f"timeout {step.timeout_seconds} s", f"retries {step.retries}"]
    facts.append(f"on failure {step.on_failure}")
    if step.undoes:
        facts.append(f"undoes step {step.undoes}")
    expectations = [] if step.kind is StepKind.MANUAL else [f"    expect   {_expect_text(step)}"]
    return [
        f"{step.number}. [{step.phase}] {step.name}",
        f"    {', '.join(facts)}",
        *expectations,
        *(f"    capture  {name}: {how}" for name, how in step.capture),
        *_entry("    | ", step.script or step.instructions),
    ]


def _expect_text(step: PlannedStep) -> str:
    expect = step.expect
    parts = [f"exit code {' or '.join(str(code) for code in expect.exit_codes)}"]
    parts += [f"output contains {text!r}" for text in expect.contains]
    parts += [f"output does not contain {text!r}" for text in expect.not_contains]
    parts += [f"output matches {expect.matches!r}"] if expect.matches else []
    parts += [f"output is a number {expect.number}"] if expect.number else []
    return "; ".join(parts)


def _entry(margin: str, text: str) -> list[str]:
    return [margin + line for line in text.removesuffix("\n").split("\n")] if text else []
