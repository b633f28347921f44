"""What the Block Kit rules are made of: checks of strings, lists and objects that name the place of a
problem.

A check is a function from a value and its place to problems. It must never look beyond the value it is given.
"""

from collections.abc import Callable, Iterator
from typing import Any

Json = dict[str, Any]
Check = Callable[[Any, str], Iterator[str]]


def at(place: str, problem: str) -> str:
    return f"{problem} [json-pointer:{place or '/'}]"


def too_long(length: int, most: int) -> str:
    return f"must be at most {most} characters, not {length}"


def type_of(value: Any) -> Any:
    return value.get("type") if isinstance(value, dict) else None


def string(most: int | None = None, *, least: int = 1) -> Check:
    def check(value: Any, place: str) -> Iterator[str]:
        if not isinstance(value, str):
            yield at(place, f"must be a string, not {type(value).__name__}")
        elif len(value) < least:
            yield at(place, f"must be more than {least - 1} characters")
        elif most is not None and len(value) > most:
            yield at(place, too_long(len(value), most))

    return check


def of_type(kind: type) -> Check:
    def check(value: Any, place: str) -> Iterator[str]:
        if type(value) is not kind:
            yield at(place, f"must be of type {kind.__name__}, not {type(value).__name__}")

    return check


def one_of(*allowed: Any) -> Check:
    def check(value: Any, place: str) -> Iterator[str]:
        if value not in allowed:
            yield at(place, f"must be one of {', '.join(map(str, allowed))}, not {value!r}")

    return check


def items(each: Check, most: int | None = None, *, least: int = 1) -> Check:
    def check(value: Any, place: str) -> Iterator[str]:
        if not isinstance(value, list):
            yield at(place, "must be a list")
            return
        if len(value) < least:
            yield at(place, f"no fewer than {least} items allowed")
        if most is not None and len(value) > most:
            yield at(place, f"no more than {most} items allowed, not {len(value)}")
        for index, item in enumerate(value):
            yield from each(item, f"{place}/{index}")

    return check


def shape(required: dict[str, Check], optional: dict[str, Check] | None = None, *rules: Check) -> Check:
    """An object with these keys and no others; further rules look at the object as a whole."""
    known = required | (optional or {}) | {"type": anything}

    def check(value: Any, place: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield at(place, "must be an object")
            return
        for key in required.keys() - value.keys():
            yield at(place, f"missing required field: {key}")
        for key, part in value.items():
            rule = known.get(key)
            yield from rule(part, f"{place}/{key}") if rule else [at(place, f"unknown field: {key}")]
        for rule in rules:
            yield from rule(value, place)

    return check


def typed(shapes: dict[str, Check], *only: str) -> Check:
    """An object that is checked by its `type`; `only` narrows the types allowed here."""
    allowed = {kind: shapes[kind] for kind in only or shapes}

    def check(value: Any, place: str) -> Iterator[str]:
        kind = type_of(value)
        if not isinstance(value, dict):
            yield at(place, "must be an object")
        elif not isinstance(kind, str) or kind not in allowed:
            yield at(f"{place}/type", f"unsupported type here: {kind!r}; use {', '.join(allowed)}")
        else:
            yield from allowed[kind](value, place)

    return check


def anything(_value: Any, _place: str) -> Iterator[str]:
    return iter(())


def either(*keys: str, exactly_one: bool = False) -> Check:
    def check(value: Json, place: str) -> Iterator[str]:
        found = sum(key in value for key in keys)
        if found == 0 or (exactly_one and found > 1):
            yield at(place, f"needs {'exactly one' if exactly_one else 'one'} of: {', '.join(keys)}")

    return check


def listed(value: Any) -> list[Any]:
    """The value, if it is a list; other rules complain when it is not."""
    return value if isinstance(value, list) else []


def initial_is_offered(value: Json, place: str) -> Iterator[str]:
    initial = [value["initial_option"]] if "initial_option" in value else listed(value.get("initial_options"))
    groups = [group for group in listed(value.get("option_groups")) if isinstance(group, dict)]
    offered = [option for each in (value, *groups) for option in listed(each.get("options"))]
    if any(option not in offered for option in initial):
        yield at(place, "an initial option must be exactly one of the options")
