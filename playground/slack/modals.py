"""A person's modal: filling it in, what Slack itself refuses, and what a submission's answer does to it.

The answer rides on the acknowledgement. It must never close a view except in response to a submission or by
the person's own hand.
"""

from typing import Any

from playground.slack.api import ApiError
from playground.slack.api_views import check_view, push, replace_content, replace_stack
from playground.slack.blocks import VALUE_KEYS, Json, entry, initial_entry, inputs, interactive, is_blank
from playground.slack.delivery import Answer
from playground.slack.model import View
from playground.slack.results import Refused, SubmitResult
from playground.slack.state import World

TROUBLE = "We had some trouble connecting. Try again?"
REQUIRED = "Please complete this required field."


def fill_in(view: View, values: dict[str, Any]) -> None:
    """Type or choose values; keys are `block.action`, a block_id or an action_id."""
    usable = [placed for placed in interactive(view.blocks) if placed.element["type"] in VALUE_KEYS]
    for key, value in values.items():
        for placed in usable:
            ids = {f"{placed.block_id}.{placed.action_id}", placed.block_id, placed.action_id}
            if key in ids:
                view.typed[placed.block_id, placed.action_id] = entry(placed.element, value)
                break
        else:
            known = ", ".join(f"{placed.block_id}.{placed.action_id}" for placed in usable)
            raise Refused(f"the modal {view.title!r} has no input {key!r}; it has {known or 'none'}")


def refused_by_slack(view: View) -> dict[str, str]:
    """Errors that Slack shows without asking the bot: empty required fields, lengths, number ranges."""
    errors = {}
    for placed in inputs(view.blocks):
        state = view.typed.get((placed.block_id, placed.action_id)) or initial_entry(placed.element)
        missing = "" if placed.optional else REQUIRED
        problem = missing if is_blank(state) else _out_of_bounds(placed.element, state)
        if problem:
            errors[placed.block_id] = problem
    return errors


def _out_of_bounds(element: Json, state: Json) -> str:
    if element["type"] == "plain_text_input":
        length = len(str(state["value"]))
        if length > element.get("max_length", 3000):
            return f"Must be at most {element.get('max_length', 3000)} characters."
        if length < element.get("min_length", 0):
            return f"Must be at least {element['min_length']} characters."
    if element["type"] == "number_input":
        return _number_problem(element, str(state["value"]))
    return ""


def _number_problem(element: Json, typed: str) -> str:
    try:
        number = float(typed)
    except ValueError:
        return "Must be a number."
    if not element.get("is_decimal_allowed") and not number.is_integer():
        return "Must be a whole number."
    if number < float(element.get("min_value", number)):
        return f"Must be at least {element['min_value']}."
    if number > float(element.get("max_value", number)):
        return f"Must be at most {element['max_value']}."
    return ""


def settle(world: World, view: View, answer: Answer) -> SubmitResult:
    """Apply the bot's answer to a submission."""
    common: Json = {"acked": answer.acked, "timed_out": answer.timed_out, "latency_ms": answer.latency_ms}
    if not answer.acked:
        return SubmitResult(error=TROUBLE, **common)
    with world.lock:
        try:
            return SubmitResult(**common, **_apply(world, view, answer.payload))
        except ApiError as problem:
            details = problem.details.get("response_metadata", {}).get("messages", [])
            return SubmitResult(error=f"{TROUBLE} ({problem.code}: {'; '.join(details)})", **common)


def _apply(world: World, view: View, reply: Json) -> Json:
    match reply.get("response_action"):
        case "errors":
            return {"errors": _known_blocks(view, reply.get("errors", {}))}
        case "update":
            replace_content(world, view, check_view(world, reply.get("view"), "modal", but=view))
            return {"update": view}
        case "push":
            return {"pushed": push(world, view.user_id, check_view(world, reply.get("view"), "modal"))}
        case "clear":
            replace_stack(world, view.user_id, [])
            return {"closed": True}
        case None if not reply:
            replace_stack(world, view.user_id, world.stack(view.user_id)[:-1])
            return {"closed": True}
        case other:
            raise ApiError("invalid_response_action", response_metadata={"messages": [str(other)]})


def _known_blocks(view: View, errors: Any) -> dict[str, str]:
    """Slack shows an error only at an input block; a wrong key makes the whole answer invalid."""
    known = {placed.block_id for placed in inputs(view.blocks)}
    if not isinstance(errors, dict) or not errors or not set(errors) <= known:
        wrong = ", ".join(sorted(set(errors) - known)) if isinstance(errors, dict) else "no object"
        raise ApiError("invalid_errors", response_metadata={"messages": [f"no such input block: {wrong}"]})
    return {key: str(value) for key, value in errors.items()}
