"""Parameters of a runbook: their declaration, the check of values, the prologue that hands them to a shell.

A value is data. It reaches a script only as base64 inside a generated assignment, and a script reads it as a
shell variable. Nothing here may ever put a value into script text; no template engine may be used anywhere.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from difflib import get_close_matches
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    WithJsonSchema,
    model_validator,
)

from engine.errors import InvalidInput
from engine.expect import check_pattern, matches_whole
from engine.model import Shell
from engine.plaintext import check_prose, check_value

if TYPE_CHECKING:
    from engine.runbook import Runbook

MAX_VALUE = 1000
NAME = r"[a-z][a-z0-9_]*"
VM = r"[A-Za-z0-9/][A-Za-z0-9._()/-]*"  #: a name, group/name or a full resource id

RESERVED_PREFIXES = ("ld_", "dyld_", "lc_", "bash", "rb_", "runbook_", "_")
_SHELL_WORDS = """
    all_proxy auto_resume cdpath editor enable env euid fignore ftp_proxy functions glob_ignore
    histchars histfile home host hostname http_proxy https_proxy ifs lang lineno logname
    mailpath no_proxy oldpwd optarg opterr optind pager path path_ext pathext perl5lib ppid
    prompt_command ps0 ps1 ps2 ps3 ps4 pwd pythonpath random reply rubyopt shell shellopts shlvl
    temp term tmp tmpdir tz uid
"""
_POWERSHELL_WORDS = """
    args confirmpreference consolefilename debugpreference enabledexperimentalfeatures error
    erroractionpreference errorview event eventargs eventsubscriber executioncontext false foreach
    formatenumerationlimit informationpreference input iscoreclr islinux ismacos iswindows lastexitcode
    matches maximumhistorycount myinvocation nestedpromptlevel null ofs outputencoding pid profile
    progresspreference psboundparameters pscmdlet pscommandpath psculture psdebugcontext
    psdefaultparametervalues psedition psemailserver pshome psitem psmodulepath
    psnativecommandargumentpassing psnativecommanduseerroractionpreference psscriptroot pssenderinfo
    pssessionapplicationname pssessionconfigurationname pssessionoption psstyle psuiculture
    psversiontable sender shellid stacktrace switch this transcript true verbosepreference
    warningpreference whatifpreference
"""
#: what means something to shells and the programs they start, or to PowerShell, where names have no case
RESERVED = frozenset((_SHELL_WORDS + _POWERSHELL_WORDS).split())


class ParameterType(StrEnum):
    STRING = "string"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    CHOICE = "choice"
    VM = "vm"


def _as_text(value: object) -> object:
    """Write a YAML boolean or integer as the text that a person would have typed."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else value


_TEXT_SCHEMA = {"anyOf": [{"type": "string", "maxLength": MAX_VALUE}, {"type": "integer"}, {"type": "boolean"}]}
Text = Annotated[str, BeforeValidator(_as_text), Field(max_length=MAX_VALUE), WithJsonSchema(_TEXT_SCHEMA)]


class Parameter(BaseModel):
    """One value that a person gives at the start; a script sees it as a variable of the same name."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    type: ParameterType = ParameterType.STRING
    """What kind of value it is."""
    description: Annotated[str, Field(max_length=200), AfterValidator(check_prose)] = ""
    """One line for the person who fills it in."""
    required: StrictBool = True
    """Whether a value must be given if there is no default; an optional one left out is the empty string."""
    default: Text | None = None
    """The value used when none is given. It must obey the same rules."""
    pattern: Annotated[str, AfterValidator(check_prose), AfterValidator(check_pattern)] | None = None
    """A regular expression that the whole value must match; only for strings. Linear time, no look-around."""
    choices: tuple[Text, ...] = Field(default=(), max_length=100)
    """The allowed values; only for type choice, and needed there."""
    min: StrictInt | None = None
    """The smallest allowed value; only for integers."""
    max: StrictInt | None = None
    """The largest allowed value; only for integers."""
    max_length: StrictInt = Field(default=MAX_VALUE, ge=1, le=MAX_VALUE)
    """The most characters that the value may have."""
    allow_leading_dash: StrictBool = False
    """Whether a value may begin with a dash. A program could read such a value as an option."""

    @model_validator(mode="after")
    def _fits_its_type(self) -> Self:
        for field, kind in (
            ("pattern", "string"),
            ("choices", "choice"),
            ("min", "integer"),
            ("max", "integer"),
        ):
            if getattr(self, field) not in (None, ()) and self.type != kind:
                raise ValueError(f"{field} is only for a parameter of type {kind}, this one is a {self.type}")
        if self.type is ParameterType.CHOICE and not self.choices:
            raise ValueError("a parameter of type choice needs choices")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min is greater than max: no value would be allowed")
        for text in (*self.choices, *([] if self.default is None else [self.default])):
            if broken := self.broken_rule(text):
                raise ValueError(f"the declared value {text!r} {broken}")
        return self

    def broken_rule(self, value: str) -> str:
        """Return an empty string for an allowed value, else what is wrong with it and how it must be."""
        try:
            check_value(value)
        except ValueError as error:
            return f"is not allowed: {error}"
        if len(value) > self.max_length:
            return f"has {len(value)} characters; at most {self.max_length} are allowed"
        return _broken_type_rule(self, value) or self._broken_dash_rule(value)

    def _broken_dash_rule(self, value: str) -> str:
        if not value.startswith("-") or self.allow_leading_dash or self.type is ParameterType.INTEGER:
            return ""
        return "begins with a dash, which a program could read as an option (allow_leading_dash is not set)"


def _broken_type_rule(parameter: Parameter, value: str) -> str:
    match parameter.type:
        case ParameterType.INTEGER:
            return _broken_integer_rule(parameter, value)
        case ParameterType.BOOLEAN:
            return "" if value in ("true", "false") else "is not a boolean: write true or false"
        case ParameterType.CHOICE:
            return "" if value in parameter.choices else f"is not one of {', '.join(parameter.choices)}"
        case ParameterType.VM:
            return "" if re.fullmatch(VM, value, re.ASCII) else "is not the name or the id of a VM"
        case ParameterType.STRING:
            fits = parameter.pattern is None or matches_whole(parameter.pattern, value)
            return "" if fits else f"does not match the pattern {parameter.pattern}"


def _broken_integer_rule(parameter: Parameter, value: str) -> str:
    if not re.fullmatch(r"-?(?:0|[1-9][0-9]{0,17})", value, re.ASCII):
        return "is not an integer: write digits only, such as 30"
    if parameter.min is not None and int(value) < parameter.min:
        return f"is too small; the smallest is {parameter.min}"
    if parameter.max is not None and int(value) > parameter.max:
        return f"is too large; the largest is {parameter.max}"
    return ""


def check_name(name: str) -> str:
    """Refuse a parameter name that is malformed or means something to a shell; return it unchanged."""
    if len(name) > 40 or not re.fullmatch(NAME, name, re.ASCII):
        raise ValueError(
            f"the parameter name {name!r} is not allowed: use lower-case letters, digits and _, "
            "begin with a letter, at most 40 characters"
        )
    if name in RESERVED or name.startswith(RESERVED_PREFIXES):
        raise ValueError(f"the parameter name {name!r} means something to a shell: use {name}_value, say")
    return name


def check_values(runbook: Runbook, given: Mapping[str, str]) -> dict[str, str]:
    """Return the value of every declared parameter, by name; ``InvalidInput`` says what is wrong and the cure."""
    for name in given:
        if name not in runbook.parameters:
            raise InvalidInput(f"{runbook.name} has no parameter {name!r}.", hint=_nearest(name, runbook))
    return {name: _value(name, rule, given.get(name)) for name, rule in sorted(runbook.parameters.items())}


def prologue(shell: Shell, values: Mapping[str, str]) -> str:
    """Return script lines that set one variable per value, sorted by name; empty for no values.

    A value travels as base64, so none of its characters ever meets a parser.
    """
    return "".join(_assignment(shell, check_name(name), value) for name, value in sorted(values.items()))


def _assignment(shell: Shell, name: str, value: str) -> str:
    encoded = b64encode(check_value(value).encode("ascii")).decode("ascii")
    match shell:
        case Shell.BASH:
            return f"{name}=\"$(printf %s '{encoded}' | base64 -d)\" || exit 96\n"
        case Shell.POWERSHELL:
            return f"${name} = [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String('{encoded}'))\n"


def _value(name: str, rule: Parameter, given: str | None) -> str:
    if given is None:
        if rule.default is None and rule.required:
            raise InvalidInput(f"The parameter {name!r} is missing.", hint=_how_to_give(name, rule))
        return rule.default or ""
    if broken := rule.broken_rule(given):
        raise InvalidInput(f"The parameter {name!r} {broken}.", hint=rule.description)
    return given


def _how_to_give(name: str, rule: Parameter) -> str:
    what = f" ({rule.description})" if rule.description else ""
    return f"Add {name}=…{what}."


def _nearest(name: str, runbook: Runbook) -> str:
    near = get_close_matches(name, list(runbook.parameters), n=3, cutoff=0.5)
    if near:
        return f"Did you mean {' or '.join(near)}?"
    names = ", ".join(sorted(runbook.parameters))
    return f"It takes: {names}." if names else "It takes no parameters."
