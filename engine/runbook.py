"""The runbook document: what a runbook file may say. Everything else in the file is refused.

The model holds what the author wrote; ``engine.plan`` makes it into the steps that are approved and run.
Nothing here may read a file, know YAML or change what the author wrote.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from engine import parameters as rules
from engine.expect import check_number, check_pattern
from engine.model import Expect, OnFailure, Phase, Risk, Shell, StepKind, Target
from engine.parameters import Parameter
from engine.plaintext import check_paragraphs, check_prose, check_script

MAX_TIMEOUT = 5400  #: seconds; the longest that Azure lets a command run
DEFAULT_TIMEOUT = 300
_DURATION = re.compile(r"([1-9][0-9]{0,4})([smh])", re.ASCII)
_UNITS = {"s": 1, "m": 60, "h": 3600}
_NOTHING_TO_DO_BY_HAND = ("shell", "expect", "capture", "timeout", "retries", "rollback")


def _seconds(value: object) -> object:
    if isinstance(value, str):
        found = _DURATION.fullmatch(value)
        if not found:
            raise ValueError('is not a duration: write seconds such as 300, or "90s", "5m", "1h"')
        return int(found[1]) * _UNITS[found[2]]
    return value


def _as_list(value: object) -> object:
    return value if isinstance(value, (list, tuple)) else (value,)


def _sorted_by_name(value: Mapping[str, Any]) -> dict[str, Any]:
    return dict(sorted(value.items()))


def _one_or_many(item: dict[str, object], **limits: object) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [item, {"type": "array", "items": item, **limits}]})


_TEXT = {"type": "string", "minLength": 1, "maxLength": 200}
_CODE = {"type": "integer", "minimum": -(2**31), "maximum": 2**32 - 1}

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=60)]
Line = Annotated[str, Field(min_length=1, max_length=120), AfterValidator(check_prose)]
Paragraphs = Annotated[str, Field(max_length=2000), AfterValidator(check_paragraphs)]
Seconds = Annotated[
    StrictInt,
    Field(ge=1, le=MAX_TIMEOUT),
    BeforeValidator(_seconds),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": MAX_TIMEOUT},
                {"type": "string", "pattern": "^[1-9][0-9]{0,4}[smh]$"},
            ]
        }
    ),
]
Texts = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=200), AfterValidator(check_prose)], ...],
    BeforeValidator(_as_list),
    Field(max_length=10),
    _one_or_many(_TEXT, maxItems=10),
]
ExitCodes = Annotated[
    tuple[Annotated[StrictInt, Field(ge=-(2**31), le=2**32 - 1)], ...],
    BeforeValidator(_as_list),
    Field(min_length=1, max_length=20),
    _one_or_many(_CODE, minItems=1, maxItems=20),
]
TargetPattern = Annotated[str, Field(pattern=r"^[A-Za-z0-9._()*?-]+(/[A-Za-z0-9._()*?-]+)?$", max_length=200)]


Script = Annotated[str, AfterValidator(check_script)]
ParameterName = Annotated[str, AfterValidator(rules.check_name)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class ExpectRule(_Part):
    """What the result of a command must be for the step to have succeeded; all given parts must hold."""

    exit_code: ExitCodes = (0,)
    """The exit code, or a list of those that mean success."""
    contains: Texts = ()
    """Text that standard output must contain, or a list of texts that must all be there."""
    not_contains: Texts = ()
    """Text that standard output must not contain, or a list of such texts."""
    matches: Annotated[str, AfterValidator(check_prose), AfterValidator(check_pattern)] | None = None
    """A regular expression that must occur in standard output. Linear time, no look-around."""
    number: Annotated[str, AfterValidator(check_number)] | None = None
    """A comparison such as "< 60"; standard output must then be one bare number and nothing else."""

    def to_model(self) -> Expect:
        return Expect(
            exit_codes=self.exit_code,
            contains=self.contains,
            not_contains=self.not_contains,
            matches=self.matches or "",
            number=self.number or "",
        )


class After(_Part):
    """Takes the word that follows a text, up to the next white space."""

    after: Annotated[str, Field(min_length=1, max_length=100), AfterValidator(check_prose)]
    """The text before the value, such as "load="."""


class Step(_Part):
    """One command on the machine, or one thing that a person does."""

    name: Line
    """What the step does, in a few words; unique in the runbook."""
    type: StepKind = StepKind.COMMAND
    """Whether a machine runs it (command) or a person does it and says so (manual)."""
    run: str
    """The exact text of the script; for a manual step, the instructions for the person."""
    shell: Shell | None = None
    """The shell that runs the script; by default bash on linux and powershell on windows."""
    risk: Risk | None = None
    """How much damage it can do: none (read-only), low, medium or high; by default as much as the runbook."""
    requires_approval: StrictBool | None = None
    """Whether people must approve it first; false counts only at risks that the policy lets run unattended."""
    expect: ExpectRule = ExpectRule()
    """What the result must be."""
    capture: Mapping[Name, Literal["number", "text"] | After] = Field(default={}, max_length=10)
    """Values to take from standard output and show; they are never fed into another command."""
    timeout: Seconds = DEFAULT_TIMEOUT
    """How long the command may run, in seconds or such as "90s", "5m", "1h"; at most 90 minutes."""
    retries: StrictInt = Field(default=0, ge=0, le=5)
    """How often a failed command is tried again by itself."""
    on_failure: OnFailure | None = None
    """What follows when it has failed for good; by default stop, and continue for a postcheck."""
    rollback: Script | None = None
    """The script that undoes the step; only for main steps. It becomes a step and is gated like one."""

    @field_validator("run")
    @classmethod
    def _is_visible(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("type") is not StepKind.MANUAL:
            return check_script(value)
        if not value.strip():
            raise ValueError("is empty: say what the person must do")
        return check_paragraphs(value)

    @model_validator(mode="after")
    def _asks_no_machine_to_do_it_by_hand(self) -> Self:
        given = sorted(self.model_fields_set.intersection(_NOTHING_TO_DO_BY_HAND))
        if given and self.type is StepKind.MANUAL:
            raise ValueError(f"a manual step has no {given[0]}: a person does it, no machine")
        return self

    def captures(self) -> tuple[tuple[str, str], ...]:
        """Return (name, how) sorted by name, as the plan keeps it."""
        return tuple(
            (name, f"after:{how.after}" if isinstance(how, After) else how)
            for name, how in sorted(self.capture.items())
        )


class Approval(_Part):
    """What the author asks of approvals. It can only make stricter what the policy asks."""

    quorum: StrictInt = Field(default=1, ge=1, le=10)
    """How many people must approve, at least."""
    expires: StrictInt | None = Field(default=None, ge=1, le=1440)
    """After how many minutes an approval request lapses, at most."""


Parameters = Annotated[Mapping[ParameterName, Parameter], AfterValidator(_sorted_by_name), Field(max_length=20)]
Phased = Annotated[tuple[Step, ...], Field(max_length=20)]


class Runbook(_Part):
    """A runbook: prechecks that look, steps that change, postchecks that prove."""

    name: Name
    """The name to start it by; equal to the file name without its ending."""
    title: Line
    """What it does, in one line."""
    description: Paragraphs = ""
    """When to use it, what it changes and what it does not."""
    owner: Line
    """Who answers for it: a team or a person."""
    service: Annotated[str, Field(max_length=120), AfterValidator(check_prose)] = ""
    """The service that it belongs to."""
    environment: Name
    """The environment that it is for, such as prod; the policy can refer to it."""
    risk: Risk
    """How much damage the whole runbook can do; not less than that of any of its steps."""
    os: Literal["linux", "windows"]
    """The operating system of its machines."""
    targets: Literal["any"] | Annotated[tuple[TargetPattern, ...], Field(min_length=1, max_length=50)]
    """The machines it may be used on: names or group/name, with * and ?; or the word any."""
    parameters: Parameters = {}
    """The values that a person gives at the start, by name."""
    approval: Approval = Approval()
    """What the author asks of approvals, beyond the policy."""
    prechecks: Phased = ()
    """Steps that look whether the runbook is needed and safe; they run first."""
    steps: Annotated[Phased, Field(min_length=1)]
    """The main steps; they run in order, and the first failure stops them."""
    postchecks: Phased = ()
    """Steps that prove that it worked; they run last."""

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        names = [step.name for _, step in self.phased()]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two steps are called {twice!r}: give each its own name")
        for phase, step in self.phased():
            if broken := self._broken_rule(phase, step):
                raise ValueError(f"step {step.name!r}: {broken}")
        for name in self.parameters:
            if broken := self._broken_parameter_rule(name):
                raise ValueError(broken)
        return self

    def _broken_rule(self, phase: Phase, step: Step) -> str:
        native = native_shell(self.os)
        if step.shell not in (None, native):
            return f"{step.shell} does not run on {self.os}: use {native} or leave shell out"
        if self.risk_of(step).rank > self.risk.rank:
            return f"its risk is {step.risk}, but the runbook says {self.risk}: raise the runbook's risk"
        if step.rollback is not None and phase is not Phase.MAIN:
            return f"a {phase} changes nothing, so it has no rollback: remove it"
        if step.on_failure is OnFailure.ROLLBACK:
            return self._broken_rollback_rule(phase)
        return ""

    def _broken_rollback_rule(self, phase: Phase) -> str:
        if phase is Phase.PRECHECK:
            return "on_failure: rollback has nothing to undo before a change: use stop"
        if not any(step.rollback for step in self.steps):
            return "on_failure: rollback needs a step with a rollback: write one or use stop"
        return ""

    def _broken_parameter_rule(self, name: str) -> str:
        texts = [text for _, step in self.phased() for text in (step.run, step.rollback or "")]
        if not any(mentions(text, name) for text in texts):
            return f'no step uses the parameter {name!r}: write "${name}" in a script or remove it'
        if name == "vm" and self.parameters[name].type is not rules.ParameterType.VM:
            return "the parameter vm is the machine itself: give it type vm or rename it"
        return ""

    def phased(self) -> tuple[tuple[Phase, Step], ...]:
        """Return all steps in the order they run, each with its phase."""
        return (
            *((Phase.PRECHECK, step) for step in self.prechecks),
            *((Phase.MAIN, step) for step in self.steps),
            *((Phase.POSTCHECK, step) for step in self.postchecks),
        )

    def risk_of(self, step: Step) -> Risk:
        """Return the risk of a step: the runbook's, unless the step is marked otherwise."""
        return step.risk or self.risk

    def allows(self, target: Target) -> bool:
        """Say whether the runbook may be used on a machine; names have no case."""
        return self.targets == "any" or any(_fits(pattern, target) for pattern in self.targets)


@dataclass(frozen=True, kw_only=True)
class Document:
    """A runbook together with the file it came from. ``digest`` is the SHA-256 of the file's bytes."""

    name: str
    runbook: Runbook
    digest: str
    source: str
    modified_by: str = ""  #: who changed the file last, when version control knows
    modified_at: datetime | None = None
    commit: str = ""


def native_shell(os: str) -> Shell:
    """Return the shell that the operating system runs."""
    return Shell.POWERSHELL if os == "windows" else Shell.BASH


def mentions(script: str, name: str) -> bool:
    """Say whether a script names a variable; the case does not count, as in PowerShell."""
    word = rf"(?<![A-Za-z0-9_]){re.escape(name)}(?![A-Za-z0-9_])"
    return re.search(word, script, re.IGNORECASE) is not None


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a runbook file, for editors."""
    schema = Runbook.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Runbook"}


def _fits(pattern: str, target: Target) -> bool:
    group, _, name = pattern.lower().rpartition("/")
    return fnmatchcase(target.name.lower(), name) and (not group or fnmatchcase(target.group.lower(), group))
