"""Judges what a step printed: typed assertions and captures, no word lists and no guessing.

Patterns run on the linear-time regular expressions of pydantic-core, so no output can make a judgement slow.
Nothing here may ever decide what happens next, and a captured value is shown, never fed into a command.
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache

from pydantic_core import SchemaError, SchemaValidator, core_schema

from engine.model import Expect

MAX_PATTERN = 500
MAX_CAPTURE = 200  #: characters kept of a captured value

_NUMBER = re.compile(r"[+-]?(?:\d{1,30}(?:\.\d{0,30})?|\.\d{1,30})", re.ASCII)
_COMPARISON = re.compile(r"(<=|>=|==|!=|<|>)[ ]?(-?\d{1,30}(?:\.\d{1,30})?)", re.ASCII)


def judge(expect: Expect, *, exit_code: int | None, stdout: str) -> str:
    """Return an empty string when every expectation holds, else a sentence about the first that does not."""
    if exit_code is None:
        return "The command left no exit code, so it is not known to have succeeded."
    if exit_code not in expect.exit_codes:
        return f"The exit code is {exit_code}, expected {_either(expect.exit_codes)}."
    for text in expect.contains:
        if text not in stdout:
            return f"The output does not contain {quoted(text)}."
    for text in expect.not_contains:
        if text in stdout:
            return f"The output contains {quoted(text)}, which it must not."
    if expect.matches and not found(expect.matches, stdout):
        return f"The output does not match the pattern {quoted(expect.matches)}."
    return _judge_number(expect.number, stdout) if expect.number else ""


def capture(spec: tuple[tuple[str, str], ...], stdout: str) -> tuple[tuple[str, str], ...]:
    """Return (name, value) for what the specification finds in the output; what is not there is left out."""
    values = ((name, _captured(how, stdout)) for name, how in spec)
    return tuple((name, value) for name, value in values if value is not None)


def check_pattern(pattern: str) -> str:
    """Refuse a regular expression that is too long or not valid; return it unchanged."""
    if not pattern or len(pattern) > MAX_PATTERN:
        raise ValueError(f"a pattern has 1 to {MAX_PATTERN} characters")
    for form in (pattern, f"\\A(?:{pattern})\\z"):
        try:
            _compiled(form)
        except SchemaError as error:
            raise ValueError(
                f"is not a usable regular expression ({_last_line(error)}); look-around and back-references "
                "are not available, because patterns must run in linear time"
            ) from error
    return pattern


def check_number(comparison: str) -> str:
    """Refuse anything but an operator and a number; return it unchanged."""
    if not _COMPARISON.fullmatch(comparison):
        raise ValueError('is not a comparison: write an operator and a number, such as "< 60" or ">= 85.5"')
    return comparison


def found(pattern: str, text: str) -> bool:
    """Say whether the pattern occurs in the text."""
    return _accepts(pattern, text)


def matches_whole(pattern: str, text: str) -> bool:
    """Say whether the pattern describes the whole text, a trailing newline included."""
    return _accepts(f"\\A(?:{pattern})\\z", text)


def number_in(stdout: str) -> Decimal | None:
    """Return the one bare number that the output consists of, else None; "85%" is not a bare number."""
    text = stdout.strip()
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def quoted(text: str, limit: int = 80) -> str:
    """Return text in quotation marks, shortened, with line breaks written as escapes."""
    flat = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
    return f'"{flat}"' if len(flat) <= limit else f'"{flat[: limit - 1]}…"'


def _judge_number(comparison: str, stdout: str) -> str:
    value = number_in(stdout)
    if value is None:
        return f"The output is {quoted(stdout.strip())}, not one bare number; expected a number {comparison}."
    if not _holds(comparison, value):
        return f"The number is {value}, expected {comparison}."
    return ""


def _holds(comparison: str, value: Decimal) -> bool:
    parts = _COMPARISON.fullmatch(comparison)
    if parts is None:
        raise ValueError(f"{comparison!r} {check_number.__doc__}")
    limit = Decimal(parts[2])
    return {
        "<": value < limit,
        "<=": value <= limit,
        ">": value > limit,
        ">=": value >= limit,
        "==": value == limit,
        "!=": value != limit,
    }[parts[1]]


def _captured(how: str, stdout: str) -> str | None:
    if how == "number":
        value = number_in(stdout)
        return None if value is None else str(value)
    if how == "text":
        return stdout.strip()[:MAX_CAPTURE] or None
    _, at, rest = stdout.partition(how.removeprefix("after:"))
    words = rest.split("\n", 1)[0].split()
    return words[0][:MAX_CAPTURE] if at and words else None


def _either(codes: tuple[int, ...]) -> str:
    return " or ".join(str(code) for code in codes)


def _accepts(pattern: str, text: str) -> bool:
    return _compiled(pattern).isinstance_python(text)


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> SchemaValidator:
    return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))


def _last_line(error: SchemaError) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line.removeprefix("error: ") for line in lines if line.startswith("error: ")), lines[-1])
