"""Turns pydantic's validation errors into sentences for the author of a file.

A complaint names the field by its path, what is wrong and what to do. Nothing here may ever know where in a file
a field stands, or show the value of a field that is not text from that file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from engine.plaintext import BadText

Path = tuple[str | int, ...]
Schema = Mapping[str, Any]

_KINDS = {
    "string_type": ("must be text", "Put it in quotes."),
    "int_type": ("must be a whole number", "Write digits without quotes."),
    "bool_type": ("must be true or false", "Write true or false without quotes."),
    "tuple_type": ("must be a list", "Begin each item on its own line with a dash."),
    "dict_type": ("must be a group of fields", "Write name: value lines, indented."),
    "mapping_type": ("must be a group of fields", "Write name: value lines, indented."),
    "model_type": ("must be a group of fields", "Write name: value lines, indented."),
    "model_attributes_type": ("must be a group of fields", "Write name: value lines, indented."),
}


@dataclass(frozen=True, kw_only=True)
class Complaint:
    """What is wrong with one field. ``line`` and ``column`` count within the field's own text, 0 when unknown."""

    path: Path
    message: str
    short_message: str  #: without line and column, for when they are said otherwise
    hint: str = ""
    line: int = 0
    column: int = 0


def complaints(error: ValidationError, schema: Schema) -> tuple[Complaint, ...]:
    """Return one complaint per field that does not fit. ``schema`` is the JSON Schema of the model."""
    found = error.errors(include_url=False, include_input=False)
    # a list whose only item is wrong is also reported as too short, which would send the author the wrong way
    wrong = [details["loc"] for details in found]
    return tuple(
        _complaint(details, schema)
        for details in found
        if details["type"] != "too_short" or not any(_is_within(other, details["loc"]) for other in wrong)
    )


def _is_within(inner: Path, outer: Path) -> bool:
    return len(inner) > len(outer) and inner[: len(outer)] == outer


def _complaint(details: Mapping[str, Any], schema: Schema) -> Complaint:
    path = _fields_only(details["loc"], named=details["type"] in {"missing", "extra_forbidden"})
    where = _spelled(path)
    match details["type"]:
        case "missing":
            return _plain(path[:-1], f"the field {path[-1]!r} is missing.", _description(schema, path))
        case "extra_forbidden":
            return _plain(path, f"there is no field {path[-1]!r} here.", _nearest(schema, path))
        case "value_error":
            return _from_value_error(path, where, details["ctx"]["error"])
        case kind if kind in _KINDS:
            what, hint = _KINDS[kind]
            return _plain(path, f"{where} {what}.", hint)
        case _:
            message = str(details["msg"]).replace("Input should be", "must be").replace("String should", "must")
            return _plain(path, f"{where}: {message}.", _description(schema, path))


def _fields_only(loc: Path, *, named: bool) -> Path:
    """Leave out what pydantic adds to tell the alternatives of a field apart, such as After or literal['any'].

    ``named`` says that the last part is the name of a field, whatever the author has put into it.
    """
    last = len(loc) - 1
    return tuple(
        part
        for index, part in enumerate(loc)
        if (named and index == last)
        or isinstance(part, int)
        or not ("[" in part or (index < last and part[:1].isupper()))
    )


def _from_value_error(path: Path, where: str, error: ValueError) -> Complaint:
    separator = " " if str(error).startswith(("is ", "has ", "must ", "line ", "begins ")) else ": "
    if not isinstance(error, BadText):
        return _plain(path, f"{where}{separator}{error}." if path else f"{error}.")
    return Complaint(
        path=path,
        message=f"{where}{separator}{error}.",
        short_message=f"{where}: this {error.what}.",
        line=error.line,
        column=error.column,
    )


def _plain(path: Path, message: str, hint: str = "") -> Complaint:
    return Complaint(path=path, message=message, short_message=message, hint=hint)


def _spelled(path: Path) -> str:
    """Write a path as people do: steps, item 2, expect."""
    return ", ".join(f"item {part + 1}" if isinstance(part, int) else part for part in path) or "the file"


def _description(schema: Schema, path: Path) -> str:
    for part in reversed(_walk(schema, path)):
        return str(part.get("description", ""))
    return ""


def _nearest(schema: Schema, path: Path) -> str:
    known: Sequence[str] = sorted({name for part in _walk(schema, path[:-1]) for name in part.get("properties", ())})
    near = get_close_matches(str(path[-1]), known, n=2, cutoff=0.6)
    if near:
        return f"Did you mean {' or '.join(near)}?"
    return f"Known fields: {', '.join(known)}." if known else ""


def _walk(schema: Schema, path: Path) -> list[Schema]:
    """Return the schemas that may describe a place; parts that are no field, such as names of types, are skipped."""
    here = _alternatives(schema, schema)
    for part in path:
        found = [inner for outer in here for inner in _inside(schema, outer, part)]
        here = found or here
    return here


def _inside(root: Schema, schema: Schema, part: str | int) -> list[Schema]:
    if isinstance(part, int):
        return _alternatives(root, schema["items"]) if "items" in schema else []
    if part in schema.get("properties", {}):
        found = schema["properties"][part]
        described = {"description": found.get("description", "")}
        return [{**inner, **described} for inner in _alternatives(root, found)]
    named = [schema.get("additionalProperties"), *schema.get("patternProperties", {}).values()]
    return [inner for choice in named if isinstance(choice, dict) for inner in _alternatives(root, choice)]


def _alternatives(root: Schema, schema: Schema) -> list[Schema]:
    if "$ref" in schema:
        return _alternatives(root, root["$defs"][schema["$ref"].rpartition("/")[2]])
    if "anyOf" in schema:
        return [inner for choice in schema["anyOf"] for inner in _alternatives(root, choice)]
    return [schema]
