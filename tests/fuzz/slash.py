"""Target ``slash``: any text after ``/runbook`` is one typed request, or a refusal with its place and cure."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any

from bot.grammar import USAGES, Cancel, Doctor, Execute, Help, History, ListRunbooks, PlanIt, Request
from bot.parsing import parse
from engine.errors import InvalidInput
from tests.fuzz.target import Target, assert_speaks, hidden_in

_PLACE = re.compile(r"character (\d+)", re.IGNORECASE)
_POINT = re.compile(r"is U\+([0-9A-F]{4,6})")
_VERBS = {ListRunbooks: "list", PlanIt: "plan"}


def call(data: bytes) -> None:
    text = data.decode("utf-8", errors="surrogateescape")
    try:
        request = parse(text)
    except InvalidInput as refusal:
        _assert_placed(refusal, text)
        return
    for value in _texts(request):
        assert not hidden_in(value, allowed="\n\t" if isinstance(request, Cancel) else ""), f"let through: {value!r}"
    assert parse(spelled(request)) == request, "writing the request out and reading it again gives another one"


def spelled(request: Request) -> str:
    """Write a request as somebody could have typed it."""
    verb = _VERBS.get(type(request), type(request).__name__.lower())
    match request:
        case Help():
            return "help"
        case Execute() | PlanIt():
            named = {"vm": request.vm} | ({"ticket": request.ticket} if isinstance(request, Execute) else {})
            pairs = {name: value for name, value in named.items() if value} | dict(request.values)
            return " ".join([verb, request.runbook, *(f"{key}={quoted(value)}" for key, value in pairs.items())])
        case History():
            return f"{verb} ticket={quoted(request.ticket)}" if request.ticket else verb
        case Doctor() if request.vm:
            return f"{verb} {quoted(f'vm={request.vm}')}"
        case Cancel():
            return f"{verb} {request.session} {request.reason}"
        case _:
            values = [getattr(request, field.name) for field in fields(request)]
            return " ".join([verb, *(quoted(str(value)) for value in values if value not in {None, ""})])


def quoted(value: str) -> str:
    """Put a value in quotes that end nowhere inside it."""
    return "'\"'".join(f'"{part}"' for part in value.split('"'))


def _assert_placed(refusal: InvalidInput, text: str) -> None:
    assert_speaks(refusal)
    place = _PLACE.search(refusal.message)
    if place is None:
        return
    number = int(place[1])
    assert 1 <= number <= len(text), f"{refusal.message!r} in {text!r}"
    point = _POINT.search(refusal.message)
    if point:
        assert ord(text[number - 1]) == int(point[1], 16), f"{refusal.message!r} in {text!r}"


def _texts(request: Request) -> list[str]:
    found: list[str] = []
    for field in fields(request):
        value: Any = getattr(request, field.name)
        found += [*value, *value.values()] if isinstance(value, dict) else [str(value)]
    return found


SLASH = Target(
    name="slash",
    holds="a command is one typed request or a refusal that names place and cure",
    call=call,
    words=(*USAGES, "vm=", "ticket=", "restart-web", '"', "'", "#12", "\u201c", "\u200b"),
)
