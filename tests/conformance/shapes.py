"""Compares the shape of JSON: which keys there are and which type each value has, never what it says.

A sample is read from a folder that somebody names; nothing of it is kept here. It must never excuse a difference
that is not in a list with its reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

Excuses = dict[str, str]  # a pattern of `kind of difference: path` and the reason why it may be
#: What people and apps write themselves, or what differs from one message to the next; not Slack's own keys.
CONTENT = ("blocks", "values", "attachments", "metadata", "inputs", "icons", "file")


def differences(ours: Any, sample: Any, path: str = "") -> Iterator[str]:
    """Say `unknown`, `missing` or `type` and where, one after the other."""
    if ours is None or sample is None:
        return
    if kind(ours) != kind(sample):
        yield f"type: {path} is {kind(ours)}, {kind(sample)} in the sample"
    elif isinstance(ours, dict):
        yield from (f"unknown: {path}.{key}" for key in sorted(ours.keys() - sample.keys()))
        yield from (f"missing: {path}.{key}" for key in sorted(sample.keys() - ours.keys()))
        for key in sorted(ours.keys() & sample.keys() - set(CONTENT)):
            yield from differences(ours[key], sample[key], f"{path}.{key}")
    elif isinstance(ours, list) and ours and sample:
        yield from differences(ours[0], sample[0], f"{path}[]")


def kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    names = {str: "string", int: "number", float: "number", dict: "object", list: "list"}
    return names[type(value)]


def unexcused(found: Iterator[str], excuses: Excuses) -> list[str]:
    return [each for each in found if not any(fnmatchcase(each, pattern) for pattern in excuses)]
